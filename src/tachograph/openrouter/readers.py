"""Which reader reads the answers of a dialect."""

from __future__ import annotations

from tachograph.openrouter.account import AccountAnswer
from tachograph.openrouter.answer import Answer
from tachograph.openrouter.chat import ChatAnswer
from tachograph.openrouter.endpoints import Dialect
from tachograph.openrouter.images import ImagesAnswer
from tachograph.openrouter.jobs import JobAnswer
from tachograph.openrouter.messages import MessagesAnswer
from tachograph.openrouter.responses import ResponsesAnswer

_READERS: dict[Dialect, type[Answer]] = {
    "chat": ChatAnswer,
    "responses": ResponsesAnswer,
    "messages": MessagesAnswer,
    "images": ImagesAnswer,
    "job": JobAnswer,
    "account": AccountAnswer,
}


def reader_for(dialect: Dialect) -> Answer:
    """An empty answer of the dialect, to be fed."""
    return _READERS[dialect]()
