"""Bodies of the acting endpoints, checked before they become commands. They describe themselves in /docs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.domain.commands import (
    Approve,
    CancelOrder,
    ClosePosition,
    Command,
    HaltTrading,
    OpenTicket,
    Override,
    Reject,
    ResumeTrading,
    SettleOrder,
)

DOOR = "http"
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Quantity = Annotated[int, Field(ge=1, le=100_000, strict=True, description="Contracts")]
Price = Annotated[Decimal, Field(gt=0, le=1_000_000, decimal_places=4, description="Dollars per share")]


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TicketAnswer(Request):
    """Yes or no to a ticket; with another quantity or limit a reason is needed."""

    action: Literal["approve", "reject"]
    quantity: Quantity | None = None
    limit: Price | None = None
    reason: Words = ""

    def command(self, ticket: str) -> Command:
        if self.action == "reject":
            return Reject(by=DOOR, ticket=ticket, reason=self.reason)
        return Approve(by=DOOR, ticket=ticket, quantity=self.quantity, limit=self.limit, reason=self.reason)


class ManualTicket(Request):
    """A ticket for a contract of your own choice. The risk manager sees it like any other."""

    contract: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9.]{1,12}\d{6}[CP]\d{8}$")] = Field(
        description="OSI symbol without spaces", examples=["SPY261120C00600000"]
    )
    quantity: Quantity
    reason: Annotated[Words, Field(min_length=1)]
    limit: Price | None = None
    approve: bool = False

    def command(self) -> Command:
        return OpenTicket(
            by=DOOR,
            contract=self.contract,
            quantity=self.quantity,
            reason=self.reason,
            limit=self.limit,
            approve=self.approve,
        )


class DecisionOverride(Request):
    """A ticket for a decision that said WAIT or SKIP. Both stand in the ledger."""

    reason: Annotated[Words, Field(min_length=1)]
    quantity: Quantity | None = None
    direction: Literal["LONG", "SHORT"] | None = None

    def command(self, decision: int) -> Command:
        return Override(
            by=DOOR, decision=decision, reason=self.reason, quantity=self.quantity, direction=self.direction
        )


class Halt(Request):
    """The kill switch: no entries, working entries are cancelled; `flatten` also closes what is held."""

    reason: Words = ""
    flatten: bool = False

    def command(self) -> Command:
        return HaltTrading(by=DOOR, reason=self.reason, flatten=self.flatten)


class Resume(Request):
    reason: Annotated[Words, Field(min_length=1)]

    def command(self) -> Command:
        return ResumeTrading(by=DOOR, reason=self.reason)


class Close(Request):
    """Without a quantity all that is held."""

    quantity: Quantity | None = None

    def command(self, position: str) -> Command:
        return ClosePosition(by=DOOR, position=position, quantity=self.quantity)


class Settle(Request):
    """What became of an order that the broker's books cannot tell any more: without a quantity nothing more was filled."""

    reason: Annotated[Words, Field(min_length=1)] = Field(
        description="How you know it", examples=["broker's statement"]
    )
    quantity: Annotated[int, Field(ge=0, le=100_000, strict=True)] = Field(
        default=0, description="Contracts filled that the ledger does not have"
    )
    price: Price | None = None
    fees: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=4)] | None = Field(
        default=None, description="Dollars for all of them; by the fee table where not given"
    )

    def command(self, order: str) -> Command:
        return SettleOrder(
            by=DOOR, order=order, reason=self.reason, quantity=self.quantity, price=self.price, fees=self.fees
        )


class Outcome(BaseModel):
    """What a command made: the fact's seq, and the id of a ticket or order."""

    ok: bool
    seq: int | None = None
    created: str = ""


class Problem(BaseModel):
    """Every refusal looks like this."""

    code: str = Field(examples=["TICKET_EXPIRED"])
    path: str = Field(examples=["$.quantity"])
    detail: str


def cancel(order: str) -> Command:
    return CancelOrder(by=DOOR, order=order)
