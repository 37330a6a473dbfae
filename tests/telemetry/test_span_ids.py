"""A parent is the same after it was kept as bytes, a number and a text."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from tachograph.core.records import Call
from tachograph.core.trace_flags import is_foreign
from tachograph.telemetry.span_ids import FixedIds, SpanIds, new_ids, parent_of


def test_the_ids_are_fields_of_a_call_in_its_order() -> None:
    fields = Call.__struct_fields__
    begin = fields.index("trace_id")
    assert fields[begin : begin + 5] == SpanIds.__struct_fields__


_VALUE = string.ascii_letters + string.digits + "_-:;@"

parents = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 255).map(TraceFlags),
    trace_state=st.dictionaries(
        st.text(string.ascii_lowercase, min_size=1, max_size=8),
        st.text(_VALUE, min_size=1, max_size=8),
        max_size=4,
    ).map(lambda pairs: TraceState(list(pairs.items()))),
)


@given(parents)
def test_a_parent_comes_back_whole(parent: SpanContext) -> None:
    ids = new_ids(FixedIds(RandomIdGenerator()), parent, None)
    assert ids.parent_span_id is not None
    again = parent_of(
        ids.trace_id, ids.parent_span_id, ids.trace_flags, ids.tracestate
    ).get_span_context()
    assert again == parent
    assert again.is_remote == parent.is_remote
    assert again.trace_state == parent.trace_state
    assert not is_foreign(ids.trace_flags)
