"""Prompts and answers: nowhere unless asked for, then in a table of their own and nowhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tachograph import Recorder, SettingsError
from tachograph.analytics import read_calls, scan_content
from tachograph.httpx import RecordingTransport
from tachograph.store.database import open_engine
from tachograph.store.purge import count_before, purge
from tachograph.testing import Answer, Chat, FakeOpenRouter, failure
from tests.clients import KINDS, Kind

PROMPT = "a-prompt-that-nobody-may-read"
SAID = "an-answer-that-nobody-may-read"
KEY = "sk-or-v1-00112233445566778899aabbccddeeff"
ASKED = {"model": "a/b", "messages": [{"role": "user", "content": PROMPT}]}
CHAT = Chat(f"{SAID} indeed")


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


class App:
    """Sends requests and keeps their content in the given way."""

    def __init__(self, server: FakeOpenRouter, folder: Path, capture: Any = None) -> None:
        self.server = server
        self.folder = folder
        self.url = f"sqlite:///{folder / 'calls.db'}"
        self.recorder = Recorder(self.url, base_urls=[server.base_url], capture_content=capture)
        self.client = httpx.Client(
            base_url=server.base_url,
            transport=RecordingTransport(self.recorder),
            headers={"Authorization": f"Bearer {KEY}"},
        )

    def call(self, answer: Answer, **asked: Any) -> httpx.Response:
        self.server.script(answer)
        return self.client.post("/chat/completions", json={**ASKED, **asked})

    def contents(self) -> list[dict[str, Any]]:
        """The rows of `contents`, each JSON column read."""
        self.client.close()
        assert self.recorder.close(20)
        rows = scan_content(self.url).sort("call_id").collect().to_dicts()
        return [
            {
                name: value if name == "call_id" else json.loads(value or "null")
                for name, value in row.items()
            }
            for row in rows
        ]

    def content(self) -> dict[str, Any]:
        (content,) = self.contents()
        return content


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_by_default_no_content_is_written_anywhere(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path)
    app.call(CHAT.plain())
    app.call(CHAT.stream(), stream=True)
    while_waiting = bytes_on_disk(tmp_path)
    assert app.recorder.flush()
    for found in (while_waiting, bytes_on_disk(tmp_path)):
        assert PROMPT.encode() not in found
        assert SAID.encode() not in found
    assert app.contents() == []
    assert read_calls(app.url).height == 2


@pytest.mark.parametrize("stream", [False, True])
def test_full_keeps_what_was_sent_and_said(
    server: FakeOpenRouter, tmp_path: Path, stream: bool
) -> None:
    app = App(server, tmp_path, "full")
    app.call(CHAT.stream() if stream else CHAT.plain(), stream=stream)
    content = app.content()
    assert content["request"] == {**ASKED, "stream": stream}
    assert content["answer"]["choices"][0]["message"]["content"] == CHAT.text
    assert content["redacted"] is None
    (call,) = read_calls(app.url).to_dicts()
    assert content["call_id"] == call["id"]
    assert PROMPT not in str(call)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_family_keeps_content(server: FakeOpenRouter, tmp_path: Path, kind: Kind) -> None:
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    server.script(CHAT.stream())

    async def main() -> None:
        with Recorder(url, base_urls=[server.base_url], capture_content="full") as recorder:
            async with kind.client(transport=kind.transport(recorder)) as client:
                path = server.base_url + "/chat/completions"
                async with client.stream(path, json={**ASKED, "stream": True}) as response:
                    _ = [piece async for piece in response.pieces()]

    asyncio.run(main())
    (answer,) = scan_content(url).collect()["answer"]
    assert json.loads(answer)["choices"][0]["message"]["content"] == CHAT.text


def test_a_stream_that_was_left_early_has_what_came(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    server.script(CHAT.stream())
    asked = {**ASKED, "stream": True}
    with app.client.stream("POST", "/chat/completions", json=asked) as response:
        read = b""
        for piece in response.iter_raw():
            read += piece
            if SAID.encode() in read:
                break
    content = app.content()
    assert content["answer"]["choices"][0]["message"]["content"].startswith(SAID)


def test_metadata_keeps_the_shape_alone(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "metadata")
    app.call(CHAT.stream(), stream=True)
    content = app.content()
    size = f"[{len(PROMPT)} characters]"
    assert content["request"] == {"messages": [{"role": "user", "content": size}]}
    message = content["answer"]["choices"][0]["message"]
    assert message == {"role": "assistant", "content": f"[{len(CHAT.text)} characters]"}
    found = bytes_on_disk(tmp_path)
    assert PROMPT.encode() not in found
    assert SAID.encode() not in found


def test_keys_and_images_are_in_no_file(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    image = "iVBORw0KGgo" * 40
    said = [
        {"type": "text", "text": f"my key {KEY} is refused"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
    ]
    app.call(CHAT.plain(), messages=[{"role": "user", "content": said}])
    while_waiting = bytes_on_disk(tmp_path)
    content = app.content()
    text, picture = content["request"]["messages"][0]["content"]
    assert text["text"] == "my key [redacted] is refused"
    assert picture["image_url"] == {"url": f"[image/png, {len(image) + 22} characters]"}
    assert content["redacted"] == {"secrets": 1, "media": 1}
    for found in (while_waiting, bytes_on_disk(tmp_path)):
        assert KEY.encode() not in found
        assert image[:40].encode() not in found


def test_a_long_prompt_and_a_long_answer_are_cut(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    words = "word " * 200_000
    app.call(Chat(words).plain(), messages=[{"role": "user", "content": words}])
    app.call(Chat(words).stream(), stream=True)
    contents = app.contents()
    assert len(contents) == 2
    for content in contents:
        assert content["redacted"]["cut"] or content["redacted"]["media"]
    for row in scan_content(app.url).collect().to_dicts():
        assert len(row["request"]) <= 256 * 1024
        assert len(row["answer"]) <= 256 * 1024


def test_an_answer_of_bytes_is_told_by_kind_and_length(
    server: FakeOpenRouter, tmp_path: Path
) -> None:
    app = App(server, tmp_path, "full")
    server.script(Answer(200, {"Content-Type": "audio/mpeg"}, (b"\xff" * 321,), framing="length"))
    app.client.post("/audio/speech", json={"model": "a/b", "input": PROMPT, "voice": "x"})
    assert app.content()["answer"] == "[audio/mpeg, 321 bytes]"


def test_a_request_that_is_no_json_is_told_by_its_length(
    server: FakeOpenRouter, tmp_path: Path
) -> None:
    app = App(server, tmp_path, "full")
    server.script(CHAT.plain())
    app.client.post("/chat/completions", content=b"not json")
    assert app.content()["request"] == "[8 bytes]"


def test_a_failure_keeps_what_was_sent_and_the_error(
    server: FakeOpenRouter, tmp_path: Path
) -> None:
    app = App(server, tmp_path, "full")
    app.call(failure("rate_limited"))
    content = app.content()
    assert content["request"] == ASKED
    assert content["answer"]["error"]["code"] == 429


# --- a function that redacts ---


def test_a_function_says_what_is_kept(server: FakeOpenRouter, tmp_path: Path) -> None:
    seen: list[Any] = []

    def redact(request: Any, answer: Any) -> Any:
        seen.append((request, answer))
        return {"messages": len(request["messages"]), "leaked": KEY}, None

    app = App(server, tmp_path, redact)
    app.call(CHAT.stream(), stream=True)
    assert seen[0][0] == {**ASKED, "stream": True}
    assert seen[0][1]["choices"][0]["message"]["content"] == CHAT.text
    content = app.content()
    assert content["request"] == {"messages": 1, "leaked": "[redacted]"}
    assert content["answer"] is None


def test_a_function_may_keep_nothing(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, lambda request, answer: None)
    app.call(CHAT.plain())
    assert app.contents() == []
    assert read_calls(app.url).height == 1


@pytest.mark.parametrize("wrong", [lambda r, a: 1 / 0, lambda r, a: r, lambda r, a: (object(), a)])
def test_content_is_dropped_when_the_function_fails_and_the_call_is_recorded(
    server: FakeOpenRouter, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    app = App(server, tmp_path, wrong)
    with caplog.at_level(logging.ERROR, "tachograph"):
        assert app.call(CHAT.plain()).json()["id"] == CHAT.id
        app.call(CHAT.plain())
    assert app.contents() == []
    assert read_calls(app.url)["outcome"].to_list() == ["completed"] * 2
    (record,) = caplog.records
    assert "is not kept" in record.message


def test_what_a_failing_function_says_is_not_logged(
    server: FakeOpenRouter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Any, answer: Any) -> Any:
        raise ValueError(request["messages"][0]["content"])

    app = App(server, tmp_path, fail)
    with caplog.at_level(logging.DEBUG):
        app.call(CHAT.plain())
    assert app.contents() == []
    assert "capture_content raised ValueError" in caplog.text
    assert PROMPT not in caplog.text


# --- settings ---


def test_the_environment_asks_and_a_parameter_wins(
    server: FakeOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_CAPTURE_CONTENT", "full")
    for name, capture, kept in (("env", None, 1), ("off", False, 0)):
        folder = tmp_path / name
        folder.mkdir()
        app = App(server, folder, capture)
        app.call(CHAT.plain())
        assert len(app.contents()) == kept


@pytest.mark.parametrize("value", ["yes", True, "everything"])
def test_another_word_is_an_error(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SettingsError, match="capture_content"):
        Recorder(f"sqlite:///{tmp_path / 'calls.db'}", capture_content=value)


@pytest.mark.parametrize("word", ["off", "false", "0", ""])
def test_words_for_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str) -> None:
    monkeypatch.setenv("TACHOGRAPH_CAPTURE_CONTENT", word)
    with Recorder(f"sqlite:///{tmp_path / 'calls.db'}") as recorder:
        assert recorder._contents is None


# --- survival and death ---

KILLED = """
import os, sys, httpx
from tachograph import Recorder
from tachograph.httpx import RecordingTransport
url, base_url, prompt = sys.argv[1:]
recorder = Recorder(url, base_urls=[base_url], capture_content="full")
client = httpx.Client(transport=RecordingTransport(recorder))
asked = {"model": "a/b", "messages": [{"role": "user", "content": prompt}]}
for stream in (False, True):
    client.post(base_url + "/chat/completions", json={**asked, "stream": stream}).read()
os.kill(os.getpid(), 9)
"""


def test_content_survives_kill_9(server: FakeOpenRouter, tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    with Recorder(f"sqlite:///{file}") as recorder:
        recorder.flush()
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")  # so that nothing reaches SQL before the process dies
    server.script(CHAT.plain(), CHAT.stream())
    arguments = [f"sqlite:///{file}", server.base_url, PROMPT]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert held.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    held.execute("COMMIT")
    held.close()
    with Recorder(f"sqlite:///{file}") as recorder:
        assert recorder.flush(20)
    contents = scan_content(f"sqlite:///{file}").collect()
    assert [json.loads(text)["messages"][0]["content"] for text in contents["request"]] == [
        PROMPT
    ] * 2
    for text in contents["answer"]:
        assert json.loads(text)["choices"][0]["message"]["content"] == CHAT.text


def test_contents_are_purged_and_the_calls_stay(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    for _ in range(3):
        app.call(CHAT.plain())
    assert len(app.contents()) == 3
    engine = open_engine(app.url)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert purge(engine, soon - timedelta(days=1), content_only=True) == 0
    assert count_before(engine, soon, content_only=True) == 3
    assert purge(engine, soon, content_only=True) == 3
    assert scan_content(engine).collect().is_empty()
    assert read_calls(engine).height == 3
    engine.dispose()


def test_contents_go_with_their_calls(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    app.call(CHAT.plain())
    assert len(app.contents()) == 1
    engine = open_engine(app.url)
    purge(engine, datetime.now(UTC) + timedelta(minutes=1))
    assert scan_content(engine).collect().is_empty()
    engine.dispose()


def test_a_frame_of_contents_is_narrowed(server: FakeOpenRouter, tmp_path: Path) -> None:
    app = App(server, tmp_path, "full")
    for _ in range(3):
        app.call(CHAT.plain())
    ids = [content["call_id"] for content in app.contents()]
    frame = scan_content(app.url)
    assert frame.filter(pl.col("call_id") == ids[1]).select("call_id").collect().rows() == [
        (ids[1],)
    ]
    assert frame.head(2).collect().height == 2
    assert scan_content(app.url, until="1d").collect().is_empty()
    assert scan_content(app.url, since="1d").collect().height == 3
    calls = read_calls(app.url)
    assert calls.join(frame.collect(), left_on="id", right_on="call_id").height == 3
