"""Money is neither made nor lost by counting it; and nothing ever sells more than is held."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from engine.clock import SetClock
from engine.domain.entities import Account, Order, Position
from engine.domain.events import (
    ContractSettled,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    PositionMarked,
)
from engine.domain.marketable import marketable_limit
from engine.domain.values import ExitReason, Greeks, OrderState, OrderType, Quote, Side, money
from engine.orders.fees import us_option_fees
from engine.orders.guard import closing_allowed, half_of
from engine.orders.oms import is_news, order_after
from engine.orders.paper import PaperBroker
from engine.portfolio.account import account_after_fill, account_after_settlement, equity
from engine.portfolio.attribution import (
    attribution_after_buy,
    attribution_after_mark,
    attribution_after_sell,
    attribution_after_settlement,
    closing,
)
from engine.portfolio.positions import position_after_buy, position_after_sell, position_after_settlement
from engine.portfolio.settlement import settle
from engine.ports import Accepted, BrokerReport, BrokerWord, Cancelled, Expired, Filled, Rejected
from engine.settings import Settings
from tests.builders_trading import CALENDAR, NOON, WEEKLY, HandQuotes, filled, order, seconds, ticket

cents = st.integers(1, 5000).map(lambda number: Decimal(number) / 100)
START = Decimal("100000.00")


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False).map(lambda number: round(number, 6))


greeks = st.none() | st.builds(
    Greeks,
    iv=floats(0.01, 3),
    delta=floats(-1, 1),
    gamma=floats(0, 1),
    vega=floats(0, 2),
    theta=floats(-20, 0),
    rho=floats(-2, 2),
)
spots = st.none() | st.integers(55_000, 65_000).map(lambda number: Decimal(number) / 100)


@given(
    buys=st.lists(st.tuples(st.integers(1, 40), cents, cents, spots, greeks), min_size=1, max_size=6),
    sells=st.lists(st.tuples(st.integers(1, 40), cents, cents, spots, greeks, st.booleans()), max_size=8),
    close=spots,
)
def test_cash_positions_and_fees_reconcile_to_the_cent(
    buys: list[tuple[int, Decimal, Decimal, Decimal | None, Greeks | None]],
    sells: list[tuple[int, Decimal, Decimal, Decimal | None, Greeks | None, bool]],
    close: Decimal | None,
) -> None:
    account = Account(cash=START, peak_equity=START, prior_equity=START)
    held: Position | None = None
    parts = None
    spent = received = charged = Decimal(0)
    at = NOON
    for number, (quantity, price, fee, spot, known) in enumerate(buys):
        at += seconds(30)
        fact = replace(filled(quantity, price, fees=fee, at=at, execution=f"b{number}"), underlying=spot, greeks=known)
        account = account_after_fill(account, fact, order(Side.BUY, quantity))
        held = position_after_buy(held, fact, ticket(400))
        parts = attribution_after_buy(parts, fact)
        spent += price * quantity * 100
        charged += fee
    assert held is not None
    assert parts is not None
    for number, (wanted, price, fee, spot, known, marked) in enumerate(sells):
        quantity = min(wanted, held.quantity)
        if quantity == 0:
            break
        at += seconds(30)
        if marked:
            mark = PositionMarked(
                seq=1, at=at, position="P9", mark=price, bid=None, ask=None, underlying=spot, greeks=known,
                unrealised=Decimal(0), best=price, worst=price, armed=False,
            )  # fmt: skip
            parts = attribution_after_mark(parts, mark)
        fact = replace(filled(quantity, price, fees=fee, at=at, execution=f"s{number}"), underlying=spot, greeks=known)
        account = account_after_fill(account, fact, order(Side.SELL, quantity))
        held = position_after_sell(held, fact, order(Side.SELL, quantity, exit_reason=ExitReason.STOP_LOSS))
        parts = attribution_after_sell(parts, fact)
        received += price * quantity * 100
        charged += fee
    if held.quantity:
        official = close if close is not None else Decimal(600)
        paid = settle(held, official)
        settled = ContractSettled(
            seq=1, at=at + timedelta(days=1), position="P9", contract=WEEKLY, quantity=held.quantity,
            settlement=official, price=paid.price, fees=paid.fees,
        )  # fmt: skip
        received += paid.price * held.quantity * 100
        account = account_after_settlement(account, settled)
        held = position_after_settlement(held, settled)
        parts = attribution_after_settlement(parts, settled)
    assert held.quantity == 0
    assert account.cash == START - spent + received - charged
    assert equity(account, [held], {}) == account.cash
    done = closing(replace(held, attribution=parts))
    assert done.gross == money(received - spent)
    assert done.net == account.cash - START
    assert sum(done.attribution.values()) == done.gross
    assert parts.quantity == 0


class Closers(RuleBasedStateMachine):
    """Half at target 1, a stop, the clock and the trader's own key, all at once, over a broker that fills in parts,
    with intents that are sent late, restarts, and reports that come twice: never is more sold than is held."""

    @initialize(quantity=st.integers(1, 12), size=st.integers(1, 5))
    def open(self, quantity: int, size: int) -> None:
        self.clock = SetClock(NOON)
        self.quotes = HandQuotes()
        self.orders: dict[str, Order] = {}
        self.unsent: list[str] = []
        self.account = Account(cash=START, peak_equity=START, prior_equity=START)
        self.seq = 1
        fact = filled(quantity, "2.00", at=NOON)
        self.position = position_after_buy(None, fact, ticket(quantity))
        self.account = account_after_fill(self.account, fact, order(Side.BUY, quantity))
        self.heard: list[BrokerReport] = []
        self.restart()
        self.quote(Decimal("2.00"), Decimal("0.04"), size)

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(bid=cents, spread=cents, size=st.none() | st.integers(0, 6))
    def quote(self, bid: Decimal, spread: Decimal, size: int | None) -> None:
        self.clock.set(self.clock.now() + seconds(1))
        self.quotes.options[WEEKLY] = Quote(
            bid=bid, ask=bid + spread, at=self.clock.now(), bid_size=size, ask_size=size
        )
        self.broker.match()

    @rule()
    def send(self) -> None:
        """What was intended is durable now and goes out."""
        for name in self.unsent:
            if self.orders[name].state is OrderState.APPROVED:
                fact = OrderSubmitted(seq=1, at=self.clock.now(), order=name, broker="paper")
                self.orders[name] = order_after(self.orders[name], fact)
                self.broker.submit(self.orders[name])
        self.unsent.clear()

    @rule()
    def restart(self) -> None:
        self.broker = PaperBroker(self.quotes, self.clock, CALENDAR, Settings(), us_option_fees())
        self.broker.connect(self.hear)
        self.broker.restore([made for made in self.orders.values() if made.state.is_open])

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        self.fold(data.draw(st.sampled_from(self.heard)))

    def hear(self, report: BrokerWord) -> None:
        assert isinstance(report, BrokerReport)
        self.heard.append(report)
        self.fold(report)

    def fold(self, report: BrokerReport) -> None:
        made = self.orders[report.order]
        if not is_news(made, report):
            return
        match report:
            case Accepted():
                fact: object = OrderAccepted(seq=1, at=report.at, order=made.id)
            case Cancelled(reason=reason):
                fact = OrderCancelled(seq=1, at=report.at, order=made.id, reason=reason)
            case Rejected(refusal=refusal):
                fact = OrderRejected(seq=1, at=report.at, order=made.id, refusal=refusal)
            case Expired():
                fact = OrderExpired(seq=1, at=report.at, order=made.id)
            case Filled():
                fact = OrderFilled(
                    seq=1, at=report.at, order=made.id, execution=report.execution, quantity=report.quantity,
                    price=report.price, fees=report.fees, slippage=report.slippage, quote=report.quote,
                    underlying=None, position="P9",
                )  # fmt: skip
                self.position = position_after_sell(self.position, fact, made)
                self.account = account_after_fill(self.account, fact, made)
        self.orders[made.id] = order_after(made, fact)  # type: ignore[arg-type]

    # --- the closers --------------------------------------------------------------------------------------------------

    def close(self, quantity: int, reason: ExitReason, kind: OrderType, limit: Decimal | None) -> None:
        if closing_allowed(self.position, self.orders.values(), quantity) is not None:
            return
        self.seq += 1
        name = f"O{self.seq}"
        self.orders[name] = order(
            Side.SELL, quantity, id=name, type=kind, limit=limit, exit_reason=reason, created=self.clock.now(),
            state=OrderState.APPROVED,
        )  # fmt: skip
        self.unsent.append(name)

    @rule()
    def take_half(self) -> None:
        self.close(
            half_of(self.position.quantity), ExitReason.TARGET_1, OrderType.LIMIT, self.quotes.options[WEEKLY].ask
        )

    @rule()
    def stop(self) -> None:
        limit = marketable_limit(Side.SELL, self.quotes.options[WEEKLY])
        self.close(self.position.quantity, ExitReason.STOP_LOSS, OrderType.MARKETABLE, limit)

    @rule()
    def clock_runs_out(self) -> None:
        self.close(self.position.quantity, ExitReason.TIME_OF_DAY, OrderType.LIMIT, self.quotes.options[WEEKLY].mid)

    @rule(quantity=st.integers(1, 15))
    def key(self, quantity: int) -> None:
        self.close(quantity, ExitReason.MANUAL, OrderType.MARKETABLE, None)

    @rule()
    def overtake(self) -> None:
        """Cancel what works; what comes next waits for the broker's word, as the guard demands."""
        for name, made in list(self.orders.items()):
            if made.state.is_open and made.state is not OrderState.APPROVED:
                self.broker.cancel(name)
        self.stop()

    @rule(limit=cents)
    def reprice(self, limit: Decimal) -> None:
        for name, made in list(self.orders.items()):
            if made.state.is_open and made.state is not OrderState.APPROVED:
                self.broker.replace(name, limit)

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def never_oversold(self) -> None:
        held, open_orders = self.position, [made for made in self.orders.values() if made.state.is_open]
        assert held.quantity == held.bought - held.sold >= 0
        assert sum(made.remaining for made in open_orders) <= held.quantity
        assert len(open_orders) <= 1
        assert held.sold == sum(made.filled for made in self.orders.values())

    @invariant()
    def money_adds_up(self) -> None:
        sold = self.position.proceeds - self.position.cost - self.position.fees
        assert self.account.cash == START + sold


TestClosers = Closers.TestCase
TestClosers.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
