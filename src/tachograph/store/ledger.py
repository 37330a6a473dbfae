"""What became of every call, over all processes that recorded into a database.

Table `recorders` has what each process last wrote, the heads of the journals what has happened
since: made = stored + waiting + dropped holds for each of them, living or dead.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from tachograph.store.adoption import lock_if_dead
from tachograph.store.framing import COUNTERS, COUNTERS_AT, HEAD, HEAD_BYTES, MAGIC
from tachograph.store.schema import recorders
from tachograph.store.segment import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Engine


class Account(NamedTuple):
    """One recording process, or the sum of several."""

    made: int
    stored: int
    dropped: dict[str, int]
    """By reason."""
    living: bool = False

    @property
    def waiting(self) -> int:
        return self.made - self.stored - sum(self.dropped.values())


class JournalHead(NamedTuple):
    """What the head of a journal on disk tells without reading its records."""

    recorder_id: bytes
    made: int
    dropped: dict[str, int]
    size: int
    living: bool
    """Its process is alive."""


class Ledger(NamedTuple):
    """The accounts of all recording processes, by the ids of their recorders."""

    accounts: dict[bytes, Account]
    journal_bytes: int
    journals: int

    @property
    def total(self) -> Account:
        dropped: dict[str, int] = {}
        for account in self.accounts.values():
            for reason, number in account.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + number
        return Account(
            sum(account.made for account in self.accounts.values()),
            sum(account.stored for account in self.accounts.values()),
            dropped,
            any(account.living for account in self.accounts.values()),
        )


def read_ledger(engine: Engine, folder: Path | None) -> Ledger:
    """The ledger of a database and of the journals in its folder.

    The heads are read before the table: what a living process stores meanwhile can make fewer
    calls wait than it says, never more.
    """
    heads = read_heads(folder) if folder is not None else []
    accounts: dict[bytes, Account] = {}
    with engine.connect() as connection:
        for row in connection.execute(sa.select(recorders)):
            dropped = msgspec.json.decode(row.dropped, type=dict[str, int])
            accounts[row.id] = Account(row.made, row.stored, dropped)
    for head in heads:
        known = accounts.get(head.recorder_id, Account(0, 0, {}))
        accounts[head.recorder_id] = Account(
            max(known.made, head.made),
            known.stored,
            {**head.dropped, **known.dropped} if known.made >= head.made else head.dropped,
            known.living or head.living,
        )
    return Ledger(accounts, sum(head.size for head in heads), len(heads))


def read_heads(folder: Path) -> list[JournalHead]:
    """The heads of the journals in a folder."""
    heads = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except FileNotFoundError:  # its process has just finished with it
            continue
        if len(head) < HEAD_BYTES or head[: len(MAGIC)] != MAGIC:
            continue
        recorder_id = HEAD.unpack_from(head)[5]
        made, *dropped = struct.unpack_from(f"<{len(COUNTERS)}Q", head, COUNTERS_AT)
        by_reason = {r: n for r, n in zip(COUNTERS[1:], dropped, strict=True) if n}
        fd = lock_if_dead(path)
        if fd is not None:
            os.close(fd)
        heads.append(JournalHead(recorder_id, made, by_reason, size, fd is None))
    return heads
