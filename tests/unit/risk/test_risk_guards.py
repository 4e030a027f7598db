"""Which decision becomes a ticket, and every guard that stands around the engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.domain.bars import BarFacts
from engine.domain.entities import SymbolBoard
from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Breakdown, Decision, Phase, Signal, Trend
from engine.domain.values import Bias, Code, Direction, MarketSession, Quality, Timeframe, Verdict, Weekday
from engine.risk.guards import (
    Guarded,
    Multipliers,
    assumed_note,
    clock_mismatch,
    closed_day,
    contradicted,
    cooling_down,
    entry_signal_of,
    figure_mismatch,
    guard_entry,
    htf_conflicts,
    price_mismatch,
    signal_late,
    trigger_of,
)
from tests.unit.risk.builders import CALENDAR, LONG, NOW, SETTINGS, SHORT, D, quote

RISK = SETTINGS.risk
MULTIPLIERS = Multipliers(
    session={
        MarketSession.OPEN: 0.9,
        MarketSession.MIDDAY: 1.0,
        MarketSession.POWER_HOUR: 0.85,
        MarketSession.AFTERHOURS: 0.5,
    },
    weekday={
        Weekday.MONDAY: 0.95,
        Weekday.TUESDAY: 1.1,
        Weekday.WEDNESDAY: 1.0,
        Weekday.THURSDAY: 0.95,
        Weekday.FRIDAY: 0.85,
    },
    volume=lambda ratio: 1.1 if ratio >= 1.5 else 1.0 if ratio >= 0.8 else 0.7,
    trend=lambda strength: 1.2 if strength >= 80 else 1.0 if strength >= 60 else 0.8,
    rr=lambda ratio: 1.0 if ratio >= 2 else 0.85 if ratio >= 1.5 else 0.5,
)


def signal(timeframe: str = "60", direction: Direction = LONG, **changes: Any) -> Signal:
    fields: dict[str, Any] = {
        "symbol": "SPY", "direction": direction, "timeframe": Timeframe(timeframe), "quality": Quality.HIGH,
        "ai_score": 8.0, "bar_close": NOW, "price": 600.0, "stop_loss": 598.0, "target_1": 604.0, "target_2": 607.0,
        "rr_ratio_t1": 2.0, "recommended_contracts": 2, "volume_vs_avg": 1.0, "trend_strength": 60.0,
        "bias_4h": Bias.NEUTRAL, "bias_1h": Bias.NEUTRAL, "session": MarketSession.MIDDAY,
        "weekday": Weekday.WEDNESDAY,
    }  # fmt: skip
    return Signal(**{**fields, **changes})


def active(timeframe: str = "60", source: int = 1, direction: Direction = LONG, **changes: Any) -> ActiveSignal:
    received = changes.pop("received", NOW)
    return ActiveSignal(
        source=source,
        signal=signal(timeframe, direction, **changes),
        received=received,
        expires=received + timedelta(hours=2),
    )


def decision(
    verdict: Verdict = Verdict.EXECUTE, direction: Direction | None = LONG, raw: float | None = 1.5, final: float = 1.5
) -> Decision:
    factors = dict.fromkeys(
        (
            "confluence_multiplier", "quality_multiplier", "htf_alignment_multiplier", "rr_multiplier",
            "volume_multiplier", "trend_multiplier", "session_multiplier", "day_multiplier",
            "phase_confidence_boost", "phase_position_boost", "trend_alignment_boost",
        ),
        1.0,
    )  # fmt: skip
    return Decision(
        verdict=verdict, confluence_score=65, breakdown=Breakdown(**factors, final_multiplier=final),
        raw_multiplier=raw, recommended_contracts=3, direction=direction, entry_timeframe=Timeframe.H4,
        stop_loss=598.0, target_1=604.0, target_2=607.0, leaning=direction, reason="", engine_version="1.0.0",
    )  # fmt: skip


def phase(role: str = "REGIME", implication: Bias = Bias.SHORT) -> ActivePhase:
    return ActivePhase(
        source=3,
        phase=Phase(
            symbol="SPY", role=role, event_tf="4H", name="x", implication=implication, htf_alignment=True,
            confidence_score=80, trade_allowed=True, time_decay_minutes=0,
        ),
        received=NOW,
        expires=NOW + timedelta(hours=1),
    )  # fmt: skip


def trend(four_hours: int = -1) -> ActiveTrend:
    directions = (1, 1, 1, 1, 1, four_hours, 1, 1)
    return ActiveTrend(
        source=4,
        trend=Trend(symbol="SPY", timestamp=NOW, price=600.0, directions=directions),
        received=NOW,
        expires=NOW + timedelta(hours=1),
    )


SIGNALS = (active("240", 1), active("60", 2), active("5", 3), active("3", 4, SHORT))
WAITED = decision(Verdict.WAIT, None)


@pytest.mark.parametrize(
    ("by", "made", "previous", "arrived", "used", "trigger"),
    [
        ("signal", decision(), None, 2, (), 2),
        ("signal", decision(), decision(), 2, (), 2),
        ("signal", decision(), None, 2, (2,), None),
        ("signal", decision(), None, 4, (), None),
        ("signal", decision(), None, 99, (), None),
        ("signal", decision(), None, None, (), None),
        ("signal", decision(Verdict.WAIT, None), None, 2, (), None),
        ("signal", decision(Verdict.SKIP), None, 2, (), None),
        ("phase", decision(), None, None, (), 3),
        ("trend", decision(), WAITED, None, (), 3),
        ("phase", decision(), decision(), None, (), None),
        ("trend", decision(), decision(direction=SHORT), None, (), 3),
        ("trend", decision(), decision(Verdict.SKIP), None, (), 3),
        ("phase", decision(), None, None, (3,), None),
        ("phase", decision(direction=SHORT), None, None, (), 4),
        ("expiry", decision(), None, None, (), None),
        ("expiry", decision(), WAITED, 2, (), None),
    ],
    ids=[
        "a signal triggers its EXECUTE", "also after another EXECUTE", "but once", "not against the direction",
        "not when it was superseded", "not without a signal", "not a WAIT", "not a SKIP",
        "a phase lets the fastest trigger", "a trend too, after a WAIT", "not after EXECUTE the same way",
        "but after EXECUTE the other way", "or after a SKIP", "and once", "fastest of its own direction",
        "an expiry never", "an expiry never, whatever it names",
    ],
)  # fmt: skip
def test_which_decision_opens_a_ticket(
    by: str, made: Decision, previous: Decision | None, arrived: int | None, used: Any, trigger: int | None
) -> None:
    found = trigger_of(by, made, previous, SIGNALS, arrived, used)
    assert (found.source if found else None) == trigger


def test_a_phase_without_an_aligned_signal_triggers_nothing() -> None:
    assert trigger_of("phase", decision(), None, (SIGNALS[3],), None, ()) is None


def test_the_entry_signal_is_the_aligned_one_of_the_entry_timeframe() -> None:
    assert entry_signal_of(decision(), SIGNALS) is SIGNALS[0]
    assert entry_signal_of(decision(direction=SHORT), SIGNALS) is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW, None),
        (datetime(2026, 11, 21, 16, tzinfo=UTC), "CLOSED_DAY day=Sat 21 Nov 2026"),
        (datetime(2026, 11, 26, 16, tzinfo=UTC), "CLOSED_DAY day=Thu 26 Nov 2026"),
        (datetime(2026, 11, 21, 3, tzinfo=UTC), None),
    ],
    ids=["Wednesday", "Saturday", "Thanksgiving", "Friday evening in New York"],
)
def test_nothing_is_entered_on_a_closed_day(moment: datetime, text: str | None) -> None:
    found = closed_day(moment, CALENDAR)
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("timeframe", "late", "text"),
    [
        ("3", 60.0, None),
        ("3", 60.6, "SIGNAL_LATE late=61s limit=60s timeframe=3m"),
        ("30", 180.0, None),
        ("30", 181.0, "SIGNAL_LATE late=181s limit=180s timeframe=30m"),
        ("240", 1440.0, None),
        ("240", 1500.0, "SIGNAL_LATE late=1500s limit=1440s timeframe=4H"),
        ("3", -5.0, None),
        ("3", None, None),
    ],
)
def test_a_signal_may_be_a_minute_or_a_tenth_of_its_timeframe_late(
    timeframe: str, late: float | None, text: str | None
) -> None:
    found = signal_late(Timeframe(timeframe), late)
    assert (found.text if found else None) == text


def test_a_contradiction_blocks_entries_until_one_of_the_two_expires() -> None:
    board = SymbolBoard(symbol="SPY", contradicted_until=NOW + timedelta(seconds=1), contradicted_by=9)
    found = contradicted(board, NOW)
    assert found is not None
    assert found.text == "SIGNAL_CONTRADICTED by=9 until=11:00:01"
    assert contradicted(board, NOW + timedelta(seconds=1)) is None
    assert contradicted(SymbolBoard(symbol="SPY"), NOW) is None


STOPPED = SymbolBoard(symbol="SPY", stopped_out=NOW - timedelta(minutes=9), stopped_direction=LONG)


@pytest.mark.parametrize(
    ("board", "direction", "received", "now", "text"),
    [
        (SymbolBoard(symbol="SPY"), LONG, NOW, NOW, None),
        (STOPPED, SHORT, NOW, NOW, None),
        (STOPPED, LONG, NOW, NOW, "COOLING_DOWN direction=LONG left=60s"),
        (STOPPED, LONG, NOW, NOW + timedelta(minutes=1), None),
        (
            STOPPED, LONG, NOW - timedelta(minutes=9), NOW + timedelta(minutes=1),
            "COOLING_DOWN direction=LONG needs=a signal newer than the stop-out",
        ),
    ],
)  # fmt: skip
def test_after_a_stop_out_the_same_direction_waits_and_needs_a_new_signal(
    board: SymbolBoard, direction: Direction, received: datetime, now: datetime, text: str | None
) -> None:
    found = cooling_down(board, direction, active(received=received), now, RISK)
    assert (found.text if found else None) == text


def test_a_stop_out_the_other_way_does_not_end_the_first_ones_wait() -> None:
    first, second = NOW - timedelta(minutes=9), NOW - timedelta(minutes=1)
    board = SymbolBoard(
        symbol="SPY", stopped_out=second, stopped_direction=SHORT, stopped_long=first, stopped_short=second
    )
    found = [cooling_down(board, way, active(received=NOW), NOW, RISK) for way in (LONG, SHORT)]
    assert [f.text if f else None for f in found] == [
        "COOLING_DOWN direction=LONG left=60s",
        "COOLING_DOWN direction=SHORT left=540s",
    ]


@pytest.mark.parametrize(
    ("price", "underlying", "text"),
    [
        (606.0, quote("599.99", "600.01"), None),
        (606.1, quote("599.99", "600.01"), "PRICE_MISMATCH signal=606.10 ours=600.00 off=1.02% limit=1%"),
        (590.0, quote("599.99", "600.01"), "PRICE_MISMATCH signal=590.00 ours=600.00 off=1.67% limit=1%"),
        (600.0, None, "NO_MARKET_DATA symbol=SPY"),
        (600.0, quote(None, "600.01"), "NO_MARKET_DATA symbol=SPY"),
    ],
)
def test_a_price_that_is_not_our_markets_is_refused(price: float, underlying: Any, text: str | None) -> None:
    found = price_mismatch(signal(price=price), underlying, RISK)
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("bias", "signals", "phases", "trends", "notes"),
    [
        (Bias.NEUTRAL, (active("240", direction=SHORT),), (phase(),), (trend(),), ()),
        (Bias.LONG, (active("240"), active("60", direction=SHORT)), (phase("BIAS", Bias.LONG),), (trend(1),), ()),
        (Bias.LONG, (), (phase("SETUP_FORMATION"), phase(implication=Bias.NEUTRAL)), (trend(0),), ()),
        (Bias.LONG, (active("240", direction=SHORT),), (), (), ("HTF_CONFLICT 4h_bias=LONG 240 signal=SHORT",)),
        (Bias.LONG, (), (phase("BIAS"),), (), ("HTF_CONFLICT 4h_bias=LONG BIAS phase=SHORT",)),
        (
            Bias.SHORT, (active("240"),), (phase("REGIME", Bias.LONG),), (trend(1),),
            (
                "HTF_CONFLICT 4h_bias=SHORT 240 signal=LONG", "HTF_CONFLICT 4h_bias=SHORT REGIME phase=LONG",
                "HTF_CONFLICT 4h_bias=SHORT trend 4H=LONG",
            ),
        ),
    ],
)  # fmt: skip
def test_a_conflict_with_a_higher_timeframe_shows_both_values(
    bias: Bias, signals: Any, phases: Any, trends: Any, notes: tuple[str, ...]
) -> None:
    assert htf_conflicts(signal(bias_4h=bias), signals, phases, trends) == notes


@pytest.mark.parametrize(
    ("changes", "received", "raw", "factor", "notes"),
    [
        ({}, NOW, 1.5, "1", 0),
        ({"session": MarketSession.AFTERHOURS}, NOW, 1.5, "1", 1),
        ({"session": MarketSession.MIDDAY}, NOW - timedelta(hours=1), 1.5, "0.9", 1),
        ({"weekday": Weekday.TUESDAY}, NOW, 1.5, "0.909091", 1),
        ({"weekday": Weekday.FRIDAY}, NOW, 1.5, "1", 1),
        ({"weekday": None}, NOW, 1.5, "1", 0),
        ({"session": MarketSession.MIDDAY, "weekday": Weekday.TUESDAY}, NOW - timedelta(hours=1), 1.5, "0.818182", 2),
        ({"session": MarketSession.AFTERHOURS, "weekday": Weekday.TUESDAY}, NOW, 1.5, "0.909091", 2),
        ({"session": MarketSession.MIDDAY, "weekday": Weekday.FRIDAY}, NOW - timedelta(hours=1), 1.5, "0.9", 2),
        ({"session": MarketSession.MIDDAY}, NOW - timedelta(hours=1), 6.0, "1", 1),
        ({"session": MarketSession.MIDDAY}, NOW - timedelta(hours=1), None, "1", 1),
        ({"weekday": Weekday.WEDNESDAY, "session": MarketSession.AFTERHOURS}, NOW + timedelta(days=3), 1.5, "1", 0),
    ],
    ids=[
        "as the clock says", "sent smaller", "sent larger", "weekday larger", "weekday smaller", "no weekday sent",
        "both", "one smaller, one larger", "one larger, one smaller", "bounded anyway", "no multiplier", "weekend",
    ],
)  # fmt: skip
def test_the_smaller_multiplier_counts_when_the_senders_clock_is_wrong(
    changes: dict[str, Any], received: datetime, raw: float | None, factor: str, notes: int
) -> None:
    final = min(raw or 1.0, 3.0)
    found, said = clock_mismatch(
        active("240", received=received, **changes), decision(raw=raw, final=final), CALENDAR, MULTIPLIERS
    )
    assert found == D(factor)
    assert len(said) == notes
    assert all(note.startswith("CLOCK_MISMATCH ") for note in said)


def guarded(trigger: ActiveSignal | None = None, **changes: Any) -> Guarded:
    trigger = trigger or active("5", 3)
    more: dict[str, Any] = {
        "signals": (trigger,), "phases": (), "trends": (), "late": 1.0, "underlying": quote("599.99", "600.01"),
        "now": NOW, "calendar": CALENDAR, "settings": RISK, "multipliers": MULTIPLIERS,
    }  # fmt: skip
    board = changes.pop("board", SymbolBoard(symbol="SPY"))
    entry = changes.pop("entry", trigger)
    return guard_entry(trigger, entry, LONG, board, decision(), **{**more, **changes})


def test_an_ordinary_entry_passes_all_guards_untouched() -> None:
    assert guarded() == Guarded()


def test_a_conflict_halves_the_size_and_asks_a_person() -> None:
    found = guarded(entry=active("240", bias_4h=Bias.LONG), trends=(trend(),))
    assert (found.size_factor, found.manual, found.refusal) == (D("0.5"), True, None)
    assert found.notes == ("HTF_CONFLICT 4h_bias=LONG trend 4H=SHORT",)


def test_a_short_form_asks_a_person_and_names_what_it_assumed() -> None:
    found = guarded(active("5", 3, assumed=("quality", "ai_score")))
    assert (found.size_factor, found.manual) == (1, True)
    assert found.notes == ("short form, assumed: quality, ai_score",)
    assert assumed_note(signal()) == ()


def test_a_wrong_clock_shrinks_the_multiplier_without_asking() -> None:
    found = guarded(entry=active("240", weekday=Weekday.TUESDAY))
    assert (found.multiplier_factor, found.size_factor, found.manual) == (D("0.909091"), 1, False)
    assert found.notes == ("CLOCK_MISMATCH weekday=TUESDAY clock=WEDNESDAY",)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"now": datetime(2026, 11, 21, 16, tzinfo=UTC), "late": 99.0}, Code.CLOSED_DAY),
        ({"late": 99.0, "board": SymbolBoard(symbol="SPY", contradicted_until=NOW + timedelta(1))}, Code.SIGNAL_LATE),
        (
            {"board": SymbolBoard(
                symbol="SPY", contradicted_until=NOW + timedelta(1), stopped_out=NOW, stopped_direction=LONG
            )},
            Code.SIGNAL_CONTRADICTED,
        ),
        ({"board": STOPPED, "underlying": None}, Code.COOLING_DOWN),
        ({"underlying": None}, Code.NO_MARKET_DATA),
        ({"underlying": quote("500", "501")}, Code.PRICE_MISMATCH),
    ],
)  # fmt: skip
def test_the_first_guard_that_objects_is_the_refusal(changes: dict[str, Any], code: Code) -> None:
    found = guarded(**changes)
    assert found.refusal is not None
    assert found.refusal.code is code
    assert found.notes == ()


@pytest.mark.parametrize(
    ("changes", "ours", "factor", "notes"),
    [
        ({}, None, "1", ()),
        ({}, BarFacts(volume_vs_avg=1.1, trend_strength=60.0), "1", ()),
        ({"volume_vs_avg": 1.2}, BarFacts(volume_vs_avg=1.0), "1", ()),
        ({"volume_vs_avg": 1.21}, BarFacts(volume_vs_avg=1.0), "1", ("FIGURE_MISMATCH volume=1.21 ours=1.00",)),
        ({"volume_vs_avg": 1.6}, BarFacts(volume_vs_avg=0.5), "0.636364", ("FIGURE_MISMATCH volume=1.6 ours=0.50",)),
        ({"volume_vs_avg": 0.5}, BarFacts(volume_vs_avg=1.6), "1", ("FIGURE_MISMATCH volume=0.5 ours=1.60",)),
        ({"trend_strength": 90.0}, BarFacts(trend_strength=20.0), "0.666667", ("FIGURE_MISMATCH trend=90 ours=20.00",)),
        ({"rr_ratio_t1": 3.0}, None, "1", ("FIGURE_MISMATCH rr=3 ours=2.00",)),
        ({"rr_ratio_t1": 3.0, "target_1": 603.0}, None, "0.85", ("FIGURE_MISMATCH rr=3 ours=1.50",)),
        ({"price": 600.0, "stop_loss": 600.0}, None, "1", ()),
    ],
)
def test_a_figure_that_our_bars_deny_is_flagged_and_the_smaller_multiplier_counts(
    changes: dict[str, Any], ours: BarFacts | None, factor: str, notes: tuple[str, ...]
) -> None:
    made = decision(raw=1.0, final=1.0)
    assert figure_mismatch(signal(**changes), made, ours, MULTIPLIERS) == (D(factor), notes)
