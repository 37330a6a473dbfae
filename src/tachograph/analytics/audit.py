"""The audit of costs: computed against billed, call by call, and why where they differ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.analytics.lazy_frames import Wanted, lazy_frame
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
    from collections.abc import Iterator

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
_SAID = {
    "generation_usd": MONEY,
    "expected_usd": MONEY,
    "difference_usd": MONEY,
    "reason": REASON,
}
AUDIT = pl.Schema({name: CALLS[name] for name in _SHOWN} | _SAID)
"""The columns of an audit.

`generation_usd`: what `/generation` said, where it was asked. `expected_usd`: what computed ought
to be, which is billed, or with the user's own key what the provider asked. `difference_usd`:
expected - computed. `reason`: why they differ (`reasons.REASONS`), or that they agree. Calls of
which the answer and `/generation` told different bills do not agree, whatever was computed.
"""

UNPRICED = frozenset(
    {
        "total_tokens",
        "reasoning_output_tokens",
        "video_input_tokens",
        "upstream_input_usd",
        "upstream_output_usd",
    }
)
"""What no price and no rule looks at, of the counts of a call."""

_USAGE = tuple(name for name in Usage.__struct_fields__ if name not in UNPRICED)
_FACTS = tuple(
    name
    for name in AuditedCall.__struct_fields__
    if name not in ("usage", "started_us", "expected_usd", "generation_usd")
)
_COMPARED = ("is_byok", "billed_usd", "upstream_usd", "computed_usd")
_REASONED_FROM = {*_COMPARED, "model", "started_at", *_FACTS, *_USAGE}

BATCH_ROWS = 50_000
"""Calls that are in memory at a time."""

_SUMS = (
    "calls",
    "differing",
    "billed_usd",
    "computed_usd",
    "difference_usd",
    "absolute_difference_usd",
)


def cost_audit(calls: Frame, source: Source, *, tolerance: Decimal = TOLERANCE) -> Frame:
    """One row for each of these calls that has a cost, with the difference and its reason.

    `source` is where the calls come from: it also has the prices, which tell the reason. The
    columns are AUDIT. Calls of which neither a bill nor a computed cost is known are left out.
    """
    return same_kind(
        calls,
        lambda frame: with_audit(frame.filter(_known()), source, tolerance).select(AUDIT.names()),
    )


def with_audit(calls: pl.LazyFrame, source: Source, tolerance: Decimal = TOLERANCE) -> pl.LazyFrame:
    """The calls with all that an audit says of each; its reason is null where no cost is known."""
    schema = pl.Schema(calls.collect_schema() | _SAID)
    return lazy_frame(_Audit(calls, source, tolerance), schema, name="cost audit")


def audit_totals(audit: Frame) -> Frame:
    """The sums of an audit for each model, provider and reason.

    `audit_by` and `unexplained_share` make of these few rows what they make of the audit, which
    then never has to be in memory as a whole.
    """
    return same_kind(
        audit,
        lambda frame: (
            _as_sums(frame)
            .group_by("model", "provider", "reason")
            .agg(known_sum(pl.col(*_SUMS, "expected_usd")))
        ),
    )


def audit_by(audit: Frame, key: str) -> Frame:
    """The sums of an audit for each `reason`, `model` or `provider`, the largest difference first.

    `calls`, `differing` (those that do not agree), `billed_usd`, `computed_usd`,
    `difference_usd`, and `absolute_difference_usd`, in which too much and too little do not
    cancel out.
    """
    return same_kind(
        audit,
        lambda frame: (
            _as_sums(frame)
            .group_by(key)
            .agg(known_sum(pl.col(_SUMS)))
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


def differing_and_totals(audit: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `differing` and `audit_totals` give, of an audit that is read once, part by part."""
    parts = [
        (differing(part), audit_totals(part))
        for part in audit.collect_batches(chunk_size=BATCH_ROWS)
    ]
    empty = AUDIT.to_frame()
    calls, totals = zip((empty, audit_totals(empty)), *parts, strict=True)
    return pl.concat(calls).sort("id"), pl.concat(totals)


def unexplained_share(audit: pl.DataFrame) -> Decimal:
    """The unexplained differences, each without its sign, as a share of what was expected.

    0 when there are none; infinite when nothing was expected and something differs.
    """
    sums = _as_sums(audit.lazy())
    unexplained, expected = (
        sums.select(
            pl.col("absolute_difference_usd").filter(reason="unexplained").sum(),
            pl.col("expected_usd").sum(),
        )
        .collect()
        .row(0)
    )
    if not unexplained:
        return Decimal(0)
    share: Decimal = unexplained / expected if expected else Decimal("Infinity")
    return share


def _as_sums(audit: pl.LazyFrame) -> pl.LazyFrame:
    """An audit as if each call were a sum of one; totals are sums already."""
    if "calls" in audit.collect_schema():
        return audit
    return audit.with_columns(
        calls=pl.lit(1, pl.Int64),
        differing=(pl.col("reason") != AGREES).cast(pl.Int64),
        absolute_difference_usd=pl.col("difference_usd").abs(),
    )


@dataclass(frozen=True)
class _Audit:
    """Reads calls, and says of each what is to be said."""

    calls: pl.LazyFrame
    source: Source
    tolerance: Decimal

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        prices, totals = _read(self.source)
        needed = {*_COMPARED, *wanted.needed} - _SAID.keys()
        if "reason" in wanted.needed:
            needed |= _REASONED_FROM
        if totals:
            needed.add("id")
        calls = self.calls
        if wanted.predicate is not None and not _SAID.keys() & wanted.predicate.meta.root_names():
            calls = calls.filter(wanted.predicate)
        for part in calls.select(sorted(needed)).collect_batches(chunk_size=BATCH_ROWS):
            compared = _compared(part, totals)
            if "reason" in wanted.needed:
                compared = _with_reasons(compared, prices, self.tolerance)
            yield compared.select(wanted.needed)


def _compared(calls: pl.DataFrame, totals: dict[str, Decimal]) -> pl.DataFrame:
    """The calls with what was to be paid, and what was computed too little."""
    told = pl.lit(None, MONEY)
    if totals:
        told = pl.lit(pl.Series([totals.get(id_) for id_ in calls["id"]], dtype=MONEY))
    expected = pl.when("is_byok").then("upstream_usd").otherwise("billed_usd")
    return calls.with_columns(generation_usd=told, expected_usd=expected).with_columns(
        difference_usd=pl.col("expected_usd") - pl.col("computed_usd")
    )


def _with_reasons(
    calls: pl.DataFrame, prices: dict[str | None, list[Price]], tolerance: Decimal
) -> pl.DataFrame:
    difference = pl.col("difference_usd")
    apart = difference.is_null() | (difference.abs() > tolerance) | _restated(tolerance)
    differs, agrees = calls.select(
        (_known() & apart).alias("differs"),
        pl.when(_known()).then(pl.lit(AGREES, REASON)).alias("reason"),
    )
    reasons = [
        find_reason(_call(row), prices[row["model"]], tolerance)
        for row in calls.filter(differs).iter_rows(named=True)
    ]
    found = pl.Series(reasons, dtype=REASON)
    return calls.with_columns(agrees.scatter(differs.arg_true(), found))


def _known() -> pl.Expr:
    return pl.col("billed_usd").is_not_null() | pl.col("computed_usd").is_not_null()


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
        usage=Usage(**{name: row[name] for name in _USAGE}),
        started_us=microseconds(row["started_at"]),
        expected_usd=row["expected_usd"],
        generation_usd=row["generation_usd"],
        **{name: row[name] for name in _FACTS},
    )
