"""The audit of costs: computed against billed, call by call, and why where they differ."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.analytics.reasons import REASONS, AuditedCall, find_reason
from tachograph.analytics.schema import CALLS, MONEY
from tachograph.analytics.sources import Recording, Source
from tachograph.analytics.summary import Frame, known_sum, same_kind
from tachograph.core.records import Usage
from tachograph.core.units import microseconds
from tachograph.store.prices import read_prices
from tachograph.store.reading import reading
from tachograph.store.reconciliations import read_totals

if TYPE_CHECKING:
    from tachograph.core.records import Price

TOLERANCE = Decimal("1E-9")
"""Bills carry the residue of binary fractions; what is closer than this agrees."""

AGREES = "agrees"
REASON = pl.Enum((AGREES, *REASONS))

_SHOWN = (
    "id",
    "started_at",
    "model",
    "provider",
    "service_tier",
    "outcome",
    "generation_id",
    "input_tokens",
    "output_tokens",
    "is_byok",
    "cost_source",
    "price_id",
    "billed_usd",
    "upstream_usd",
    "computed_usd",
)
AUDIT = pl.Schema(
    {name: CALLS[name] for name in _SHOWN}
    | {
        "generation_usd": MONEY,
        "expected_usd": MONEY,
        "difference_usd": MONEY,
        "reason": REASON,
    }
)
"""The columns of an audit.

`generation_usd`: what `/generation` said, where it was asked. `expected_usd`: what computed ought
to be, which is billed, or with the user's own key what the provider asked. `difference_usd`:
expected - computed. `reason`: why they differ (`reasons.REASONS`), or that they agree. Calls of
which the answer and `/generation` told different bills do not agree, whatever was computed.
"""

_LOOKED_AT = tuple(
    dict.fromkeys(
        (
            *_SHOWN,
            *Usage.__struct_fields__,
            "request_model",
            "response_model",
            "finish_reason",
            "cache_status",
            "parameters",
        )
    )
)


def cost_audit(calls: Frame, source: Source, *, tolerance: Decimal = TOLERANCE) -> Frame:
    """One row for each of these calls that has a cost, with the difference and its reason.

    `source` is where the calls come from: it also has the prices, which tell the reason. The
    columns are AUDIT. Calls of which neither a bill nor a computed cost is known are left out.
    """
    return same_kind(calls, lambda frame: _audited(frame, source, tolerance))


def audit_by(audit: Frame, key: str) -> Frame:
    """The sums of an audit for each `reason`, `model` or `provider`, the largest difference first.

    `calls`, `differing` (those that do not agree), `billed_usd`, `computed_usd`,
    `difference_usd`, and `absolute_difference_usd`, in which too much and too little do not
    cancel out.
    """
    difference = pl.col("difference_usd")
    return same_kind(
        audit,
        lambda frame: (
            frame.group_by(key)
            .agg(
                pl.len().cast(pl.Int64).alias("calls"),
                (pl.col("reason") != AGREES).sum().cast(pl.Int64).alias("differing"),
                known_sum(pl.col("billed_usd")).alias("billed_usd"),
                known_sum(pl.col("computed_usd")).alias("computed_usd"),
                known_sum(difference).alias("difference_usd"),
                known_sum(difference.abs()).alias("absolute_difference_usd"),
            )
            .sort(
                ["absolute_difference_usd", "calls", key],
                descending=[True, True, False],
                nulls_last=True,
            )
        ),
    )


def differing(audit: Frame) -> Frame:
    """The calls of an audit that do not agree, in the order in which they began."""
    return same_kind(audit, lambda frame: frame.filter(pl.col("reason") != AGREES).sort("id"))


def unexplained_share(audit: pl.DataFrame) -> Decimal:
    """The unexplained differences, each without its sign, as a share of what was expected.

    0 when there are none; infinite when nothing was expected and something differs.
    """
    unexplained = audit.filter(reason="unexplained")["difference_usd"].to_list()
    differing = sum((abs(usd) for usd in unexplained if usd is not None), Decimal(0))
    expected = sum((usd for usd in audit["expected_usd"].to_list() if usd is not None), Decimal(0))
    if not differing:
        return Decimal(0)
    return differing / expected if expected else Decimal("Infinity")


def _audited(frame: pl.LazyFrame, source: Source, tolerance: Decimal) -> pl.LazyFrame:
    expected = pl.when("is_byok").then("upstream_usd").otherwise("billed_usd")
    compared = (
        frame.select(_LOOKED_AT)
        .filter(pl.col("billed_usd").is_not_null() | pl.col("computed_usd").is_not_null())
        .with_columns(expected_usd=expected)
        .with_columns(difference_usd=pl.col("expected_usd") - pl.col("computed_usd"))
    )
    return compared.map_batches(
        lambda calls: _with_reasons(calls, source, tolerance),
        schema=AUDIT,
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
    )


def _with_reasons(calls: pl.DataFrame, source: Source, tolerance: Decimal) -> pl.DataFrame:
    prices, totals = _read(source)
    generation = pl.Series("generation_usd", [totals.get(id_) for id_ in calls["id"]], dtype=MONEY)
    calls = calls.with_columns(generation)
    difference = pl.col("difference_usd")
    differs = calls.select(
        difference.is_null() | (difference.abs() > tolerance) | _restated(tolerance)
    ).to_series()
    reasons = [AGREES] * len(calls)
    for at, row in zip(
        differs.arg_true(), calls.filter(differs).iter_rows(named=True), strict=True
    ):
        reasons[at] = find_reason(_call(row), prices[row["model"]], tolerance)
    return calls.with_columns(pl.Series("reason", reasons, dtype=REASON)).select(AUDIT.names())


def _restated(tolerance: Decimal) -> pl.Expr:
    """Whether `/generation` says another bill than the answer did."""
    apart = (pl.col("generation_usd") - pl.col("billed_usd")).abs()
    return (apart > tolerance).fill_null(value=False)


def _read(source: Source) -> tuple[dict[str | None, list[Price]], dict[str, Decimal]]:
    """The prices of each model, and what `/generation` said of each call."""
    database: Any = source.url if isinstance(source, Recording) else source
    prices: dict[str | None, list[Price]] = defaultdict(list)
    with reading(database) as engine, engine.connect() as connection:
        for price in read_prices(connection):
            prices[price.model].append(price)
        return prices, read_totals(connection)


def _call(row: dict[str, Any]) -> AuditedCall:
    return AuditedCall(
        usage=Usage(**{name: row[name] for name in Usage.__struct_fields__}),
        started_us=microseconds(row["started_at"]),
        **{
            name: row[name]
            for name in AuditedCall.__struct_fields__
            if name not in ("usage", "started_us")
        },
    )
