"""The first tables: calls, prices, recorders, journal_dead, and the view call_log.

Revision 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from tachograph.store.call_log import create_call_log

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.BigInteger()
"""Microseconds since 1970 UTC."""
MONEY = sa.BigInteger()
"""Pico-dollars, 10^-12 USD."""
ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

UUID7_FLOOR = """
CREATE FUNCTION uuid7_floor(instant timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (
        lpad(to_hex(us / 1000), 12, '0')
        || '7' || lpad(to_hex((mod(us, 1000) * 4096 + 999) / 1000), 3, '0')
        || rpad('8', 16, '0')
    )::uuid
    FROM (SELECT (extract(epoch FROM instant) * 1000000)::bigint AS us) AS since_1970
$$
"""
"""The smallest id of an instant: `id >= uuid7_floor(now() - interval '1 day')` uses the index."""


def upgrade() -> None:
    partitioned = context.config.attributes["partitioned"]
    op.create_table(
        "calls",
        sa.Column("id", ID, nullable=False),
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("resend_count", sa.SmallInteger(), nullable=False),
        sa.Column("operation_name", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("tags", sa.Text()),
        sa.Column("service_name", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("sdk", sa.Text()),
        sa.Column("api_key_hash", sa.Text()),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("request_model", sa.Text()),
        sa.Column("stream", sa.Boolean()),
        sa.Column("max_tokens", sa.BigInteger()),
        sa.Column("temperature", sa.Double()),
        sa.Column("top_p", sa.Double()),
        sa.Column("reasoning_effort", sa.Text()),
        sa.Column("response_format", sa.Text()),
        sa.Column("tools", sa.SmallInteger()),
        sa.Column("parameters", sa.Text()),
        sa.Column("request_bytes", sa.BigInteger()),
        sa.Column("started_us", INSTANT, nullable=False),
        sa.Column("latency_seconds", sa.Double()),
        sa.Column("headers_seconds", sa.Double()),
        sa.Column("first_token_seconds", sa.Double()),
        sa.Column("consumer_seconds", sa.Double()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("http_status", sa.SmallInteger()),
        sa.Column("error_type", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("retry_after_seconds", sa.Double()),
        sa.Column("chunks", sa.Integer()),
        sa.Column("response_bytes", sa.BigInteger()),
        sa.Column("model", sa.Text()),
        sa.Column("response_model", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("generation_id", sa.Text()),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("native_finish_reason", sa.Text()),
        sa.Column("service_tier", sa.Text()),
        sa.Column("cache_status", sa.Text()),
        sa.Column("routing", sa.Text()),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("cache_read_input_tokens", sa.BigInteger()),
        sa.Column("cache_write_input_tokens", sa.BigInteger()),
        sa.Column("cache_write_1h_input_tokens", sa.BigInteger()),
        sa.Column("reasoning_output_tokens", sa.BigInteger()),
        sa.Column("audio_input_tokens", sa.BigInteger()),
        sa.Column("video_input_tokens", sa.BigInteger()),
        sa.Column("image_output_tokens", sa.BigInteger()),
        sa.Column("audio_output_tokens", sa.BigInteger()),
        sa.Column("search_units", sa.BigInteger()),
        sa.Column("audio_seconds", sa.Double()),
        sa.Column("web_searches", sa.BigInteger()),
        sa.Column("usage_extra", sa.Text()),
        sa.Column("billed_picousd", MONEY),
        sa.Column("upstream_picousd", MONEY),
        sa.Column("upstream_input_picousd", MONEY),
        sa.Column("upstream_output_picousd", MONEY),
        sa.Column("is_byok", sa.Boolean()),
        sa.Column("spent_picousd", MONEY),
        sa.Column("computed_picousd", MONEY),
        sa.Column("cost_source", sa.Text(), nullable=False),
        sa.Column("price_id", sa.BigInteger()),
        sa.Column("trace_id", sa.LargeBinary(16)),
        sa.Column("span_id", sa.LargeBinary(8)),
        sa.Column("parent_span_id", sa.LargeBinary(8)),
        sa.Column("trace_sampled", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sqlite_with_rowid=False,
        **({"postgresql_partition_by": "RANGE (id)"} if partitioned else {}),
    )
    if partitioned:
        op.execute("CREATE TABLE calls_default PARTITION OF calls DEFAULT")
    op.create_index(
        "ix_calls_operation_id",
        "calls",
        ["operation_id"],
        sqlite_where=sa.text("operation_id != id"),
        postgresql_where=sa.text("operation_id != id"),
    )
    op.create_index(
        "ix_calls_session_id",
        "calls",
        ["session_id"],
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_table(
        "prices",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("canonical_slug", sa.Text()),
        sa.Column("alias_target", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("endpoint_tag", sa.Text()),
        sa.Column("service_tier", sa.Text()),
        sa.Column("valid_from_us", INSTANT, nullable=False),
        sa.Column("valid_until_us", INSTANT),
        sa.Column("prompt", sa.Text()),
        sa.Column("completion", sa.Text()),
        sa.Column("request", sa.Text()),
        sa.Column("image", sa.Text()),
        sa.Column("image_token", sa.Text()),
        sa.Column("image_output", sa.Text()),
        sa.Column("audio", sa.Text()),
        sa.Column("audio_output", sa.Text()),
        sa.Column("input_audio_cache", sa.Text()),
        sa.Column("web_search", sa.Text()),
        sa.Column("internal_reasoning", sa.Text()),
        sa.Column("input_cache_read", sa.Text()),
        sa.Column("input_cache_write", sa.Text()),
        sa.Column("input_cache_write_1h", sa.Text()),
        sa.Column("discount", sa.Text()),
        sa.Column("overrides", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("fetched_us", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
    )
    op.create_index("ix_prices_model", "prices", ["model"])
    op.create_table(
        "reconciliations",
        sa.Column("call_id", ID, nullable=False),
        sa.Column("asked_us", INSTANT, nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("total_picousd", sa.BigInteger()),
        sa.PrimaryKeyConstraint("call_id", name="pk_reconciliations"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contents",
        sa.Column("call_id", ID, nullable=False),
        sa.Column("request", sa.Text()),
        sa.Column("answer", sa.Text()),
        sa.Column("redacted", sa.Text()),
        sa.PrimaryKeyConstraint("call_id", name="pk_contents"),
    )
    op.create_table(
        "recorders",
        sa.Column("id", ID, nullable=False),
        sa.Column("began_us", INSTANT, nullable=False),
        sa.Column("last_seen_us", INSTANT, nullable=False),
        sa.Column("host", sa.Text()),
        sa.Column("pid", sa.Integer()),
        sa.Column("service_name", sa.Text()),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Text(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recorders"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "journal_dead",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("recorder_id", ID),
        sa.Column("set_aside_us", INSTANT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_journal_dead"),
    )
    create_call_log(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        op.execute(UUID7_FLOOR)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION uuid7_floor")
    op.execute("DROP VIEW call_log")
    for table in ("journal_dead", "recorders", "contents", "reconciliations", "prices", "calls"):
        op.drop_table(table)
