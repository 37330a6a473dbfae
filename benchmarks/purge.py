"""How long a writer waits for its turn while another process purges the same SQLite file.

    python benchmarks/purge.py [--calls 1000000]

The writer begins a transaction, adds a row and commits, over and over; told is how long each BEGIN
IMMEDIATE took, alone and during the purge. The promise is that a purge adds less than 50 ms.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tachograph.store.database import open_engine
from tachograph.store.purge import purge
from tachograph.testing import generate_calls

ALONE_SECONDS = 20.0
PAUSE_SECONDS = 0.002
"""Between two transactions, as of an app that has something else to do."""


def write(file: Path) -> None:
    """Writes until standard input ends, then tells its waits in milliseconds."""
    connection = sqlite3.connect(file, timeout=30, isolation_level=None)
    now_us = time.time_ns() // 1000
    waits = []
    print("begun", flush=True)
    began = time.perf_counter()
    done = threading.Event()
    threading.Thread(target=wait_for_end, args=(done,), daemon=True).start()
    while not done.is_set():
        start = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        waits.append(time.perf_counter() - start)
        connection.execute(
            "INSERT INTO journal_dead (set_aside_us, reason, record) VALUES (?, 'purge', ?)",
            (now_us, b"x" * 400),
        )
        connection.execute("COMMIT")
        time.sleep(PAUSE_SECONDS)
    connection.close()
    waits.sort()
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    told = [f"{name} {waits[int(len(waits) * share)] * 1e3:.2f}" for name, share in shares.items()]
    beyond = sum(wait > 0.05 for wait in waits)
    print(
        f"{len(waits):,} transactions in {time.perf_counter() - began:.0f} s, waits in ms: "
        f"{', '.join(told)}, max {waits[-1] * 1e3:.2f}; {beyond} of more than 50"
    )


def wait_for_end(done: threading.Event) -> None:
    sys.stdin.read()
    done.set()


@contextmanager
def watched_writer(file: Path, name: str) -> Iterator[None]:
    """A process that writes meanwhile, and tells its waits in the end."""
    command = [sys.executable, __file__, "--write", str(file)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    yield
    told, _ = writer.communicate()
    print(f"{name}: {told}", end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls.db"
        generate_calls(arguments.calls, to=f"sqlite:///{file}")
        with watched_writer(file, "alone"):
            time.sleep(ALONE_SECONDS)
        engine = open_engine(f"sqlite:///{file}")
        start = time.perf_counter()
        with watched_writer(file, "during the purge"):
            gone = purge(engine, datetime(2100, 1, 1, tzinfo=UTC))
            took = time.perf_counter() - start
        engine.dispose()
        print(f"purged {gone:,} calls in {took:.0f} s")


if __name__ == "__main__":
    main()
