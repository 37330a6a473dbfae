"""Which models are worth considering: no other is cheaper, quicker and more reliable at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEASURES = ("spent_usd_per_1000_calls", "latency_p50_seconds", "failure_rate")


def pareto_front(report: pl.DataFrame) -> pl.DataFrame:
    """A report (mostly `by_model`) with the column `on_front`: no other row beats this one.

    One row beats another that costs no less for 1,000 calls, is no quicker (p50) and fails no
    less, and is worse in at least one of the three. Rows of which one of the three is not known
    are left out.
    """
    known = report.drop_nulls(_MEASURES)
    points = known.select(_MEASURES).rows()
    beaten = [any(_beats(other, point) for other in points) for point in points]
    return known.with_columns(pl.Series("on_front", [not is_so for is_so in beaten], pl.Boolean))


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


Align = Literal["left", "right", "center"]

PLACES: dict[str, tuple[Align, int, int]] = {
    "right": ("left", 13, 0),
    "left": ("right", -13, 0),
    "above": ("center", 0, -17),
    "below": ("center", 0, 17),
    "above left": ("right", 4, -17),
    "below left": ("right", 4, 17),
    "above right": ("left", -4, -17),
    "below right": ("left", -4, 17),
}
"""Where a point's name may stand: how it is aligned there, and how far off in x and y."""

_LETTER, _LINE, _DOT = 6.2, 12.0, 9.0

Box = tuple[float, float, float, float]


def name_places(names: list[str], points: list[tuple[float, float]], width: float) -> list[str]:
    """For each name a place (of PLACES) beside its point, where it covers as little as can be.

    Points and width are in pixels of the plot. Greedy: the first names choose first.
    """
    taken: list[Box] = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    chosen = []
    for name, point in zip(names, points, strict=True):
        boxes = dict(_boxes(name, point))
        place = min(boxes, key=lambda at: _cost(boxes[at], taken, width))
        taken.append(boxes[place])
        chosen.append(place)
    return chosen


def _boxes(name: str, point: tuple[float, float]) -> Iterator[tuple[str, Box]]:
    long = len(name) * _LETTER
    for place, (align, dx, dy) in PLACES.items():
        x, y = point[0] + dx, point[1] + dy
        left = {"left": x, "right": x - long, "center": x - long / 2}[align]
        yield place, (left, y - _LINE / 2, left + long, y + _LINE / 2)


def _cost(box: Box, taken: list[Box], width: float) -> float:
    """The area that a box covers of others, and what stands out of the plot, which counts more."""
    outside = max(0.0, -box[0]) + max(0.0, box[2] - width)
    return math.fsum(_shared(box, other) for other in taken) + 100 * outside


def _shared(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
