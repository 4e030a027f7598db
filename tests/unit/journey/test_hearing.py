"""Hear: one receipt, one durable fact, whatever the body says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.domain import events as ev
from engine.journey.hearing import Known, known_from, own_time
from engine.state import State
from tests.builders_journey import Desk
from tests.builders_trading import NOON

EXIT_NOTICE = {"ticker": "SPY", "action": "close"}


async def test_a_body_that_is_understood_is_kept_before_anything_is_decided() -> None:
    desk = Desk()
    fact = desk.hear(desk.body(late=2))
    assert isinstance(fact, ev.SignalReceived)
    assert (fact.late, fact.receipt.kind, fact.receipt.remote) == (2.0, "signal", "test")
    row = desk.state.heard[fact.seq]
    assert (row.text, row.outcome, row.weighed) == ("SPY 1H LONG HIGH", "", False)
    assert desk.journey.unweighed() == [fact.seq]
    assert desk.kinds(after=3) == ["SignalReceived"]


async def test_a_body_that_says_nothing_is_kept_with_its_refusal_and_never_weighed() -> None:
    desk = Desk()
    fact = desk.hear(b"buy SPY please")
    assert isinstance(fact, ev.ReceiptRefused)
    assert fact.status == 400
    assert desk.state.heard[fact.seq].weighed
    assert desk.state.heard[fact.seq].outcome.startswith(fact.refusal.code.value)


async def test_the_same_signal_again_is_a_duplicate_however_late_it_comes() -> None:
    desk = Desk()
    body = desk.body()
    first = desk.post(body)
    desk.wait(3600)
    again = desk.hear(body)
    assert isinstance(again, ev.DuplicateReceived)
    assert (again.original, again.cause) == (first.seq, first.seq)
    row = desk.state.heard[again.seq]
    assert (row.outcome, row.text, row.weighed) == ("duplicate", "SPY 1H LONG HIGH", True)
    assert row.decision == desk.state.heard[first.seq].decision


async def test_a_body_without_a_time_of_its_own_is_a_duplicate_for_a_minute_only() -> None:
    desk = Desk()
    first = desk.post(EXIT_NOTICE)
    desk.wait(60)
    assert isinstance(desk.post(EXIT_NOTICE), ev.DuplicateReceived)
    desk.wait(0.001)
    second = desk.post(EXIT_NOTICE)
    assert isinstance(second, ev.ExitNoticeReceived)
    desk.wait(59)
    third = desk.post(EXIT_NOTICE)
    assert isinstance(third, ev.DuplicateReceived)
    assert (third.original, second.seq > first.seq) == (second.seq, True)


async def test_bodies_that_no_longer_count_are_forgotten() -> None:
    desk = Desk()
    for number in range(5):
        desk.post({**EXIT_NOTICE, "note": str(number)})
        desk.wait(30)
    assert len(desk.journey.known.recent) == 3


async def test_duplicates_are_known_after_a_restart() -> None:
    desk = Desk()
    body = desk.body()
    desk.post(body)
    desk.post(EXIT_NOTICE)
    desk.wait(61)
    notice = desk.post(EXIT_NOTICE)
    later = await desk.again(after=30)
    assert isinstance(later.post(body), ev.DuplicateReceived)
    told = later.post(EXIT_NOTICE)
    assert isinstance(told, ev.DuplicateReceived)
    assert told.original == notice.seq
    later.wait(31)
    assert isinstance(later.post(EXIT_NOTICE), ev.ExitNoticeReceived)


def test_of_two_receipts_of_one_body_the_newer_is_known_in_whatever_order_the_keys_come() -> None:
    desk_state = State()
    heard = {
        seq: ev.ExitNoticeReceived(
            seq=seq,
            at=NOON + timedelta(seconds=seq),
            receipt=ev.Receipt(key="sha256:ab", kind="exit", raw="", sha256="ab", wall=NOON),
            notice=None,  # type: ignore[arg-type]  # only its place matters here
        )
        for seq in (4, 9)
    }
    for seq, fact in heard.items():
        desk_state.heard[seq] = ev_row(fact)
    known = known_from({"sha256:ab@9": 9, "sha256:ab@4": 4, "phase:7": 2, "sha256:gone@1": 1}, desk_state)
    assert known == Known(keys={"phase:7": 2}, recent={"sha256:ab": (9, NOON + timedelta(seconds=9))})


@pytest.mark.parametrize(
    ("key", "time"),
    [
        ("signal:SPY:60:LONG:2026-11-20T15:00:00+00:00", datetime(2026, 11, 20, 15, tzinfo=UTC)),
        ("trend:BRK.B:2026-11-20T15:00:00.123456+00:00", datetime(2026, 11, 20, 15, 0, 0, 123456, UTC)),
        ("exit:SPY:::2026-11-20T10:00:00-05:00", datetime(2026, 11, 20, 15, tzinfo=UTC)),
        ("phase:77", None),
        ("phase:2026-11-20T15:00:00", None),
        ("phase:2026-99-20T15:00:00Z", None),
        ("", None),
    ],
)
def test_the_senders_own_time_stands_in_the_key(key: str, time: datetime | None) -> None:
    assert own_time(key) == time


@pytest.mark.parametrize(
    ("minutes", "unsure"),
    [(-1, True), (59, True), (60, False), (24 * 60, False), (49 * 60, False), (49 * 60 + 1, True)],
)
async def test_only_a_receipt_whose_time_is_old_or_ahead_may_repeat_a_forgotten_one(minutes: int, unsure: bool) -> None:
    """Remembered since two days ago; a sender's clock may be an hour ahead."""
    desk = Desk(start=NOON + timedelta(minutes=minutes))
    heard = desk.understood(desk.body())
    wall = NOON + timedelta(days=2)
    assert Known(since=NOON).unsure(heard, wall) is unsure
    assert not Known().unsure(heard, wall), "everything is remembered"
    assert not Known(since=NOON, keys={heard.key: 1}).unsure(heard, wall), "this one is"
    assert not Known(since=NOON).unsure(desk.understood(EXIT_NOTICE), wall), "known for a minute only"
    assert not Known(since=NOON).unsure(desk.understood(b"?"), wall)


def ev_row(fact: ev.ExitNoticeReceived):  # type: ignore[no-untyped-def]
    from engine.domain.entities import Heard

    return Heard(seq=fact.seq, at=fact.at, kind="exit", symbol="SPY", text="", outcome="", weighed=True)


async def test_a_receipt_at_a_moment_the_ledger_has_passed_takes_the_ledgers_time() -> None:
    desk = Desk()
    desk.wait(10)
    desk.player.perform(lambda step: step.emit(ev.EngineStopped, reason="later"))
    early = desk.journey.step()
    early.now = NOON
    fact = early.emit(ev.EngineStopped, reason="earlier")
    assert fact.at == desk.now
