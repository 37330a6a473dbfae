"""Plots of reports: spend, latency, failures, the audit, and what a model costs and how it serves.

Each takes a report (or calls) and gives back an Altair chart, made through `DataFrame.plot`. Axes
tell their unit and bars their figure, and what colours tell, shades of grey tell as well. Money
becomes a float here alone, to say how long a bar is. `pictures.save_plot` writes a chart to a file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import altair as alt
import polars as pl

from tachograph.analytics.calendar import day
from tachograph.analytics.pareto import PLACES, name_places, pareto_front

if TYPE_CHECKING:
    from collections.abc import Sequence

Plot: TypeAlias = alt.Chart | alt.LayerChart

MOST_BARS = 20
"""The first rows of a report are drawn; a plot of more is a wall."""

BAR, STRONG, MIDDLE, FAINT = "#3b78bd", "#17406f", "#5b8fc9", "#a9c5e6"
STACK = ("#17406f", "#3f7fc6", "#86b4e0", "#c96f1e", "#f2c078", "#9097a1")
"""Neighbours differ in grey too."""
RULE, WORDS, PAPER = "#8a9099", "#3c4450", "#ffffff"
WIDTH = 560

_ROW = 26
_UNKNOWN = "(unknown)"


def plot_spend(report: pl.DataFrame) -> Plot:
    """What each group of a report (`by_model`, `by_provider`, ...) spent, in USD."""
    return _bars(_labelled(report).with_columns(said=_usd("spent_usd")), "spent_usd", "spent (USD)")


def plot_spend_by_day(calls: pl.LazyFrame | pl.DataFrame, key: str = "model") -> Plot:
    """What was spent on each day (UTC), stacked by model, provider or another column of calls.

    The dearest are told apart, the others are one layer.
    """
    label = pl.col(key).cast(pl.String).fill_null(_UNKNOWN).alias("label")
    spent = pl.col("spent_usd").sum()
    sums = calls.lazy().group_by(day(), label).agg(spent).collect()
    dearest = sums.group_by("label").agg(spent).sort("spent_usd", "label", descending=[True, False])
    series = dearest["label"].to_list()
    if len(series) > len(STACK):
        told = len(STACK) - 1
        series = [*series[:told], f"{len(series) - told} others"]
    layer = (
        pl.when(pl.col("label").is_in(series)).then("label").otherwise(pl.lit("".join(series[-1:])))
    )
    rows = (
        sums.group_by("day", layer.alias("label"))
        .agg(spent.cast(pl.Float64))
        .with_columns(order=pl.col("label").map_elements(series.index, pl.Int64))
        .sort("day", "order")
    )
    chart: alt.Chart = rows.plot.bar(
        x=alt.X("yearmonthdate(day):T", title="day (UTC)", axis=_axis("%b %-d", grid=False)),
        y=alt.Y("spent_usd:Q", title="spent (USD)", axis=_axis("~f")),
        color=_colour(alt.Color, "label", series, STACK, columns=2),
        order=alt.Order("order:Q"),
    )
    return chart.properties(width=WIDTH, height=260)


def plot_latency(report: pl.DataFrame) -> Plot:
    """p50, p95 and p99 of each group's latency in seconds, on a logarithmic scale."""
    names = {f"latency_p{percent}_seconds": f"p{percent}" for percent in (50, 95, 99)}
    quantiles, shades = list(names.values()), (FAINT, MIDDLE, STRONG)
    wide = _labelled(report.filter(pl.col("latency_p50_seconds") > 0)).select("label", *names)
    long = wide.unpivot(
        list(names), index="label", variable_name="quantile", value_name="seconds"
    ).with_columns(pl.col("quantile").replace(names))
    scale = alt.Scale(type="log", nice=False, padding=14)
    title = "latency (seconds, logarithmic)"
    axis = _axis("~g", values=_ones_twos_fives(long["seconds"].min(), long["seconds"].max()))
    lines = wide.plot.rule(
        x=alt.X("latency_p50_seconds:Q", title=title, scale=scale, axis=axis),
        x2="latency_p99_seconds:Q",
        y=_rows(wide),
        color=alt.value(RULE),
        size=alt.value(2),
    )
    points = long.plot.point(
        x=alt.X("seconds:Q"),
        y=_rows(wide),
        fill=_colour(alt.Fill, "quantile", quantiles, shades),
        shape=alt.Shape(
            "quantile:N",
            scale=alt.Scale(domain=quantiles, range=["circle", "square", "diamond"]),
        ),
        stroke=alt.value(STRONG),
        size=alt.value(70),
        opacity=alt.value(1),
    )
    return _in_rows(lines, points)


def plot_failures(report: pl.DataFrame) -> Plot:
    """How many calls ended in each kind of error, and their share of all errors; of `errors`."""
    kind = pl.coalesce("error_type", pl.col("outcome").cast(pl.String))
    status = pl.format(" ({})", "http_status").fill_null("")
    share = (pl.col("share") * 100).round(1)
    rows = report.head(MOST_BARS).select(
        "calls", label=kind + status, said=pl.format("{} ({} %)", "calls", share)
    )
    return _bars(rows, "calls", "calls that went wrong", format_="~s")


def plot_audit(report: pl.DataFrame) -> Plot:
    """How many calls differ for each reason, and by how much in all; of `audit_by`.

    Too much and too little do not cancel out. Calls that agree are left out.
    """
    differing = report.filter(pl.col("differing") > 0)
    usd = pl.format(" ({} USD)", _usd("absolute_difference_usd")).fill_null("")
    rows = _labelled(differing).with_columns(said=pl.col("differing").cast(pl.String) + usd)
    return _bars(rows, "differing", "calls whose costs differ", format_="~s")


def plot_pareto(report: pl.DataFrame, *, width: int = WIDTH) -> Plot:
    """Cost against latency against failure rate of each group, mostly of `by_model`.

    To the left is cheaper, further down is quicker, a smaller point fails less. Filled are those
    that no other beats in all three (`pareto_front`).
    """
    height, fronts = 360, ("on the Pareto front", "beaten by another")
    rows = pareto_front(_labelled(report)).select(
        "label",
        cost=pl.col("spent_usd_per_1000_calls").cast(pl.Float64),
        seconds="latency_p50_seconds",
        failed=pl.col("failure_rate") * 100,
        front=pl.when("on_front").then(pl.lit(fronts[0])).otherwise(pl.lit(fronts[1])),
    )
    most = rows.select(pl.col("cost", "seconds").max().fill_null(0) * 1.1 + 1e-9).row(0)
    points = rows.select(
        (pl.col("cost") / most[0]).sqrt() * width, (1 - pl.col("seconds") / most[1]) * height
    ).rows()
    rows = rows.with_columns(
        place=pl.Series(name_places(rows["label"].to_list(), points, width), dtype=pl.String)
    )
    x = alt.X(
        "cost:Q",
        title="USD per 1,000 calls (square-root scale)",
        scale=alt.Scale(type="sqrt", domain=[0, most[0]], nice=False),
        axis=_axis("~g", values=[0, *_ones_twos_fives(most[0] / 40, most[0])]),
    )
    y = alt.Y(
        "seconds:Q",
        title="latency p50 (seconds)",
        scale=alt.Scale(domain=[0, most[1]], nice=False),
        axis=_axis("~g"),
    )
    dots = rows.plot.point(
        x=x,
        y=y,
        size=alt.Size(
            "failed:Q",
            scale=alt.Scale(range=[40, 400], zero=True),
            legend=_legend(
                "failed (%)", symbolFillColor=PAPER, symbolStrokeColor=STRONG, tickCount=4
            ),
        ),
        fill=_colour(alt.Fill, "front", fronts, (MIDDLE, PAPER)),
        stroke=alt.value(STRONG),
        opacity=alt.value(1),
    ).mark_point(clip=False, tooltip=True, strokeWidth=1.5)
    names = [
        rows.filter(place=place)
        .plot.text(x=x, y=y, text="label:N")
        .mark_text(color=WORDS, align=align, dx=dx, dy=dy, baseline="middle", limit=0)
        for place, (align, dx, dy) in PLACES.items()
    ]
    return alt.LayerChart(layer=[dots, *names]).properties(width=width, height=height)


def _bars(rows: pl.DataFrame, name: str, title: str, *, format_: str = "~f") -> Plot:
    """A bar for each row, as long as its `name`, with its `label` before and `said` behind it."""
    rows = rows.select("label", "said", pl.col(name).cast(pl.Float64))
    most: float = rows.select(pl.col(name).max().fill_null(0)).item() or 1.0
    x = alt.X(
        f"{name}:Q",
        title=title,
        # room for what is said behind the longest bar
        scale=alt.Scale(domain=[0, 1.35 * most], nice=False),
        axis=_axis(format_, tickCount=5),
    )
    bars = rows.plot.bar(x=x, y=_rows(rows), color=alt.value(BAR))
    said = rows.plot.text(x=x, y=_rows(rows), text="said:N").mark_text(
        align="left", baseline="middle", dx=5, color=WORDS
    )
    return _in_rows(bars, said)


def _in_rows(*layers: alt.Chart) -> Plot:
    for layer in layers:
        layer.params = alt.Undefined  # polars lets every plot be zoomed, and names cannot be
    return alt.LayerChart(layer=list(layers)).properties(width=WIDTH, height=alt.Step(_ROW))


def _rows(frame: pl.DataFrame) -> alt.Y:
    """One line for each label, in the order of the frame, none of them cut."""
    axis = alt.Axis(title=None, labelLimit=0, labelPadding=8, ticks=False, domain=False)
    scale = alt.Scale(paddingInner=0.3, paddingOuter=0.15)
    return alt.Y("label:N", sort=frame["label"].to_list(), axis=axis, scale=scale)


def _ones_twos_fives(least: Any, most: Any) -> list[float]:
    """..., 0.5, 1, 2, 5, 10, ... from least to most: ticks that no scale crowds."""
    ticks = (digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5))
    return [tick for tick in ticks if (least or 0) <= tick <= (most or 0)]


def _axis(format_: str, **more: Any) -> alt.Axis:
    return alt.Axis(format=format_, domain=False, ticks=False, labelPadding=6, **more)


def _legend(title: str | None = None, **more: Any) -> alt.Legend:
    return alt.Legend(title=title, orient="top", labelLimit=0, **more)


def _colour(
    channel: Any, name: str, words: Sequence[str], colours: Sequence[str], **more: Any
) -> Any:
    scale = alt.Scale(domain=list(words), range=list(colours[: len(words)]))
    legend = _legend(**more) if words else None  # an empty one has no size, and no plot then has
    return channel(f"{name}:N", scale=scale, sort=list(words), legend=legend)


def _labelled(report: pl.DataFrame) -> pl.DataFrame:
    """The first rows of a report with their keys, the columns before the counts, as one `label`."""
    keys = report.columns[: report.columns.index("calls")]
    texts = [pl.col(name).cast(pl.String).fill_null(_UNKNOWN) for name in keys]
    return report.head(MOST_BARS).with_columns(label=pl.concat_str(texts, separator=" \u00b7 "))


def _usd(name: str) -> pl.Expr:
    """An amount in three digits, or more where cents need them; the tables have every digit."""
    usd = pl.col(name)
    said = usd.round(9).cast(pl.Float64).cast(pl.String)
    for places, least in enumerate(("0.0001", "0.001", "0.01", "0.1", "1")):
        short = usd.round(6 - places).cast(pl.Decimal(38, 6 - places)).cast(pl.String)
        said = pl.when(usd.abs() >= pl.lit(Decimal(least))).then(short).otherwise(said)
    return pl.when(usd == 0).then(pl.lit("0")).otherwise(said)
