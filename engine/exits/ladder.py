"""How an exit order's price gives way: the expiry ladder by the clock, and when a working exit is priced anew.

Pure. The journey asks every moment for its working exit orders; the price of a marketable step is the oversell
guard's (`orders.guard.marketable_limit`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from engine.domain.entities import Order
from engine.domain.values import CENT, OrderType, Quote, tick_down
from engine.settings import ExitSettings


class LadderStep(StrEnum):
    """Steps of the last half hour of an expiring contract, in order."""

    WARN = "WARN"
    MID = "MID"
    QUARTER = "QUARTER"
    BID = "BID"
    MARKET = "MARKET"


def ladder_step(now: datetime, closes: datetime, settings: ExitSettings) -> LadderStep | None:
    """The step at `now`; None before the warning. `closes` is the session's close, which is T."""
    left = closes - now
    for minutes, step in (
        (settings.expiry_market, LadderStep.MARKET),
        (settings.expiry_bid, LadderStep.BID),
        (settings.expiry_quarter, LadderStep.QUARTER),
        (settings.expiry_mid, LadderStep.MID),
        (settings.expiry_warn, LadderStep.WARN),
    ):
        if left <= timedelta(minutes=minutes):
            return step
    return None


def ladder_limit(step: LadderStep, quote: Quote, tick: Decimal = CENT) -> Decimal | None:
    """Limit of a sale at this step: mid, mid − ¼ spread, bid; rounded down to the tick, never below 0.01.

    None at WARN (nothing is sent), at MARKET (priced as a marketable order), and while the quote is not two-sided.
    """
    if not quote.two_sided or step in (LadderStep.WARN, LadderStep.MARKET):
        return None
    assert quote.bid is not None
    assert quote.mid is not None
    assert quote.spread is not None
    price = {
        LadderStep.MID: quote.mid,
        LadderStep.QUARTER: quote.mid - quote.spread / 4,
        LadderStep.BID: quote.bid,
    }[step]
    return max(tick_down(price, tick), CENT)


def reprice_due(order: Order, now: datetime, today: date, closes: datetime, settings: ExitSettings) -> bool:
    """Whether a working exit order is priced anew now.

    A marketable order every `reprice_seconds`, on every day: a stop does not wait for the clock's next step. A limit
    order only on the contract's last day, once the ladder has begun: at every new step, then every `chase_seconds`.
    """
    since = order.updated or order.created
    waited = (now - since).total_seconds()
    if order.type is OrderType.MARKETABLE:
        return waited >= settings.reprice_seconds
    if order.contract.expiry != today:
        return False
    step = ladder_step(now, closes, settings)
    if step is None or step is LadderStep.WARN:
        return False
    before = ladder_step(since, closes, settings)
    if step is LadderStep.MARKET and before is LadderStep.MARKET:
        return waited >= settings.chase_seconds
    return step is not before
