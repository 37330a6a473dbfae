"""An environment for each peer, in the user's cache: it with openai and tachograph, by pip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tachograph/peers"

OPENAI = "openai==3.52.0"
EXPORTER = "opentelemetry-exporter-otlp-proto-http==1.45.2"
PEERS = {
    "otel-genai": "opentelemetry-instrumentation-genai-openai==1.3b0",
    "openinference": "openinference-instrumentation-openai==0.1.66",
    "langfuse": "langfuse==5.0.4",
}
"""What is installed for each, by the name that the table has for it."""


def python_of(peer: str) -> Path:
    """The Python of its environment, made now if it is not there; that takes a minute or two."""
    folder = CACHE / peer
    wanted = "\n".join([sys.version, OPENAI, EXPORTER, PEERS[peer], str(ROOT)])
    made_of = folder / "made-of.txt"
    if not made_of.exists() or made_of.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-compile"]
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        packages = [PEERS[peer], OPENAI, EXPORTER, "--editable", f"{ROOT}[httpx2]"]
        subprocess.run([*pip, *constraints, *packages], check=True)
        made_of.write_text(wanted)
    return folder / "bin/python"
