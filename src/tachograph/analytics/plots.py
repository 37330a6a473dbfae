"""Plots of reports: spend, calls, latency, failures, retries, caches, the audit, and a choice.

Each takes a report (or calls) and gives back an Altair chart, made through `DataFrame.plot`. Axes
tell their unit and bars their figure. Money becomes a float here alone, to say how long a bar is.
`pictures.save_plot` writes a chart to a file.
"""

from __future__ import annotations

import altair as alt
import polars as pl

from tachograph.analytics.calendar import day
from tachograph.analytics.drawing import (
    FAINT,
    MIDDLE,
    MOST_BARS,
    PAPER,
    RULE,
    STACK,
    STRONG,
    UNKNOWN,
    WIDTH,
    WORDS,
    Plot,
    axis_of,
    bars,
    colour_of,
    in_rows,
    labelled,
    legend_of,
    name_text,
    number_text,
    ones_twos_fives,
    rows_of,
    stacked,
    unmoved,
    usd_text,
)
from tachograph.analytics.pareto import PLACES, name_places, pareto_front

_HEIGHT = 260
_FEW_HOURS = 48
_FEW_DAYS, _BROAD = 6, 44
"""So few days have bars of that many pixels; more share the width."""


def plot_spend(report: pl.DataFrame) -> Plot:
    """What each group of a report (`by_model`, `by_provider`, ...) spent, in USD."""
    return bars(
        labelled(report).with_columns(said=usd_text("spent_usd")), "spent_usd", "spent (USD)"
    )


def plot_spend_by_day(calls: pl.LazyFrame | pl.DataFrame, key: str = "model") -> Plot:
    """What was spent on each day (UTC), stacked by model, provider or another column of calls.

    The dearest are told apart, the others are one layer.
    """
    label = name_text(pl.col(key).cast(pl.String).fill_null(UNKNOWN)).alias("label")
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
    first, last = pl.col("day").min(), pl.col("day").max()
    days = sums.select(pl.date_ranges(first, last)).to_series().drop_nulls().explode()
    format_ = "%b %-d" if days.dt.year().n_unique() == 1 else "%Y-%m-%d"
    chart: alt.Chart = rows.with_columns(pl.col("day").dt.strftime(format_)).plot.bar(
        x=alt.X(
            "day:O",
            title="day (UTC)",
            scale=alt.Scale(
                paddingInner=0.06, paddingOuter=0.03, domain=days.dt.strftime(format_).to_list()
            ),
            axis=axis_of("", grid=False, labelAngle=0, labelOverlap=True, labelSeparation=8),
        ),
        y=alt.Y("spent_usd:Q", title="spent (USD)", axis=axis_of(",~f")),
        color=colour_of(alt.Color, "label", series, STACK, columns=2),
        order=alt.Order("order:Q"),
    )
    if len(days) <= _FEW_DAYS:
        chart = chart.mark_bar(size=_BROAD)
    return unmoved(chart).properties(width=WIDTH, height=_HEIGHT)


def plot_calls_by_hour(report: pl.DataFrame) -> Plot:
    """How many calls of each hour (UTC) failed, ended otherwise, or completed; of `by_hour`."""
    ends = ("failed", "abandoned or refused", "completed")
    others = (pl.col("abandoned") + pl.col("refused")).alias(ends[1])
    end = report.tail(1).with_columns(pl.col("hour").dt.offset_by("1h"))
    rows = stacked(pl.concat([report, end]).with_columns(others), ends, "hour")
    if len(report) <= _FEW_HOURS:
        axis = axis_of("%b %-d, %H:%M", grid=False, labelOverlap=True)
    else:
        each_day = alt.TimeIntervalStep("day", 1)
        axis = axis_of("%b %-d", grid=False, labelOverlap=True, tickCount=each_day)
    chart: alt.Chart = rows.plot.area(
        x=alt.X(
            "hour:T",
            title="hour (UTC)",
            scale=alt.Scale(type="utc"),
            axis=axis,
        ),
        y=alt.Y("low:Q", title="calls an hour", axis=axis_of(",~f")),
        y2="high:Q",
        color=colour_of(alt.Color, "part", ends, (STRONG, MIDDLE, FAINT)),
    )
    chart = chart.mark_area(interpolate="step-after")
    return chart.properties(width=WIDTH, height=_HEIGHT)


def plot_latency(report: pl.DataFrame) -> Plot:
    """p50, p95 and p99 of each group's latency in seconds, on a logarithmic scale."""
    names = {f"latency_p{percent}_seconds": f"p{percent}" for percent in (50, 95, 99)}
    quantiles, shades = list(names.values()), (FAINT, MIDDLE, STRONG)
    wide = labelled(report.filter(pl.col("latency_p50_seconds") > 0)).select("label", *names)
    long = wide.unpivot(
        list(names), index="label", variable_name="quantile", value_name="seconds"
    ).with_columns(pl.col("quantile").replace(names))
    scale = alt.Scale(type="log", nice=False, padding=14)
    title = "latency (seconds, logarithmic)"
    axis = axis_of("~g", values=ones_twos_fives(long["seconds"].min(), long["seconds"].max()))
    lines = wide.plot.rule(
        x=alt.X("latency_p50_seconds:Q", title=title, scale=scale, axis=axis),
        x2="latency_p99_seconds:Q",
        y=rows_of(wide),
        color=alt.value(RULE),
        size=alt.value(2),
    )
    points = long.plot.point(
        x=alt.X("seconds:Q"),
        y=rows_of(wide),
        fill=colour_of(alt.Fill, "quantile", quantiles, shades),
        shape=alt.Shape(
            "quantile:N",
            scale=alt.Scale(domain=quantiles, range=["circle", "square", "diamond"]),
        ),
        stroke=alt.value(STRONG),
        size=alt.value(70),
        opacity=alt.value(1),
    )
    return in_rows(lines, points)


def plot_failures(report: pl.DataFrame) -> Plot:
    """How many calls ended in each kind of error, and their share of all errors; of `errors`."""
    kind = name_text(pl.coalesce("error_type", pl.col("outcome").cast(pl.String)))
    status = pl.format(" ({})", "http_status").fill_null("")
    share = (pl.col("share") * 100).round(1)
    rows = report.head(MOST_BARS).select(
        "calls", label=kind + status, said=pl.format("{} ({} %)", number_text("calls"), share)
    )
    return bars(rows, "calls", "calls that went wrong", whole=True)


def plot_retries(report: pl.DataFrame) -> Plot:
    """How many operations sent a request again, for each first model, and what became of them.

    Of `retries`; models of which nothing was retried are left out.
    """
    parts = ("recovered", "given up")
    share = (pl.col("recovery_rate") * 100).round(1)
    rows = labelled(
        report.filter(pl.col("retried") > 0).rename({"operations": "calls", "given_up": parts[1]})
    ).with_columns(said=pl.format("{} ({} %)", number_text("retried"), share))
    return bars(
        rows,
        "retried",
        "operations with a retry (and how many recovered)",
        whole=True,
        parts=parts,
    )


def plot_cache(report: pl.DataFrame) -> Plot:
    """How much of each model's input was read from a provider's cache, and the USD that this saved.

    Of `cache`; models of which no call told it are left out.
    """
    share = (pl.col("cached_input_rate") * 100).round(1)
    saved = pl.format(" ({} USD)", usd_text("saved_usd")).fill_null("")
    rows = labelled(report.drop_nulls("cached_input_rate")).with_columns(
        percent=share, said=pl.format("{} %", share) + saved
    )
    return bars(rows, "percent", "input read from a cache (%, and USD saved)")


def plot_audit(report: pl.DataFrame) -> Plot:
    """How many calls differ for each reason, and by how much in all; of `audit_by`.

    Too much and too little do not cancel out. Calls that agree are left out.
    """
    differing = report.filter(pl.col("differing") > 0)
    usd = pl.format(" ({} USD)", usd_text("absolute_difference_usd")).fill_null("")
    rows = labelled(differing).with_columns(said=number_text("differing") + usd)
    return bars(rows, "differing", "calls whose costs differ", whole=True)


def plot_pareto(report: pl.DataFrame, *, width: int = WIDTH) -> Plot:
    """Cost against latency against failure rate of each group, mostly of `by_model`.

    To the left is cheaper, further down is quicker, a smaller point fails less. Filled are those
    that no other beats in all three (`pareto_front`).
    """
    height, fronts = 360, ("on the Pareto front", "beaten by another")
    rows = pareto_front(labelled(report)).select(
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
        axis=axis_of("~g", values=[0, *ones_twos_fives(most[0] / 40, most[0])]),
    )
    y = alt.Y(
        "seconds:Q",
        title="latency p50 (seconds)",
        scale=alt.Scale(domain=[0, most[1]], nice=False),
        axis=axis_of("~g"),
    )
    dots = rows.plot.point(
        x=x,
        y=y,
        size=alt.Size(
            "failed:Q",
            scale=alt.Scale(range=[40, 400], zero=True),
            legend=legend_of(
                "failed (%)", symbolFillColor=PAPER, symbolStrokeColor=STRONG, tickCount=4
            ),
        ),
        fill=colour_of(alt.Fill, "front", fronts, (MIDDLE, PAPER)),
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
