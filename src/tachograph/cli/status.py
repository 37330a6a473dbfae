"""`tachograph status`: what became of every call, and what the database and the journals hold."""

from __future__ import annotations

from typing import Any

import typer

from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show, stderr, write_json
from tachograph.cli.values import counted
from tachograph.errors import StoreError
from tachograph.settings import Settings
from tachograph.store import migrate
from tachograph.store.database import without_secret
from tachograph.store.folder import journal_folder
from tachograph.store.ledger import read_heads, read_ledger
from tachograph.store.reading import reading


def status(db: Db = DEFAULT_DB, form: OutputFormat = Format.TABLE) -> None:
    """Show the ledger of all processes that recorded: made = stored + waiting + dropped.

    Made are the calls that ended; those that wait are in the journals.
    """
    folder = journal_folder(db, Settings.of(url=db).journal_dir)
    try:
        with reading(db) as engine:
            revision = migrate.current(engine)
            ledger = read_ledger(engine, folder)
    except StoreError:
        if heads := read_heads(folder):
            size = sum(head.size for head in heads)
            journals = f"{counted(len(heads), 'journal')} of {counted(size, 'byte')}"
            stderr.print(f"what waits for the database: {journals} in {folder}", soft_wrap=True)
        raise
    total = ledger.total
    facts = {
        "database": without_secret(db),
        "revision": revision,
        "made": total.made,
        "stored": total.stored,
        "waiting": total.waiting,
        "dropped": total.dropped,
        "recorders": len(ledger.accounts),
        "recorders_alive": sum(account.living for account in ledger.accounts.values()),
        "journals": ledger.journals,
        "journal_bytes": ledger.journal_bytes,
        "journal_folder": str(folder),
    }
    if form is Format.JSON:
        write_json(facts)
    elif form is Format.CSV:
        show(Rows(list(facts), [tuple(facts.values())]), form)
    else:
        for name, value in facts.items():
            typer.echo(f"{name.replace('_', ' '):<16} {_words(value)}")
    if total.waiting and not total.living:
        stderr.print("nobody stores what waits: run `tachograph db replay`")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(value.items()))
        return f"{sum(value.values()):,} ({reasons})" if value else "0"
    return f"{value:,}" if isinstance(value, int) else str(value)
