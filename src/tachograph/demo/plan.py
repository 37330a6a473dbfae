"""What the demo asks for: small apps at work, with the troubles that such apps have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from tachograph.testing import failures

RULES = " ".join(
    f"Rule {number}: answer in a few words, name the source, and promise nothing that the "
    "odometer does not show."
    for number in range(1, 71)
)
"""A system prompt that is long enough for a prompt cache."""

TROUBLES: Mapping[int, tuple[failures.Kind, failures.Kind]] = {
    4: ("upstream_rate_limited", "upstream_rate_limited"),
    13: ("edge_error", "edge_error"),
    22: ("error_in_answer", "stream_error"),
    29: ("insufficient_credits", "insufficient_credits"),
    37: ("reset", "reset"),
    44: ("in_flight_budget", "in_flight_budget"),
}
"""Which requests of every fifty fail, and how: plain ones and streams."""

EARLY = (8, 19, 32, 41)
"""Which requests of every fifty, where they are streams, are left early by their reader."""

PASSING = ("upstream_rate_limited", "edge_error", "reset")
"""Troubles that are over when the request is sent again."""


@dataclass(frozen=True)
class Ask:
    """One request. `number` is its own among all."""

    number: int
    body: Mapping[str, Any]
    trouble: failures.Kind | None = None
    leaves_early: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """Tells the stand-in which trouble to make."""
        return {"X-Demo": f"{self.number} {self.trouble}"} if self.trouble else {}


@dataclass(frozen=True)
class Job:
    """One unit of work: `operation` is what the app says of it, None where it says nothing."""

    asks: Sequence[Ask]
    operation: Mapping[str, Any] | None = field(default=None)


def plan(requests: int) -> list[Job]:
    """So many requests, as jobs."""
    jobs: list[Job] = []
    left = requests
    for job in _jobs():
        jobs.append(replace(job, asks=[_troubled(ask) for ask in job.asks[:left]]))
        left -= len(jobs[-1].asks)
        if left <= 0:
            return jobs
    return jobs


def _jobs() -> Iterator[Job]:
    numbers = count()

    def ask(model: str, question: str, **more: Any) -> Ask:
        messages = [{"role": "user", "content": question}]
        if "system" in more:
            messages.insert(0, {"role": "system", "content": more.pop("system")})
        return Ask(next(numbers), {"model": model, "messages": messages, **more})

    for n in count():
        customer = {"session": f"customer-{n // 6}", "user": f"u-{n // 6}"}
        yield Job(
            [
                ask(
                    "google/gemma-4-31b-it",
                    f"Which department does letter {n} belong to?",
                    max_tokens=4,
                    temperature=0,
                    provider={"order": ["Novita" if n % 3 == 2 else "DeepInfra"]},
                )
            ],
            {"name": "classify", "tags": {"team": "intake"}},
        )
        yield Job(
            [
                ask(
                    "anthropic/claude-haiku-4.5",
                    f"How far did the lorry of customer {n} drive?",
                    system=RULES,
                    cache_control={"type": "ephemeral"},
                    stream=True,
                    provider={"order": ["Amazon Bedrock" if n % 4 == 3 else "Anthropic"]},
                )
            ],
            {"name": "support", **customer, "tags": {"team": "support", "channel": "chat"}},
        )
        yield Job(
            [
                ask(
                    ("google/gemini-2.5-flash", "openai/gpt-5-mini")[n % 2],
                    f"Summarise report {n}.",
                    system=RULES,
                    stream=n % 5 != 0,
                )
            ],
            {"name": "summarise", "tags": {"team": "fleet"}},
        )
        if n % 2:
            yield Job([ask("openrouter/auto", f"A short joke about lorry {n}?", stream=True)])
            yield Job(
                [
                    replace(
                        ask("qwen/qwen3.8-27b:free", f"Translate sign {n}.", max_tokens=12),
                        trouble="rate_limited" if n % 32 == 5 else None,
                    )
                ],
                {"name": "translate", "tags": {"team": "intake"}},
            )
            continue
        yield Job(
            [
                ask(
                    "moonshotai/kimi-k3",
                    f"Plan tour {n}.",
                    reasoning={"effort": "high"},
                    stream=n % 4 == 0,
                ),
                ask(
                    "deepseek/deepseek-v4-pro",
                    f"Look up the distances of tour {n}.",
                    tools=[_LOOK_UP],
                    tool_choice="required",
                    provider={"order": ["NextBit" if n % 4 else "DeepInfra"]},
                ),
                ask("deepseek/deepseek-v4-pro", f"They add up to {n} km: and now?", stream=True),
                ask(
                    "openai/gpt-5-mini",
                    f"Write tour {n} down.",
                    stream=True,
                    reasoning_effort="low",
                ),
            ],
            {"name": "plan tour", **customer, "tags": {"team": "fleet", "agent": True}},
        )


_LOOK_UP = {
    "type": "function",
    "function": {"name": "look_up_distance", "parameters": {"type": "object", "properties": {}}},
}


def _troubled(ask: Ask) -> Ask:
    turn, streams = ask.number % 50, bool(ask.body.get("stream"))
    if streams and turn in EARLY:
        return replace(ask, leaves_early=True)
    if turn in TROUBLES:
        return replace(ask, trouble=TROUBLES[turn][streams])
    return ask
