"""UUIDv7 whose order is the order of microseconds, so that the id is the index on time.

RFC 9562 section 6.2, method 3: the 12 bits behind the millisecond hold the fraction of it. The
rest is from the operating system, which no seed and no fork can repeat.
"""

from __future__ import annotations

import hashlib
import os

_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)
_RANDOM_BITS = (1 << 62) - 1


# Drawn in advance, since a system call for each id would cost the caller more than all the rest
# of making it. A forked child draws anew.
_pool: list[int] = []
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_pool.clear)


def uuid7(started_us: int) -> bytes:
    """A new id, 16 bytes, of something that began at this microsecond since 1970 UTC."""
    try:
        random = _pool.pop()
    except IndexError:
        _pool.extend(memoryview(os.urandom(8 * 256)).cast("Q"))
        random = int.from_bytes(os.urandom(8))
    return (_time_bits(started_us) | _VERSION_AND_VARIANT | random & _RANDOM_BITS).to_bytes(16)


def uuid7_of(name: str, started_us: int) -> bytes:
    """The one id of what has this name elsewhere and began at this microsecond.

    A hash of the name stands in the place of the random bits.
    """
    hashed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    return (_time_bits(started_us) | _VERSION_AND_VARIANT | hashed & _RANDOM_BITS).to_bytes(16)


def uuid7_floor(instant_us: int) -> bytes:
    """The smallest id of that microsecond: `id >= uuid7_floor(t)` is `started_us >= t`."""
    return (_time_bits(max(instant_us, 0)) | _VERSION_AND_VARIANT).to_bytes(16)


def _time_bits(instant_us: int) -> int:
    milliseconds, microseconds = divmod(instant_us, 1000)
    # 4096 steps for 1000 microseconds, rounded up: no two microseconds share one
    return (milliseconds << 80) | (-(microseconds * -4096 // 1000) << 64)
