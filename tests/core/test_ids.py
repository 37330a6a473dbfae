"""The order of ids is the order of time: everything that selects by time relies on it."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.ids import uuid7, uuid7_floor, uuid7_of

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


@given(names=st.lists(st.text(), min_size=2, max_size=2, unique=True), at=instants)
def test_the_id_of_a_name_is_one_and_of_its_time(names: list[str], at: int) -> None:
    ids = [uuid7_of(name, at) for name in names]
    assert ids == [uuid7_of(name, at) for name in names]
    assert ids[0] != ids[1]
    assert all(uuid7_floor(at) <= id_ < uuid7_floor(at + 1) for id_ in ids)
