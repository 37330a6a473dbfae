"""A process that calls and records until it is killed: each answer that it has seen the end of, it
acknowledges on standard output by its generation id.

    python child.py DATABASE_URL BASE_URL THREADS
"""

from __future__ import annotations

import os
import sys
import threading
from itertools import count

import httpx

from tachograph import Recorder
from tachograph.httpx import RecordingTransport


def acknowledge(generation_id: str) -> None:
    os.write(1, f"{generation_id}\n".encode())


def call(base_url: str, recorder: Recorder) -> None:
    asked = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
    url = base_url + "/chat/completions"
    with httpx.Client(transport=RecordingTransport(recorder)) as client:
        for n in count():
            if n % 3:
                acknowledge(client.post(url, json=asked).json()["id"])
            else:
                with client.stream("POST", url, json={**asked, "stream": True}) as response:
                    for _ in response.iter_raw():
                        pass
                acknowledge(response.headers["x-generation-id"])


def main() -> None:
    database, base_url, threads = sys.argv[1:]
    recorder = Recorder(database, base_urls=[base_url])
    for _ in range(int(threads)):
        threading.Thread(target=call, args=(base_url, recorder), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
