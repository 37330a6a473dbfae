"""What is pushed into SQL never changes an answer; and what should be pushed is."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars._typing import ClosedInterval

from tachograph.analytics.frames import read_calls, scan_calls
from tachograph.analytics.pushdown import pushed
from tachograph.analytics.scanning import explain_sql
from tachograph.store import queries
from tachograph.store.database import open_engine
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, row

PICO = Decimal("1E-12")
MOST = Decimal(2**63 - 1) * PICO

# values that were stored, with those that databases like to confuse
TEXTS = [None, "", "a", "A", "a/b", "A/b", "a%b", "a_b", "a'b", "\u00e4", "\u00c4", "ab\U0001f600"]
INTEGERS = [None, 0, 1, -1, 7, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63) + 1]
SMALL = [0, 1, 2, 32767, -32768]
FLOATS = [None, 0.0, -0.0, 0.1, 1.0, 2.0, 1e300, -1e-300, float("inf")]
MONEY = [None, Decimal(0), PICO, -PICO, Decimal("0.1"), Decimal("0.100000000001"), Decimal(1), MOST]
BOOLEANS = [None, True, False]
OUTCOMES = ["completed", "failed", "abandoned", "refused"]
TICKS = [timedelta(microseconds=n) for n in (-1, 0, 1, 999, 1000, 10**6)]
TRACES = [None, b"\0" * 16, b"\xab" * 16]


def rows() -> list[dict[str, Any]]:
    """156 calls in which values meet in changing company."""
    columns: dict[str, cycle[Any]] = {
        "model": cycle(TEXTS),
        "input_tokens": cycle(INTEGERS),
        "attempt": cycle(SMALL),
        "latency_seconds": cycle(FLOATS),
        "spent_picousd": cycle(MONEY),
        "stream": cycle(BOOLEANS),
        "outcome": cycle(OUTCOMES),
        "trace_id": cycle(TRACES),
    }
    made = []
    for n in range(156):
        for name in list(columns)[:: n % 3 + 2]:
            next(columns[name])
        values = {name: next(values) for name, values in columns.items()}
        made.append(row(TICKS[n % len(TICKS)], **values))
    return made


ROWS = rows()
IDS = [str(UUID(bytes=one["id"])) for one in ROWS[::40]]


Column = tuple[pl.Expr, st.SearchStrategy[Any]]


def column(name: str, values: list[Any], *more: Any) -> Column:
    return pl.col(name), st.sampled_from([value for value in [*values, *more] if value is not None])


ORDERED: list[Column] = [
    column("input_tokens", INTEGERS, 3, -(2**63)),
    column("attempt", SMALL, 3, 100_000),
    column("latency_seconds", FLOATS, 0.2, float("nan"), -float("inf")),
    column("spent_usd", MONEY, Decimal("1E-13"), Decimal("0.5"), Decimal("1E+20")),
    column("spent_usd", [0, 1, 10**8]),
    column("started_at", [NOON + tick for tick in TICKS], NOON + timedelta(microseconds=2)),
    column("id", IDS, IDS[0].upper(), IDS[0][:9], "zz"),
]
EQUAL: list[Column] = [
    *ORDERED,
    column("model", TEXTS, "b", "a\0b"),
    column("outcome", OUTCOMES),
    column("stream", BOOLEANS),
    column("trace_id", ["ab" * 16, "AB" * 16, "00" * 16, "ab", "x"]),
]
AS_FLOAT: list[Column] = [
    column("input_tokens", [0.5, 1.0, 2.0**53, 2.0**63, 1e30, -1.5, float("inf")]),
    column("spent_usd", [0.0, 1e-12, 1.5e-12, 0.1, 1.0, float(MOST), 1e30, float("nan")]),
    column("attempt", [0.5, 1.0, 1.5, 32767.0, 1e10]),
]


Build = Callable[[Any, Any], pl.Expr]
ORDERS: list[Build] = [operator.lt, operator.le, operator.gt, operator.ge]
EQUALS: list[Build] = [operator.eq, operator.ne]
UNPUSHED = [
    pl.col("model").str.ends_with("b"),
    pl.col("started_at").dt.second() == 1,
    pl.col("input_tokens") > pl.col("attempt"),
    pl.col("output_tokens_per_second") > 1,
    pl.col("spent_usd") * 2 > 1,
    pl.lit(value=True),
]
FORMS = (
    *("order", "mirrored", "equal", "as float", "in", "between", "missing", "null"),
    *("starts", "contains", "true", "unpushed"),
)


def leaf(draw: st.DrawFn) -> pl.Expr:
    part, values = draw(st.sampled_from(EQUAL))
    ordered, bounds = draw(st.sampled_from(ORDERED))
    number, floats = draw(st.sampled_from(AS_FLOAT))
    order: Build = draw(st.sampled_from(ORDERS))
    equal: Build = draw(st.sampled_from(EQUALS))
    model, text = pl.col("model"), draw(st.sampled_from([text for text in TEXTS if text]))
    flag = draw(st.booleans())
    match draw(st.sampled_from(FORMS)):
        case "order":
            return order(ordered, draw(bounds))
        case "mirrored":
            return order(pl.lit(draw(bounds)), ordered)
        case "equal":
            return equal(part, draw(values))
        case "as float":
            return (order if flag else equal)(number, draw(floats))
        case "in":
            return part.is_in(draw(st.lists(values, max_size=4)), nulls_equal=flag)
        case "between":
            closed: ClosedInterval = draw(st.sampled_from(("both", "left", "right", "none")))
            return ordered.is_between(draw(bounds), draw(bounds), closed=closed)
        case "missing":
            value = draw(st.none() | values)
            return part.eq_missing(value) if flag else part.ne_missing(value)
        case "null":
            return part.is_null() if flag else part.is_not_null()
        case "starts":
            return model.str.starts_with(text)
        case "contains":
            return model.str.contains(text, literal=flag)
        case "true":
            return pl.col("stream")
        case _:
            return draw(st.sampled_from(UNPUSHED))


@st.composite
def predicates(draw: st.DrawFn, depth: int = 3) -> pl.Expr:
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return leaf(draw)
    smaller = predicates(depth=depth - 1)
    match draw(st.sampled_from(["and", "or", "not"])):
        case "and":
            return draw(smaller) & draw(smaller)
        case "or":
            return draw(smaller) | draw(smaller)
        case _:
            return ~draw(smaller)


class Tables:
    """The same rows in a database and in memory."""

    def __init__(self, url: str) -> None:
        self.scan = scan_calls(url)
        self.whole = read_calls(url)
        self.engine = open_engine(url, read_only=True)


@pytest.fixture
def tables(store: Store) -> Tables:
    return Tables(store(ROWS))


def kept(collect: Callable[[], pl.DataFrame]) -> list[str] | str:
    """The ids that were kept, or the kind of error that polars raises for such a predicate."""
    try:
        return sorted(collect()["id"].to_list())
    except pl.exceptions.PolarsError as error:
        return type(error).__name__


@given(predicate=predicates())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_pushed_is_not_pushed(tables: Tables, predicate: pl.Expr) -> None:
    expected = kept(lambda: tables.whole.lazy().filter(predicate).collect())
    assert kept(lambda: tables.scan.filter(predicate).collect()) == expected
    found = pushed(predicate)
    if found is None or isinstance(expected, str):
        return
    # SQL alone keeps no fewer, and where it says so the very same, or NOT of it would be wrong
    with tables.engine.connect() as connection:
        statement = queries.select_calls(["id"], [found.condition])
        ids = {str(UUID(bytes=one.id)) for one in connection.execute(statement)}
    assert ids >= set(expected)
    assert not found.exact or ids == set(expected)


c = pl.col


@pytest.mark.parametrize(
    ("predicate", "sql"),
    [
        (c.model == "a", "calls.model ="),
        (pl.lit("a") == c.model, "calls.model ="),
        (c.model != "a", "calls.model !="),
        (c.model.is_in(["a", "b"]), "calls.model IN"),
        (c.model.is_null(), "calls.model IS NULL"),
        (c.model.is_not_null(), "calls.model IS NOT NULL"),
        (c.model.str.starts_with("a/"), "substr(calls.model"),
        (c.model.str.contains("a%", literal=True), "calls.model, "),
        (c.model.str.contains("a b"), "calls.model, "),
        (c.outcome == "failed", "calls.outcome ="),
        (c.outcome.is_in(["failed", "refused"]), "calls.outcome IN"),
        (c.stream, "calls.stream ="),
        (~c.stream, "calls.stream"),
        (c.input_tokens > 5, "calls.input_tokens >"),
        (c.input_tokens > 5.5, "calls.input_tokens >="),
        (c.input_tokens.is_between(1, 5), "calls.input_tokens <="),
        (c.attempt > 1, "calls.attempt >"),
        (c.latency_seconds >= 0.5, "calls.latency_seconds >="),
        (c.spent_usd > Decimal("0.001"), "calls.spent_picousd >"),
        (c.spent_usd > Decimal("1E-13"), "calls.spent_picousd >"),
        (c.spent_usd > 0.001, "calls.spent_picousd >="),
        (c.spent_usd > 1, "calls.spent_picousd >"),
        (c.started_at >= NOON, "calls.id >="),
        (c.started_at.is_between(NOON, NOON + timedelta(1), closed="left"), "calls.id <"),
        (c.id == IDS[0], "calls.id ="),
        (c.trace_id == "ab" * 16, "calls.trace_id ="),
        ((c.model == "a") & (c.path.str.ends_with("s")), "calls.model ="),
        ((c.model == "a") | (c.provider == "b"), "calls.model = "),
        (~((c.model == "a") & (c.provider == "b")), "calls.provider !="),
    ],
    ids=str,
)
def test_forms_that_go_to_sql(sqlite_store: Store, predicate: pl.Expr, sql: str) -> None:
    (sent,) = explain_sql(scan_calls(sqlite_store([])).filter(predicate))
    assert sql in sent.partition("WHERE")[2]


@pytest.mark.parametrize(
    "predicate",
    [
        c.model < "b",  # databases sort text by their own rules
        c.model.str.contains("a.b"),  # a pattern
        c.model.is_in(["a", None], nulls_equal=True),
        c.latency_seconds < float("nan"),  # SQLite has none
        c.model == "a\0",  # PostgreSQL takes none
        c.spent_usd.is_in([]),
        (c.model == "a") | c.path.str.ends_with("s"),
        ~((c.model == "a") & c.path.str.ends_with("s")),
        c.output_tokens_per_second > 5,
    ],
    ids=str,
)
def test_forms_that_polars_keeps(sqlite_store: Store, predicate: pl.Expr) -> None:
    (sent,) = explain_sql(scan_calls(sqlite_store([])).filter(predicate))
    assert "WHERE" not in sent
