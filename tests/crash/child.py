"""Processes that work until they are killed.

    python child.py call DATABASE_URL BASE_URL THREADS    # calls, plain and streamed
    python child.py adopt DATABASE_URL                    # stores what dead processes left
    python child.py migrate DATABASE_URL REVISION KILL_AT # goes there, dies at that statement
    python child.py obey DATABASE_URL BASE_URL            # does what it is told on standard input

`call` acknowledges each answer that it has seen the end of on standard output, by its generation
id; `adopt` says when it begins, and when all is done; `migrate` kills itself. `obey` is told "call
NUMBER", "flush SECONDS" or "close", and answers each with a line of JSON: how that went, and its
status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from itertools import count

import httpx
import sqlalchemy as sa

from tachograph import Recorder
from tachograph.httpx import RecordingTransport
from tachograph.store import migrate as migrating
from tachograph.store.database import open_engine


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def call(database: str, base_url: str, threads: str) -> None:
    recorder = Recorder(database, base_urls=[base_url])
    for _ in range(int(threads)):
        threading.Thread(target=keep_calling, args=(base_url, recorder), daemon=True).start()
    threading.Event().wait()


def keep_calling(base_url: str, recorder: Recorder) -> None:
    asked = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
    url = base_url + "/chat/completions"
    with httpx.Client(transport=RecordingTransport(recorder)) as client:
        for n in count():
            if n % 3:
                say(client.post(url, json=asked).json()["id"])
            else:
                with client.stream("POST", url, json={**asked, "stream": True}) as response:
                    for _ in response.iter_raw():
                        pass
                say(response.headers["x-generation-id"])


def adopt(database: str) -> None:
    recorder = Recorder(database)
    say("begun")
    assert recorder.flush(60)
    say("done")
    threading.Event().wait()


def migrate(database: str, revision: str, kill_at: str) -> None:
    engine = open_engine(database)
    statements = count(1)

    @sa.event.listens_for(engine, "before_cursor_execute")
    def die(*_: object) -> None:
        if next(statements) == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    @sa.event.listens_for(engine, "commit")
    def die_at_the_end(_: sa.Connection) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    found = migrating.current(engine)
    assert found is not None
    if found < revision:
        migrating.upgrade(engine, revision)
    else:
        migrating.downgrade(engine, revision)


def obey(database: str, base_url: str) -> None:
    recorder = Recorder(database, base_urls=[base_url])
    asked = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
    with httpx.Client(transport=RecordingTransport(recorder)) as client:
        for line in sys.stdin:
            word, _, number = line.partition(" ")
            done: object = None
            if word == "call":
                done = [
                    client.post(base_url + "/chat/completions", json=asked).json()["id"]
                    for _ in range(int(number))
                ]
            elif word == "flush":
                done = recorder.flush(float(number))
            else:
                done = recorder.close(30)
            say(json.dumps([done, recorder.status()._asdict()]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
