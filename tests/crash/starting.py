"""Processes that record, started in each of the ways that Python programs start them.

    python starting.py WAY DATABASE_URL BASE_URL CALLS

Each process makes so many calls. `web_app` and `worker` are what gunicorn and celery load.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from multiprocessing.context import BaseContext
from typing import Any

import httpx

from tachograph import Recorder
from tachograph.httpx import RecordingTransport

PROCESSES = int(os.environ.get("TACHOGRAPH_TEST_PROCESSES", "3"))
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}


def call(recorder: Recorder, base_url: str, calls: int) -> None:
    with httpx.Client(transport=RecordingTransport(recorder)) as client:
        for _ in range(calls):
            client.post(base_url + "/chat/completions", json=ASKED).raise_for_status()


def one(url: str, base_url: str, calls: str) -> None:
    """A process by itself."""
    call(Recorder(url, base_urls=[base_url]), base_url, int(calls))


def _start(context: BaseContext, target: Callable[..., None], *arguments: object) -> None:
    children = [context.Process(target=target, args=arguments) for _ in range(PROCESSES)]  # type: ignore[attr-defined]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * PROCESSES


def fork(url: str, base_url: str, calls: str) -> None:
    """The children use the recorder that they inherit, which has recorded."""
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 1)
    _start(multiprocessing.get_context("fork"), call, recorder, base_url, int(calls))


def spawn(url: str, base_url: str, calls: str) -> None:
    _start(multiprocessing.get_context("spawn"), one, url, base_url, calls)


def forkserver(url: str, base_url: str, calls: str) -> None:
    _start(multiprocessing.get_context("forkserver"), one, url, base_url, calls)


def subprocesses(url: str, base_url: str, calls: str) -> None:
    command = [sys.executable, __file__, "one", url, base_url, calls]
    children = [subprocess.Popen(command) for _ in range(PROCESSES)]
    assert [child.wait() for child in children] == [0] * PROCESSES


def os_fork(url: str, base_url: str, calls: str) -> None:
    """Forked while other threads of the parent call, and its writer writes."""
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 1)  # a fork in the middle of an import would hold up the child's
    threads = [
        threading.Thread(target=call, args=(recorder, base_url, int(calls))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(PROCESSES - 2):
        child = os.fork()
        if not child:
            call(recorder, base_url, int(calls))
            recorder.close(60)
            os._exit(0)
        children.append(child)
    for thread in threads:
        thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


def web_app() -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """What `gunicorn --preload` loads in its main process: each request makes some calls."""
    url, base_url = os.environ["TACHOGRAPH_TEST_URL"], os.environ["TACHOGRAPH_TEST_BASE"]
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 1)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        call(recorder, base_url, int(environ["QUERY_STRING"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    return app


def worker() -> Any:
    """What `celery worker` loads in its main process: each task makes some calls."""
    celery = import_module("celery")
    url, base_url = os.environ["TACHOGRAPH_TEST_URL"], os.environ["TACHOGRAPH_TEST_BASE"]
    folder = os.environ["TACHOGRAPH_TEST_FOLDER"]
    app = celery.Celery("starting", broker="filesystem://")
    app.conf.update(
        broker_transport_options={
            "data_folder_in": folder,
            "data_folder_out": folder,
            "control_folder": folder,
        },
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 1)

    @app.task(name="work")  # type: ignore[untyped-decorator]
    def work(calls: int) -> None:
        call(recorder, base_url, calls)

    return app


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
elif "TACHOGRAPH_TEST_FOLDER" in os.environ:
    celery = worker()
