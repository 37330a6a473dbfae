"""Every stored call as a polars frame, and reports on them; the only room with polars.

The public names are loaded when first used, so that a command that needs none of them is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tachograph.analytics.archive import Archived, archive_calls
    from tachograph.analytics.audit import (
        AUDIT,
        audit_by,
        cost_audit,
        differing,
        unexplained_share,
    )
    from tachograph.analytics.caching import cache
    from tachograph.analytics.calendar import by_day, by_hour, day, hour
    from tachograph.analytics.comparison import compare, top
    from tachograph.analytics.contents import CONTENTS, scan_content
    from tachograph.analytics.drawing import Plot
    from tachograph.analytics.exporting import FORMATS, parquet_bytes, write_frame
    from tachograph.analytics.failures import cost_per_success, errors, retries
    from tachograph.analytics.frames import count_calls, latest, read_calls, scan_calls
    from tachograph.analytics.latencies import latency
    from tachograph.analytics.lookup import find_calls
    from tachograph.analytics.operation_rows import OPERATIONS, operations, scan_operations
    from tachograph.analytics.pareto import pareto_front
    from tachograph.analytics.pictures import PICTURES, save_plot, show_pictures
    from tachograph.analytics.plots import (
        plot_audit,
        plot_cache,
        plot_calls_by_hour,
        plot_failures,
        plot_latency,
        plot_pareto,
        plot_retries,
        plot_spend,
        plot_spend_by_day,
    )
    from tachograph.analytics.prices import PRICES, read_prices
    from tachograph.analytics.reports import (
        by,
        by_model,
        by_model_and_provider,
        by_name,
        by_provider,
        by_session,
        by_tag,
        by_user,
        tag,
        where,
    )
    from tachograph.analytics.repricing import cost_at
    from tachograph.analytics.rollups.current import Coverage, rollup_coverage
    from tachograph.analytics.rollups.files import write_rollups
    from tachograph.analytics.rollups.frames import scan_rollups
    from tachograph.analytics.rollups.rolling import RolledUp, roll_up
    from tachograph.analytics.rollups.schema import ROLLUPS
    from tachograph.analytics.scanning import explain_sql
    from tachograph.analytics.schema import CALLS
    from tachograph.analytics.summary import REPORT_COLUMNS, Quantiles, total
    from tachograph.analytics.watching import watched_calls

_HOME = {
    "AUDIT": "audit",
    "Archived": "archive",
    "CALLS": "schema",
    "CONTENTS": "contents",
    "Coverage": "rollups.current",
    "FORMATS": "exporting",
    "OPERATIONS": "operation_rows",
    "PICTURES": "pictures",
    "PRICES": "prices",
    "Plot": "drawing",
    "Quantiles": "summary",
    "REPORT_COLUMNS": "summary",
    "ROLLUPS": "rollups.schema",
    "RolledUp": "rollups.rolling",
    "archive_calls": "archive",
    "audit_by": "audit",
    "by": "reports",
    "by_day": "calendar",
    "by_hour": "calendar",
    "by_model": "reports",
    "by_model_and_provider": "reports",
    "by_name": "reports",
    "by_provider": "reports",
    "by_session": "reports",
    "by_tag": "reports",
    "by_user": "reports",
    "cache": "caching",
    "compare": "comparison",
    "cost_at": "repricing",
    "cost_audit": "audit",
    "cost_per_success": "failures",
    "count_calls": "frames",
    "day": "calendar",
    "differing": "audit",
    "errors": "failures",
    "find_calls": "lookup",
    "explain_sql": "scanning",
    "hour": "calendar",
    "latency": "latencies",
    "latest": "frames",
    "operations": "operation_rows",
    "pareto_front": "pareto",
    "parquet_bytes": "exporting",
    "plot_audit": "plots",
    "plot_cache": "plots",
    "plot_calls_by_hour": "plots",
    "plot_failures": "plots",
    "plot_latency": "plots",
    "plot_pareto": "plots",
    "plot_retries": "plots",
    "plot_spend": "plots",
    "plot_spend_by_day": "plots",
    "read_calls": "frames",
    "read_prices": "prices",
    "retries": "failures",
    "save_plot": "pictures",
    "roll_up": "rollups.rolling",
    "rollup_coverage": "rollups.current",
    "scan_calls": "frames",
    "scan_content": "contents",
    "scan_operations": "operation_rows",
    "scan_rollups": "rollups.frames",
    "show_pictures": "pictures",
    "tag": "reports",
    "top": "comparison",
    "total": "summary",
    "watched_calls": "watching",
    "where": "reports",
    "write_frame": "exporting",
    "write_rollups": "rollups.files",
    "unexplained_share": "audit",
}

__all__ = [
    "AUDIT",
    "CALLS",
    "CONTENTS",
    "FORMATS",
    "OPERATIONS",
    "PICTURES",
    "PRICES",
    "REPORT_COLUMNS",
    "ROLLUPS",
    "Archived",
    "Coverage",
    "Plot",
    "Quantiles",
    "RolledUp",
    "archive_calls",
    "audit_by",
    "by",
    "by_day",
    "by_hour",
    "by_model",
    "by_model_and_provider",
    "by_name",
    "by_provider",
    "by_session",
    "by_tag",
    "by_user",
    "cache",
    "compare",
    "cost_at",
    "cost_audit",
    "cost_per_success",
    "count_calls",
    "day",
    "differing",
    "errors",
    "explain_sql",
    "find_calls",
    "hour",
    "latency",
    "latest",
    "operations",
    "pareto_front",
    "parquet_bytes",
    "plot_audit",
    "plot_cache",
    "plot_calls_by_hour",
    "plot_failures",
    "plot_latency",
    "plot_pareto",
    "plot_retries",
    "plot_spend",
    "plot_spend_by_day",
    "read_calls",
    "read_prices",
    "retries",
    "roll_up",
    "rollup_coverage",
    "save_plot",
    "scan_calls",
    "scan_content",
    "scan_operations",
    "scan_rollups",
    "show_pictures",
    "tag",
    "top",
    "total",
    "unexplained_share",
    "watched_calls",
    "where",
    "write_frame",
    "write_rollups",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("altair", "vl_convert"):
            raise
        install = "pip install 'tachograph[plots]'"
        lacks = f"{error.name} is not installed, which plots need: {install}"
        raise ModuleNotFoundError(lacks, name=error.name) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
