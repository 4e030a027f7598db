"""What "market" means on an option: a limit that reaches beyond the touch, further with each try. Shared by entries and exits."""

from __future__ import annotations

from decimal import Decimal

from engine.domain.values import CENT, Quote, Side, tick_down, tick_up

MARKETABLE_STEPS = (Decimal("0.05"), Decimal("0.10"), Decimal("0.20"))
"""Fraction of mid that a marketable order reaches beyond the touch: at first, then with each re-price."""


def marketable_limit(side: Side, quote: Quote, attempt: int = 0, tick: Decimal = CENT) -> Decimal | None:
    """The limit of a marketable order: the touch and max(2 ticks, 5 % of mid) beyond, 10 % at the first re-price,
    20 % from the second; rounded away from us, a sell never below 0.01. None where no price can be named (no ask).

    A sell without a bid is priced from a bid of zero: it waits at 0.01 and takes whatever bid comes first.
    """
    if quote.ask is None:
        return None if side is Side.BUY or quote.bid is None else _sell(quote.bid, quote.bid, attempt, tick)
    bid = quote.bid if quote.bid is not None else Decimal(0)
    mid = (bid + quote.ask) / 2
    if side is Side.BUY:
        return tick_up(quote.ask + _reach(mid, attempt, tick), tick)
    return _sell(bid, mid, attempt, tick)


def _sell(bid: Decimal, mid: Decimal, attempt: int, tick: Decimal) -> Decimal:
    return max(tick_down(bid - _reach(mid, attempt, tick), tick), CENT)


def _reach(mid: Decimal, attempt: int, tick: Decimal) -> Decimal:
    return max(2 * tick, MARKETABLE_STEPS[min(attempt, len(MARKETABLE_STEPS) - 1)] * mid)
