"""Plausible views of a simulated afternoon, for the pictures and the panel tests. Invented figures, marked SIMULATED."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from engine.domain.entities import RuleVerdict
from engine.domain.values import (
    Bias,
    Direction,
    ExitAction,
    OrderState,
    Priority,
    Purpose,
    Quality,
    Side,
    Timeframe,
    Verdict,
)
from engine.domain.views import (
    ChainExpiry,
    ChainRow,
    ChainSide,
    ChainView,
    ConfluenceCell,
    ConfluenceRow,
    ConfluenceView,
    DecisionsView,
    DecisionView,
    DeskUpdate,
    ExitRow,
    ExitsView,
    Face,
    FaceKind,
    Factor,
    Gauge,
    GreeksView,
    HeaderView,
    HealthView,
    Impact,
    Lamp,
    LampState,
    LedgerRow,
    LogRow,
    LogView,
    OrderRow,
    OrdersView,
    Outage,
    PayoffPoint,
    Point,
    PositionRow,
    PositionsView,
    SignalRow,
    SignalsView,
    StoryCard,
    StoryStep,
    StoryView,
    SymbolGreeks,
    Tick,
    TicketsView,
    TicketView,
    WelcomeStep,
    WelcomeView,
)
from engine.pricing import european

D = Decimal
NOW = datetime(2026, 11, 20, 19, 7, 32, tzinfo=UTC)
LONG, SHORT = Direction.LONG, Direction.SHORT
M, H, E = Quality.MEDIUM, Quality.HIGH, Quality.EXTREME
WEIGHTS = dict(zip(Timeframe, (40, 25, 15, 10, 7, 3), strict=True))
LIVES = dict(zip(Timeframe, (480, 90, 30, 15, 7.5, 4.5), strict=True))


def at(text: str) -> datetime:
    """A New York time of the sample day."""
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return NOW.replace(hour=hours + 5, minute=minutes, second=seconds)


def header(**changes: object) -> HeaderView:
    view = HeaderView(
        account="PAPER",
        market="SIMULATED",
        now=NOW,
        ticks=(
            Tick(symbol="SPY", price=D("661.42"), change=0.0031, age=0.2),
            Tick(symbol="QQQ", price=D("603.18"), change=0.0044, age=0.3),
            Tick(symbol="IWM", price=D("238.07"), change=-0.0012, age=0.2),
        ),
        session="MIDDAY",
        to_close=6748,
        equity=D("100412.60"),
        day_pnl=D("412.60"),
        budget_used=D(1284),
        budget=D(3000),
        heat=0.034,
        heat_limit=0.08,
    )
    return msgspec.structs.replace(view, **changes)


def signals() -> SignalsView:
    rows = (
        ("14:06:58", "SPY 5m LONG", LONG, E, 82, "EXECUTE"),
        ("14:03:01", "SPY 3m SHORT", SHORT, M, 75, "WAIT"),
        ("14:00:02", "QQQ 30m LONG", LONG, M, 62, "SKIP × 0.47"),
        ("14:00:01", "IWM 60m SHORT", SHORT, M, 53, "WAIT"),
        ("13:55:00", "SPY 5m LONG", LONG, H, 75, "denied PRICE_DRIFT move=1.12 limit=0.88"),
        ("13:45:01", "IWM 15m SHORT", SHORT, M, 28, "WAIT"),
        ("13:31:12", "SPY trend STRONG 6/8", LONG, None, 75, "WAIT"),
        ("13:30:02", "SPY 60m LONG", LONG, H, 75, "EXECUTE · filled 3"),
        ("13:30:01", "QQQ 240m LONG", LONG, H, 47, "WAIT"),
        ("13:21:40", "QQQ 3m LONG", LONG, M, None, "duplicate of 18,011"),
        ("13:15:07", "SPY 15m LONG", LONG, M, 65, "superseded by HIGH until 13:30"),
        ("13:02:44", "not readable", None, None, None, "BAD_FIELD at signal.ai_score value=eleven"),
    )
    return SignalsView(
        rows=tuple(
            SignalRow(
                seq=18204 - 13 * n, at=at(when), kind="signal", symbol=text.split()[0] if direction else "", text=text,
                direction=direction, quality=quality, score=score, outcome=outcome, decision=18205 - 13 * n,
            )
            for n, (when, text, direction, quality, score, outcome) in enumerate(rows)
        ),
        today=31,
        heard_ago=34.0,
    )  # fmt: skip


def _cells(*parts: tuple[Direction, Quality, float] | None) -> tuple[ConfluenceCell, ...]:
    return tuple(
        ConfluenceCell(timeframe=tf, weight=WEIGHTS[tf])
        if part is None
        else ConfluenceCell(
            timeframe=tf, weight=WEIGHTS[tf], direction=part[0], quality=part[1], ai_score=7.8, left=part[2],
            seconds=part[2] * LIVES[tf] * 60, source=18000,
        )
        for tf, part in zip(Timeframe, parts, strict=True)
    )  # fmt: skip


def confluence() -> ConfluenceView:
    return ConfluenceView(
        rows=(
            ConfluenceRow(
                symbol="SPY", score=82, leaning=LONG, reachable=100, missing="30m LONG makes 97", phase="1H ENTER_ACCUMULATION",
                phase_score=82, trend="STRONG", trend_count="6/8", trend_bias=Bias.LONG, verdict=Verdict.EXECUTE,
                cells=_cells((LONG, H, 0.8), (LONG, H, 0.55), None, (LONG, M, 0.4), (LONG, E, 0.96), (SHORT, M, 0.3)),
            ),
            ConfluenceRow(
                symbol="QQQ", score=65, leaning=LONG, reachable=93, missing="60m LONG makes 90", trend="MODERATE", trend_count="5/8",
                trend_bias=Bias.LONG, verdict=Verdict.SKIP,
                cells=_cells((LONG, H, 0.7), None, (LONG, M, 0.2), None, (LONG, H, 0.6), (LONG, M, 0.9)),
            ),
            ConfluenceRow(
                symbol="IWM", score=53, leaning=SHORT, reachable=60, missing="needs 7 more", blocked="4H held LONG EXTREME for 2 h 40 m",
                trend="CHOPPY", trend_count="3/8", verdict=Verdict.WAIT,
                cells=_cells((LONG, E, 0.33), (SHORT, M, 0.66), (SHORT, H, 0.35), (SHORT, M, 0.12), None, (SHORT, M, 0.5)),
            ),
        )
    )  # fmt: skip


def decisions() -> DecisionsView:
    factors = (
        ("Confluence 82", 2.0, 0.5, 2.5), ("Quality HIGH", 1.1, 1.0, 1.3), ("HTF PERFECT", 1.3, 0.5, 1.3),
        ("Reward to risk 2.4", 1.0, 0.5, 1.2), ("Volume 1.6 × average", 1.1, 0.7, 1.1), ("Trend strength 84", 1.2, 0.8, 1.2),
        ("Session MIDDAY", 1.0, 0.5, 1.0), ("Day FRIDAY", 0.85, 0.85, 1.1), ("Phase confidence", 1.2, 1.0, 1.2),
        ("Phase position", 1.1, 1.0, 1.1), ("Trend alignment", 1.45, 1.0, 1.45),
    )  # fmt: skip
    return DecisionsView(
        rows=(
            DecisionView(
                seq=18205, at=at("14:06:58"), symbol="SPY", verdict=Verdict.EXECUTE, direction=LONG, leaning=LONG, score=82,
                by="signal", trigger="5m", engine_version="1.0.0", raw=6.14, final=3.0, contracts=6,
                reason="Confluence 82 with an HTF signal of 7.8; entry by the 4H signal",
                factors=tuple(Factor(name=n, value=v, low=lo, high=hi) for n, v, lo, hi in factors),
                counterfactuals=(
                    "Without 60m: WAIT, the score would be 57",
                    "With 30m LONG: score 97, confluence × 2.50, still bounded to × 3.00",
                ),
                inputs=("240 LONG HIGH 7.8", "60 LONG HIGH 8.1", "15 LONG MEDIUM", "5 LONG EXTREME", "3 SHORT MEDIUM",
                        "phase BIAS 1H", "trend 6/8"),
            ),
            DecisionView(
                seq=18102, at=at("14:00:02"), symbol="QQQ", verdict=Verdict.SKIP, direction=None, leaning=LONG, score=62,
                by="signal", trigger="30m", engine_version="1.0.0", raw=0.47, final=0.5, contracts=0,
                reason="The product of all factors is 0.47, under 0.50", overridable=True,
                factors=tuple(Factor(name=n, value=v, low=lo, high=hi) for n, v, lo, hi in factors[:8]),
                counterfactuals=("With volume over 0.8 × average: EXECUTE × 0.67",),
                inputs=("240 LONG HIGH 6.4", "30 LONG MEDIUM", "5 LONG HIGH", "3 LONG MEDIUM"),
                assumed=("stop_loss", "target_1", "target_2", "ai_score"),
            ),
            DecisionView(
                seq=18100, at=at("14:00:01"), symbol="IWM", verdict=Verdict.WAIT, direction=None, leaning=SHORT, score=53,
                by="signal", trigger="60m", engine_version="1.0.0", overridable=True,
                reason="Confluence 53 is under 60",
                counterfactuals=("With 5m SHORT: 60, EXECUTE × 0.88", "The 4H LONG EXTREME bars 40 points for 2 h 40 m"),
                inputs=("240 LONG EXTREME 8.8", "60 SHORT MEDIUM 6.2", "30 SHORT HIGH", "15 SHORT MEDIUM", "3 SHORT MEDIUM"),
            ),
        )
    )  # fmt: skip


def _payoff(strike: float, premium: float, quantity: int, spot: float) -> tuple[PayoffPoint, ...]:
    points = []
    for step in range(61):
        at_spot = spot - 12 + step * 0.42
        expiry = (max(0.0, at_spot - strike) - premium) * 100 * quantity
        time_value = 5.6 / (1 + math.exp(-(at_spot - strike) / 2.9)) + 0.62 * max(0.0, at_spot - strike - 2)
        points.append(
            PayoffPoint(spot=round(at_spot, 2), expiry=expiry, now=(time_value * 1.75 - premium) * 100 * quantity)
        )
    return tuple(points)


def ticket(**changes: object) -> TicketView:
    rules = ("max_position", "heat", "symbol_heat", "group_heat", "day_budget", "positions", "delta", "drift", "session",
             "duplicate", "rate", "halt")  # fmt: skip
    view = TicketView(
        id="T-18207", purpose=Purpose.ENTRY, symbol="SPY", direction=LONG, side=Side.BUY, quantity=4,
        contract="SPY 26 Nov 26 662 C", dte=6, bid=D("4.86"), ask=D("4.90"), bid_size=112, ask_size=87, age=0.3,
        source="simulated", synthetic=False, limit=D("4.88"), mid_ticks=0, max_loss=D("1003.40"), loss_fraction=0.00999,
        budget_left=D(740), stop_fraction=0.5, stop_underlying=D("658.90"), stop_atr=0.9, stop_dollars=D(-976),
        break_even=D("666.88"), move_used=1.3, to_close=6748, event="", same_bets=2, expires_in=31, life=0.34,
        changed=NOW - timedelta(seconds=59), decision=18205, trigger=18204, spot=D("661.42"), strike=D(662),
        expected_move=5.3, targets="664.20 · 668.00",
        verdicts=tuple(RuleVerdict(rule=rule, passed=True, value="", limit="") for rule in rules),
        impacts=(Impact(name="Δ $", before=D(61240), after=D(149800)), Impact(name="vega", before=D(312), after=D(486)),
                 Impact(name="heat", before=D("3.4"), after=D("4.4"), decimals=1, unit="%")),
        payoff=_payoff(662, 4.88, 4, 661.42), cancels="an opposite signal, 3 % drift, the stop at 658.90, or 0:31",
        odds=0.34, touch=0.66, sized_by="risk budget", reprices=0,
    )  # fmt: skip
    return msgspec.structs.replace(view, **changes)


def tickets() -> TicketsView:
    return TicketsView(rows=(ticket(),))


def _position(n: int, contract: str, qty: int, entry: str, mark: str, age: float, delta: float, gamma: float, theta: int,
              vega: int, mfe: float, mae: float, exit_: str, near: float, **more: object) -> PositionRow:  # fmt: skip
    bought, now = D(entry), D(mark)
    pnl = (now - bought) * 100 * qty
    row = PositionRow(
        id=f"P-{n}", contract=contract, symbol=contract.split()[0], direction=LONG if contract.endswith("C") else SHORT,
        dte=6, quantity=qty, entry=bought, mark=now, bid=now - D("0.03"), ask=now + D("0.03"), age=age, stale=False,
        model=False, pnl=pnl, pnl_fraction=float(now / bought - 1), r=float(pnl / (bought * 50 * qty)), delta=delta,
        gamma=gamma, vega=D(vega), theta=D(theta), mfe=mfe, mae=mae, next_exit=exit_, nearness=near, decision=17000 + n,
        trigger=16999 + n, iv=0.1834, greeks_by="American, parity forward, simulated",
    )  # fmt: skip
    return msgspec.structs.replace(row, **more)


def positions() -> PositionsView:
    rows = (
        _position(1, "SPY 26 Nov 26 658 C", 3, "5.12", "6.48", 0.4, 0.61, 0.021, -41, 38, 0.31, -0.08, "trail · 0.34", 0.3),
        _position(2, "QQQ 28 Nov 26 600 C", 2, "8.30", "9.05", 0.3, 0.55, 0.012, -36, 52, 0.12, -0.11, "target +50 % · 41 pt", 0.8),
        _position(3, "SPY 20 Nov 26 662 C", 5, "0.94", "0.81", 0.2, 0.44, 0.094, -405, 9, 0.18, -0.22, "stop −50 % · 36 pt", 0.7, dte=0),
        _position(4, "IWM 19 Dec 26 236 P", 4, "1.62", "1.56", 0.9, -0.38, 0.031, -22, 14, 0.06, -0.09, "max hold · 2 sessions", 0.9),
    )  # fmt: skip
    return PositionsView(rows=rows, delta_dollars=D(61240), theta=D(-504), pnl=D("469.00"), age=0.9)


def orders() -> OrdersView:
    return OrdersView(
        rows=(
            OrderRow(id="O-1", contract="QQQ 28 Nov 26 600 C", symbol="QQQ", side=Side.SELL, quantity=1, filled=0,
                     state=OrderState.WORKING, limit=D("12.45"), average=None, bid=D("9.02"), ask=D("9.08"), age=0.3,
                     purpose=Purpose.EXIT, why="TARGET_1", working=1440, changed=at("13:43:32"), since=1440, seq=18150),
            OrderRow(id="O-2", contract="SPY 26 Nov 26 660 C", symbol="SPY", side=Side.BUY, quantity=2, filled=1,
                     state=OrderState.PARTIALLY_FILLED, limit=D("5.34"), average=D("5.34"), bid=D("5.31"), ask=D("5.36"), age=0.2,
                     purpose=Purpose.ENTRY, why="entry", working=6, changed=at("14:07:28"), since=4, attempts=1, seq=18190),
            OrderRow(id="O-3", contract="SPY 26 Nov 26 658 C", symbol="SPY", side=Side.BUY, quantity=3, filled=3,
                     state=OrderState.FILLED, limit=D("5.14"), average=D("5.12"), bid=D("6.45"), ask=D("6.51"), age=0.4,
                     purpose=Purpose.ENTRY, why="entry", working=0, changed=at("13:30:42"), since=2160, seq=17990),
        )
    )  # fmt: skip


def exits() -> ExitsView:
    data = (
        ("P-1", "SPY 26 Nov 26 658 C", "trailing stop", "6.14", "0.34", 0.30, ExitAction.CLOSE, Priority.HIGH),
        ("P-3", "SPY 20 Nov 26 662 C", "clock T−30", "15:30", "1 h 22 m", 0.45, ExitAction.ALERT, Priority.CRITICAL),
        ("P-1", "SPY 26 Nov 26 658 C", "target 1", "664.20", "2.78", 0.55, ExitAction.TICKET, Priority.HIGH),
        ("P-3", "SPY 20 Nov 26 662 C", "stop −50 %", "0.47", "36 pt", 0.72, ExitAction.CLOSE, Priority.CRITICAL),
        ("P-2", "QQQ 28 Nov 26 600 C", "profit +50 %", "12.45", "41 pt", 0.80, ExitAction.TICKET, Priority.HIGH),
        ("P-4", "IWM 19 Dec 26 236 P", "max hold 5", "28 Nov", "2 sessions", 0.90, ExitAction.ALERT, Priority.MEDIUM),
        ("P-2", "QQQ 28 Nov 26 600 C", "trailing stop", "", "not armed", 1.0, ExitAction.CLOSE, Priority.HIGH),
    )
    return ExitsView(
        rows=tuple(
            ExitRow(position=p, contract=c, rule=r, level=lv, distance=d, nearness=n, owner="us", action=a, priority=pr)
            for p, c, r, lv, d, n, a, pr in data
        )
    )


def greeks() -> GreeksView:
    return GreeksView(
        greeks_by="American, parity forward, simulated",
        gauges=(
            Gauge(name="Delta $", value=D(61240), limit=D(600000), help="Dollars of the underlyings, all positions"),
            Gauge(name="Gamma $ / 1 %", value=D(8410)),
            Gauge(name="Theta to close", value=D(-504), limit=D(-1000)),
            Gauge(name="Vega / pt", value=D(312), limit=D(1000)),
            Gauge(
                name="Heat", value=D("0.034"), limit=D("0.08"), unit="%", decimals=1, help="Loss of all at their stops"
            ),
        ),
        symbols=(
            SymbolGreeks(
                symbol="SPY", delta_dollars=D(74120), gamma_dollars=D(6900), theta=D(-446), vega=D(159), pnl=D(343)
            ),
            SymbolGreeks(
                symbol="QQQ", delta_dollars=D(23420), gamma_dollars=D(880), theta=D(-36), vega=D(104), pnl=D(150)
            ),
            SymbolGreeks(
                symbol="IWM", delta_dollars=D(-36300), gamma_dollars=D(630), theta=D(-22), vega=D(49), pnl=D(-24)
            ),
        ),
        age=0.9,
    )


def health() -> HealthView:
    ok, off = LampState.OK, LampState.OFF
    return HealthView(
        lamps=(
            Lamp(id="engine", name="Engine", state=ok, text="4 ms", detail="slowest step of the last minute", age=0.1),
            Lamp(id="webhook", name="Webhook", state=ok, text="8787", detail="listening on 127.0.0.1", age=34.0),
            Lamp(
                id="market", name="Market", state=ok, text="simulated", detail="3 symbols, 4 quotes a second", age=0.2
            ),
            Lamp(
                id="ledger", name="Ledger", state=ok, text="18,207 verified", detail="Postgres, commit 0.9 ms", age=1.1
            ),
            Lamp(
                id="loop", name="Loop", state=ok, text="2 ms", detail="longest block of the last minute, budget 20 ms"
            ),
            Lamp(id="redis", name="Redis", state=off, text="not set", detail="hot state is kept in this process"),
            Lamp(id="telegram", name="Telegram", state=off, text="not set", detail="approvals on this desk only"),
        )
    )


def log() -> LogView:
    lines = (
        ("info", "journey", "decision 18205 SPY EXECUTE LONG × 3.00 in 1.8 ms"),
        ("info", "intake", "signal 18204 SPY 5m LONG EXTREME durable in 1.2 ms"),
        ("warning", "market", "IWM 236 P quote older than 5 s for 2.1 s, back now"),
        ("info", "paper", "O-2 filled 1 of 2 at 5.34, 1 rests"),
        ("warning", "intake", 'refused {"signal": {"ai_score": "eleven"}} BAD_FIELD at signal.ai_score'),
    )
    return LogView(
        rows=tuple(
            LogRow(id=n, at=NOW - timedelta(seconds=7 * n), level=level, source=source, text=text)
            for n, (level, source, text) in enumerate(lines)
        )
    )


def story() -> StoryView:
    card, p = StoryCard, Point

    def when(text: str, millis: int = 0) -> datetime:
        return at(text) + timedelta(milliseconds=millis)

    cards = (
        card(step=StoryStep.SIGNAL, title="SPY 60m LONG HIGH", at=when("13:30:02"), seqs=(17986,), points=(
            p(name="AI score", value="8.1"), p(name="Price", value="658.12"), p(name="Stop", value="655.40"),
            p(name="R:R", value="2.4"), p(name="Late by", value="2.1 s"))),
        card(step=StoryStep.DECISION, title="EXECUTE LONG 75", at=when("13:30:02", 4), after=0.004, seqs=(17988,), points=(
            p(name="Multiplier", value="× 2.31"), p(name="Confluence", value="× 1.50"), p(name="HTF PERFECT", value="× 1.30"),
            p(name="Contracts", value="5"))),
        card(step=StoryStep.RULES, title="12 rules passed", at=when("13:30:02", 5), after=0.001, seqs=(17989,), points=(
            p(name="Contract", value="26 Nov 658 C"), p(name="Delta", value="0.46 for 0.45"),
            p(name="Size", value="5 → 3 by risk budget"), p(name="Heat", value="1.6 % of 8 %"))),
        card(step=StoryStep.APPROVAL, title="Approved by desk", at=when("13:30:31"), after=28.6, seqs=(17990, 17991), points=(
            p(name="Quantity", value="3"), p(name="Limit", value="5.14"), p(name="Drift", value="+0.4 %"))),
        card(step=StoryStep.ORDER, title="BUY 3 limit 5.14", at=when("13:30:31", 3), after=0.003, seqs=(17992,), points=(
            p(name="Sent to", value="paper"), p(name="Accepted", value="+2 ms"))),
        card(step=StoryStep.FILLS, title="3 at 5.12", at=when("13:30:33"), after=1.9, seqs=(17995,), points=(
            p(name="Against", value="5.09 × 5.12"), p(name="Fees", value="$2.07"), p(name="Slippage", value="0.00"))),
        card(step=StoryStep.EXIT, title="Open: trail at 6.14", points=(
            p(name="Now", value="▲ +408.00", gain=True), p(name="R", value="+0.53", gain=True), p(name="Best", value="+31 %"))),
    )  # fmt: skip
    kinds = ("SignalReceived", "SignalPlaced", "DecisionMade", "TicketOpened", "TicketApproved", "OrderIntended",
             "OrderSubmitted", "OrderAccepted", "OrderFilled")  # fmt: skip
    texts = ("SPY 60m LONG HIGH, AI 8.1, by webhook", "replaced nothing", "EXECUTE LONG 75 × 2.31", "BUY 3 SPY 26 Nov 26 658 C limit 5.14",
             "by desk", "BUY 3 limit 5.14 DAY", "to paper", "", "3 at 5.12, fees 2.07")  # fmt: skip
    return StoryView(
        seq=17986, title="SPY 26 Nov 26 658 C", outcome="open", cards=cards,
        facts=tuple(
            LedgerRow(seq=17986 + n, at=when("13:30:02") + timedelta(seconds=4 * n), kind=kind, text=text,
                      cause=17985 + n if n else None)
            for n, (kind, text) in enumerate(zip(kinds, texts, strict=True))
        ),
    )  # fmt: skip


CHAIN_DAY = date(2026, 11, 26)


def chain_side(strike: float, right: str, *, odd: bool = False) -> ChainSide:
    """One contract of the sample chain, by the textbook at a made-up smile."""
    spot, t, call = 661.42, 6 / 365, right == "C"
    vol = 0.142 + 0.9 * max(0.0, math.log(spot / strike)) + 0.25 * abs(math.log(strike / spot))
    found = european.greeks(spot, strike, t, 0.04, 0.011, vol, call)
    value, inside = float(found.value), call == (strike < spot)
    bid, ask = round(max(value * 0.995 - 0.01, 0), 2), round(value * 1.005 + 0.01, 2)
    far = float(found.vega) < 0.03
    return ChainSide(
        osi=f"SPY261126{right}{int(strike * 1000):08d}", bid=D(f"{bid:.2f}") if bid else None, ask=D(f"{ask:.2f}"),
        mid=D(f"{(bid + ask) / 2:.3f}") if bid else None, iv=None if far or odd else round(vol, 4),
        why="mid is below what exercise pays" if odd else "a cent is more than a vol point" if far else "",
        delta=round(float(found.delta), 3), gamma=round(float(found.gamma), 4), theta=round(float(found.theta), 3),
        vega=round(float(found.vega), 3), open_interest=int(240 * (1 + strike % 10) ** 1.7), volume=int(60 * (1 + strike % 5) ** 2),
        in_the_money=inside, marks=("mid is below what exercise pays",) if odd else ("quote is stale",) if strike == 668 else (),
        stale=7.0 if strike == 668 else None, at=NOW - timedelta(seconds=7 if strike == 668 else 1),
    )  # fmt: skip


def chain() -> ChainView:
    days = (0, 3, 4, 5, 6, 7, 10, 14, 21, 28, 34, 41, 49, 56, 91, 119, 147, 182, 364)
    rows = tuple(
        ChainRow(
            strike=D(strike), call=chain_side(strike, "C", odd=strike == 644), put=chain_side(strike, "P"), nearest=strike == 662
        )
        for strike in range(632, 692)
    )  # fmt: skip
    return ChainView(
        symbol="SPY", symbols=("SPY", "QQQ", "IWM"), expiry=CHAIN_DAY, rows=rows, strikes=146,
        expiries=tuple(ChainExpiry(day=date(2026, 11, 20) + timedelta(days=n), dte=n) for n in days),
        spot=D("661.42"), forward=661.74, vol=0.143, move=12.13, skew=-0.021, rate=0.04, carry=0.011, model="American, parity forward",
        source="simulated", age=0.2, age_limit=5.0, findings=("1 under exercise value",),
    )  # fmt: skip


CURL = 'curl -X POST http://127.0.0.1:8787/webhook?token=$TOKEN -d \'{"ticker":"SPY","action":"buy","timeframe":"5"}\''


def welcome() -> WelcomeView:
    return WelcomeView(
        steps=(
            WelcomeStep(title="Paper account is open", detail="100,000.00 USD, simulated money. Nothing here can reach a real broker.", done=True),
            WelcomeStep(title="Ledger is running", detail="An embedded Postgres; every fact is appended and hash-chained.", done=True),
            WelcomeStep(title="Market is simulated", detail="SPY, QQQ and IWM move at any hour. Real feeds are set up later.", done=True),
            WelcomeStep(title="Take the webhook's address and secret to TradingView",
                        detail="Alerts are posted here. From outside this machine a tunnel to this port is needed.", done=False,
                        copy="http://127.0.0.1:8787/webhook"),
            WelcomeStep(title="The secret", detail="As ?token=… in the address, a Bearer header, or “secret” in the body.", done=False,
                        copy="k7Jx2-qm9Tz-PfW4c-Lr8Ns", secret=True),
            WelcomeStep(title="Hear the first signal", detail="Send one from here, or from a shell:", done=False, copy=CURL,
                        action="welcome.test", button="Send two test alerts"),
        )
    )  # fmt: skip


def full() -> DeskUpdate:
    return DeskUpdate(
        header=header(), signals=signals(), confluence=confluence(), decisions=decisions(), tickets=tickets(),
        orders=orders(), positions=positions(), greeks=greeks(), exits=exits(), chain=chain(), health=health(), log=log(), story=story(),
        welcome=welcome(),
    )  # fmt: skip


def empty() -> DeskUpdate:
    """The first start, before anything was heard."""

    def face(what: str, then: str, action: str = "") -> Face:
        return Face(kind=FaceKind.EMPTY, what=what, then=then, action=action)

    quiet = header(day_pnl=D(0), equity=D(100000), budget_used=D(0), heat=0.0)
    return DeskUpdate(
        header=quiet,
        signals=SignalsView(
            face=face("No signal was heard yet.", "The webhook listens on port 8787.", "panel.welcome")
        ),
        confluence=ConfluenceView(
            face=face("Nothing is active on the board.", "The first accepted signal opens a row.")
        ),
        decisions=DecisionsView(
            face=face("No decision yet.", "Each accepted signal, phase and trend makes one.", "welcome.test")
        ),
        tickets=TicketsView(
            face=face("No ticket is waiting.", "An EXECUTE with a trigger opens one. A arms it, Enter sends.")
        ),
        orders=OrdersView(face=face("No order was made today.", "Approved tickets become orders.")),
        positions=PositionsView(
            face=face("No position is open.", "Fills open positions; their exits are watched from then on.")
        ),
        greeks=GreeksView(face=face("The book is empty.", "Greeks appear with the first position.")),
        exits=ExitsView(face=face("Nothing to watch.", "Each open position brings its own exit rules.")),
        chain=ChainView(
            symbol="SPY",
            symbols=("SPY",),
            face=face("SPY has no option chain now.", "It appears with the first quote of its options."),
        ),
        health=health(),
        log=LogView(rows=log().rows[:1]),
        story=StoryView(face=face("No story is open.", "Press Enter on a signal, an order or a position.")),
        welcome=welcome(),
    )


def with_face(update: DeskUpdate, face: Face) -> DeskUpdate:
    """The same views under another face."""
    changed = {
        name: msgspec.structs.replace(view, face=face)
        for name in ("signals", "confluence", "decisions", "tickets", "orders", "positions", "greeks", "exits", "chain",
                     "health", "log", "story", "welcome")
        if (view := getattr(update, name)) is not None
    }  # fmt: skip
    return msgspec.structs.replace(update, **changed)


STALE = Face(kind=FaceKind.STALE, what="No quote for 14 s", then="values are the last ones known", age=14.0)
ERROR = Face(
    kind=FaceKind.ERROR,
    what="The database cannot be reached.",
    then="Exits go on and facts are kept in order. Next try in 2 s.",
)


def broken(lamp: Lamp) -> Lamp:
    """The same lamp on a bad day."""
    if lamp.id == "ledger":
        return msgspec.structs.replace(
            lamp,
            state=LampState.BAD,
            text="away 12 s",
            todo="Start the database; facts are kept in order until then",
            age=12.0,
        )
    if lamp.id == "market":
        return msgspec.structs.replace(lamp, state=LampState.WARN, text="IWM silent 14 s", age=14.0)
    return lamp


OUTAGES = (
    Outage(
        word="LEDGER BEHIND", grave=False, since=NOW, lasts=4.0, facts=312, goes_on="entries and exits go on",
        stops="new entries stop at 10 s or 5,000 facts", reason="a commit took 1.2 s",
    ),
    Outage(
        word="NO NEW ENTRIES", grave=True, since=NOW, lasts=120.0, facts=1204, goes_on="exits, closes, cancels and halts go on",
        stops="new entries are refused", reason="the server does not answer",
    ),
    Outage(
        word="NOTHING IS KEPT", grave=True, since=NOW, lasts=60.0, facts=0,
        goes_on="closes, halts, cancels are taken; exit orders wait",
        stops="new entries are refused, webhooks answered 503",
    ),
)  # fmt: skip
"""The ledger in its three kinds of trouble."""
