"""Honest fills: what one quote gives one order. Pure; called by the paper broker for every order and quote.

Never invents liquidity: no usable quote, no fill; the displayed size once; a marketable order pays the touch and
slippage. Prices per share, quantities in contracts.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from engine.domain.entities import Order
from engine.domain.values import CENT, ExitReason, OrderType, Quote, Side, Value, tick_down, tick_up
from engine.settings import PaperSettings

UNKNOWN_SIZE_SHARE = Decimal("0.85")
"""Of an order over the limit where the displayed size is unknown."""
STOP_OUTS = frozenset({ExitReason.STOP_LOSS, ExitReason.TRAILING_STOP})


class Fill(Value, frozen=True, kw_only=True):
    quantity: int
    price: Decimal
    slippage: Decimal
    """Per share beyond the touch; 0 for a limit that rested."""


def usable(quote: Quote | None, age: float, max_age: float) -> bool:
    """Whether an order may be filled from this quote: two-sided, neither crossed nor locked, and not older than
    `max_age` seconds."""
    return quote is not None and quote.two_sided and age <= max_age


def slippage_fraction(quantity: int, settings: PaperSettings, *, doubled: bool) -> Decimal:
    """Slippage of a marketable order of `quantity` contracts as a fraction of the touch.

    Straight from `slippage` at 1 contract to `slippage_100` at 100, then `slippage_step` more per further 100.
    """
    if quantity <= 100:
        share = Decimal(quantity - 1) / 99
        fraction = settings.slippage + share * (settings.slippage_100 - settings.slippage)
    else:
        fraction = settings.slippage_100 + Decimal(quantity - 100) / 100 * settings.slippage_step
    return 2 * fraction if doubled else fraction


def shown(quote: Quote, side: Side) -> int | None:
    """Contracts displayed on the side this order would take; None where unknown."""
    return quote.ask_size if side is Side.BUY else quote.bid_size


def takes(remaining: int, available: int | None, settings: PaperSettings) -> int:
    """How many contracts fill: no more than is displayed. Where the size is unknown an order over the limit fills
    85 % (halves up) and the rest works."""
    if available is not None:
        return min(remaining, available)
    if remaining > settings.unknown_size_limit:
        return int((remaining * UNKNOWN_SIZE_SHARE).to_integral_value(ROUND_HALF_UP))
    return remaining


def fill(
    order: Order,
    quote: Quote,
    *,
    resting: bool,
    bound: Decimal | None,
    available: int | None,
    near_edge: bool,
    settings: PaperSettings,
    tick: Decimal = CENT,
) -> Fill | None:
    """What a usable quote gives this order, or None.

    `bound`: the worst price: the order's limit, or for the rest of a marketable order its first touch and slippage.
    `available`: what is still displayed on this quote (None: unknown). `near_edge`: in the first or last minutes of
    the session. A limit order that reaches the touch on arrival is marketable and pays like one, within its limit; one
    that rested is met at its own limit.
    """
    assert quote.bid is not None
    assert quote.ask is not None
    buying = order.side is Side.BUY
    touch = quote.ask if buying else quote.bid
    quantity = takes(order.remaining, available, settings)
    if quantity < 1 or touch <= 0 or (bound is not None and (touch > bound if buying else touch < bound)):
        return None
    if order.type is OrderType.LIMIT and resting and bound is not None:
        return Fill(quantity=quantity, price=bound, slippage=Decimal(0))
    price = slipped(order, touch, near_edge=near_edge, settings=settings, tick=tick)
    if bound is not None:
        price = min(price, bound) if buying else max(price, bound)
    return Fill(quantity=quantity, price=price, slippage=abs(price - touch))


def slipped(order: Order, touch: Decimal, *, near_edge: bool, settings: PaperSettings, tick: Decimal = CENT) -> Decimal:
    """The touch and slippage of the whole order, rounded to the tick against us; a sell never below 0.01."""
    doubled = near_edge or order.exit_reason in STOP_OUTS
    fraction = slippage_fraction(order.quantity, settings, doubled=doubled)
    if order.side is Side.BUY:
        return tick_up(touch * (1 + fraction), tick)
    return max(tick_down(touch * (1 - fraction), tick), CENT)
