"""The parts of a page as HTML: a document with its style in it, sections, tables and pictures.

Whatever comes from the data is escaped here. Colours of pictures are those of `analytics.plots`;
in the dark the style of the page puts others in their place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING, Any

from tachograph.analytics.pictures import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tachograph.cli.output import Grid

WIDE, NARROW = 980, 350
"""Pixels of a picture on a desk and on a phone."""
PLAIN_PLACES = 4
"""Digits of money after the point that are as dark as the rest; the others are exact, but faint."""

_numbers = count()
_PLACES = re.compile(r' (?:d|transform)="[^"]*"')
_FINER = re.compile(r"(?<=\.\d\d)\d+")
_MONEY = re.compile(rf"(-?[\d,]+\.\d{{{PLAIN_PLACES}}})(\d+)(\+?)")


@dataclass(frozen=True)
class Section:
    """One heading, a sentence below it, and its figures and tables (HTML)."""

    title: str
    lead: str
    parts: Sequence[str]


def document(
    title: str,
    head: Sequence[str],
    tiles: Sequence[tuple[str, str, str]],
    sections: Sequence[Section],
) -> str:
    """A whole page that loads nothing; its policy forbids it to."""
    style = files("tachograph.cli").joinpath("page.css").read_text(encoding="utf-8")
    body = "\n".join(map(_section, sections))
    facts = "".join(f"<li>{escape(line)}</li>" for line in head)
    large = "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b> "
        f"<small>{escape(more)}</small></dd></div>"
        for name, value, more in tiles
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<ul>{facts}</ul>
<dl>{large}</dl>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def table(shown: Grid, note: str = "") -> str:
    """A table whose numbers stand to the right, with its total, and a note below it."""
    names = ["number" if is_number else "text" for is_number in shown.numbers]
    lines = [_row("td", across, names) for across in zip(*shown.columns, strict=True)]
    headings = _row("th", shown.headings, names)
    foot = ""
    if len(lines) > 1 and any(shown.footer):
        foot = f"<tfoot>{_row('td', shown.footer, names)}</tfoot>"
    below = f"<p>{escape(note)}</p>" if note else ""
    return (
        f'<div class="table" tabindex="0"><table><thead>{headings}</thead>'
        f"<tbody>{''.join(lines)}</tbody>{foot}</table></div>{below}"
    )


def sentence(text: str) -> str:
    """What is said in place of a plot or a table that would be empty."""
    return f"<p>{escape(text)}</p>"


def figure(plot: Any, what: str, *, narrow: Any = None) -> str:
    """A plot in two widths, of which the page shows the one that fits; `narrow` may be another."""
    wide = _svg(plot, WIDE, narrow=False)
    slim = _svg(plot if narrow is None else narrow, NARROW, narrow=True)
    return "".join(
        f'<figure class="{kind}" role="img" aria-label="{escape(what)}">{picture}</figure>'
        for kind, picture in (("wide", wide), ("narrow", slim))
    )


def _section(section: Section) -> str:
    return (
        f"<section><h2>{escape(section.title)}</h2><p>{escape(section.lead)}</p>"
        f"{''.join(section.parts)}</section>"
    )


def _row(tag: str, cells: Sequence[str | Text], names: Sequence[str]) -> str:
    inside = "".join(
        f'<{tag} class="{name}">{_cell(str(cell).strip(), name)}</{tag}>'
        for cell, name in zip(cells, names, strict=True)
    )
    return f"<tr>{inside}</tr>"


def _cell(text: str, name: str) -> str:
    """A number, or a text that may break after a slash, as names of models do."""
    return escape(text).replace("/", "/<wbr>") if name == "text" else _figure_of(text)


def _figure_of(text: str) -> str:
    """Text escaped; of money with many digits the last ones are marked as fine."""
    if found := _MONEY.fullmatch(text):
        return f"{found[1]}<i>{found[2]}</i>{found[3]}"
    return escape(text)


def _svg(plot: Any, width: int, *, narrow: bool) -> str:
    """The picture to a hundredth of a pixel, whose ids are its own among all of the page."""
    prefix = f"p{next(_numbers)}-"
    picture = svg(plot, width=width, narrow=narrow)
    picture = _PLACES.sub(lambda found: _FINER.sub("", found[0]), picture)
    return re.sub(r'(\bid="|url\(#)', rf"\g<1>{prefix}", picture)
