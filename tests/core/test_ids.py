"""The order of ids is the order of time: everything that selects by time relies on it."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.ids import uuid7, uuid7_floor

instants = st.integers(0, 2**47 * 1000)


@given(instants)
def test_an_id_is_a_uuid_of_version_7(started_us: int) -> None:
    made = UUID(bytes=uuid7(started_us))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == started_us // 1000


@given(instants, instants)
def test_ids_compare_with_the_floor_of_an_instant_as_their_times_do(
    started_us: int, instant_us: int
) -> None:
    assert (uuid7(started_us) >= uuid7_floor(instant_us)) == (started_us >= instant_us)


def test_ids_of_one_microsecond_differ() -> None:
    assert len({uuid7(1_795_000_000_000_000) for _ in range(10_000)}) == 10_000
