"""A recorder at work as the source of a frame."""

from __future__ import annotations

from pathlib import Path

import httpx
import polars as pl

import tachograph
from tachograph.analytics import by_provider, read_calls, scan_calls, scan_operations
from tachograph.testing import Chat, FakeOpenRouter


def test_a_frame_has_every_call_that_has_ended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    with (
        FakeOpenRouter() as server,
        tachograph.Recorder(url, base_urls=[server.base_url]) as recorder,
        tachograph.instrument(httpx.Client(), recorder) as client,
    ):
        frame = scan_calls(recorder)
        for made in range(1, 6):
            server.script(Chat("Hello").plain())
            client.post(
                f"{server.base_url}/chat/completions",
                json={"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "?"}]},
            )
            assert frame.select(pl.len()).collect().item() == made
        assert by_provider(read_calls(recorder))["calls"].sum() == 5
        assert len(scan_operations(recorder).collect()) == 5
    assert len(read_calls(url)) == 5
