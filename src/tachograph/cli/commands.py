"""The commands by name, each loaded only when it is called for, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "demo": ("tachograph.cli.demo:demo", "Record some 200 calls to a local stand-in and report."),
    "report": ("tachograph.cli.report:report", "Latency, tokens and cost, grouped."),
    "tail": ("tachograph.cli.tail:tail", "The last calls, and with --follow the next ones."),
    "show": ("tachograph.cli.show:show_id", "All that is known of one call and its operation."),
    "status": ("tachograph.cli.status:status", "Calls made, stored, waiting and dropped."),
    "doctor": ("tachograph.cli.doctor:doctor", "What your set-up lacks, and what to do."),
    "audit": ("tachograph.cli.audit:audit", "Computed costs against billed ones, and why."),
    "prices": ("tachograph.cli.prices:app", "The history of every model's rates."),
    "reconcile": (
        "tachograph.cli.reconcile:reconcile",
        "Look up what calls cost that were never billed.",
    ),
    "db": ("tachograph.cli.db:app", "Upgrade, check and replay into the database."),
    "sql": ("tachograph.cli.sql:sql", "Run one SELECT, read-only."),
    "export": ("tachograph.cli.export:app", "Write stored calls to a file."),
    "import": ("tachograph.cli.import_aicore:app", "Bring over what another recorder has."),
    "archive": ("tachograph.cli.archive:archive", "Move closed days into Parquet files."),
    "rollup": (
        "tachograph.cli.rollup:rollup",
        "Hourly sums and histograms, brought up to date.",
    ),
    "purge": ("tachograph.cli.purge:purge", "Delete old calls for good."),
}
"""Name: where it lives (`module:function` or `module:group`), and its line in the help."""


class LazyGroup(TyperGroup):
    """A group that lists its commands from a table and imports the one that is run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, (_, line) in COMMANDS.items():
            self.commands[name] = TyperCommand(name, help=line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(command.name or ""), rest


def load(name: str) -> Any:
    """The command of that name, imported."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        group = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        group.command(name)(found)
        found = group
    command = typer.main.get_command(found)
    command.name = name
    return command
