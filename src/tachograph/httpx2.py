"""Recording transports for httpx2: `httpx2.Client(transport=RecordingTransport(recorder))`.

A transport that is given to a client turns off its environment proxies; `tachograph.instrument`
keeps them.
"""

from __future__ import annotations

import httpx2

from tachograph._shells import make_shells

shells = make_shells(httpx2)
RecordingTransport, AsyncRecordingTransport = shells.transport, shells.async_transport

__all__ = ["AsyncRecordingTransport", "RecordingTransport"]
