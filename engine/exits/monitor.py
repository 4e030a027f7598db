"""The exit monitor: every rule of one position at one moment, what of it is proven, and what is to be done now.

Pure. Called on every mark and on the clock. What must be remembered from quote to quote is a small `Confirmation`
that goes in and comes out; after a restart an empty one is enough, it only asks for the proof again.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from engine.domain.entities import Order, Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, OrderType, Priority, Value
from engine.exits.context import ExitContext
from engine.exits.rules import ASKING, RULES, Proof, Rule
from engine.exits.rules.premium import arm_level
from engine.settings import ExitSettings

FIRST_MINUTE = timedelta(minutes=1)
"""After the open: premium stops and trails are blind, the quotes are still finding their place."""
_SAMPLE = timedelta(minutes=1)
_RANK = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.MEDIUM: 2}


class Confirmation(Value, frozen=True, kw_only=True):
    """What is remembered of one position between two looks at it."""

    day: date | None = None
    first: dict[str, datetime] = msgspec.field(default_factory=dict)
    """Rule -> time of the first quote beyond its level, while every believable one since was beyond."""
    said: frozenset[str] = frozenset()
    """Rules that alerted or asked already: they speak again when they were clear in between, or on the next day."""
    overtaken: str = ""
    """The working exit order that a more urgent rule has already been reported against."""
    peak: Decimal | None = None
    """Lowest mid since prices rose above the confirmed best, and when that began."""
    peak_since: datetime | None = None
    trough: Decimal | None = None
    trough_since: datetime | None = None
    ivs: tuple[tuple[datetime, float], ...] = ()
    """Implied volatility, about one sample a minute, oldest first."""


class Evaluation(Value, frozen=True, kw_only=True):
    mark: Mark
    """The mark with its exits (nearest first) and its confirmed extremes."""
    fired: tuple[ExitDistance, ...]
    """What is new and to be acted on: alerts, and at most one that closes or asks, first."""
    armed: bool
    """The trailing stop is armed now; worth keeping in the ledger when the position does not know it yet."""
    confirmation: Confirmation

    @property
    def distances(self) -> tuple[ExitDistance, ...]:
        return self.mark.exits

    @property
    def closer(self) -> ExitDistance | None:
        """The one that closes or asks."""
        return next((exit_ for exit_ in self.fired if exit_.action is not ExitAction.ALERT), None)


def evaluate(
    position: Position, mark: Mark, confirmation: Confirmation, context: ExitContext, settings: ExitSettings
) -> Evaluation:
    """Look at every rule once.

    What closes: the most urgent proven rule, unless an exit is under way already. A working exit order is overtaken
    by a CRITICAL rule when it waits for its limit, and by an equally urgent rule that wants more contracts gone; that
    is reported once per order. A pending exit ticket is overtaken by whatever closes by itself. Who overtakes must
    cancel first and wait for the broker's word; then nothing is under way any more and the rule is reported again.
    """
    state = confirmation if confirmation.day == context.today else _new_day(confirmation, context.today)
    calm = not context.halted and context.now >= context.opens + FIRST_MINUTE
    trusted = calm and not mark.stale
    by_model = calm and mark.model
    quote_at = mark.quote.at if mark.quote is not None and not mark.model else context.now
    if trusted:
        mark, state = _extremes(mark, state, quote_at, settings)
    state = _sampled(state, mark, context.now, settings)
    armed = position.armed or mark.best >= arm_level(position, settings)
    context = msgspec.structs.replace(context, armed=armed, iv_before=_iv_before(state, context.now, settings))

    distances: list[ExitDistance] = []
    proven: list[tuple[Rule, ExitDistance]] = []
    first = dict(state.first)
    said = set(state.said)
    for rule in RULES:
        found = rule.distance(position, mark, context, settings)
        if found is None:
            first.pop(rule.name, None)
            said.discard(rule.name)
            continue
        believed = trusted or (by_model and rule.proof is Proof.PREMIUM)
        fired = _proven(rule, found.fired, first, quote_at, believed, context, settings)
        if not found.fired:
            said.discard(rule.name)
        if found.fired and not fired:
            found = msgspec.structs.replace(found, fired=False, distance="unproven")
        distances.append(found)
        if fired:
            proven.append((rule, found))

    closer = _closer(proven, said, state, mark, context)
    fired_now = [closer[1]] if closer is not None else []
    overtaken = state.overtaken
    if closer is not None:
        if closer[1].action is ExitAction.TICKET:
            # one answer answers every question that asks for no more than this one
            said.update(rule.name for rule, found in proven if _asked_by(found, closer[1]))
        if context.working is not None:
            overtaken = context.working.id
    for rule, found in proven:
        if found.action is ExitAction.ALERT and rule.name not in said:
            said.add(rule.name)
            fired_now.append(found)

    distances.sort(key=lambda one: one.nearness)
    return Evaluation(
        mark=msgspec.structs.replace(mark, exits=tuple(distances)),
        fired=tuple(fired_now),
        armed=armed,
        confirmation=msgspec.structs.replace(state, first=first, said=frozenset(said), overtaken=overtaken),
    )


def ask_again(confirmation: Confirmation, reason: ExitReason | None) -> Confirmation:
    """Let a question be asked anew although its condition never cleared: for a ticket that ran out or was denied
    without a person's answer, or an exit order that ended unfilled."""
    return msgspec.structs.replace(confirmation, said=confirmation.said - ASKING.get(reason, frozenset()))


def _new_day(confirmation: Confirmation, day: date) -> Confirmation:
    """Quotes of another day prove nothing today, and what was said then may be said again."""
    return Confirmation(day=day, overtaken=confirmation.overtaken)


def _proven(
    rule: Rule,
    beyond: bool,
    first: dict[str, datetime],
    quote_at: datetime,
    trusted: bool,
    context: ExitContext,
    settings: ExitSettings,
) -> bool:
    """Whether a rule beyond its level may act, keeping in `first` when its proof began."""
    if rule.proof is Proof.NONE:
        return beyond
    at = quote_at
    if rule.proof is Proof.UNDERLYING:
        if context.underlying is None or context.underlying.mid is None or context.halted:
            return False
        if context.underlying_last is not None:
            return beyond
        at = context.underlying.at
    elif not trusted:
        # neither proof nor its opposite: what was seen before still stands
        return False
    if not beyond:
        first.pop(rule.name, None)
        return False
    began = first.setdefault(rule.name, at)
    return at - began >= timedelta(seconds=settings.confirm_seconds)


def _closer(
    proven: list[tuple[Rule, ExitDistance]], said: set[str], state: Confirmation, mark: Mark, context: ExitContext
) -> tuple[Rule, ExitDistance] | None:
    """The most urgent rule that closes or asks and is not under way; what closes by itself before what asks.

    A question needs a price to be asked with, and waits while another or an exit is under way."""
    may_ask = context.ticket is None and context.working is None and mark.quote is not None and mark.quote.two_sided
    candidates = [
        (rule, found)
        for rule, found in proven
        if found.action is ExitAction.CLOSE or (found.action is ExitAction.TICKET and may_ask and rule.name not in said)
    ]
    candidates.sort(key=lambda one: (_RANK[one[1].priority], one[1].action is ExitAction.TICKET))
    if not candidates:
        return None
    best = candidates[0]
    if context.working is not None and not _overtakes(best[1], context.working, state):
        return None
    return best


def _asked_by(found: ExitDistance, question: ExitDistance) -> bool:
    return found.action is ExitAction.TICKET and found.quantity <= question.quantity


def _overtakes(found: ExitDistance, working: Order, state: Confirmation) -> bool:
    """A working order that leaves at market price is as urgent as it gets; one that waits for its limit is not."""
    if working.id == state.overtaken:
        return False
    under_way = Priority.CRITICAL if working.type is OrderType.MARKETABLE else Priority.HIGH
    if _RANK[found.priority] < _RANK[under_way] and found.reason is not working.exit_reason:
        return True
    return _RANK[found.priority] <= _RANK[under_way] and found.quantity > working.remaining


def _extremes(mark: Mark, state: Confirmation, at: datetime, settings: ExitSettings) -> tuple[Mark, Confirmation]:
    """Best and worst mid that held for the time of a confirmation: a single wild quote moves neither."""
    best, peak, peak_since = _extreme(mark.best, mark.price, state.peak, state.peak_since, at, settings, up=True)
    worst, trough, trough_since = _extreme(
        mark.worst, mark.price, state.trough, state.trough_since, at, settings, up=False
    )
    return msgspec.structs.replace(mark, best=best, worst=worst), msgspec.structs.replace(
        state, peak=peak, peak_since=peak_since, trough=trough, trough_since=trough_since
    )


def _extreme(
    known: Decimal,
    price: Decimal,
    candidate: Decimal | None,
    since: datetime | None,
    at: datetime,
    settings: ExitSettings,
    *,
    up: bool,
) -> tuple[Decimal, Decimal | None, datetime | None]:
    if (price <= known) if up else (price >= known):
        return known, None, None
    if candidate is None or since is None:
        return known, price, at
    candidate = min(candidate, price) if up else max(candidate, price)
    if at - since >= timedelta(seconds=settings.confirm_seconds):
        # what both ends of the span reached is confirmed; the newest price begins the next proof
        return candidate, (price if price != candidate else None), (at if price != candidate else None)
    return known, candidate, since


def _sampled(state: Confirmation, mark: Mark, now: datetime, settings: ExitSettings) -> Confirmation:
    if mark.greeks is None or mark.stale or (state.ivs and now - state.ivs[-1][0] < _SAMPLE):
        return state
    oldest = now - timedelta(minutes=settings.iv_minutes + 1)
    kept = tuple(sample for sample in state.ivs if sample[0] >= oldest)
    return msgspec.structs.replace(state, ivs=(*kept, (now, mark.greeks.iv)))


def _iv_before(state: Confirmation, now: datetime, settings: ExitSettings) -> float | None:
    """The highest sample of the window: a fall counts from where it began, however long ago within it."""
    since = now - timedelta(minutes=settings.iv_minutes)
    return max((iv for at, iv in state.ivs if at >= since), default=None)
