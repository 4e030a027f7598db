"""Orders over a bad line, in any interleaving: sent, lost, filled, heard late and twice, cancelled, asked about, crashed.

What must hold at every moment is judged at the exchange: everything that could still be sold never exceeds what is held
there. What we believe is compared with the exchange once everything was heard or read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from engine.domain import events as ev
from engine.domain.commands import CancelOrder, ClosePosition, HaltTrading, OpenTicket, ResumeTrading
from engine.domain.entities import Order
from engine.domain.values import OrderState, Policy, Purpose, Side
from engine.ports import BrokerAway
from tests.builders_journey import Desk
from tests.fakes.far_broker import SETTLES, FarBroker

T = TypeVar("T")
CALLS = ("SPY261125C00600000", "SPY261125C00604000")
CASH = Decimal(1_000_000)
UNKNOWN = OrderState.UNKNOWN
place = st.integers(0, 7)
Moves = list[tuple[str, int]]
MOVES = ("arrive", "arrive", "fill", "part", "hear", "hear", "hear again", "close", "close one", "cancel")
moves = st.lists(st.tuples(st.sampled_from(MOVES), place), min_size=2, max_size=10)


class BadLine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def teardown(self) -> None:
        self.runner.close()

    def do(self, work: Callable[[], T]) -> T:
        async def inside() -> T:
            return work()

        return self.runner.run(inside())

    @initialize()
    def start(self) -> None:
        def made() -> Desk:
            free = {"account.cash": str(CASH), "risk.entries_per_second": "1000", "risk.entries_per_day": "100000"}
            free |= {"risk.max_positions": "1000", "risk.max_positions_symbol": "1000"}
            desk = Desk(free, policy=Policy.MANUAL, far=True)
            assert isinstance(desk.broker, FarBroker)
            return desk

        self.desk = self.do(made)
        self.meet()
        for contract in CALLS:
            self.enter(contract, 4)
        self.broker.arrive(2)
        for key in list(self.broker.exchange.orders):
            self.broker.fill(key, None, "2.00")
        while self.broker.words:
            self.broker.hear()
            self.do(self.desk.listen)

    @property
    def broker(self) -> FarBroker:
        assert isinstance(self.desk.broker, FarBroker)
        return self.desk.broker

    @property
    def open_orders(self) -> list[Order]:
        return list(self.desk.state.open_orders.values())

    def meet(self) -> None:
        self.broker.raise_line()
        self.do(self.desk.listen)
        self.read()

    def read(self) -> None:
        self.do(lambda: self.desk.reconcile(self.broker.books()))

    # --- ours ---------------------------------------------------------------------------------------------------------

    @rule(which=st.sampled_from(CALLS), quantity=st.integers(1, 4))
    def enter(self, which: str, quantity: int) -> None:
        command = OpenTicket(by="http", contract=which, quantity=quantity, reason="x", approve=True)
        self.do(lambda: self.desk.command(command))

    def close(self, which: int, part: int | None) -> None:
        held = list(self.desk.state.open_positions)
        if held:
            self.do(
                lambda: self.desk.command(ClosePosition(by="desk", position=held[which % len(held)], quantity=part))
            )

    def cancel(self, which: int) -> None:
        if self.open_orders:
            order = self.open_orders[-1 - which % len(self.open_orders)]
            self.do(lambda: self.desk.command(CancelOrder(by="desk", order=order.id)))

    @precondition(lambda self: self.open_orders)
    @rule(flatten=st.booleans())
    def halt(self, flatten: bool) -> None:
        self.do(lambda: self.desk.command(HaltTrading(by="desk", reason="x", flatten=flatten)))

    @precondition(lambda self: self.desk.state.halt is not None and self.desk.state.halt.latched)
    @rule()
    def resume(self) -> None:
        self.do(lambda: self.desk.command(ResumeTrading(by="desk", reason="x")))

    @rule(seconds=st.sampled_from([0.5, 3.0, SETTLES, 40.0]), vol=st.sampled_from([0.15, 0.2, 0.3]))
    def wait(self, seconds: float, vol: float) -> None:
        self.broker.arrive(len(self.broker.sent))  # nothing is on its way for longer than the port says
        self.do(lambda: self.desk.wait(seconds, vol=vol))

    # --- the line and the exchange ------------------------------------------------------------------------------------

    @rule(moves=moves)
    def traffic(self, moves: Moves) -> None:
        """What was sent arrives, is filled, and is heard: late, twice, in any order; and we go on asking for things."""
        for move, which in moves:
            match move:
                case "arrive":
                    self.broker.arrive()
                case "fill" | "part":
                    working = [key for key, booked in self.broker.exchange.orders.items() if booked.works]
                    if working:
                        self.broker.fill(working[-1 - which % len(working)], 1 if move == "part" else None, "2.00")
                case "hear" | "hear again":
                    self.broker.hear(which, keep=move == "hear again")
                    self.do(self.desk.listen)
                case "close" | "close one":
                    self.close(which, 1 if move == "close one" else None)
                case "cancel":
                    self.cancel(which)

    @rule(kind=st.sampled_from(["drop", "flicker", "crash", "crash on the way", "expire"]), which=place)
    def trouble(self, kind: str, which: int) -> None:
        if kind == "drop" and self.broker.up:
            self.broker.drop()
            self.do(self.desk.listen)
        elif kind == "flicker" and self.broker.up:
            # made anew, and nobody said that it had broken: what was on it is lost all the same
            self.broker.sent.clear()
            self.broker.words.clear()
            self.raise_line(data_lost=True)
        elif kind.startswith("crash"):
            self.crash(mid_flight=kind != "crash")
        elif kind == "expire":
            working = [key for key, booked in self.broker.exchange.orders.items() if booked.works]
            if working:
                self.broker.expire(working[which % len(working)])

    def crash(self, *, mid_flight: bool) -> None:
        """Our process dies. What it had put on the line may still arrive."""
        old = self.broker
        if mid_flight:
            old.arrive(len(old.sent))

        async def again() -> Desk:
            return await self.desk.again(after=1.0, broker=FarBroker(self.desk.clock, old.exchange))

        halt = self.desk.state.halt
        self.desk = self.runner.run(again())
        self.broker.clock = self.desk.clock
        assert self.desk.state.halt == halt
        assert not self.desk.journey.ready

    def raise_line(self, *, data_lost: bool) -> None:
        self.broker.raise_line(data_lost=data_lost)
        self.do(self.desk.listen)

    @rule(data_lost=st.booleans(), read=st.booleans())
    def recover(self, data_lost: bool, read: bool) -> None:
        if not self.broker.up:
            self.raise_line(data_lost=data_lost)
        if read:
            self.read()

    @rule(
        before=moves, between=st.tuples(moves, moves), after=moves, settled=st.booleans(),
        hidden=st.none() | st.sampled_from(["open_orders", "completed", "executions"]),
    )  # fmt: skip
    def ask(self, before: Moves, between: tuple[Moves, Moves], after: Moves, settled: bool, hidden: str | None) -> None:
        """The books part by part, and life goes on between the question, the parts and the answer. A part may be
        missing; or nobody answers."""
        self.traffic(before)
        if settled:
            self.wait(SETTLES, 0.2)
        asked = self.desk.journey.question(wanted=True)
        if asked is None:
            return
        try:
            books = replace(self.broker.books(), completed=None, executions=None)
            self.traffic(between[0])
            books = replace(books, completed=self.broker.books().completed)
            self.traffic(between[1])
            books = replace(books, executions=self.broker.books().executions)
        except BrokerAway:
            return
        if hidden is not None:
            books = replace(books, **{hidden: None})
        self.traffic(after[:3])
        self.do(lambda: self.desk.reconcile(books, asked))

    @precondition(lambda self: self.broker.up)
    @rule(
        entry=st.booleans(),
        part=st.none() | st.integers(1, 2),
        places=st.lists(place, min_size=4, max_size=4),
        ask=st.booleans(),
    )
    def race(self, entry: bool, part: int | None, places: list[int], ask: bool) -> None:
        """A fill and a cancel of one order meet at the exchange, are heard in any order, and at once more is wanted."""
        if entry:
            self.enter(CALLS[0], 3)
        else:
            self.close(0, part)
        self.broker.arrive(len(self.broker.sent))
        side = Side.BUY if entry else Side.SELL
        works = [k for k, booked in self.broker.exchange.orders.items() if booked.works and booked.order.side is side]
        if works:
            self.broker.fill(works[-1], 1, "2.00")
            self.do(lambda: self.desk.command(CancelOrder(by="desk", order=works[-1])))
            self.broker.arrive(len(self.broker.sent))
        for at in places:
            self.broker.hear(at)
            self.do(self.desk.listen)
        if ask:
            self.read()
        self.close(0, None)
        self.broker.arrive(len(self.broker.sent))

    @rule()
    def find_peace(self) -> None:
        """The line is up, everything is heard, the books are read twice with time between: then we agree."""
        if not self.broker.up:
            self.raise_line(data_lost=False)
        for _ in range(3):
            while self.broker.sent or self.broker.words:
                self.broker.arrive(len(self.broker.sent))
                self.broker.hear()
                self.do(self.desk.listen)
            self.wait(SETTLES, 0.2)
            self.broker.arrive(len(self.broker.sent))
            self.read()
        self.broker.arrive(len(self.broker.sent))
        self.we_agree()

    def we_agree(self) -> None:
        state, exchange = self.desk.state, self.broker.exchange
        assert self.desk.journey.ready
        assert state.account is not None
        theirs = CASH - sum(e.side.sign * e.price * e.quantity * 100 + e.fees for e in exchange.executions)
        assert state.account.cash == theirs
        for contract in CALLS:
            held = sum(p.quantity for p in state.open_positions.values() if p.contract.osi == contract)
            assert held == exchange.net(contract)
        for key, booked in exchange.orders.items():
            assert state.orders[key].filled == booked.filled
            assert state.orders[key].state is not UNKNOWN or booked.works
        assert state.link is not None
        assert not state.link.foreign

    # --- at every moment ----------------------------------------------------------------------------------------------

    @invariant()
    def what_could_be_sold_is_held(self) -> None:
        exchange = self.broker.exchange
        on_the_line = [of for _, what, of, _ in self.broker.sent if what == "submit" and isinstance(of, Order)]
        for contract in CALLS:
            works = sum(
                booked.remaining
                for booked in exchange.orders.values()
                if booked.works and booked.order.side is Side.SELL and booked.order.contract.osi == contract
            )
            comes = sum(
                order.quantity
                for order in on_the_line
                if order.side is Side.SELL and order.contract.osi == contract and order.id not in exchange.orders
            )
            assert works + comes <= exchange.net(contract)

    @invariant()
    def cash_is_what_the_executions_made(self) -> None:
        state = self.desk.state
        by_id = {e.execution: e for e in self.broker.exchange.executions}
        cash, seen = CASH, set[str]()
        for order in state.orders.values():
            mine = [by_id[execution] for execution in order.executions]
            assert all(e.order == order.id for e in mine)
            assert order.filled == sum(e.quantity for e in mine) <= order.quantity
            cash -= sum(e.side.sign * e.price * e.quantity * 100 + e.fees for e in mine)
            assert not seen & set(order.executions)
            seen |= set(order.executions)
        assert state.account is not None
        assert state.account.cash == cash

    @invariant()
    def nothing_is_handed_over_twice_or_without_a_ready_line(self) -> None:
        assert len(self.broker.handed) == len(set(self.broker.handed))
        assert not self.desk.facts(ev.ForeignExecutionSeen)

    @invariant()
    def a_halt_leaves_no_entry_alone(self) -> None:
        halt = self.desk.state.halt
        if halt is not None and halt.latched:
            waiting = [o for o in self.open_orders if o.purpose is Purpose.ENTRY and o.created > halt.since]
            assert not waiting


TestBadLine = BadLine.TestCase
TestBadLine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
