"""Prices that were read -> the history of prices.

A row is never changed but for `valid_until`; a price that is still the same makes no new row.
What is read of an instant before the last reading (an old listing) speaks only for the time until
the next reading, so that no later knowledge is lost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from tachograph.core.records import Price
from tachograph.core.units import from_microseconds
from tachograph.store.database import failure, write_transaction
from tachograph.store.prices import read_prices, same_rates, valid_at
from tachograph.store.schema import prices

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.engine import Connection, Engine

_Series = tuple[str, str | None, str | None, str | None]


class Changes(msgspec.Struct, frozen=True):
    """What a reading of prices changed."""

    new: tuple[Price, ...]
    """Of models or endpoints that had no price at that instant."""
    changed: tuple[tuple[Price, Price], ...]
    """The price before, and as read."""
    unchanged: int
    gone: tuple[Price, ...]
    """Of models or endpoints that are not listed any more."""


def record_prices(
    engine: Engine,
    read: Iterable[Price],
    fetched_us: int,
    source: str,
    *,
    valid_from_us: int | None = None,
    whole_listing: bool = False,
    whole_endpoints: Collection[str] = (),
    misread: Collection[str] = (),
) -> Changes:
    """Enters prices that were read at `fetched_us` into the history, in one transaction.

    `valid_from_us` says since when the first price known of a series may be taken as valid.
    `whole_listing` and `whole_endpoints` (models) say for what the reading is complete: what is
    missing there is closed, unless `misread` holds its model or endpoint tag. StoreError when
    the database fails.
    """
    try:
        with write_transaction(engine) as connection:
            if connection.dialect.name == "postgresql":  # two readings at once: one after the other
                connection.execute(sa.text("LOCK TABLE prices IN SHARE ROW EXCLUSIVE MODE"))
            history = _History(read_prices(connection), fetched_us, valid_from_us, source)
            for price in read:
                history.enter(price)
            for model, provider, tag, tier in list(history.series):
                whole = whole_listing if provider is None else model in whole_endpoints
                if whole and model not in misread and tag not in misread:
                    history.leave_out((model, provider, tag, tier))
            history.write(connection)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return history.changes()


class _History:
    """All series as they stand, and what a reading at one instant does to them."""

    def __init__(
        self, rows: list[Price], fetched_us: int, valid_from_us: int | None, source: str
    ) -> None:
        self.series: dict[_Series, list[Price]] = defaultdict(list)
        self._readings: dict[str | None, list[int]] = defaultdict(list)
        for row in rows:
            self.series[_series(row)].append(row)
            self._readings[_kind(row)].append(row.fetched_us or row.valid_from_us)
        for instants in self._readings.values():
            instants.sort()
        self._at = fetched_us
        self._since = fetched_us if valid_from_us is None else valid_from_us
        self._source = source
        self._entered: set[_Series] = set()
        self._closed: list[Price] = []
        self._added: list[Price] = []
        self._new: list[Price] = []
        self._changed: list[tuple[Price, Price]] = []
        self._unchanged = 0
        self._gone: list[Price] = []

    def enter(self, read: Price) -> None:
        """The price of a series at the instant of the reading; of two the first counts."""
        series = _series(read)
        if series in self._entered:
            return
        self._entered.add(series)
        read = replace(read, valid_from_us=self._at, fetched_us=self._at, source=self._source)
        rows = self.series.get(series)
        if not rows:
            self._new.append(read)
            self._add(read, min(self._at, self._since), None)
            return
        before = next((row for row in rows if valid_at(row, self._at)), None)
        if before is not None and _same(before, read):
            self._unchanged += 1
        else:
            self._insert(read, before, rows)
        first = min([*rows, read], key=lambda row: row.valid_from_us)
        if self._since < first.valid_from_us:
            self._add(first, self._since, first.valid_from_us)

    def _insert(self, read: Price, before: Price | None, rows: list[Price]) -> None:
        if before is None:
            self._new.append(read)
            later = [row.valid_from_us for row in rows if row.valid_from_us > self._at]
            until = min(later, default=None)
        else:
            self._changed.append((before, read))
            self._closed.append(before)
            until = before.valid_until_us
        readings = self._readings[_kind(read)]
        index = bisect_right(readings, self._at)
        next_reading = readings[index] if index < len(readings) else None
        if next_reading is not None and (until is None or next_reading < until):
            if before is not None:
                self._add(before, next_reading, until)
            until = next_reading
        self._add(read, self._at, until)

    def leave_out(self, series: _Series) -> None:
        """A series that the reading would have, if it were still offered."""
        if series in self._entered:
            return
        for row in self.series[series]:
            if row.valid_until_us is None and row.valid_from_us <= self._at:
                self._closed.append(row)
                self._gone.append(row)

    def _add(self, price: Price, from_us: int, until_us: int | None) -> None:
        self._added.append(replace(price, id=None, valid_from_us=from_us, valid_until_us=until_us))

    def write(self, connection: Connection) -> None:
        if self._closed:
            connection.execute(
                sa.update(prices)
                .where(prices.c.id.in_([row.id for row in self._closed]))
                .values(valid_until_us=from_microseconds(self._at))
            )
        if self._added:
            connection.execute(sa.insert(prices), [_row(price) for price in self._added])

    def changes(self) -> Changes:
        return Changes(
            new=tuple(self._new),
            changed=tuple(self._changed),
            unchanged=self._unchanged,
            gone=tuple(self._gone),
        )


def _series(price: Price) -> _Series:
    return price.model, price.provider, price.endpoint_tag, price.service_tier


def _kind(price: Price) -> str | None:
    """What is read at once: the whole listing (None), or the endpoints of one model."""
    return None if price.provider is None else price.model


def _same(one: Price, other: Price) -> bool:
    return (
        same_rates(one, other)
        and one.canonical_slug == other.canonical_slug
        and one.alias_target == other.alias_target
    )


def _row(price: Price) -> dict[str, Any]:
    row = msgspec.structs.asdict(price)
    del row["id"]
    row["overrides"] = msgspec.json.encode(price.overrides).decode() if price.overrides else None
    for name in ("valid_from_us", "valid_until_us", "fetched_us"):
        row[name] = None if row[name] is None else from_microseconds(row[name])
    return row
