"""What stands behind the doors: who hears a body, and who answers questions and commands. The conductor implements both.

Values and Protocols only. The HTTP layer calls them; the words of each answer are made here, so that every door says
the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from engine.domain import events as ev
from engine.domain.commands import Command, Done
from engine.domain.events import AnyFact
from engine.domain.findable import Question
from engine.domain.values import Code, Refusal, Value
from engine.intake.payloads import Heard

Row = msgspec.Struct | Mapping[str, object] | msgspec.Raw
RETRY_AFTER = 5
"""Seconds after which a sender should try again when the ledger is away; TradingView's own pause is the same."""


class Answer(Value, frozen=True, kw_only=True):
    """What a sender is told."""

    status: int
    body: dict[str, str | int]
    retry_after: int | None = None

    @classmethod
    def of(cls, fact: AnyFact) -> Answer:
        """The answer to the fact that keeps a receipt."""
        match fact:
            case ev.ReceiptRefused(status=status, refusal=refusal, seq=seq):
                return cls(status=status, body={**said(refusal), "receipt": seq})
            case ev.DuplicateReceived(original=original, seq=seq):
                return cls(status=200, body={"receipt": seq, "duplicate_of": original})
            case ev.SignalReceived() | ev.PhaseReceived() | ev.TrendReceived() | ev.ExitNoticeReceived():
                return cls(status=202, body={"receipt": fact.seq, "kind": fact.receipt.kind})
        raise TypeError(f"{type(fact).__name__} keeps no receipt")

    @classmethod
    def away(cls) -> Answer:
        """Nothing was kept: the ledger cannot be reached."""
        return cls(
            status=503,
            body={"code": Code.LEDGER_AWAY.value, "detail": "the ledger is away; nothing was kept, send it again"},
            retry_after=RETRY_AFTER,
        )


def said(refusal: Refusal) -> dict[str, str | int]:
    """A refusal as JSON: closed code, path of the first bad field, and its numbers in words."""
    detail = refusal.numbers.get("reason", "")
    numbers = ", ".join(f"{name} {value}" for name, value in refusal.numbers.items() if name != "reason")
    if numbers:
        detail = f"{detail} ({numbers})" if detail else numbers
    return {"code": refusal.code.value, "path": refusal.path or "$", "detail": detail or refusal.code.value}


class Hearing(Protocol):
    async def hear(self, heard: Heard) -> Answer:
        """Keep one authenticated body, good or bad, and answer once the receipt is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A page of facts in the order asked for."""

    rows: Sequence[Row]
    next: int | None
    """The key of the page after it; None at the end."""
    behind: int = 0
    """Newest facts that were not looked at: the search table is not filled that far."""


class Desk(Protocol):
    async def command(self, command: Command) -> Done: ...

    def view(self, name: str) -> Row | Sequence[Row]:
        """One of `VIEWS`, as it is now."""
        ...

    def quote(self, symbol: str) -> Row | None:
        """The underlying's quote now, with age and source; None where there is none."""
        ...

    async def find(self, question: Question, key: int | None, limit: int, newest_first: bool) -> Found:
        """One page of facts. `key` is what the page before gave as `next`; None begins at the newest (or oldest)."""
        ...

    async def past(self, at: datetime) -> Mapping[str, object]:
        """What the engine knew at a past moment: account, halt, boards, tickets, orders, positions."""
        ...

    async def story(self, seq: int) -> Sequence[Row]:
        """The whole story a fact belongs to; empty when there is no such fact."""
        ...

    def health(self) -> Mapping[str, object]:
        """`status` (ok, degraded) and whatever else the health panel knows."""
        ...

    def metrics(self) -> str:
        """Prometheus text."""
        ...


VIEWS = ("decisions", "decision", "signals", "orders", "positions", "exits", "tickets")
"""Names that `Desk.view` is asked for."""
