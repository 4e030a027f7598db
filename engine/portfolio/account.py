"""Cash and the day's counters as a fold, and equity from marks. Called by the fold of facts and the risk manager.

Equity counts longs at the bid, always: the peak, the drawdown, the prior close and the day's result are one measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from engine.domain.entities import Account, Order, Position
from engine.domain.events import (
    AccountOpened,
    ContractSettled,
    EquityMarked,
    OrderFilled,
    OrderIntended,
    PositionClosed,
    SessionOpened,
)
from engine.domain.marks import Mark
from engine.domain.values import Purpose, money

LOSS_R = Decimal("-0.25")
"""A loss worse than this counts in the streak."""


def account_opened(fact: AccountOpened) -> Account:
    return Account(cash=fact.cash, peak_equity=fact.cash, prior_equity=fact.cash)


def account_after_intent(account: Account, fact: OrderIntended) -> Account:
    """Entries are counted when they are intended, also if they never fill: the limit is on what we send."""
    if fact.purpose is not Purpose.ENTRY:
        return account
    return msgspec.structs.replace(account, entries_today=account.entries_today + 1)


def account_after_fill(account: Account, fill: OrderFilled, order: Order) -> Account:
    """Cash after one execution: out for a buy, in for a sell, fees always out."""
    dollars = fill.price * fill.quantity * order.contract.multiplier
    return msgspec.structs.replace(account, cash=account.cash - order.side.sign * dollars - fill.fees)


def account_after_settlement(account: Account, fact: ContractSettled) -> Account:
    """Cash after expired contracts were paid out at intrinsic value."""
    dollars = fact.price * fact.quantity * fact.contract.multiplier
    return msgspec.structs.replace(account, cash=account.cash + dollars - fact.fees)


def account_after_close(account: Account, fact: PositionClosed, booked: Decimal | None = None) -> Account:
    """Today's realised result and the streak: a loss worse than −0.25 R lengthens it, a win ends it, and what lies
    between changes nothing.

    `booked` is what an earlier close of the same position already counted: a late fill of its entry opened it again,
    and its net is the whole position's. Then only the difference is added, and the streak was counted already.
    """
    streak = account.loss_streak
    if booked is not None:
        return msgspec.structs.replace(account, realised_today=account.realised_today + fact.net - booked)
    if fact.net > 0:
        streak = 0
    elif fact.r < LOSS_R:
        streak += 1
    return msgspec.structs.replace(account, realised_today=account.realised_today + fact.net, loss_streak=streak)


def account_after_session(account: Account, fact: SessionOpened) -> Account:
    """A new trading day: its budget counts from this equity, its counters from nothing. The streak goes on."""
    return msgspec.structs.replace(
        account,
        session=fact.session,
        prior_equity=fact.equity,
        peak_equity=max(account.peak_equity, fact.equity),
        realised_today=Decimal(0),
        entries_today=0,
    )


def account_after_equity(account: Account, fact: EquityMarked) -> Account:
    return msgspec.structs.replace(account, peak_equity=max(account.peak_equity, fact.equity))


def liquidation_price(position: Position, mark: Mark | None) -> Decimal:
    """Per share, what the position would bring: the bid; the mark's last good price while the quote is unusable; before
    the first mark of this run the one that was kept, else the entry price.

    Once the quote has been unusable for long, the worse of the mark (the model's value where there is one) and the bid
    that stands, however old or far from its ask; nothing where there is a quote that nobody bids in. Limits on losses
    are read from this, so that a doubt counts against us.
    """
    if mark is None:
        return position.entry if position.last_bid is None else position.last_bid
    if mark.unreliable and mark.quote is not None:
        return Decimal(0) if mark.quote.bid is None else min(mark.price, mark.quote.bid)
    if mark.stale or mark.quote is None or mark.quote.bid is None:
        return mark.price
    return mark.quote.bid


def equity(account: Account, positions: Iterable[Position], marks: Mapping[str, Mark]) -> Decimal:
    """Cash and every open position at its bid. Dollars to the cent. `marks` by position id."""
    held = sum(
        (
            liquidation_price(position, marks.get(position.id)) * position.quantity * position.contract.multiplier
            for position in positions
        ),
        Decimal(0),
    )
    return money(account.cash + held)


def day_pnl(account: Account, equity_now: Decimal) -> Decimal:
    """Dollars since the prior close. Paper accounts see no deposits."""
    return equity_now - account.prior_equity


def drawdown(account: Account, equity_now: Decimal) -> Decimal:
    """Fraction below the peak, 0 at a new one."""
    peak = max(account.peak_equity, equity_now)
    return (peak - equity_now) / peak if peak > 0 else Decimal(0)
