"""What becomes of recorders when the process ends or forks."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Protocol
from weakref import WeakSet


class Mortal(Protocol):
    """What is to be closed at exit, and told of a fork."""

    def close(self) -> object: ...

    def before_fork(self) -> None: ...

    def after_fork(self) -> None: ...

    def forked(self) -> None: ...


_watched: WeakSet[Mortal] = WeakSet()
_hooked = False


def watch_over(recorder: Mortal) -> None:
    """Closes it when the process ends, and tells it when it finds itself in a forked child."""
    global _hooked
    if not _hooked:
        _hooked = True
        # Before the threads of other libraries end, and before a tracer provider shuts down, both
        # of which `atexit` alone cannot promise.
        getattr(threading, "_register_atexit", atexit.register)(_close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork, after_in_parent=_after_fork, after_in_child=_tell_all
            )
    _watched.add(recorder)


def forget(recorder: Mortal) -> None:
    """It was closed before."""
    _watched.discard(recorder)


def _close_all() -> None:
    for recorder in list(_watched):
        recorder.close()


def _before_fork() -> None:
    for recorder in list(_watched):
        recorder.before_fork()


def _after_fork() -> None:
    for recorder in list(_watched):
        recorder.after_fork()


def _tell_all() -> None:
    for recorder in list(_watched):
        recorder.forked()


def keep(inherited: object) -> None:
    """What a forked child inherited is kept: a connection that a child closes would end in the
    middle of what the parent does on it."""
    _of_parents.append(inherited)


_of_parents: list[object] = []
