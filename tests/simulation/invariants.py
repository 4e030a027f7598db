"""What must hold whatever happens. Each rule is one small function; the first that is broken ends the run with its name.

They judge by what is durable, by the exchange's own books and by arithmetic of their own, never by what the engine says
of itself. Checked with every commit, with every order that reaches the exchange, after every recovery and at rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.domain import events as ev
from engine.domain.canonical import canonical
from engine.domain.entities import Order
from engine.domain.events import AnyFact
from engine.domain.values import OptionContract, OrderState, Purpose, Side
from engine.state import State
from storage.rows import GENESIS, link
from tests.simulation.coverage import Coverage

if TYPE_CHECKING:
    from engine.journey.story import Journey
    from tests.simulation.ledger import Disk
    from tests.simulation.venue import Venue

HEAT_SLACK = Decimal("1.10")
"""A ticket that is answered at a new price keeps the loss it was opened with, scaled to its quantity."""


class Violated(AssertionError):
    """An invariant does not hold. `rule` names it."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


def hold(true: bool, rule: str, what: object) -> None:
    if not true:
        raise Violated(rule, str(what))


@dataclass(slots=True)
class Judge:
    """The rules and what they remember."""

    disk: Disk
    venue: Venue
    coverage: Coverage
    shadow: State = field(default_factory=State)
    """The fold from zero of everything durable."""
    cash: Decimal = Decimal(0)
    held: Counter[OptionContract] = field(default_factory=Counter)
    executions: dict[str, ev.OrderFilled] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    keys: dict[str, int] = field(default_factory=dict)
    triggers: dict[int, str] = field(default_factory=dict)
    acknowledged: dict[int, str] = field(default_factory=dict)
    last_at: datetime | None = None
    checked_rows: int = 0
    signals: int = 0
    orders: int = 0

    # --- with every commit --------------------------------------------------------------------------------------------

    def committed(self, facts: Sequence[AnyFact]) -> None:
        for fact in facts:
            self._time_never_goes_back(fact)
            key = getattr(fact, "order", None)
            before = self.shadow.orders.get(key) if isinstance(key, str) else None
            self.shadow.apply(fact)
            self._seen(fact, key, before)
            rule = _RULES.get(type(fact))
            if rule is not None:
                rule(self, fact)

    def _time_never_goes_back(self, fact: AnyFact) -> None:
        if self.last_at is not None and fact.at < self.last_at:
            hold(False, "time never goes back", f"{fact.at} after {self.last_at}")
        self.last_at = fact.at

    def _one_receipt_a_key(self, fact: Any) -> None:
        """A trigger is understood once, however often it was delivered: what follows is a duplicate."""
        key = fact.receipt.key
        if not key.startswith("sha256:"):
            hold(key not in self.keys, "one receipt a trigger", f"{key} at {self.keys.get(key)} and {fact.seq}")
            self.keys[key] = fact.seq
        self.signals += isinstance(fact, ev.SignalReceived)

    def _a_trigger_enters_once(self, fact: ev.TicketOpened) -> None:
        trigger = fact.ticket.trigger
        # A person may override with a signal that made a ticket before.
        if trigger is not None and not fact.ticket.by_hand:
            hold(
                trigger not in self.triggers, "a trigger enters once", f"{fact.ticket.id}, {self.triggers.get(trigger)}"
            )
            self.triggers[trigger] = fact.ticket.id

    def _intended(self, fact: ev.OrderIntended) -> None:
        self.orders += 1

    def _a_fill_is_an_execution(self, fact: ev.OrderFilled) -> None:
        """Every fill is an execution of the exchange's books, with its numbers, counted once; cash and contracts follow."""
        found = next((one for one in reversed(self.venue.executions) if one.id == fact.execution), None)
        hold(found is not None, "a fill is an execution", f"{fact.order} has {fact.execution}, which never was")
        assert found is not None
        mine = (fact.order, fact.quantity, fact.price, fact.fees)
        theirs = (found.ref, found.quantity, found.price, found.fees)
        hold(mine == theirs, "a fill is an execution", f"{fact.execution} is {mine}, in the books {theirs}")
        hold(fact.execution not in self.executions, "an execution counts once", fact.execution)
        self.executions[fact.execution] = fact
        self.held[found.contract] += found.quantity * found.side.sign
        self.cash -= found.quantity * found.price * found.contract.multiplier * found.side.sign + found.fees
        hold(self.held[found.contract] >= 0, "never less than nothing held", f"{found.contract.osi} after {fact.seq}")
        self._cash_adds_up(fact.seq)

    def _foreign(self, fact: ev.ForeignExecutionSeen) -> None:
        """What others did in the account is noted once and is nobody's position."""
        hold(fact.execution not in self.foreign, "a foreign execution is noted once", fact.execution)
        mine = [one.id for one in self.venue.executions if one.id == fact.execution]
        hold(not mine, "our executions are ours", f"{fact.execution}: {fact.why}")
        self.foreign.add(fact.execution)

    def _settled(self, fact: ev.ContractSettled) -> None:
        hold(
            fact.quantity == self.held[fact.contract] or fact.quantity <= self.held[fact.contract],
            "settled is what was held",
            f"{fact.contract.osi}: {fact.quantity} of {self.held[fact.contract]}",
        )
        self.held[fact.contract] -= fact.quantity
        self.cash += fact.quantity * fact.price * fact.contract.multiplier - fact.fees
        self._cash_adds_up(fact.seq)

    def _cash_adds_up(self, seq: int) -> None:
        assert self.shadow.account is not None
        account = self.shadow.account.cash
        hold(account == self.cash, "cash is what was paid and received", f"{account}, not {self.cash}, at {seq}")

    def _account(self, fact: ev.AccountOpened) -> None:
        hold(self.cash == 0, "one account", fact.seq)
        self.cash = fact.cash

    # --- in the engine, as it happens ---------------------------------------------------------------------------------

    def made(self, facts: Sequence[AnyFact], journey: Journey) -> None:
        """A step was made (not yet durable)."""
        for fact in facts:
            if isinstance(fact, ev.OrderIntended) and fact.purpose is Purpose.ENTRY:
                self._heat_below_its_limit(journey, fact)
                halt = journey.state.halt
                hold(halt is None or not halt.latched, "no entry while halted", fact.order)

    def _heat_below_its_limit(self, journey: Journey, fact: ev.OrderIntended) -> None:
        """What is lost if every stop is reached, worked out anew: held, waiting and working."""
        state, settings = journey.state, journey.world.settings
        account = state.account
        assert account is not None
        heat, equity = Decimal(0), account.cash
        for position in state.open_positions.values():
            mark = journey.live.marks.get(position.id)
            price = mark.price if mark is not None else (position.last_mark or position.entry)
            share = max(settings.risk.stop_premium, position.plan.stop_fraction)
            if position.bucket.value == "0DTE":
                share = max(settings.risk.stop_premium_0dte, position.plan.stop_fraction)
            stop = position.entry if position.half_taken else position.entry * (1 - share)
            units = position.quantity * position.contract.multiplier
            heat += max(price - stop, Decimal(0)) * units
            equity += price * units
        for order in state.open_orders.values():
            if order.purpose is Purpose.ENTRY and order.ticket is not None:
                ticket = state.tickets[order.ticket]
                heat += ticket.max_loss * order.remaining / ticket.quantity
        heat += sum(
            (ticket.max_loss for ticket in state.pending_tickets.values() if ticket.purpose is Purpose.ENTRY),
            Decimal(0),
        )
        limit = settings.risk.max_heat * equity
        hold(heat <= limit * HEAT_SLACK, "heat below its limit", f"{heat} over {limit} with {fact.order}")

    # --- at the exchange ----------------------------------------------------------------------------------------------

    def handed(self, order: Order) -> None:
        """An order is given to the line."""
        hold(
            self.venue.handed[order.id] == 1,
            "an intent is sent once",
            f"{order.id}: {self.venue.handed[order.id]} times",
        )
        known = self.shadow.orders.get(order.id)
        hold(known is not None, "sent after its intent is durable", order.id)
        assert known is not None
        if (known.contract, known.side, known.quantity) != (order.contract, order.side, order.quantity):
            hold(False, "an id means one order", f"{order.id} is {known}, sent {order}")
        hold(known.state.is_open, "nothing is sent that is over", f"{order.id} is {known.state}")
        if order.purpose is Purpose.ENTRY:
            halt = self.shadow.halt
            hold(halt is None or not halt.latched, "no entry while halted", f"{order.id} after {halt}")

    def arrived(self) -> None:
        """An order reached the exchange, or something was executed there."""
        working: Counter[OptionContract] = Counter()
        for booked in self.venue.orders:
            if booked.side is Side.SELL and booked.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED):
                working[booked.contract] += booked.remaining
        if working:
            account = self.venue.held()
            for contract, quantity in working.items():
                hold(
                    quantity <= account[contract],
                    "never oversold",
                    f"{contract.osi}: {quantity} offered, {account[contract]} held",
                )

    def told_fills_count(self, journey: Journey, told: list[tuple[float, str, str]], now: float) -> None:
        """A fill that the engine heard of counts at once: the books are for what it did not hear."""
        while told and told[0][0] < now:
            _, key, execution = told.pop(0)
            order = journey.state.orders.get(key)
            hold(
                order is not None and execution in order.executions,
                "a fill that was heard counts",
                f"{execution} of {key}",
            )

    # --- senders ------------------------------------------------------------------------------------------------------

    def answered(self, seq: int, key: str) -> None:
        """A sender was told that its receipt is kept at this place."""
        hold(
            seq <= self.disk.head.seq,
            "acknowledged is durable",
            f"{seq} was answered, the ledger ends at {self.disk.head.seq}",
        )
        self.acknowledged[seq] = key
        self._is_kept(seq, key)

    def _is_kept(self, seq: int, key: str) -> None:
        row = self.disk.rows[seq - 1] if seq <= len(self.disk.rows) else None
        hold(row is not None and key in row.body, "acknowledged is durable", f"{seq} does not hold {key}")

    # --- after a recovery ---------------------------------------------------------------------------------------------

    def recovered(self, state: State) -> None:
        """What a new process made of the disk is what a fold from zero makes."""
        for seq, key in self.acknowledged.items():
            self._is_kept(seq, key)
        self.chain_verifies()
        self.halt_is_latched(state)
        self.projections_are_a_fold(state)

    def halt_is_latched(self, state: State) -> None:
        mine, theirs = self.shadow.halt, state.halt
        hold(mine == theirs, "a halt stays latched over a restart", f"{theirs}, by the facts {mine}")

    def projections_are_a_fold(self, state: State) -> None:
        hold(
            state.last_seq == self.shadow.last_seq, "projections are a fold", f"{state.last_seq} {self.shadow.last_seq}"
        )
        for kind in ("account", "boards", "tickets", "orders", "positions", "heard"):
            mine, theirs = getattr(self.shadow, kind), getattr(state, kind)
            if mine != theirs:
                hold(False, "projections are a fold", f"{kind}: {_difference(mine, theirs)}")

    def chain_verifies(self) -> None:
        rows = self.disk.rows
        before = rows[self.checked_rows - 1].hash if self.checked_rows else GENESIS
        for row in rows[self.checked_rows :]:
            right = row.prev_hash == before and row.hash == link(before, row.body.encode())
            hold(right and row.seq == self.checked_rows + 1, "the chain verifies", row.seq)
            before = row.hash
            self.checked_rows += 1

    # --- at rest ------------------------------------------------------------------------------------------------------

    def at_rest(self, now: datetime) -> None:
        """No fault for a while, the line is there, the books were asked for."""
        self.chain_verifies()
        self._fills_are_the_brokers()
        self._positions_are_fills()
        self._orders_have_an_end()
        self._no_orphans(now)
        self._everything_was_weighed()

    def _fills_are_the_brokers(self) -> None:
        missing = [one.id for one in self.venue.executions if one.id not in self.executions]
        hold(not missing, "the broker's executions are the ledger's fills", f"missing {missing[:5]}")
        unseen = [one.execution for one in self.venue.foreign if one.execution not in self.foreign]
        hold(not unseen, "foreign executions are noted", unseen[:5])

    def _positions_are_fills(self) -> None:
        mine: Counter[OptionContract] = Counter()
        for position in self.shadow.open_positions.values():
            mine[position.contract] += position.quantity
        hold(+mine == +self.held, "positions are the sum of fills", f"{_shown(mine)}, by the fills {_shown(self.held)}")

    def _orders_have_an_end(self) -> None:
        books = {booked.ref: booked for booked in self.venue.orders}
        for order in self.shadow.orders.values():
            booked = books.get(order.id)
            if order.state.is_open:
                there = booked is not None and booked.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
                waiting = order.state is OrderState.APPROVED and not self.venue.handed[order.id]
                hold(
                    there or waiting,
                    "an order ends or is known to be open",
                    f"{order.id} {order.state}, in the books {booked}",
                )
            elif booked is not None:
                over = booked.state not in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
                hold(over, "an order that is over works nowhere", f"{order.id} {order.state}, in the books {booked}")

    def _no_orphans(self, now: datetime) -> None:
        """What is held is watched by somebody: it is in the ledger, open, and not past its settlement."""
        for contract, quantity in self.held.items():
            positions = [p for p in self.shadow.open_positions.values() if p.contract == contract and p.quantity]
            hold(not quantity or bool(positions), "no orphan position", f"{quantity} {contract.osi}")
            for position in positions:
                over = position.contract.expiry < now.date()
                hold(not over, "no orphan position", f"{position.id} {contract.osi} was never settled")

    def _everything_was_weighed(self) -> None:
        left = [row.seq for row in self.shadow.heard.values() if not row.weighed]
        hold(not left, "every receipt is weighed", left[:5])

    def rebuilt(self) -> None:
        """The rows read back from their canonical text and folded from zero: slow, for a sample of the seeds."""
        from engine.domain.canonical import decode_fact

        state = State()
        for row in self.disk.rows:
            fact = decode_fact(row.body)
            hold(canonical(fact).decode() == row.body, "a fact reads back as it was", row.seq)
            state.apply(fact)
        self.projections_are_a_fold(state)

    # --- coverage -----------------------------------------------------------------------------------------------------

    def _seen(self, fact: AnyFact, key: object, before: Order | None) -> None:
        coverage = self.coverage
        coverage.facts[fact.kind] += 1
        after = self.shadow.orders.get(key) if isinstance(key, str) else None
        if after is not None:
            coverage.transitions[
                f"{before.state.value if before else 'none'} > {after.state.value} by {fact.kind}"
            ] += 1
        refusal = getattr(fact, "refusal", None)
        if refusal is not None:
            coverage.refusals[refusal.code.value] += 1
        if isinstance(fact, ev.ExitTriggered):
            coverage.exits[f"{fact.reason.value} {fact.action.value}"] += 1
        elif isinstance(fact, ev.PositionClosed):
            coverage.exits[f"closed {fact.reason.value}"] += 1


_RULES: dict[type[Any], Any] = {
    ev.SignalReceived: Judge._one_receipt_a_key,
    ev.PhaseReceived: Judge._one_receipt_a_key,
    ev.TrendReceived: Judge._one_receipt_a_key,
    ev.ExitNoticeReceived: Judge._one_receipt_a_key,
    ev.TicketOpened: Judge._a_trigger_enters_once,
    ev.OrderIntended: Judge._intended,
    ev.OrderFilled: Judge._a_fill_is_an_execution,
    ev.ForeignExecutionSeen: Judge._foreign,
    ev.ContractSettled: Judge._settled,
    ev.AccountOpened: Judge._account,
}


def _difference(mine: Any, theirs: Any) -> str:
    if not isinstance(mine, dict):
        return f"{theirs}, by the facts {mine}"
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    return f"{keys[:4]}: {theirs.get(keys[0]) if keys else ''}, by the facts {mine.get(keys[0]) if keys else 'in another order'}"


def _shown(counts: Counter[OptionContract]) -> dict[str, int]:
    return {contract.osi: count for contract, count in counts.items() if count}
