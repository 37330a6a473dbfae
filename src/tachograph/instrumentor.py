"""What `opentelemetry-instrument python app.py` calls: recording without a change of the app.

It answers like a `BaseInstrumentor` of opentelemetry-instrumentation, and needs that package for
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from tachograph.recorder import Recorder


class TachographInstrumentor:
    """Records every OpenRouter call of the process, as the environment says (`TACHOGRAPH_DB`, ...).

    Every object of this class speaks of the same recording, as OpenTelemetry's own do.
    """

    _recorder: ClassVar[Recorder | None] = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: which HTTP libraries there are shows when they are imported."""
        return ()

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        return self._recorder is not None

    def instrument(
        self, *, tracer_provider: Any = None, meter_provider: Any = None, **_: Any
    ) -> None:
        """Begins; a second time changes nothing. Raises SettingsError and StoreError."""
        from tachograph.process_recording import instrument_all
        from tachograph.recorder import Recorder

        if self._recorder is None:
            recorder = Recorder(tracer_provider=tracer_provider, meter_provider=meter_provider)
            TachographInstrumentor._recorder = recorder
            instrument_all(recorder)

    def uninstrument(self, **_: Any) -> None:
        """Ends, and stores what waits."""
        from tachograph.process_recording import uninstrument_all

        if self._recorder is not None:
            uninstrument_all()
            self._recorder.close()
            TachographInstrumentor._recorder = None
