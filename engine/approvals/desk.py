"""The approval desk: the life of a ticket as pure functions over its values.

Called by the journey when a ticket is opened, on the clock, on quotes and when somebody answers. It changes nothing: it
says what a ticket's limit, life and next state are. The rules of the risk manager are run again by the journey on approve.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from engine.domain.entities import Ticket
from engine.domain.marketable import marketable_limit
from engine.domain.values import (
    CENT,
    Bucket,
    Code,
    Direction,
    Policy,
    Purpose,
    Quote,
    Refusal,
    Right,
    Side,
    TicketState,
    Value,
    refuse,
)
from engine.settings import ApprovalSettings


class Repriced(Value, frozen=True, kw_only=True):
    """A ticket's new price and life, as the fact says them."""

    limit: Decimal
    quote: Quote
    expires: datetime
    attempt: int


def life(bucket: Bucket, settings: ApprovalSettings) -> timedelta:
    """How long a ticket for such a contract may wait for its answer."""
    seconds = {
        Bucket.ZERO_DTE: settings.life_0dte,
        Bucket.ONE_DTE: settings.life_weekly,
        Bucket.WEEKLY: settings.life_weekly,
        Bucket.LONGER: settings.life_longer,
    }
    return timedelta(seconds=seconds[bucket])


def expires_at(bucket: Bucket, now: datetime, valid_until: datetime | None, settings: ApprovalSettings) -> datetime:
    """When a ticket opened now runs out: with its signal at the latest."""
    ends = now + life(bucket, settings)
    return ends if valid_until is None else min(ends, valid_until)


def is_expired(ticket: Ticket, now: datetime) -> bool:
    return ticket.state is TicketState.PENDING and now >= ticket.expires


def entry_limit(quote: Quote, tick: Decimal = CENT) -> Decimal:
    """Limit of an entry: the worst price a marketable order may pay, so that it fills at once also when the ask gives way.

    Without an ask it is the bid or 0, a price that never leaves: the risk manager refuses such a quote before any other
    question, and shows it.
    """
    limit = marketable_limit(Side.BUY, quote, 0, tick)
    return limit if limit is not None else quote.bid or Decimal(0)


def drift_allowed(priced: Quote, settings: ApprovalSettings, tick: Decimal = CENT) -> Decimal:
    """How far the mid may move before a ticket's price is old: a tick, 3 % of mid or half the spread, if more."""
    mid, spread = priced.mid or Decimal(0), priced.spread or Decimal(0)
    return max(tick, settings.drift * mid, spread / 2)


def needs_reprice(ticket: Ticket, quote: Quote | None, settings: ApprovalSettings, tick: Decimal = CENT) -> bool:
    """The mid moved further than allowed, either way, or the ask is beyond the limit that is being approved: more than
    that is never paid. Without a two-sided quote there is nothing to re-price from: the freshness rule refuses the answer
    instead."""
    if quote is None or not quote.two_sided or quote.mid is None or ticket.quote.mid is None:
        return False
    drifted = abs(quote.mid - ticket.quote.mid) > drift_allowed(ticket.quote, settings, tick)
    return drifted or (quote.ask is not None and quote.ask > ticket.limit)


def reprice(
    ticket: Ticket,
    quote: Quote,
    now: datetime,
    settings: ApprovalSettings,
    *,
    valid_until: datetime | None = None,
    tick: Decimal = CENT,
) -> Repriced | Refusal:
    """The ticket at the new quote, its life restarted; TICKET_EXPIRED once it was re-priced too often to be the same trade."""
    if ticket.reprices >= settings.max_reprices:
        return refuse(Code.TICKET_EXPIRED, ticket=ticket.id, reprices=ticket.reprices, limit=settings.max_reprices)
    ends = now + timedelta(seconds=settings.reprice_life)
    return Repriced(
        limit=entry_limit(quote, tick),
        quote=quote,
        expires=ends if valid_until is None else min(ends, valid_until),
        attempt=ticket.reprices + 1,
    )


def answerable(ticket: Ticket, now: datetime, settings: ApprovalSettings, *, by_hand: bool = True) -> Refusal | None:
    """Why a ticket cannot be answered now: TICKET_CLOSED, TICKET_EXPIRED or TICKET_JUST_CHANGED.

    `by_hand`: an answer that a person typed for what was shown a moment ago. A policy reads what it answers.
    """
    if ticket.state is not TicketState.PENDING:
        return refuse(Code.TICKET_CLOSED, ticket=ticket.id, state=ticket.state)
    if now >= ticket.expires:
        late = f"{(now - ticket.expires).total_seconds():.1f}s"
        return refuse(Code.TICKET_EXPIRED, ticket=ticket.id, ago=late)
    since = (now - ticket.changed).total_seconds() * 1000
    # `changed` is the opening too: the Enter may have been meant for the ticket that stood there before.
    if by_hand and since < settings.hold_ms:
        return refuse(Code.TICKET_JUST_CHANGED, ticket=ticket.id, ago=f"{since:.0f}ms", hold=f"{settings.hold_ms}ms")
    return None


def check_override(
    ticket: Ticket, quantity: int | None, limit: Decimal | None, reason: str, tick: Decimal = CENT
) -> Refusal | None:
    """A person changes the quantity or the limit: whole contracts, on the grid, and with a reason."""
    if quantity is not None and quantity < 1:
        return refuse(Code.BAD_QUANTITY, quantity=quantity)
    if limit is not None and (limit <= 0 or limit % tick):
        return refuse(Code.BAD_FIELD, "limit", limit=limit, tick=tick)
    changed = quantity not in (None, ticket.quantity) or limit not in (None, ticket.limit)
    if changed and not reason.strip():
        return refuse(Code.REASON_MISSING, ticket=ticket.id)
    return None


def policy_approves(ticket: Ticket, policy: Policy, *, paper: bool) -> bool:
    """Whether the engine answers yes by itself. A ticket that a guard wants a person for waits under every policy;
    an exit does not, for a guard never stands between a position and its exit."""
    if policy is Policy.MANUAL or (policy is Policy.AUTO_PAPER and not paper):
        return False
    return ticket.purpose is Purpose.EXIT or not ticket.manual


def break_even(direction: Direction, strike: Decimal, limit: Decimal) -> Decimal:
    """Price of the underlying at expiry that pays for the premium."""
    return strike + limit * direction.sign


class TicketSummary(Value, frozen=True, kw_only=True):
    """The five-second strip, always in the same places. Dollars for the whole ticket; None is shown as n/a."""

    bid: Decimal | None
    ask: Decimal | None
    bid_size: int | None
    ask_size: int | None
    quote_age: float | None
    """Seconds."""
    limit_ticks: Decimal | None
    """Limit against mid; positive pays more than mid."""
    max_loss: Decimal
    max_loss_fraction: Decimal | None
    """Of equity."""
    day_budget_left: Decimal | None
    """After this trade; negative would break it."""
    stop_dollars: Decimal | None
    """Distance of the underlying to its stop, per share."""
    stop_atr: Decimal | None
    stop_premium: Decimal | None
    """Fraction of the premium lost at the premium's stop."""
    break_even: Decimal | None
    break_even_move: Decimal | None
    """How far the underlying has to go to it, in the trade's direction; negative when it is already past."""
    expected_move: Decimal | None
    """One standard deviation of the underlying until today's close, by the contract's vol."""
    minutes_to_close: float | None
    same_bets: int
    seconds_left: float
    """Of the ticket's life."""


SECONDS_A_YEAR = 365 * 86400


def ticket_summary(
    ticket: Ticket,
    now: datetime,
    *,
    quote: Quote | None,
    underlying: Quote | None,
    equity: Decimal,
    day_budget_left: Decimal | None,
    same_bets: int,
    close: datetime | None,
    atr: Decimal | None = None,
    tick: Decimal = CENT,
) -> TicketSummary:
    """The strip of a ticket now. `day_budget_left` is what the day still bears without this ticket; `close` the end of
    today's session, None when there is none."""
    shown = quote if quote is not None else ticket.quote
    mid = shown.mid
    spot = underlying.mid if underlying is not None else None
    plan = ticket.plan
    stop = plan.underlying_stop if plan is not None else None
    distance = abs(spot - stop) if spot is not None and stop is not None else None
    even = ticket.break_even
    if even is None and ticket.purpose is Purpose.ENTRY:
        sign_of = Direction.LONG if ticket.contract.right is Right.CALL else Direction.SHORT
        even = break_even(sign_of, ticket.contract.strike, ticket.limit)
    return TicketSummary(
        bid=shown.bid,
        ask=shown.ask,
        bid_size=shown.bid_size,
        ask_size=shown.ask_size,
        quote_age=shown.age(now),
        limit_ticks=((ticket.limit - mid) / tick).quantize(Decimal("0.1")) if mid is not None else None,
        max_loss=ticket.max_loss,
        max_loss_fraction=(ticket.max_loss / equity).quantize(Decimal("0.0001")) if equity > 0 else None,
        day_budget_left=day_budget_left - ticket.max_loss if day_budget_left is not None else None,
        stop_dollars=distance,
        stop_atr=(distance / atr).quantize(CENT) if distance is not None and atr else None,
        stop_premium=plan.stop_fraction if plan is not None else None,
        break_even=even,
        break_even_move=(even - spot) * ticket.direction.sign if even is not None and spot is not None else None,
        expected_move=_expected_move(ticket, spot, now, close),
        minutes_to_close=max((close - now).total_seconds(), 0.0) / 60 if close is not None else None,
        same_bets=same_bets,
        seconds_left=max((ticket.expires - now).total_seconds(), 0.0),
    )


def _expected_move(ticket: Ticket, spot: Decimal | None, now: datetime, close: datetime | None) -> Decimal | None:
    if ticket.greeks is None or spot is None or close is None or close <= now:
        return None
    years = (close - now).total_seconds() / SECONDS_A_YEAR
    return (spot * Decimal(repr(ticket.greeks.iv * years**0.5))).quantize(CENT)
