"""What plots are drawn with: rows of bars, axes, legends, the colours, and amounts in few digits.

What colours tell, shades of grey tell as well.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import altair as alt
import polars as pl

from tachograph.core.legible import LINES, REPLACEMENT, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

Plot: TypeAlias = alt.Chart | alt.LayerChart

MOST_BARS = 20
"""The first rows of a report are drawn; a plot of more is a wall."""

MOST_LETTERS = 80
"""Of a name; a longer one would leave no room for what is drawn."""

BAR, STRONG, MIDDLE, FAINT = "#3b78bd", "#17406f", "#5b8fc9", "#a9c5e6"
STACK = ("#17406f", "#3f7fc6", "#86b4e0", "#c96f1e", "#f2c078", "#9097a1")
"""Neighbours differ in grey too."""
RULE, WORDS, PAPER = "#8a9099", "#3c4450", "#ffffff"
WIDTH = 560

_ROW = 26
_PHONE, _LETTER = 340.0, 6.2
_SMALL = Decimal("0.0001")
UNKNOWN = "(unknown)"


def bars(
    rows: pl.DataFrame, name: str, title: str, *, whole: bool = False, parts: Sequence[str] = ()
) -> Plot:
    """A bar for each row, as long as its `name`, with its `label` before and `said` behind it.

    `whole` are counts. Of `parts`, two columns that are the whole, the first is fainter.
    """
    rows = rows.with_columns(pl.col(name).cast(pl.Float64))
    most: float = rows.select(pl.col(name).max().fill_null(0)).item() or 1.0
    letters: int = rows.select(pl.col("said").str.len_chars().max().fill_null(0)).item()
    # room for what is said behind the longest bar, on a phone as well
    room = _PHONE / max(_PHONE / 2, _PHONE - _LETTER * (letters + 2))
    scale = alt.Scale(domain=[0, max(1.35, room) * most], nice=False)
    axis = axis_of(",~f", tickCount=5, **({"tickMinStep": 1} if whole else {}))
    y = rows_of(rows)
    if parts:
        drawn = stacked(rows, parts, "label").plot.bar(
            x=alt.X("low:Q", title=title, scale=scale, axis=axis),
            x2="high:Q",
            y=y,
            color=colour_of(alt.Color, "part", parts, (FAINT, STRONG)),
        )
    else:
        x = alt.X(f"{name}:Q", title=title, scale=scale, axis=axis)
        drawn = rows.select("label", name).plot.bar(x=x, y=y, color=alt.value(BAR))
    said = (
        rows.select("label", "said", name)
        .plot.text(x=f"{name}:Q", y=y, text="said:N")
        .mark_text(align="left", baseline="middle", dx=5, color=WORDS)
    )
    return in_rows(drawn, said)


def stacked(rows: pl.DataFrame, parts: Sequence[str], key: str) -> pl.DataFrame:
    """A row for each `part` of a key, from `low` to `high`, one upon the other."""
    above = pl.lit(0, pl.Int64)
    layers = []
    for part in parts:
        low, above = above, above + pl.col(part)
        layers.append(rows.select(key, low=low, high=above, part=pl.lit(part)))
    return pl.concat(layers)


def in_rows(*layers: alt.Chart) -> Plot:
    """Layers over the same rows, as high as these need."""
    return alt.LayerChart(layer=[unmoved(layer) for layer in layers]).properties(
        width=WIDTH, height=alt.Step(_ROW)
    )


def unmoved(chart: alt.Chart) -> alt.Chart:
    """The chart without zoom, which polars gives every plot and rows of names cannot have."""
    chart.params = alt.Undefined
    return chart


def rows_of(frame: pl.DataFrame) -> alt.Y:
    """One line for each label, in the order of the frame, none of them cut."""
    axis = alt.Axis(title=None, labelLimit=0, labelPadding=8, ticks=False, domain=False)
    scale = alt.Scale(paddingInner=0.3, paddingOuter=0.15)
    return alt.Y("label:N", sort=frame["label"].to_list(), axis=axis, scale=scale)


def ones_twos_fives(least: Any, most: Any) -> list[float]:
    """..., 0.5, 1, 2, 5, 10, ... from least to most: ticks that no scale crowds."""
    ticks = (digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5))
    return [tick for tick in ticks if (least or 0) <= tick <= (most or 0)]


def axis_of(format_: str, **more: Any) -> alt.Axis:
    """An axis without lines of its own."""
    return alt.Axis(format=format_, domain=False, ticks=False, labelPadding=6, **more)


def legend_of(title: str | None = None, **more: Any) -> alt.Legend:
    """A legend above the plot, none of its names cut."""
    return alt.Legend(title=title, orient="top", labelLimit=0, **more)


def colour_of(
    channel: Any, name: str, words: Sequence[str], colours: Sequence[str], **more: Any
) -> Any:
    """A channel of colour (or fill) that tells these words of a column, in their order."""
    scale = alt.Scale(domain=list(words), range=list(colours[: len(words)]))
    legend = legend_of(**more) if words else None  # an empty one has no size, and no plot then has
    return channel(f"{name}:N", scale=scale, sort=list(words), legend=legend)


def name_text(text: pl.Expr) -> pl.Expr:
    """A name as a plot can show it: legible (`core.legible`), and with its middle left out where
    it is longer than MOST_LETTERS.

    `<` becomes its like, since Altair's own pages (a notebook's output, `Chart.save`) would take
    `</script>` in a name for the end of their script.
    """
    seen = text.str.replace_all(LINES, " ").str.replace_all(UNSEEN, REPLACEMENT)
    seen = seen.str.replace_all("<", "\u2039", literal=True)
    half = MOST_LETTERS // 2
    short = pl.concat_str(seen.str.head(half), pl.lit("\u2026"), seen.str.tail(half - 1))
    return pl.when(seen.str.len_chars() > MOST_LETTERS).then(short).otherwise(seen)


def labelled(report: pl.DataFrame) -> pl.DataFrame:
    """The first rows of a report with their keys, the columns before the counts, as one `label`."""
    keys = report.columns[: report.columns.index("calls")]
    texts = [pl.col(name).cast(pl.String).fill_null(UNKNOWN) for name in keys]
    label = name_text(pl.concat_str(texts, separator=" \u00b7 "))
    return report.head(MOST_BARS).with_columns(label=label)


def usd_text(name: str) -> pl.Expr:
    """An amount in three digits, or more where cents need them; the tables have every digit."""
    return pl.col(name).map_elements(few_digits, pl.String)


def number_text(name: str) -> pl.Expr:
    """A count with commas."""
    return pl.col(name).map_elements("{:,}".format, pl.String)


def few_digits(usd: Decimal) -> str:
    """12,345.68, 0.0123, 1e-9."""
    if not usd:
        return "0"
    if abs(usd) < _SMALL:
        return f"{float(usd):.3g}".replace("e-0", "e-")
    return f"{usd:,.{max(2, 2 - usd.adjusted())}f}"
