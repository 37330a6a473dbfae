"""Plots show the figures of their reports, whatever those are, and are made without a network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph import analytics
from tachograph.analytics.pareto import PLACES, name_places
from tachograph.analytics.pictures import svg
from tests.analytics.rows import NOON, calls_frame

NAME = "<script>alert('a')</script> & \"b\" \U0001f600 " + "long" * 10
SHOWN = NAME.replace("<", "\u2039")


def audit(calls: pl.DataFrame) -> pl.DataFrame:
    audited = calls.select("model", "billed_usd", "computed_usd").with_columns(
        reason=pl.lit("unpriced"),
        difference_usd=pl.col("billed_usd") - pl.col("computed_usd"),
    )
    return analytics.audit_by(audited, "model")


PLOTS: dict[str, Callable[[pl.DataFrame], analytics.Plot]] = {
    "spend": lambda calls: analytics.plot_spend(analytics.by_model(calls)),
    "days": analytics.plot_spend_by_day,
    "hours": lambda calls: analytics.plot_calls_by_hour(analytics.by_hour(calls)),
    "retries": lambda calls: analytics.plot_retries(analytics.retries(calls)),
    "cache": lambda calls: analytics.plot_cache(analytics.cache(calls)),
    "latency": lambda calls: analytics.plot_latency(analytics.by_model(calls)),
    "failures": lambda calls: analytics.plot_failures(analytics.errors(calls)),
    "audit": lambda calls: analytics.plot_audit(audit(calls)),
    "pareto": lambda calls: analytics.plot_pareto(analytics.by_model(calls)),
}
SOME = calls_frame(
    *(
        {
            "id": str(number),
            "operation_id": str(number),
            "model": model,
            "started_at": NOON + timedelta(days=number),
            "latency_seconds": 0.5 + number,
            "spent_usd": Decimal(number) / 1000,
            "billed_usd": Decimal(number) / 1000,
        }
        for number, model in enumerate(["a/b", None, "d/e", "f/g", "h/i", "j/k", "l/m", NAME])
    ),
    *(
        {
            "id": id_,
            "operation_id": "again",
            "resend_count": resends,
            "model": NAME,
            "started_at": NOON,
            "outcome": "failed",
            "error_type": NAME,
            "input_tokens": 1000,
            "cache_read_input_tokens": 200,
        }
        for resends, id_ in enumerate("xy")
    ),
)


def words(picture: str) -> list[str]:
    """The texts that a picture shows, in the order in which it has them."""
    assert "<script" not in picture
    svg_text = "{http://www.w3.org/2000/svg}text"
    return ["".join(text.itertext()) for text in ElementTree.fromstring(picture).iter(svg_text)]


@pytest.mark.parametrize("name", sorted({*PLOTS} - {"hours"}))
def test_a_plot_of_odd_names_shows_them_whole(name: str) -> None:
    shown = words(svg(PLOTS[name](SOME)))
    assert any(SHOWN in text for text in shown), shown


@pytest.mark.parametrize("name", sorted({*PLOTS} - {"hours"}))
def test_a_plot_shows_names_that_cannot_be_drawn_as_far_as_they_can(name: str) -> None:
    rogue = "\x1b[31m\"'\\\0\r\nred\u2028\u202e\uffff" + "x" * 500
    names = {column: pl.lit(rogue) for column in ("model", "error_type")}
    shown = words(svg(PLOTS[name](SOME.with_columns(**names))))
    (label,) = {text for text in shown if "xxx" in text}
    assert label.startswith("\ufffd[31m\"'\\\ufffd red \ufffd\ufffdxxx")
    assert len(label) == 80
    assert "\u2026" in label


@pytest.mark.parametrize("name", PLOTS)
def test_a_page_that_altair_makes_runs_nothing_of_a_name(name: str) -> None:
    rogue = pl.lit("</script><script>alert(1)</script><!--<script>")
    page = PLOTS[name](SOME.with_columns(model=rogue, error_type=rogue)).to_html()
    assert "alert(1)" in page or name == "hours"
    assert "<script>alert(1)" not in page
    assert "<!--" not in page


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_of_nothing_is_an_empty_plot(name: str) -> None:
    assert "</svg>" in svg(PLOTS[name](SOME.clear()))


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_of_calls_of_which_nothing_is_known(name: str) -> None:
    unknown = calls_frame({"id": "x", "started_at": NOON}, {"id": "y", "started_at": NOON})
    assert "</svg>" in svg(PLOTS[name](unknown))


@pytest.mark.parametrize("name", PLOTS)
def test_axes_tell_their_unit(name: str) -> None:
    shown = words(svg(PLOTS[name](SOME)))
    units = ("(USD)", "(seconds", "(UTC)", "calls", "operations", "(%")
    assert any(unit in text for text in shown for unit in units), shown


def test_bars_tell_amounts_in_digits_enough() -> None:
    amounts = ["1234.5678", "0.1", "0.00012345", "0.000000001", "0", "-2.5"]
    calls = calls_frame(
        *({"model": f"m{at}", "spent_usd": Decimal(text)} for at, text in enumerate(amounts))
    )
    shown = words(svg(analytics.plot_spend(analytics.by_model(calls))))
    assert {"1,234.57", "0.100", "0.000123", "1e-9", "0", "-2.50"} <= set(shown)


def test_spend_by_day_tells_the_dearest_apart_and_sums_the_others() -> None:
    shown = words(svg(analytics.plot_spend_by_day(SOME)))
    assert {SHOWN, "l/m", "j/k", "h/i", "f/g", "3 others"} <= set(shown)
    assert "a/b" not in shown


def test_spend_by_day_has_a_place_for_each_day_and_few_are_no_wall() -> None:
    some = SOME.filter(pl.col("id").is_in(["0", "3"]))
    drawn = analytics.plot_spend_by_day(some).to_dict()
    days = drawn["encoding"]["x"]["scale"]["domain"]
    assert days == ["Nov 1", "Nov 2", "Nov 3", "Nov 4"]
    assert drawn["mark"]["size"] < 50
    years = SOME.with_columns(pl.lit(NOON + timedelta(days=70)).alias("started_at"))
    days = analytics.plot_spend_by_day(pl.concat([SOME, years])).to_dict()
    assert days["encoding"]["x"]["scale"]["domain"][-1] == "2027-01-10"


def test_spend_by_day_has_the_sums_of_the_report() -> None:
    drawn = analytics.plot_spend_by_day(SOME.lazy(), "provider").to_dict()
    (data,) = drawn["datasets"].values()
    assert sum(point["spent_usd"] for point in data) == pytest.approx(0.028)


def test_hours_are_those_of_utc_from_their_beginning_to_their_end() -> None:
    calls = calls_frame(
        {"id": "a", "started_at": NOON},
        {"id": "b", "started_at": NOON, "outcome": "failed"},
        {"id": "c", "started_at": NOON + timedelta(hours=2), "outcome": "refused"},
    )
    drawn = analytics.plot_calls_by_hour(analytics.by_hour(calls)).to_dict()
    assert drawn["encoding"]["x"]["scale"] == {"type": "utc"}
    (data,) = drawn["datasets"].values()
    steps = [(step["hour"][11:13], step["low"], step["high"]) for step in data]
    assert [step["part"] for step in data] == [
        part for part in ("failed", "abandoned or refused", "completed") for _ in range(4)
    ]
    assert steps == [
        *[("12", 0, 1), ("13", 0, 0), ("14", 0, 0), ("15", 0, 0)],
        *[("12", 1, 1), ("13", 0, 0), ("14", 0, 1), ("15", 0, 1)],
        *[("12", 1, 2), ("13", 0, 0), ("14", 1, 1), ("15", 1, 1)],
    ]


def test_retries_tell_how_many_recovered() -> None:
    calls = calls_frame(
        *(
            {
                "id": f"{operation}{attempt}",
                "operation_id": operation,
                "model": "a/b",
                "started_at": NOON + timedelta(seconds=attempt),
                "resend_count": attempt,
                "outcome": "failed" if attempt == 0 or operation == "4" else "completed",
            }
            for operation in "1234"
            for attempt in range(1 if operation == "1" else 2)
        )
    )
    shown = words(svg(analytics.plot_retries(analytics.retries(calls))))
    assert {"a/b", "3 (66.7 %)", "recovered", "given up"} <= set(shown)


def test_caches_tell_what_was_read_and_what_it_saved() -> None:
    report = pl.DataFrame(
        {
            "model": ["a/b", "c/d", "e/f"],
            "calls": [2, 1, 1],
            "cached_input_rate": [0.25, 0.0, None],
            "saved_usd": [Decimal("1.5"), None, None],
        }
    )
    shown = words(svg(analytics.plot_cache(report)))
    assert {"25.0 % (1.50 USD)", "0.0 %"} <= set(shown)
    assert "e/f" not in shown


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_a_plot_is_saved_by_the_name_of_its_file(tmp_path: Path, suffix: str) -> None:
    to = tmp_path / f"plot{suffix}"
    analytics.save_plot(PLOTS["spend"](SOME), to)
    begins = {".svg": b"<svg", ".png": b"\x89PNG", ".html": b"<!DOCTYPE html>"}
    assert to.read_bytes().startswith(begins[suffix])


def test_a_page_of_a_plot_loads_nothing(tmp_path: Path) -> None:
    to = tmp_path / "plot.html"
    analytics.save_plot(PLOTS["spend"](SOME), to)
    page = to.read_text(encoding="utf-8")
    assert "src=" not in page.partition("<script")[0]
    assert '<script src="' not in page


measures = st.tuples(*(st.integers(0, 4) for _ in range(3)))


@given(st.lists(measures, max_size=12))
def test_the_front_is_what_no_other_beats(points: list[tuple[int, int, int]]) -> None:
    columns = ("spent_usd_per_1000_calls", "latency_p50_seconds", "failure_rate")
    report = pl.DataFrame(points, schema=dict.fromkeys(columns, pl.Int64), orient="row")
    front = analytics.pareto_front(report)
    best = set(front.filter("on_front").select(columns).rows())
    for point in points:
        at_least_as_good = [o for o in points if all(a <= b for a, b in zip(o, point, strict=True))]
        assert (point in best) == all(other == point for other in at_least_as_good)
    assert bool(best) == bool(points)


def test_what_is_not_known_is_on_no_front() -> None:
    report = analytics.by_model(calls_frame({"model": "a", "latency_seconds": 1.0}))
    assert analytics.pareto_front(report).is_empty()


def test_names_stand_where_nothing_else_does() -> None:
    names = ["first", "second", "third"]
    places = name_places(names, [(100, 50), (120, 50), (290, 90)], 300)
    assert places[2] == "left"
    assert (places[0], places[1]) == ("left", "right")
    assert set(places) <= set(PLACES)
