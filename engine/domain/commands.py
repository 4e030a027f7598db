"""What may be asked of the engine, in the imperative. A command may be refused; each answer is a value."""

from __future__ import annotations

from decimal import Decimal

from engine.domain.values import ExitReason, Refusal, Value


class Command(Value, frozen=True, kw_only=True, tag_field="command", tag=True):
    by: str
    """The door it came through: desk, http, policy, orders-file."""


class Approve(Command, frozen=True, kw_only=True):
    ticket: str
    quantity: int | None = None
    limit: Decimal | None = None
    reason: str = ""
    """Needed when quantity or limit differ from the ticket's."""


class Reject(Command, frozen=True, kw_only=True):
    ticket: str
    reason: str = ""


class Override(Command, frozen=True, kw_only=True):
    """Open a ticket for a decision that said WAIT or SKIP, or was denied by a guard that may be overridden."""

    decision: int
    reason: str
    quantity: int | None = None
    direction: str | None = None
    """LONG or SHORT; the decision's leaning where not given."""
    approve: bool = False
    """Answer the ticket with yes at once (orders file)."""


class OpenTicket(Command, frozen=True, kw_only=True):
    """A manual ticket for a contract of the trader's own choice; the risk manager sees it like any other."""

    contract: str
    """OSI symbol."""
    quantity: int
    reason: str
    limit: Decimal | None = None
    approve: bool = False
    """Answer the ticket with yes at once (orders file, keys)."""


class ClosePosition(Command, frozen=True, kw_only=True):
    position: str
    quantity: int | None = None
    """None closes all that is held."""
    reason: ExitReason = ExitReason.MANUAL


class CancelOrder(Command, frozen=True, kw_only=True):
    order: str


class SettleOrder(Command, frozen=True, kw_only=True):
    """A person's word about an order that the broker's books cannot tell any more: it works no more, and so much of it
    was filled that the ledger does not have."""

    order: str
    reason: str
    """How it is known: the broker's statement, a call."""
    quantity: int = 0
    """Contracts filled beyond the executions that are known; 0: none, it was cancelled or never arrived."""
    price: Decimal | None = None
    """Dollars per share of those contracts."""
    fees: Decimal | None = None
    """Dollars for all of them; None: by the fee table."""


class HaltTrading(Command, frozen=True, kw_only=True):
    reason: str = ""
    flatten: bool = False


class ResumeTrading(Command, frozen=True, kw_only=True):
    reason: str


class Done(Value, frozen=True, kw_only=True):
    """The answer to a command: what it made, or why not."""

    ok: bool
    refusal: Refusal | None = None
    seq: int | None = None
    """The fact that carries it out."""
    created: str = ""
    """Id of the ticket, order … it made."""
    durable: bool = True
    """False: it counts, but the ledger is away and its facts still wait to be written."""

    @property
    def text(self) -> str:
        if self.refusal:
            return self.refusal.text
        return "done" if self.durable else "done, not yet in the ledger"
