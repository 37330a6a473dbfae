"""AiCore's tables and operations, as its recorder leaves them, in plain SQL."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

TABLES = (
    'CREATE TABLE "Session" (session_id VARCHAR PRIMARY KEY, workspace VARCHAR, agent_id VARCHAR)',
    'CREATE TABLE "Message" (operation_id VARCHAR PRIMARY KEY, session_id VARCHAR, '
    "action_id VARCHAR, timestamp VARCHAR, system_prompt TEXT, user_prompt TEXT, response TEXT, "
    "assistant_message TEXT, history_messages TEXT, completion_args TEXT, error_message TEXT)",
    'CREATE TABLE "Metric" (operation_id VARCHAR PRIMARY KEY, operation_type VARCHAR, '
    "provider VARCHAR, model VARCHAR, success BOOLEAN, temperature FLOAT, max_tokens INTEGER, "
    "input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER, total_tokens INTEGER, "
    "cost FLOAT, latency_ms FLOAT, extras TEXT)",
)
KEY = "sk-or-v1-00112233445566778899aabbccddeeff"
ARGS = {
    "model": "openai/gpt-5-mini",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "And two?"},
    ],
    "temperature": 0.5,
    "max_tokens": 100,
    "stream": True,
}


def aicore_database(url: str) -> str:
    """The URL, after AiCore's empty tables were made there."""
    engine = sa.create_engine(_driver(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(table)
    return url


def operate(url: str, operation_id: str, **said: Any) -> None:
    """One operation; what is not said is a plain success of a minute after noon."""
    row: dict[str, Any] = {
        "operation_id": operation_id,
        "session_id": "s-1",
        "workspace": "w-1",
        "agent_id": "planner",
        "action_id": "plan",
        "timestamp": "2026-11-01T12:01:00.000000",
        "system_prompt": "Be brief.",
        "user_prompt": "And two?",
        "response": "2",
        "assistant_message": "1",
        "history_messages": "[]",
        "completion_args": json.dumps(ARGS, indent=4),
        "error_message": "",
        "operation_type": "acompletion",
        "provider": "openrouter",
        "model": "openai/gpt-5-mini",
        "success": True,
        "temperature": 0.5,
        "max_tokens": 100,
        "input_tokens": 70,
        "output_tokens": 40,
        "cached_tokens": 30,
        "total_tokens": 110,
        "cost": 0.0123,
        "latency_ms": 1500.25,
        "extras": '{"project": "search"}',
    } | said
    engine = sa.create_engine(_driver(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for table, where in (("Session", "session_id"), ("Message", ""), ("Metric", "")):
            names = [column["name"] for column in sa.inspect(connection).get_columns(table)]
            there = (
                where
                and connection.execute(
                    sa.text(f'SELECT 1 FROM "{table}" WHERE {where} = :{where}'), row
                ).first()
            )
            if not there:
                values = ", ".join(f":{name}" for name in names)
                connection.execute(sa.text(f'INSERT INTO "{table}" VALUES ({values})'), row)


def _driver(url: str) -> sa.URL:
    target = sa.make_url(url)
    return target.set(drivername="postgresql+psycopg") if url.startswith("postgres") else target
