"""Whatever comes, in whatever order: the facts, the rows and the money agree, and nothing is bought or sold twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kept
from engine.domain import events as ev
from engine.domain.canonical import canonical
from engine.domain.commands import (
    Approve,
    CancelOrder,
    ClosePosition,
    HaltTrading,
    OpenTicket,
    Override,
    Reject,
    ResumeTrading,
)
from engine.domain.values import Policy, Side
from engine.state import KINDS, State
from tests.builders_journey import EXPIRIES, STRIKES, Desk
from tests.unit.journey.test_recovery import the_same
from tests.unit.journey.test_weighing import phase, trend

Act = Callable[[Desk], Any]

TIMEFRAMES = st.sampled_from(["3", "5", "15", "30", "60", "240", "240", "60"])
SIDES = st.sampled_from(["LONG", "LONG", "LONG", "SHORT"])
CONTRACTS = [
    f"SPY{expiry:%y%m%d}{right}{strike * 1000:08d}"
    for expiry in EXPIRIES
    for right in "CP"
    for strike in list(STRIKES)[3:8]
]


@st.composite
def signals(draw: st.DrawFn) -> Act:
    timeframe, side = draw(TIMEFRAMES), draw(SIDES)
    quality = draw(st.sampled_from(["HIGH", "EXTREME", "MEDIUM"]))
    late, contracts, stop = draw(st.sampled_from([0, 1, 90])), draw(st.integers(0, 6)), draw(st.sampled_from([3, 6]))

    def act(desk: Desk) -> None:
        spot = float(desk.market.spot)
        away = stop if side == "LONG" else -stop
        desk.signal(
            timeframe, side, quality=quality, late=late, contracts=contracts, stop=spot - away,
            target_1=spot + 2 * away, target_2=spot + 3 * away,
        )  # fmt: skip

    return act


@st.composite
def moves(draw: st.DrawFn) -> Act:
    seconds = draw(st.sampled_from([0.5, 1, 2, 30, 61, 600, 5400, 20000]))
    by, quoted = draw(st.integers(-8, 8)), draw(st.integers(0, 9)) > 0

    def act(desk: Desk) -> None:
        spot = min(max(desk.market.spot + by, Decimal(585)), Decimal(615))
        desk.wait(seconds, spot=spot, quotes=quoted)

    return act


@st.composite
def commands(draw: st.DrawFn) -> Act:
    pick = draw(st.integers(0, 11))
    number, quantity = draw(st.integers(0, 5)), draw(st.integers(1, 5))
    contract = draw(st.sampled_from(CONTRACTS))
    limit = draw(st.sampled_from([None, None, Decimal("0.50"), Decimal("3.00")]))

    def newest(rows: dict[str, Any]) -> str:
        keys = list(rows)
        return keys[-1 - number % len(keys)] if keys else "X1"

    def act(desk: Desk) -> None:
        state = desk.state
        board = state.boards.get("SPY")
        command: Any = [
            Approve(by="http", ticket=newest(state.tickets)),
            Approve(by="desk", ticket=newest(state.pending_tickets), quantity=quantity, reason="x"),
            Reject(by="http", ticket=newest(state.pending_tickets)),
            OpenTicket(by="x", contract=contract, quantity=quantity, limit=limit, reason="x", approve=number < 4),
            OpenTicket(by="x", contract=contract, quantity=quantity, reason="x", approve=True),
            ClosePosition(by="x", position=newest(state.open_positions)),
            ClosePosition(by="x", position=newest(state.positions), quantity=quantity),
            CancelOrder(by="x", order=newest(state.open_orders)),
            HaltTrading(by="x", flatten=number < 3),
            ResumeTrading(by="desk", reason="x"),
            ResumeTrading(by="desk", reason="x"),
            Override(by="x", decision=(board.decision_seq or 0) if board else 0, reason="x", quantity=quantity),
        ][pick]
        desk.command(command)

    return act


def bodies() -> st.SearchStrategy[Act]:
    def post(make: Callable[[Desk], Any]) -> Act:
        return lambda desk: desk.post(make(desk))

    return st.one_of(
        st.integers(0, 9).map(lambda n: post(lambda desk: phase(f"p{n}", "UPSIDE_POTENTIAL" if n % 3 else "NEUTRAL"))),
        st.sampled_from(["bullish", "bearish"]).map(lambda way: post(lambda desk: trend(desk, way))),
        st.just(post(lambda desk: {"ticker": "SPY", "action": "close"})),
        st.just(post(lambda desk: b"buy, please")),
    )


@st.composite
def sizes(draw: st.DrawFn) -> Act:
    size = draw(st.sampled_from([0, 1, 50, None]))
    spread = draw(st.sampled_from(["0.02", "0.02", "0.30"]))

    def act(desk: Desk) -> None:
        desk.market.size, desk.market.spread = size, Decimal(spread)

    return act


DAYS = st.lists(st.one_of(signals(), signals(), moves(), moves(), commands(), bodies(), sizes()), max_size=40)
ROOMY = {"account.cash": "200000", "risk.base_risk": "0.02", "risk.max_heat": "0.2", "risk.symbol_heat": "1"}


@given(acts=DAYS, policy=st.sampled_from(list(Policy)), restart=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_facts_rows_money_and_contracts_agree_after_any_day(acts: list[Act], policy: Policy, restart: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "KEPT", 5)
        asyncio.run(_live_through(acts, policy, restart))


async def _live_through(acts: list[Act], policy: Policy, restart: int) -> None:
    desk = Desk(ROOMY, policy=policy)
    for place, act in enumerate(acts):
        if place == restart:
            desk = await desk.again(after=1)
        act(desk)
        _never_oversold(desk.state)
    facts = [fact async for fact in desk.ledger.facts()]
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert [fact.at for fact in facts] == sorted(fact.at for fact in facts)

    rows = await desk.ledger.projections(KINDS)
    assert the_same(State.load(rows, desk.ledger.head.seq, desk.ledger.head.at), desk.state)
    rebuilt, folded = State(), dict[tuple[str, str], bytes]()
    for fact in facts:
        rebuilt.apply(fact)
        for change in rebuilt.drain():
            folded.pop((change.kind, change.key), None)
            if change.body is not None:
                folded[change.kind, change.key] = change.body
    assert folded == {(kind, key): body for kind, key, body in rows}
    assert the_same(rebuilt, desk.state)

    _money_is_conserved(desk, facts)
    _every_trigger_once(facts)
    _rows_are_bounded(desk.state)


def _never_oversold(state: State) -> None:
    for position in state.positions.values():
        assert 0 <= position.quantity == position.bought - position.sold
        closing = [
            order for order in state.open_orders.values() if order.side is Side.SELL and order.position == position.id
        ]
        assert len(closing) <= 1
        assert sum(order.remaining for order in closing) <= position.quantity


def _money_is_conserved(desk: Desk, facts: list[Any]) -> None:
    """Cash is what was begun with, less what was paid, plus what came in, less every fee; nothing is left over."""
    intents = {fact.order: fact for fact in facts if isinstance(fact, ev.OrderIntended)}
    cash, held, net = Decimal(ROOMY["account.cash"]), Counter[str](), Decimal(0)
    for fact in facts:
        if isinstance(fact, ev.OrderFilled):
            side, multiplier = intents[fact.order].side, intents[fact.order].contract.multiplier
            cash -= side.sign * fact.price * fact.quantity * multiplier + fact.fees
            held[fact.position] += side.sign * fact.quantity
        elif isinstance(fact, ev.ContractSettled):
            cash += fact.price * fact.quantity * fact.contract.multiplier - fact.fees
            held[fact.position] -= fact.quantity
        elif isinstance(fact, ev.PositionClosed):
            assert held[fact.position] == 0
            assert fact.net == fact.gross - fact.fees
            assert sum(fact.attribution.values()) == fact.gross
            net += fact.net
    assert min(held.values(), default=0) >= 0
    assert desk.state.account is not None
    assert desk.state.account.cash == cash
    open_now = {position.id: position.quantity for position in desk.state.open_positions.values()}
    assert open_now == {key: count for key, count in held.items() if count}
    if not open_now:
        assert cash == Decimal(ROOMY["account.cash"]) + net


def _every_trigger_once(facts: list[Any]) -> None:
    triggers = [
        fact.ticket.trigger for fact in facts if isinstance(fact, ev.TicketOpened) and fact.ticket.trigger is not None
    ]
    assert len(triggers) == len(set(triggers))
    executions = [fact.execution for fact in facts if isinstance(fact, ev.OrderFilled)]
    assert len(executions) == len(set(executions))


def _rows_are_bounded(state: State) -> None:
    board = sum(len(one.signals) for one in state.boards.values())
    assert len(state.positions) - len(state.open_positions) <= 5
    assert len(state.orders) - len(state.open_orders) <= 5
    assert len(state.heard) - len([row for row in state.heard.values() if not row.weighed]) <= 5
    finished = len(state.tickets) - len(state.pending_tickets)
    assert finished <= 5 + 1 + len(state.open_orders) + board


@given(acts=st.lists(st.one_of(signals(), moves(), commands(), bodies()), max_size=25))
@settings(max_examples=25, deadline=None)
def test_the_same_day_twice_is_the_same_ledger(acts: list[Act]) -> None:
    async def play() -> list[bytes]:
        desk = Desk(ROOMY)
        for act in acts:
            act(desk)
        return [canonical(fact) for fact in desk.player.facts]

    assert asyncio.run(play()) == asyncio.run(play())
