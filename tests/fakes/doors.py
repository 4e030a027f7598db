"""What stands behind the doors, in memory: keeps every receipt in order and answers as the ledger would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from engine.clock import SetClock
from engine.domain import events as ev
from engine.domain.commands import Command, Done
from engine.domain.findable import Findable, Question
from engine.domain.signals import Phase, Signal, Trend
from engine.domain.values import Refusal
from engine.intake.auth import Credentials
from engine.intake.doors import Answer, Found, Row
from engine.intake.payloads import Heard
from engine.ports import LedgerAway

SECRETS = Credentials(
    signal=("signal-secret-0123456789",),
    phase=("phase-secret-0123456789",),
    trend=("trend-secret-0123456789",),
    api=("api-token-0123456789abcd",),
    trading=("trading-token-0123456789",),
)
MOMENT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""A Friday, 10:00 in New York."""


class MemoryHearing:
    """A ledger of receipts."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.facts: list[ev.AnyFact] = []
        self.heard: list[Heard] = []
        self.away = False
        self._known: dict[str, int] = {}

    def forget(self) -> None:
        """As new."""
        self.facts.clear()
        self.heard.clear()
        self._known.clear()
        self.away = False

    async def hear(self, heard: Heard) -> Answer:
        if self.away:
            raise LedgerAway("no database")
        self.heard.append(heard)
        fact = self._fact(heard)
        self.facts.append(fact)
        return Answer.of(fact)

    def _fact(self, heard: Heard) -> ev.AnyFact:
        seq, now = len(self.facts) + 1, self.clock.now()
        receipt = ev.Receipt(
            key=heard.key, kind=heard.kind, raw=heard.raw, sha256=heard.sha256, wall=now, remote=heard.remote
        )
        if heard.refusal is not None:
            return ev.ReceiptRefused(seq=seq, at=now, receipt=receipt, refusal=heard.refusal, status=heard.status)
        original = self._known.setdefault(heard.key, seq)
        if original != seq:
            return ev.DuplicateReceived(seq=seq, at=now, receipt=receipt, original=original)
        value = heard.value
        if isinstance(value, Signal):
            return ev.SignalReceived(seq=seq, at=now, receipt=receipt, signal=value, late=0.0)
        if isinstance(value, Phase):
            return ev.PhaseReceived(seq=seq, at=now, receipt=receipt, phase=value)
        if isinstance(value, Trend):
            return ev.TrendReceived(seq=seq, at=now, receipt=receipt, trend=value)
        assert value is not None
        return ev.ExitNoticeReceived(seq=seq, at=now, receipt=receipt, notice=value)


class MemoryDesk:
    """Views that were put in, and the commands that came."""

    def __init__(self, hearing: MemoryHearing) -> None:
        self.hearing = hearing
        self.views: dict[str, Row | Sequence[Row]] = {}
        self.commands: list[Command] = []
        self.refusal: Refusal | None = None

    def forget(self) -> None:
        """As new."""
        self.hearing.forget()
        self.views.clear()
        self.commands.clear()
        self.refusal = None

    async def command(self, command: Command) -> Done:
        if self.hearing.away:
            raise LedgerAway("no database")
        self.commands.append(command)
        return Done(ok=self.refusal is None, refusal=self.refusal, seq=len(self.commands))

    def view(self, name: str) -> Row | Sequence[Row]:
        return self.views.get(name, [])

    async def find(self, question: Question, key: int | None, limit: int, newest_first: bool) -> Found:
        facts = self.hearing.facts[::-1] if newest_first else self.hearing.facts
        found: list[Row] = [
            fact
            for fact in facts
            if (key is None or (fact.seq < key if newest_first else fact.seq > key))
            and question.answered_by(fact, Findable())
        ]
        page = found[:limit]
        return Found(page, getattr(page[-1], "seq", None) if len(page) == limit else None)

    async def past(self, at: datetime) -> Mapping[str, object]:
        return {"at": at, "facts": sum(fact.at <= at for fact in self.hearing.facts)}

    def quote(self, symbol: str) -> Row | None:
        return {"symbol": symbol, "mid": "660.00"} if symbol == "SPY" else None

    async def story(self, seq: int) -> Sequence[Row]:
        return [fact for fact in self.hearing.facts if fact.seq == seq]

    def health(self) -> Mapping[str, object]:
        return {"status": "ok", "ledger": "memory"}

    def metrics(self) -> str:
        return f"strikedesk_facts_total {len(self.hearing.facts)}\n"
