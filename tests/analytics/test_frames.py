"""Frames of stored calls: one schema, exact values, and only what is asked for is read."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import polars as pl
import pytest

import tachograph
from tachograph.analytics.frames import call_batches, latest, read_calls, scan_calls
from tachograph.analytics.scanning import explain_sql
from tachograph.analytics.schema import CALLS
from tachograph.analytics.sources import Source
from tachograph.store.database import open_engine
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, row

SOME = [row(second, model=f"m{second % 3}", spent_picousd=Decimal(second)) for second in range(10)]


def test_the_schema_is_that_of_the_contract() -> None:
    money = pl.Decimal(38, 12)
    assert dict(CALLS) == {
        "id": pl.String,
        "operation_id": pl.String,
        "attempt": pl.Int16,
        "resend_count": pl.Int16,
        "operation_name": pl.String,
        "name": pl.String,
        "session_id": pl.String,
        "user_id": pl.String,
        "tags": pl.String,
        "service_name": pl.String,
        "environment": pl.String,
        "sdk": pl.String,
        "api_key_hash": pl.String,
        "host": pl.String,
        "path": pl.String,
        "request_model": pl.String,
        "stream": pl.Boolean,
        "max_tokens": pl.Int64,
        "temperature": pl.Float64,
        "top_p": pl.Float64,
        "reasoning_effort": pl.String,
        "response_format": pl.String,
        "tools": pl.Int16,
        "parameters": pl.String,
        "request_bytes": pl.Int64,
        "started_at": pl.Datetime("us", "UTC"),
        "latency_seconds": pl.Float64,
        "headers_seconds": pl.Float64,
        "first_token_seconds": pl.Float64,
        "consumer_seconds": pl.Float64,
        "outcome": pl.Enum(["completed", "failed", "abandoned", "refused"]),
        "http_status": pl.Int16,
        "error_type": pl.String,
        "error_code": pl.String,
        "error_message": pl.String,
        "retry_after_seconds": pl.Float64,
        "chunks": pl.Int32,
        "response_bytes": pl.Int64,
        "model": pl.String,
        "response_model": pl.String,
        "provider": pl.String,
        "generation_id": pl.String,
        "finish_reason": pl.String,
        "native_finish_reason": pl.String,
        "service_tier": pl.String,
        "cache_status": pl.String,
        "routing": pl.String,
        "input_tokens": pl.Int64,
        "output_tokens": pl.Int64,
        "total_tokens": pl.Int64,
        "cache_read_input_tokens": pl.Int64,
        "cache_write_input_tokens": pl.Int64,
        "cache_write_1h_input_tokens": pl.Int64,
        "reasoning_output_tokens": pl.Int64,
        "audio_input_tokens": pl.Int64,
        "video_input_tokens": pl.Int64,
        "image_output_tokens": pl.Int64,
        "audio_output_tokens": pl.Int64,
        "search_units": pl.Int64,
        "audio_seconds": pl.Float64,
        "web_searches": pl.Int64,
        "usage_extra": pl.String,
        "billed_usd": money,
        "upstream_usd": money,
        "upstream_input_usd": money,
        "upstream_output_usd": money,
        "is_byok": pl.Boolean,
        "spent_usd": money,
        "computed_usd": money,
        "cost_source": pl.Enum(["billed", "reconciled", "computed", "unknown"]),
        "price_id": pl.Int64,
        "trace_id": pl.String,
        "span_id": pl.String,
        "parent_span_id": pl.String,
        "trace_sampled": pl.Boolean,
        "resend_of": pl.String,
        "job_id": pl.String,
        "foreign_span": pl.Boolean,
        "output_tokens_per_second": pl.Float64,
    }


def test_the_schema_is_the_same_when_empty(store: Store) -> None:
    url = store([])
    assert read_calls(url).schema == CALLS
    assert latest(url).schema == CALLS
    assert scan_calls(url).collect_schema() == CALLS
    assert scan_calls(url).select("spent_usd", "id").collect().schema == {
        "spent_usd": pl.Decimal(38, 12),
        "id": pl.String(),
    }


def test_every_kind_of_value_comes_back_as_it_went_in(store: Store) -> None:
    started = datetime(2026, 11, 1, 12, 0, 0, 1, tzinfo=UTC)
    full = row(
        timedelta(microseconds=1),
        stream=True,
        attempt=32767,
        chunks=2**31 - 1,
        input_tokens=2**63 - 1,
        temperature=0.1,
        tags='{"team": "s\u00fcche"}',
        spent_picousd=Decimal("-9223372.036854775808"),
        billed_picousd=Decimal("9223372.036854775807"),
        computed_picousd=Decimal("0.000000000001"),
        upstream_picousd=Decimal(0),
        outcome="failed",
        cost_source="reconciled",
        trace_id=bytes(range(16)),
        span_id=b"\0" * 8,
        trace_sampled=False,
    )
    frame = read_calls(store([full, row(1)]))
    assert frame.schema == CALLS
    got, unknown = frame.rows(named=True)
    assert got["id"] == got["operation_id"] == str(UUID(bytes=full["id"]))
    assert got["started_at"] == started
    assert got["stream"] is True
    assert (got["attempt"], got["chunks"], got["input_tokens"]) == (32767, 2**31 - 1, 2**63 - 1)
    assert (got["temperature"], got["tags"]) == (0.1, '{"team": "s\u00fcche"}')
    assert got["spent_usd"] == Decimal("-9223372.036854775808")
    assert got["billed_usd"] == Decimal("9223372.036854775807")
    assert got["computed_usd"] == Decimal("0.000000000001")
    assert got["upstream_usd"] == 0
    assert (got["outcome"], got["cost_source"]) == ("failed", "reconciled")
    assert got["trace_id"] == "000102030405060708090a0b0c0d0e0f"
    assert got["span_id"] == "0000000000000000"
    assert got["trace_sampled"] is False
    for name in ("stream", "input_tokens", "spent_usd", "trace_id", "trace_sampled", "tags"):
        assert unknown[name] is None


def test_since_and_until_are_exact_to_the_microsecond(store: Store) -> None:
    ticks = [timedelta(microseconds=n) for n in (-1000, -1, 0, 1, 2, 999, 1000, 1001)]
    url = store([row(tick) for tick in ticks for _ in range(3)])
    for since in [None, *ticks]:
        for until in [None, *ticks]:
            frame = read_calls(
                url,
                None if since is None else NOON + since,
                None if until is None else NOON + until,
            )
            kept = [
                NOON + tick
                for tick in ticks
                for _ in range(3)
                if (since is None or tick >= since) and (until is None or tick < until)
            ]
            assert frame["started_at"].to_list() == kept


def test_since_may_be_said_as_people_say_it(sqlite_store: Store) -> None:
    ago = NOON - datetime.now(UTC)
    url = sqlite_store([row(-ago - timedelta(hours=hours)) for hours in (1, 30)])
    assert len(read_calls(url, "24h")) == 1
    assert len(read_calls(url, timedelta(days=2))) == 2
    with pytest.raises(ValueError, match="no time zone"):
        scan_calls(url, datetime(2026, 11, 1))


def test_any_of_the_columns_in_any_order(store: Store) -> None:
    url = store(SOME)
    whole = read_calls(url)
    for names in (["spent_usd"], ["model", "id", "started_at"], ["output_tokens_per_second"]):
        assert scan_calls(url).sort("id").select(names).collect().equals(whole.select(names))
    assert scan_calls(url).select(pl.len()).collect().item() == 10


def test_tokens_per_second_is_of_completed_streams_after_the_first_token(store: Store) -> None:
    stream = {
        "stream": True,
        "output_tokens": 30,
        "latency_seconds": 2.0,
        "first_token_seconds": 0.5,
    }
    url = store(
        [
            row(0, **stream),
            row(1, **stream | {"stream": False}),
            row(2, **stream | {"stream": None}),
            row(3, **stream | {"outcome": "abandoned"}),
            row(4, **stream | {"output_tokens": 1}),
            row(5, **stream | {"output_tokens": None}),
            row(6, **stream | {"first_token_seconds": 2.0}),
            row(7, **stream | {"first_token_seconds": None}),
        ]
    )
    frame = read_calls(url)
    assert frame["output_tokens_per_second"].to_list() == [20.0, *[None] * 7]
    quick = scan_calls(url).filter(pl.col("output_tokens_per_second") > 10).collect()
    assert quick["id"].to_list() == frame["id"].to_list()[:1]


def test_more_rows_than_one_chunk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tachograph.store.reading.CHUNK_ROWS", 3)
    url = store(SOME)
    assert len(read_calls(url)) == 10
    assert len(scan_calls(url).head(7).collect()) == 7
    assert len(scan_calls(url).filter(pl.col("model") == "m1").head(2).collect()) == 2
    assert len(scan_calls(url).join(scan_calls(url), on="model").collect()) == 16 + 9 + 9


def test_latest_is_the_newest_first(store: Store) -> None:
    url = store(SOME)
    assert latest(url, 3)["started_at"].to_list() == [
        NOON + timedelta(seconds=second) for second in (9, 8, 7)
    ]
    assert len(latest(url, 100)) == 10


def test_a_frame_sees_what_was_stored_since_it_was_made(sqlite_store: Store) -> None:
    url = sqlite_store(SOME)
    frame = scan_calls(url).select(pl.len())
    assert frame.collect().item() == 10
    sqlite_store([row(100)])
    assert frame.collect().item() == 11


def test_an_engine_as_source(store: Store) -> None:
    engine = open_engine(store(SOME))
    assert len(read_calls(engine)) == 10
    assert len(latest(engine, 2)) == 2
    engine.dispose()


def test_a_memory_database_as_source_of_two_scans() -> None:
    from tachograph.store.migrate import upgrade
    from tachograph.store.schema import calls

    engine = open_engine("sqlite://")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(calls.insert(), SOME)
    frame = scan_calls(engine)
    assert len(frame.join(frame, on="id").collect()) == 10
    engine.dispose()


class Recorded:
    """What a frame needs of a recorder."""

    def __init__(self, url: str, stored: bool) -> None:
        self.url = url
        self.flushed = 0
        self._stored = stored

    def flush(self, timeout: float) -> bool:
        self.flushed += 1
        return self._stored


def test_a_recorder_as_source_is_flushed_when_collecting(
    sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorded(sqlite_store(SOME), stored=True)
    frame = scan_calls(recorder)
    assert recorder.flushed == 0
    assert len(frame.collect()) == 10
    assert recorder.flushed == 1
    assert caplog.text == ""
    assert len(read_calls(Recorded(recorder.url, stored=False))) == 10
    assert "still wait to be stored" in caplog.text


@pytest.mark.parametrize("read", [read_calls, latest, lambda source: scan_calls(source).collect()])
def test_nothing_to_read_is_a_clear_error(read: object, tmp_path: object) -> None:
    assert callable(read)
    with pytest.raises(tachograph.StoreError, match="there is no database at"):
        read(f"sqlite:///{tmp_path}/none.db")
    open_engine(f"sqlite:///{tmp_path}/empty.db").connect().close()
    with pytest.raises(tachograph.SchemaOutOfDateError, match="tachograph db upgrade"):
        read(f"sqlite:///{tmp_path}/empty.db")


def test_explain_tells_the_sql_of_each_scan_and_reads_nothing(store: Store) -> None:
    url = store(SOME)
    recent = scan_calls(url, since=NOON).filter(pl.col("model") == "m1").select("spent_usd")
    (sql,) = explain_sql(recent)
    assert "WHERE calls.started_us >= " in sql
    assert "calls.id >= " in sql
    assert "calls.model = " in sql
    assert "'m1'" in sql
    assert "calls.latency_seconds" not in sql
    both = explain_sql(pl.concat([recent, scan_calls(url).select("spent_usd").head(3)]))
    assert len(both) == 2
    assert any("LIMIT" in statement for statement in both)


def test_only_a_lazy_frame_is_explained(sqlite_store: Store) -> None:
    frame = read_calls(sqlite_store(SOME))
    with pytest.raises(TypeError, match="only a LazyFrame sends SQL, not a DataFrame"):
        explain_sql(frame)  # type: ignore[arg-type]


def test_a_file_is_named_by_its_url() -> None:
    with pytest.raises(tachograph.StoreError, match=r"'calls\.db' is no .* sqlite:///calls\.db$"):
        scan_calls("calls.db").collect()


def test_a_query_that_is_explained_does_not_change_the_original(sqlite_store: Store) -> None:
    frame = scan_calls(sqlite_store(SOME)).select(pl.len())
    explain_sql(frame)
    assert frame.collect().item() == 10


def test_a_scan_of_a_url_can_be_sent_to_another_process(sqlite_store: Store) -> None:
    frame = scan_calls(sqlite_store(SOME)).filter(pl.col("model") == "m1")
    copy: pl.LazyFrame = pickle.loads(pickle.dumps(frame))
    assert len(copy.collect()) == 3


def test_a_filter_in_python_works_too(sqlite_store: Store) -> None:
    seconds = pl.col("started_at").map_batches(lambda s: s.dt.second() > 6, return_dtype=pl.Boolean)
    assert len(scan_calls(sqlite_store(SOME)).filter(seconds).collect()) == 3


def test_sources_are_typed() -> None:
    sources: list[Source] = ["sqlite:///x.db", open_engine("sqlite://"), Recorded("", True)]
    assert len(sources) == 3


def test_batches_come_in_the_order_in_which_calls_began(store: Store) -> None:
    stored = store(list(reversed(SOME)))
    since, until = NOON + timedelta(seconds=2), NOON + timedelta(seconds=8)
    found = pl.concat(call_batches(stored, since, until))
    assert found.equals(read_calls(stored, since, until))
    assert len(found) == 6
