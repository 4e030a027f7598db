"""The ledger in memory, taken away and brought back."""

from __future__ import annotations

import pytest

from engine.ports import LedgerAway
from storage.memory import MemoryLedger
from storage.rows import link
from tests.storage.builders import rejected, row


async def test_what_is_appended_while_it_is_away_waits_and_is_written_in_order() -> None:
    ledger = MemoryLedger()
    await ledger.append([rejected(1)], [row("a", "1")], {"k1": 1})
    ledger.hold(True)
    waiting = [ledger.append([rejected(seq)], [row("a", str(seq))], {}) for seq in (2, 3)]
    assert not ledger.available
    assert not any(future.done() for future in waiting)
    assert ledger.head.seq == 1
    for read in (ledger.projections(["order"]), ledger.keys(0), ledger.story(1), anext(aiter(ledger.facts()))):
        with pytest.raises(LedgerAway):
            await read
    ledger.hold(False)
    assert all(future.done() for future in waiting)
    assert ledger.head.seq == 3
    assert await ledger.projections(["order"]) == [("order", "a", b"3")]


async def test_its_rows_are_what_the_real_table_would_hold() -> None:
    ledger = MemoryLedger()
    impatient = ledger.append([], [], {})
    impatient.cancel()
    await ledger.append([rejected(1), rejected(2, cause=1)], [], {})
    digest = bytes(32)
    for stored in ledger.rows:
        assert stored.prev_hash == digest
        digest = link(digest, stored.body.encode())
        assert stored.hash == digest


async def test_someone_who_stops_waiting_does_not_disturb_it() -> None:
    ledger = MemoryLedger()
    ledger.hold(True)
    ledger.append([rejected(1)], [], {}).cancel()
    ledger.hold(False)
    assert ledger.head.seq == 1
