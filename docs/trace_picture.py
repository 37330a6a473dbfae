"""Draws a trace as Jaeger's query API tells it, since a headless Jaeger has no web page.

python docs/trace_picture.py http://localhost:16686 TRACE_ID > trace.svg
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

import httpx
import typer

WIDTH, NAMES, RIGHT = 1040, 330, 24
ROW, TOP, BAR = 40, 44, 14
GREY, BLUE, RED, INK, FAINT = "#66717e", "#3572b0", "#c0392b", "#1f2933", "#dde3ea"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"

TOLD = {
    "http.request.resend_count": "sent again ({})",
    "http.response.status_code": "HTTP {}",
    "error.type": "{}",
    "openrouter.provider": "{}",
    "gen_ai.usage.output_tokens": "{} tokens out",
    "openrouter.cost": "${:.6f}",
}
"""Attributes that are written below a bar, and how."""


class Span(NamedTuple):
    name: str
    depth: int
    start_us: int
    duration_us: int
    tags: dict[str, Any]
    events_us: list[int]

    @property
    def colour(self) -> str:
        if self.tags.get("error"):
            return RED
        return BLUE if self.tags.get("span.kind") == "client" else GREY

    @property
    def facts(self) -> str:
        told = [form.format(self.tags[n]) for n, form in TOLD.items() if n in self.tags]
        if self.tags.get("openrouter.outcome") == "abandoned":
            told.append("left early")
        return " · ".join(told)


def spans_of(trace: dict[str, Any]) -> list[Span]:
    """The spans of a trace, each below its parent, in the order in which they began."""
    below: dict[str | None, list[dict[str, Any]]] = {}
    ids = {span["spanID"] for span in trace["spans"]}
    for span in sorted(trace["spans"], key=lambda span: int(span["startTime"])):
        parents = (r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF")
        parent = next((parent for parent in parents if parent in ids), None)
        below.setdefault(parent, []).append(span)

    def walk(parent: str | None, depth: int) -> Iterator[Span]:
        for span in below.get(parent, ()):
            yield Span(
                span["operationName"],
                depth,
                span["startTime"],
                span["duration"],
                {tag["key"]: tag["value"] for tag in span["tags"]},
                [log["timestamp"] for log in span["logs"] or ()],
            )
            yield from walk(span["spanID"], depth + 1)

    return list(walk(None, 0))


def picture(spans: list[Span]) -> str:
    """An SVG: names on the left, time from left to right; a tick is an event."""
    first = min(span.start_us for span in spans)
    length = max(span.start_us + span.duration_us for span in spans) - first
    height = TOP + ROW * len(spans) + 12

    def x(at_us: float) -> float:
        return NAMES + (at_us - first) / length * (WIDTH - NAMES - RIGHT)

    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
    ]
    for quarter in range(5):
        at = first + length * quarter / 4
        lines += [
            f"<line x1='{x(at):.1f}' y1='28' x2='{x(at):.1f}' y2='{height - 8}' stroke='{FAINT}'/>",
            _text(x(at), 20, f"{(at - first) / 1000:,.0f} ms", GREY, 11, _anchor(quarter)),
        ]
    for number, span in enumerate(spans):
        y = TOP + ROW * number
        left, right = x(span.start_us), x(span.start_us + span.duration_us)
        lines += [
            _text(14 + 16 * span.depth, y + 12, span.name, INK, 12.5),
            f"<rect x='{left:.1f}' y='{y}' width='{max(right - left, 2):.1f}' height='{BAR}' "
            f"rx='2' fill='{span.colour}'/>",
            *(
                f"<line x1='{x(at):.1f}' y1='{y - 3}' x2='{x(at):.1f}' y2='{y + BAR + 3}' "
                f"stroke='{INK}' stroke-width='2'/>"
                for at in span.events_us
            ),
        ]
        facts = f"{span.duration_us / 1000:,.0f} ms · {span.facts}".removesuffix(" · ")
        room = WIDTH - RIGHT - left
        anchor = ("start", left) if len(facts) * 6.2 < room else ("end", WIDTH - RIGHT)
        lines.append(_text(anchor[1], y + BAR + 13, facts, GREY, 11, anchor[0]))
    return "\n".join([*lines, "</svg>"])


def _anchor(quarter: int) -> str:
    return ("start", "middle", "middle", "middle", "end")[quarter]


def _text(x: float, y: float, text: str, colour: str, size: float, anchor: str = "start") -> str:
    return (
        f"<text x='{x:.1f}' y='{y}' {FONT} font-size='{size}' fill='{colour}' "
        f"text-anchor='{anchor}'>{escape(text)}</text>"
    )


def main(query: str, trace_id: str) -> None:
    """Write the picture of a trace to standard output."""
    answer = httpx.get(f"{query}/api/traces/{trace_id}").raise_for_status()
    typer.echo(picture(spans_of(answer.json()["data"][0])))


if __name__ == "__main__":
    typer.run(main)
