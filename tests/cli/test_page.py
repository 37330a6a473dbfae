"""`tachograph report --html`: the page that is sent to a colleague, as a real browser shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tachograph.analytics import drawing, pictures
from tachograph.cli import report
from tests.analytics.rows import row
from tests.cli.chromium import PROGRAM, Chromium, chromium
from tests.cli.conftest import Run, stored
from tests.required import missing

ROGUE = "<script>alert('a')</script>/" + "very-long-" * 5
FINE = Decimal("0.000123456789")
TABLES = """[...document.querySelectorAll('table')].map(
  table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)))"""
CONTRASTS = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(x => x / 255).map(
      x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!colour.endsWith(', 0)')) return colour;
    }
  };
  const texts = document.querySelectorAll('svg text, td, th, h1, h2, p, small, i, li');
  return [...texts].map(element => {
    const style = getComputedStyle(element);
    const pair = [light(element.closest('svg') ? style.fill : style.color), light(ground(element))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if PROGRAM is None:
        missing("no Chromium is installed")
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def full(tmp_path: Path) -> str:
    """Forty calls over four days, of two models and three outcomes, one name of which is rogue."""
    return stored(
        tmp_path / "full.db",
        [
            row(
                timedelta(hours=2 * number, milliseconds=number),
                model=(ROGUE, "b/small")[number % 2],
                provider=("P", None, ROGUE)[number % 3],
                outcome="failed" if number % 7 == 3 else "completed",
                error_type=ROGUE if number % 7 == 3 else None,
                latency_seconds=0.5 + number / 7,
                input_tokens=1000 * number,
                spent_picousd=number * FINE if number % 7 != 3 else None,
                billed_picousd=number * FINE if number % 7 != 3 else None,
            )
            for number in range(40)
        ],
    )


@pytest.fixture
def page(tachograph: Run, full: str, tmp_path: Path) -> Path:
    to = tmp_path / "page.html"
    ran = tachograph("report", "--html", str(to), "--db", full)
    assert (ran.out, ran.err, ran.status) == ("", "", 0)
    return to


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_a_complaint_or_a_request(
    browser: Chromium, page: Path, width: int, scheme: Any
) -> None:
    browser.open(page, width, scheme)
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    shown, hidden = ("wide", "narrow") if width > 800 else ("narrow", "wide")
    heights = "[...document.querySelectorAll('figure.{}')].map(figure => figure.offsetHeight)"
    assert min(browser.evaluate(heights.format(shown))) > 50
    assert max(browser.evaluate(heights.format(hidden))) == 0
    assert min(browser.evaluate(CONTRASTS)) > 4.5


def test_its_figures_are_those_of_the_reports(
    browser: Chromium, page: Path, full: str, tachograph: Run
) -> None:
    browser.open(page, 1280, "light")
    models, providers, latencies, errors, audit = browser.evaluate(TABLES)
    for kind, shown in (
        ("models", models),
        ("providers", providers),
        ("latency", latencies),
        ("audit", audit),
    ):
        said = tachograph("report", kind, "--db", full, "--format", "md").out.splitlines()
        rows = [[cell.strip() for cell in line.split(" | ")] for line in said if "|" in line]
        numbers = [[cell.strip("| ") for cell in across[1:]] for across in rows[2:]]
        assert [across[1:] for across in shown[1:]] == numbers, kind
    assert errors[1][3:5] == ["6", "100.0%"]
    by_model = tachograph("report", "--db", full, "--format", "json").json
    assert [Decimal(across[-1].rstrip("+")) for across in models[1:-1]] == [
        Decimal(of["spent_usd"]) for of in by_model
    ]
    assert {across[0] for across in models[1:-1]} == {ROGUE, "b/small"}


def test_all_its_quantiles_are_exact_however_many_calls(
    tachograph: Run, full: str, tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MANY", 10)
    to = tmp_path / "many.html"
    ran = tachograph("report", "--html", str(to), "--db", full)
    assert (ran.err, ran.status) == ("", 0)
    few, many = (re.sub("made .*? UTC", "", it.read_text(encoding="utf-8")) for it in (page, to))
    assert re.findall("<table>.*?</table>", many) == re.findall("<table>.*?</table>", few)


def test_a_plot_that_can_be_moved_needs_no_network_either(
    browser: Chromium, full: str, tachograph: Run, tmp_path: Path
) -> None:
    to = tmp_path / "plot.html"
    assert tachograph("report", "--plot", str(to), "--db", full).status == 0
    browser.open(to, 1280, "light")
    assert browser.complaints() == []
    assert browser.requests() == [to.as_uri()]
    drawn = """drawn.then(
      () => [...document.querySelectorAll('#plot svg text')].map(text => text.textContent))"""
    assert {ROGUE.replace("<", "\u2039"), "b/small", "spent (USD)"} <= set(browser.evaluate(drawn))


def test_it_has_no_script_and_no_address(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=", text.replace("xlink:href", "")), "something is loaded"
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_every_colour_of_the_plots_has_another_in_the_dark() -> None:
    css = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
    dark = css.partition("prefers-color-scheme: dark")[2]
    colours = {
        drawing.BAR,
        drawing.STRONG,
        drawing.MIDDLE,
        drawing.FAINT,
        *drawing.STACK,
        drawing.RULE,
    }
    for colour in colours | {drawing.WORDS, drawing.PAPER, pictures.GRID}:
        assert f'="{colour}"]' in dark, colour


def test_only_a_period_and_a_condition_go_with_it(tachograph: Run, full: str) -> None:
    for more in (["models"], ["--top", "3"], ["--format", "json"], ["--plot", "x.png"]):
        ran = tachograph("report", *more, "--html", "page.html", "--db", full)
        assert (ran.out, ran.status) == ("", 2)


def test_it_tells_what_it_is_about(tachograph: Run, full: str, tmp_path: Path) -> None:
    to = tmp_path / "some.html"
    some = ["--since", "2026-11-02", "--where", "model = 'b/small' AND latency_seconds < 99"]
    assert tachograph("report", "--html", str(to), "--db", full, *some).status == 0
    text = to.read_text(encoding="utf-8")
    assert "17 calls" in text
    assert "where model = &#x27;b/small&#x27; AND latency_seconds &lt; 99" in text


def test_a_page_of_no_calls(tachograph: Run, full: str, tmp_path: Path) -> None:
    to = tmp_path / "none.html"
    ran = tachograph("report", "--html", str(to), "--db", full, "--until", "2020-01-01")
    assert (ran.err, ran.status) == ("no calls in this period\n", 0)
    text = to.read_text(encoding="utf-8")
    assert "0 calls" in text
    assert "<svg" not in text
    assert "<table" not in text


def test_a_page_of_calls_of_which_none_failed_and_none_differs(
    tachograph: Run, tmp_path: Path
) -> None:
    cost = {"billed_picousd": FINE, "spent_picousd": FINE, "computed_picousd": FINE}
    db = stored(tmp_path / "fine.db", [row(timedelta(), model="a/b", latency_seconds=1.0, **cost)])
    to = tmp_path / "fine.html"
    assert tachograph("report", "--html", str(to), "--db", db).status == 0
    text = to.read_text(encoding="utf-8")
    assert "No call went wrong." in text
    assert "Every cost that is known is as computed." in text
    assert "<b>0.000123</b>" in text
