"""The fold and what it keeps: bounded rows, never one too few for what still goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.domain import events as ev
from engine.domain.entities import Heard, SymbolBoard
from engine.domain.values import (
    Code,
    Direction,
    ExitAction,
    ExitReason,
    OrderType,
    Priority,
    Purpose,
    Side,
    TicketState,
    TimeInForce,
    refuse,
)
from engine.kept import KEPT
from engine.state import State, heard_row
from tests.builders_trading import NOON, WEEKLY, quote, seconds, ticket

CASH = Decimal("100000.00")


class Folding:
    """A state and the next fact's place."""

    def __init__(self) -> None:
        self.state = State()
        self.tell(ev.AccountOpened, cash=CASH)

    def tell(self, kind: type[ev.Fact], **fields: object) -> ev.AnyFact:
        seq = self.state.last_seq + 1
        fact = kind(seq=seq, at=NOON + seconds(seq), **fields)  # type: ignore[arg-type]
        self.state.apply(fact)  # type: ignore[arg-type]
        return fact  # type: ignore[return-value]

    def opened(self, **fields: object) -> str:
        name = f"T{self.state.last_seq + 1}"
        self.tell(ev.TicketOpened, ticket=ticket(id=name, **{"trigger": None, "decision": None, **fields}))
        return name

    def approved(self, name: str) -> None:
        self.tell(ev.TicketApproved, ticket=name, by="x", quantity=2, limit=Decimal("2.04"), quote=quote("2", "2.04"))

    def intended(self, name: str) -> str:
        order = f"O{self.state.last_seq + 1}"
        self.tell(
            ev.OrderIntended, order=order, contract=WEEKLY, side=Side.BUY, quantity=2, type=OrderType.MARKETABLE,
            limit=Decimal("2.04"), tif=TimeInForce.DAY, purpose=Purpose.ENTRY, ticket=name,
        )  # fmt: skip
        return order

    def many(self, count: int = KEPT + 1) -> None:
        """So many tickets that are over at once."""
        for _ in range(count):
            self.tell(ev.TicketRejected, ticket=self.opened(), by="x")


def test_a_gap_in_the_facts_is_an_error() -> None:
    folding = Folding()
    with pytest.raises(ValueError, match="fact 7 does not follow 1"):
        folding.state.apply(ev.EngineStopped(seq=7, at=NOON, reason="x"))


def test_a_fact_about_nothing_that_is_kept_only_moves_the_place() -> None:
    folding = Folding()
    folding.state.drain()
    folding.tell(ev.EngineStopped, reason="x")
    assert (folding.state.last_seq, folding.state.drain()) == (2, [])


def test_a_drain_has_each_touched_row_once_in_the_order_of_the_last_touch() -> None:
    folding = Folding()
    first, second = folding.opened(), folding.opened()
    folding.tell(ev.TicketRejected, ticket=first, by="x")
    assert [(c.kind, c.key) for c in folding.state.drain()] == [
        ("account", "paper"),
        ("ticket", second),
        ("ticket", first),
    ]
    assert folding.state.drain() == []


def test_finished_rows_are_bounded_and_what_is_dropped_is_removed() -> None:
    folding = Folding()
    first = folding.opened()
    folding.many()
    folding.state.drain()
    folding.tell(ev.TicketRejected, ticket=first, by="x")
    folding.many(1)
    assert len(folding.state.tickets) == KEPT
    assert first not in folding.state.tickets
    gone = [change.key for change in folding.state.drain() if change.body is None]
    assert first in gone


def test_what_goes_on_is_never_dropped() -> None:
    folding = Folding()
    waiting = folding.opened()
    folding.many()
    assert folding.state.tickets[waiting].state is TicketState.PENDING


def test_the_ticket_of_an_open_order_is_kept_until_the_order_is_over() -> None:
    folding = Folding()
    name = folding.opened()
    folding.many()
    folding.approved(name)
    order = folding.intended(name)
    folding.many()
    assert name in folding.state.tickets
    folding.tell(ev.OrderCancelled, order=order, reason="x")
    folding.many(2)
    assert name not in folding.state.tickets
    assert len(folding.state.tickets) == KEPT


def test_the_ticket_of_an_active_trigger_is_kept_so_that_it_never_makes_another() -> None:
    from engine.domain.signals import ActiveSignal
    from tests.unit.decision.builders import signal

    folding = Folding()
    active = ActiveSignal(source=2, signal=signal("60"), received=NOON, expires=NOON + timedelta(hours=2))
    folding.tell(ev.SignalPlaced, active=active)
    name = folding.opened(trigger=2, symbol=active.signal.symbol)
    folding.tell(ev.TicketRejected, ticket=name, by="x")
    folding.many()
    assert name in folding.state.tickets
    folding.tell(ev.InputsExpired, symbol=active.signal.symbol, signals=(2,))
    folding.many(1)
    assert name not in folding.state.tickets


def test_a_closed_position_that_a_late_fill_opens_again_is_not_dropped() -> None:
    folding = Folding()
    entry = folding.intended(folding.opened())

    def filled(order: str, execution: str, position: str) -> None:
        folding.tell(
            ev.OrderFilled, order=order, execution=execution, quantity=1, price=Decimal(2), fees=Decimal(1),
            slippage=Decimal(0), quote=quote("2", "2.04"), underlying=Decimal(600), position=position,
        )  # fmt: skip

    def closed(position: str) -> None:
        folding.tell(
            ev.PositionClosed, position=position, reason=ExitReason.MANUAL, gross=Decimal(0), fees=Decimal(2), net=Decimal(-2),
            r=Decimal(0), average_exit=Decimal(2), held_seconds=1.0, best=Decimal(2), worst=Decimal(2), attribution={},
        )  # fmt: skip

    def sold(position: str, execution: str) -> None:
        exit_ = f"O{folding.state.last_seq + 1}"
        folding.tell(
            ev.OrderIntended, order=exit_, contract=WEEKLY, side=Side.SELL, quantity=1, type=OrderType.MARKETABLE,
            limit=Decimal(1), tif=TimeInForce.DAY, purpose=Purpose.EXIT, position=position,
        )  # fmt: skip
        filled(exit_, execution, position)

    position = f"P{folding.state.last_seq + 1}"
    filled(entry, "a", position)
    sold(position, "b")
    closed(position)
    assert folding.state.open_positions == {}
    filled(entry, "c", position)
    assert list(folding.state.open_positions) == [position]
    for _ in range(KEPT + 1):
        other = folding.intended(folding.opened())
        name = f"P{folding.state.last_seq + 1}"
        filled(other, f"{name}a", name)
        sold(name, f"{name}b")
        closed(name)
    assert folding.state.positions[position].quantity == 1
    assert len(folding.state.positions) == KEPT + 1


def test_a_late_fill_after_the_close_is_booked_once_and_only_by_what_it_adds() -> None:
    folding = Folding()
    entry = folding.intended(folding.opened())
    position = f"P{folding.state.last_seq + 1}"

    def filled(order: str, execution: str, price: str) -> None:
        folding.tell(
            ev.OrderFilled, order=order, execution=execution, quantity=1, price=Decimal(price), fees=Decimal(0),
            slippage=Decimal(0), quote=quote("2", "2.04"), underlying=Decimal(600), position=position,
        )  # fmt: skip

    def sold_out(execution: str, net: str, r: str) -> None:
        exit_ = f"O{folding.state.last_seq + 1}"
        folding.tell(
            ev.OrderIntended, order=exit_, contract=WEEKLY, side=Side.SELL, quantity=1, type=OrderType.MARKETABLE,
            limit=Decimal(1), tif=TimeInForce.DAY, purpose=Purpose.EXIT, position=position,
        )  # fmt: skip
        filled(exit_, execution, "1")
        folding.tell(
            ev.PositionClosed, position=position, reason=ExitReason.STOP_LOSS, gross=Decimal(net), fees=Decimal(0),
            net=Decimal(net), r=Decimal(r), average_exit=Decimal(1), held_seconds=1.0, best=Decimal(2),
            worst=Decimal(1), attribution={},
        )  # fmt: skip

    filled(entry, "a", "2")
    sold_out("b", "-100", "-0.95")
    filled(entry, "c", "2")
    sold_out("d", "-200", "-0.95")
    account = folding.state.account
    assert account is not None
    assert (account.realised_today, account.loss_streak) == (Decimal(-200), 1)
    assert account.cash == CASH - 200


def test_a_stop_out_the_other_way_leaves_the_first_ones_time_standing() -> None:
    folding = Folding()
    stopped: dict[Direction, datetime] = {}
    for way in (Direction.LONG, Direction.SHORT):
        entry = folding.intended(folding.opened(direction=way))
        position = f"P{folding.state.last_seq + 1}"
        folding.tell(
            ev.OrderFilled, order=entry, execution=position, quantity=2, price=Decimal(2), fees=Decimal(0),
            slippage=Decimal(0), quote=quote("2", "2.04"), underlying=Decimal(600), position=position,
        )  # fmt: skip
        stopped[way] = folding.tell(
            ev.ExitTriggered, position=position, rule="stop", reason=ExitReason.STOP_LOSS, priority=Priority.CRITICAL,
            action=ExitAction.CLOSE, quantity=2, numbers={},
        ).at  # fmt: skip
    board = folding.state.boards["SPY"]
    assert {way: board.stopped(way) for way in stopped} == stopped
    old = SymbolBoard(symbol="SPY", stopped_out=NOON, stopped_direction=Direction.LONG)
    assert (old.stopped(Direction.LONG), old.stopped(Direction.SHORT)) == (NOON, None)


def test_rows_are_loaded_in_the_order_of_birth_whatever_their_order() -> None:
    folding = Folding()
    names = [folding.opened() for _ in range(12)]
    rows = [(c.kind, c.key, c.body or b"") for c in reversed(folding.state.drain())]
    loaded = State.load(rows, folding.state.last_seq, folding.state.last_at)
    assert list(loaded.tickets) == names
    assert loaded.drain() == []


def test_a_second_halt_only_adds_what_it_asks_for() -> None:
    folding = Folding()
    folding.tell(ev.TradingHalted, by="engine", reason="drawdown")
    folding.tell(ev.TradingHalted, by="desk", reason="out", flatten=True)
    folding.tell(ev.TradingHalted, by="http", reason="again")
    halt = folding.state.halt
    assert halt is not None
    assert (halt.by, halt.reason, halt.flatten) == ("engine", "drawdown", True)
    folding.tell(ev.TradingResumed, by="desk", reason="calm")
    assert folding.state.halt is not None
    assert (folding.state.halt.latched, folding.state.halt.flatten) == (False, False)


def test_an_outcome_of_a_receipt_that_is_no_longer_kept_is_nobodys() -> None:
    folding = Folding()
    folding.tell(ev.EntryDenied, symbol="SPY", decision=None, trigger=77, refusal=refuse(Code.HALTED), stage="risk")
    folding.tell(ev.EntryDenied, symbol="SPY", decision=None, trigger=None, refusal=refuse(Code.HALTED), stage="risk")
    assert folding.state.heard == {}


def test_a_denial_at_approval_ends_its_ticket_if_it_is_still_kept() -> None:
    folding = Folding()
    name = folding.opened()
    refusal = refuse(Code.STALE_QUOTE, age="9s")
    for one in (name, "T99"):
        folding.tell(
            ev.EntryDenied, symbol="SPY", decision=None, trigger=None, refusal=refusal, stage="approval", ticket=one
        )
    assert folding.state.tickets[name].state is TicketState.DENIED
    assert folding.state.tickets[name].reason == "STALE_QUOTE age=9s"


def test_a_duplicate_of_a_receipt_that_is_no_longer_kept_is_named_by_its_kind() -> None:
    folding = Folding()
    receipt = ev.Receipt(key="k", kind="trend", raw="", sha256="", wall=NOON)
    fact = folding.tell(ev.DuplicateReceived, receipt=receipt, original=88)
    row = folding.state.heard[fact.seq]
    assert (row.symbol, row.text, row.decision) == ("", "trend", None)


def test_each_kind_of_receipt_has_its_words() -> None:
    from engine.domain.signals import ExitNotice
    from tests.unit.decision.builders import phase, signal, trend

    receipt = ev.Receipt(key="k", kind="signal", raw="", sha256="", wall=NOON)
    common = {"seq": 4, "at": NOON, "receipt": receipt}
    notice = ExitNotice(symbol="SPY", timeframe=None, direction=None, said="flat")
    rows = [
        heard_row(ev.SignalReceived(signal=signal("60"), late=0.0, **common)),  # type: ignore[arg-type]
        heard_row(ev.PhaseReceived(phase=phase(), **common)),  # type: ignore[arg-type]
        heard_row(ev.TrendReceived(trend=trend(), **common)),  # type: ignore[arg-type]
        heard_row(ev.ExitNoticeReceived(notice=notice, **common)),  # type: ignore[arg-type]
    ]
    assert all(isinstance(row, Heard) and row.outcome == "" and not row.weighed for row in rows)
    assert rows[0].text == "SPY 1H LONG MEDIUM"
    assert rows[2].text == "SPY trend"
    assert rows[3].text == "SPY exit: flat"


def test_orders_are_loaded_with_what_they_are() -> None:
    folding = Folding()
    order = folding.intended(folding.opened())
    rows = [(c.kind, c.key, c.body or b"") for c in folding.state.drain()]
    loaded = State.load(rows, folding.state.last_seq, None)
    assert loaded.orders[order] == folding.state.orders[order]
    assert loaded.open_orders == folding.state.open_orders
    assert replace(loaded.orders[order], limit=None) != loaded.orders[order]
