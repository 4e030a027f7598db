"""Facts for the benchmarks: whole stories as the journey tells them, any number of them, the same at every run.

A story is a signal and what came of it: most wait, some are denied, some are bought, marked, left and closed. Facts
come in the steps in which the engine makes them, valid for the fold; nothing here is measured or written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from app.probe import signal_body
from engine.domain import events as ev
from engine.domain.entities import ExitPlan, Neighbour, RuleVerdict, Sizing, Ticket
from engine.domain.events import AnyFact
from engine.domain.signals import ActiveSignal, Breakdown, Decision, Signal
from engine.domain.values import (
    Bias,
    Bucket,
    Code,
    Direction,
    ExitAction,
    ExitReason,
    Greeks,
    MarketSession,
    OptionContract,
    OrderType,
    Priority,
    Purpose,
    Quality,
    Quote,
    Right,
    Side,
    TicketState,
    Timeframe,
    TimeInForce,
    Verdict,
    Weekday,
    refuse,
)

Step = tuple[list[AnyFact], dict[str, int]]
"""What one step of the engine appends: its facts, and the dedupe keys they bring."""

BEGINNING = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_GREEKS = Greeks(iv=0.2134, delta=0.5231, gamma=0.021877, vega=0.412315, theta=-0.281456, rho=0.032741)
_FRAMES = (Timeframe.M5, Timeframe.M3, Timeframe.M15, Timeframe.M30, Timeframe.H1, Timeframe.H4)
_SYMBOLS = tuple(f"S{number:02d}" for number in range(40))
_DENIALS = (Code.SIGNAL_LATE, Code.NO_LIQUID_CONTRACT, Code.HEAT_OVER_LIMIT, Code.SIGNAL_CONTRADICTED)
_TRADES, _DENIED = 3, 3
"""Of every ten stories."""
_MARKS = 8
"""Times a position is marked."""


class Stories:
    """Makes steps one after another, numbered from `after` + 1; `spacing` of engine time lies between two facts."""

    def __init__(self, after: int = 0, *, spacing: timedelta = timedelta(milliseconds=40)) -> None:
        self.seq = after
        self._spacing = spacing
        self._now = BEGINNING + after * spacing
        self._boards: dict[str, tuple[ActiveSignal, ...]] = {}

    def opening(self) -> Step:
        """The first facts of a ledger."""
        opened = ev.AccountOpened(**self._next(), cash=Decimal("1000000"))
        session = ev.SessionOpened(**self._next(), session=BEGINNING.date(), equity=Decimal("1000000"))
        return [opened, session], {}

    def steps(self, facts: int) -> Iterator[Step]:
        """Whole stories until at least so many facts were made."""
        last = self.seq + facts
        if not self.seq:
            yield self.opening()
        number = self.seq
        while self.seq < last:
            number += 1
            yield from self._story(number)

    def _next(self, cause: int | None = None) -> dict[str, Any]:
        self.seq += 1
        self._now += self._spacing
        return {"seq": self.seq, "at": self._now, "cause": cause}

    def _story(self, number: int) -> Iterator[Step]:
        symbol = _SYMBOLS[number % len(_SYMBOLS)]
        price = 100 + number % 5000 / 10
        place = self._next()
        signal = _signal(symbol, _FRAMES[number % 6], price, self._now)
        raw = json.dumps(signal_body(symbol, signal.timeframe.value, price, 1_760_000_000_000 + number))
        digest = sha256(raw.encode()).hexdigest()
        receipt = ev.Receipt(
            key=digest[:40], kind="signal", raw=raw, sha256=digest, wall=self._now, remote="52.89.214.238"
        )
        heard = ev.SignalReceived(**place, receipt=receipt, signal=signal, late=1.25)
        yield [heard], {receipt.key: heard.seq}
        trades, denied = number % 10 < _TRADES, _TRADES <= number % 10 < _TRADES + _DENIED
        facts = self._weighed(heard, Verdict.EXECUTE if trades or denied else Verdict.WAIT)
        decided = facts[-1].seq
        if denied:
            refusal = refuse(_DENIALS[number % 4], seconds="91.2", limit="90")
            place = self._next(decided)
            facts.append(
                ev.EntryDenied(
                    **place, symbol=symbol, decision=decided, trigger=heard.seq, refusal=refusal, stage="risk"
                )
            )
        if not trades:
            yield facts, {}
            return
        yield from self._trade(facts, heard, decided)

    def _weighed(self, heard: ev.SignalReceived, verdict: Verdict) -> list[AnyFact]:
        signal = heard.signal
        active = ActiveSignal(
            source=heard.seq, signal=signal, received=heard.at, expires=heard.at + timedelta(hours=1), late=heard.late
        )
        placed = ev.SignalPlaced(**self._next(heard.seq), active=active)
        board = (*(a for a in self._boards.get(signal.symbol, ()) if a.signal.timeframe != signal.timeframe), active)
        self._boards[signal.symbol] = board
        decided = ev.DecisionMade(
            **self._next(heard.seq), symbol=signal.symbol, by="signal", trigger=heard.seq, signals=board[-3:],
            phases=(), trends=(), decision=_decision(signal, verdict),
        )  # fmt: skip
        return [placed, decided]

    def _trade(self, facts: list[AnyFact], heard: ev.SignalReceived, decided: int) -> Iterator[Step]:
        price = Decimal(f"{heard.signal.price:.2f}")
        contract = OptionContract(
            symbol=heard.signal.symbol, expiry=date(2026, 12, 18), right=Right.CALL, strike=price.quantize(Decimal(1))
        )
        place = self._next(decided)
        ticket = _ticket(f"T{place['seq']}", contract, self._quote("2.00"), self._now, decided, heard.seq)
        facts.append(ev.TicketOpened(**place, ticket=ticket))
        facts.append(
            ev.TicketApproved(
                **self._next(place["seq"]), ticket=ticket.id, by="policy", quantity=2, limit=ticket.limit,
                quote=ticket.quote, verdicts=ticket.verdicts,
            )
        )  # fmt: skip
        order, intent = self._intent(contract, Side.BUY, ticket=ticket.id, cause=facts[-1].seq)
        yield [*facts, intent], {}
        position = f"P{self.seq + 3}"
        yield from self._filled(order, position, "2.02", price)
        for mark in range(_MARKS):
            yield [self._marked(position, Decimal("2.05") + mark * Decimal("0.03"), price)], {}
        triggered = ev.ExitTriggered(
            **self._next(), position=position, rule="profit_target", reason=ExitReason.PROFIT_TARGET,
            priority=Priority.MEDIUM, action=ExitAction.CLOSE, quantity=2, numbers={"gain": "0.52", "limit": "0.50"},
        )  # fmt: skip
        order, intent = self._intent(contract, Side.SELL, position=position, cause=triggered.seq)
        yield [triggered, intent], {}
        yield from self._filled(order, position, "2.26", price, last=True)

    def _intent(
        self,
        contract: OptionContract,
        side: Side,
        *,
        cause: int,
        ticket: str | None = None,
        position: str | None = None,
    ) -> tuple[str, AnyFact]:
        place = self._next(cause)
        buying = side is Side.BUY
        order = ev.OrderIntended(
            **place, order=f"O{place['seq']}", contract=contract, side=side, quantity=2, type=OrderType.LIMIT,
            limit=Decimal("2.04"), tif=TimeInForce.DAY, purpose=Purpose.ENTRY if buying else Purpose.EXIT, ticket=ticket,
            position=position, exit_reason=None if buying else ExitReason.PROFIT_TARGET,
        )  # fmt: skip
        return order.order, order

    def _filled(
        self, order: str, position: str, price: str, underlying: Decimal, *, last: bool = False
    ) -> Iterator[Step]:
        intent = self.seq
        yield [ev.OrderSubmitted(**self._next(intent), order=order, broker="paper")], {}
        accepted = ev.OrderAccepted(**self._next(intent), order=order)
        filled = ev.OrderFilled(
            **self._next(intent), order=order, execution=f"{order}.1", quantity=2, price=Decimal(price),
            fees=Decimal("1.32"), slippage=Decimal("0.01"), quote=self._quote(price), underlying=underlying,
            greeks=_GREEKS, position=position,
        )  # fmt: skip
        facts: list[AnyFact] = [accepted, filled]
        if last:
            facts.append(_closed(self._next(filled.seq), position))
        yield facts, {}

    def _marked(self, position: str, mark: Decimal, underlying: Decimal) -> AnyFact:
        return ev.PositionMarked(
            **self._next(), position=position, mark=mark, bid=mark - Decimal("0.01"), ask=mark + Decimal("0.01"),
            underlying=underlying, greeks=_GREEKS, unrealised=Decimal("6.00"), best=mark, worst=Decimal("2.00"), armed=False,
        )  # fmt: skip

    def _quote(self, bid: str) -> Quote:
        return Quote(
            bid=Decimal(bid),
            ask=Decimal(bid) + Decimal("0.04"),
            at=self._now,
            bid_size=20,
            ask_size=25,
            source="simulated",
        )


def _signal(symbol: str, timeframe: Timeframe, price: float, at: datetime) -> Signal:
    return Signal(
        symbol=symbol, direction=Direction.LONG, timeframe=timeframe, quality=Quality.HIGH, ai_score=8.0, bar_close=at,
        price=price, stop_loss=round(price * 0.99, 2), target_1=round(price * 1.03, 2), target_2=round(price * 1.05, 2),
        rr_ratio_t1=3.0, recommended_contracts=2, volume_vs_avg=1.2, trend_strength=70.0, bias_4h=Bias.LONG,
        bias_1h=Bias.LONG, session=MarketSession.MIDDAY, weekday=Weekday.FRIDAY, exchange="NASDAQ",
        atr=round(price * 0.004, 4), vwap=price, components=("TREND",),
    )  # fmt: skip


def _decision(signal: Signal, verdict: Verdict) -> Decision:
    execute = verdict is Verdict.EXECUTE
    factors = dict.fromkeys(Breakdown.__struct_fields__, 1.0) | {
        "confluence_multiplier": 1.25,
        "final_multiplier": 1.25,
    }
    return Decision(
        verdict=verdict, confluence_score=7 if execute else 4, breakdown=Breakdown(**factors) if execute else None,
        raw_multiplier=1.25 if execute else None, recommended_contracts=2 if execute else 0,
        direction=Direction.LONG if execute else None, entry_timeframe=signal.timeframe if execute else None,
        stop_loss=signal.stop_loss if execute else None, target_1=signal.target_1 if execute else None,
        target_2=signal.target_2 if execute else None, leaning=Direction.LONG,
        reason="confluence 7 of 10 with the higher timeframes" if execute else "confluence 4 is below 6",
        engine_version="1.0.0",
    )  # fmt: skip


def _ticket(key: str, contract: OptionContract, quote: Quote, now: datetime, decision: int, trigger: int) -> Ticket:
    names = ("position_size", "heat", "concentration", "day_budget", "buying_power", "delta", "theta", "vega")
    return Ticket(
        id=key, purpose=Purpose.ENTRY, symbol=contract.symbol, direction=Direction.LONG, contract=contract, side=Side.BUY,
        quantity=2, limit=Decimal("2.04"), quote=quote, opened=now, changed=now, expires=now + timedelta(minutes=2),
        state=TicketState.PENDING, decision=decision, trigger=trigger, bucket=Bucket.LONGER,
        plan=ExitPlan(stop_fraction=Decimal("0.50"), profit_fraction=Decimal("0.50"), underlying_stop=contract.strike - 3),
        sizing=Sizing(
            quantity=2, recommended=2, risk_budget=Decimal("500"), loss_per_contract=Decimal("105.30"),
            confidence_factor=Decimal("1.00"), regime_factor=Decimal("1.00"),
        ),
        max_loss=Decimal("210.60"), break_even=contract.strike + 2, greeks=_GREEKS,
        verdicts=tuple(RuleVerdict(rule=name, passed=True, value="0.0123", limit="0.0500") for name in names),
        neighbours=tuple(
            Neighbour(
                contract=OptionContract(symbol=contract.symbol, expiry=contract.expiry, right=Right.CALL, strike=strike),
                delta=0.41, bid=Decimal("1.20"), ask=Decimal("1.26"), why="delta 0.41 is further from 0.50",
            )
            for strike in (contract.strike - 1, contract.strike + 1)
        ),
    )  # fmt: skip


def _closed(place: dict[str, Any], position: str) -> AnyFact:
    return ev.PositionClosed(
        **place, position=position, reason=ExitReason.PROFIT_TARGET, gross=Decimal("48.00"), fees=Decimal("2.64"),
        net=Decimal("45.36"), r=Decimal("0.22"), average_exit=Decimal("2.26"), held_seconds=480.0, best=Decimal("2.26"),
        worst=Decimal("2.00"), attribution={"delta": Decimal("40.10"), "residual": Decimal("7.90")},
    )  # fmt: skip


def batches(steps: Iterator[Step], size: int) -> Iterator[Sequence[AnyFact]]:
    """The same facts in batches of about `size`, for who writes them in bulk."""
    batch: list[AnyFact] = []
    for facts, _ in steps:
        batch += facts
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
