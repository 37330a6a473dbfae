"""docs/jaeger.md: its queries find something in a real Jaeger, and its picture is that trace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from tests.telemetry.jaeger import Jaeger

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/jaeger.md"
SERVICE = "tachograph-demo"


@pytest.fixture(scope="module")
def demonstrated(jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> Jaeger:
    """A Jaeger that has the spans of the demo."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run(
        [sys.executable, "-c", "from tachograph.cli import main; main()", "demo", "--calls", "60"],
        cwd=tmp_path_factory.mktemp("demo"),
        env={**kept, "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.http},
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert jaeger.spans_of(SERVICE, "client", 60)
    return jaeger


@pytest.mark.parametrize("query", re.findall(r"^/api/\S.*$", PAGE.read_text(), re.M))
def test_a_query_finds_something(demonstrated: Jaeger, query: str) -> None:
    answer = httpx.get(demonstrated.query + query)
    assert answer.json()["data"], answer.text[:500]


def test_a_trace_is_drawn(demonstrated: Jaeger) -> None:
    client, *_ = demonstrated.spans_of(SERVICE, "client", 60)
    drawn = subprocess.run(
        [
            sys.executable,
            str(ROOT / "docs/trace_picture.py"),
            demonstrated.query,
            client["traceID"],
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    texts = [text.text or "" for text in ElementTree.fromstring(drawn).iter() if text.text]
    assert client["operationName"] in texts
    assert any(f"{client['duration'] / 1000:,.0f} ms" in text for text in texts)
