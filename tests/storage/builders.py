"""Facts for ledger tests: small, valid, and told apart by their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.domain.events import AnyFact, Receipt, ReceiptRefused, TicketRejected, TradingHalted, TrendReceived
from engine.domain.signals import Trend
from engine.domain.values import Code, Refusal
from engine.ports import Change

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


def at(seq: int) -> datetime:
    return OPEN + timedelta(milliseconds=seq)


def rejected(seq: int, reason: str = "", cause: int | None = None, moment: datetime | None = None) -> AnyFact:
    return TicketRejected(seq=seq, at=moment or at(seq), cause=cause, ticket=f"T{seq}", by="desk", reason=reason)


def halted(seq: int, cause: int | None = None) -> AnyFact:
    return TradingHalted(seq=seq, at=at(seq), cause=cause, by="desk", reason="test", numbers={"loss": "12.50"})


def receipt(seq: int, key: str = "", kind: str = "trend") -> Receipt:
    return Receipt(key=key or f"key-{seq}", kind=kind, raw="{}", sha256="0" * 64, wall=at(seq))


def refused(seq: int) -> AnyFact:
    return ReceiptRefused(
        seq=seq, at=at(seq), receipt=receipt(seq, kind="unknown"), refusal=Refusal(code=next(iter(Code))), status=422
    )


def heard(seq: int, symbol: str = "SPY", key: str = "") -> AnyFact:
    """An accepted receipt: its dedupe key is `key-{seq}` unless given."""
    trend = Trend(symbol=symbol, timestamp=at(seq), price=601.25, directions=(1, 1, 1, 0, 0, -1, 1, 1))
    return TrendReceived(seq=seq, at=at(seq), receipt=receipt(seq, key), trend=trend)


def several(first: int, last: int, reason: str = "") -> list[AnyFact]:
    """Rejections numbered first to last, inclusive."""
    return [rejected(seq, reason) for seq in range(first, last + 1)]


def row(key: str, body: str | None = '{"v":1}', kind: str = "order") -> Change:
    return Change(kind=kind, key=key, body=None if body is None else body.encode())
