"""The recorders' own ledger as metrics, read whenever metrics are collected.

An SDK takes each instrument once, so all recorders that report to one meter provider share theirs:
what is shown is the sum. A recorder that is gone counts no more, which backends take for a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from tachograph.telemetry import semconv as names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, MeterProvider


class Reading(Protocol):
    """A ledger as it stands: `tachograph.Status` is one."""

    @property
    def made(self) -> int: ...
    @property
    def stored(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def dropped(self) -> Mapping[str, int]: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def journal_bytes(self) -> int: ...


class Accountable(Protocol):
    """What has a ledger: `tachograph.Recorder`."""

    def status(self) -> Reading: ...

    @property
    def lag_seconds(self) -> float: ...


def show_ledger(recorder: Accountable, meter_provider: MeterProvider | None = None) -> None:
    """Shows the ledger for as long as the recorder lives, through this provider or the app's."""
    global _of_the_app
    if meter_provider is None:
        if _of_the_app is None:
            _of_the_app = _Ledgers(None)
        _of_the_app.recorders.add(recorder)
        return
    ledgers = _given.get(meter_provider)
    if ledgers is None:
        ledgers = _given[meter_provider] = _Ledgers(meter_provider)
    ledgers.recorders.add(recorder)


class _Ledgers:
    """The instruments of one provider, and the recorders that they show."""

    def __init__(self, meter_provider: MeterProvider | None) -> None:
        self.recorders: WeakSet[Accountable] = WeakSet()
        meter = metrics.get_meter(names.SCOPE, names.scope_version(), meter_provider)
        counter = meter.create_observable_counter
        gauge = meter.create_observable_up_down_counter
        counter(names.METRIC_MADE, [self._sum(lambda x: x.made)], "{call}", "Calls that ended.")
        counter(names.METRIC_STORED, [self._sum(lambda x: x.stored)], "{call}", "Calls in SQL.")
        counter(names.METRIC_DROPPED, [self._dropped], "{call}", "Calls that will not be in SQL.")
        gauge(names.METRIC_WAITING, [self._sum(lambda x: x.waiting)], "{call}", "Calls in line.")
        gauge(
            names.METRIC_IN_FLIGHT, [self._sum(lambda x: x.in_flight)], "{call}", "Calls that run."
        )
        gauge(names.METRIC_JOURNAL, [self._sum(lambda x: x.journal_bytes)], "By", "The journal.")
        meter.create_observable_gauge(
            names.METRIC_LAG, [self._lag], "s", "Age of the oldest call in line."
        )

    def _sum(
        self, of: Callable[[Reading], int]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            counts = [of(recorder.status()) for recorder in list(self.recorders)]
            return [Observation(sum(counts))] if counts else []

        return observe

    def _dropped(self, options: CallbackOptions) -> Iterable[Observation]:
        by_reason: dict[str, int] = {}
        for recorder in list(self.recorders):
            for reason, count in recorder.status().dropped.items():
                by_reason[reason] = by_reason.get(reason, 0) + count
        return [Observation(n, {names.DROP_REASON: reason}) for reason, n in by_reason.items()]

    def _lag(self, options: CallbackOptions) -> Iterable[Observation]:
        lags = [recorder.lag_seconds for recorder in list(self.recorders)]
        return [Observation(max(lags))] if lags else []


_of_the_app: _Ledgers | None = None
_given: WeakKeyDictionary[MeterProvider, _Ledgers] = WeakKeyDictionary()
