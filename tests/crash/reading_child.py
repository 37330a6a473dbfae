"""A process that records, and asks polars about its calls in between, until it is killed.

For each line on standard input it makes 200 calls, reads all calls as WAY says, makes 200 more,
waits until they are stored and acknowledges all by their generation ids in one line.

    python reading_child.py DATABASE_URL BASE_URL WAY
"""

from __future__ import annotations

import sys

import httpx

from tachograph import Recorder
from tachograph.analytics import scan_calls
from tachograph.httpx import RecordingTransport
from tachograph.store import arrow_reading, journal


def as_we_do(url: str) -> None:
    arrow_reading.MANY_ROWS = 1
    scan_calls(url).collect()


def in_this_process(url: str) -> None:
    """What must not be done: the driver's own SQLite closes a file that Python's has open."""
    from adbc_driver_sqlite import dbapi

    with (
        dbapi.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM calls")
        cursor.fetchall()


def main() -> None:
    url, base_url, way = sys.argv[1:]
    read = {"as we do": as_we_do, "in this process": in_this_process}[way]
    # the journal forgets a call as soon as it is in SQL, and not first when a segment is full
    defaults = journal.Journal.__init__.__kwdefaults__
    assert defaults is not None
    defaults["segment_bytes"] = 1
    recorder = Recorder(url, base_urls=[base_url])
    asked = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
    made: list[str] = []
    with httpx.Client(transport=RecordingTransport(recorder)) as client:

        def call(times: int) -> None:
            for _ in range(times):
                answer = client.post(f"{base_url}/chat/completions", json=asked)
                made.append(answer.json()["id"])
            assert recorder.flush(60)

        for _ in sys.stdin:
            call(200)
            read(url)
            sys.stdout.write("read\n")
            sys.stdout.flush()
            sys.stdin.readline()
            call(200)
            sys.stdout.write(" ".join(made) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
