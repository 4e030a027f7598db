"""What holds for every exit, whatever way prices take."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.entities import Position
from engine.domain.marks import Mark
from engine.domain.values import ExitAction, ExitReason, Quote
from engine.exits.context import exit_context
from engine.exits.ladder import LadderStep, ladder_limit
from engine.exits.monitor import Confirmation, Evaluation, evaluate
from engine.exits.rules.premium import stop_level, trail_level
from engine.portfolio.marks import mark as mark_of
from engine.settings import ExitSettings
from tests.builders_trading import CALENDAR, GREEKS, NOON, position, quote, seconds

EXITS = ExitSettings()
cents = st.integers(1, 2000).map(lambda number: Decimal(number) / 100)
Tick = tuple[float, Decimal, Decimal, Decimal]
ticks = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0, 60.0]),
        cents,
        st.sampled_from([Decimal("0.01"), Decimal("0.02"), Decimal("0.50")]),
        st.integers(58_000, 62_000).map(lambda number: Decimal(number) / 100),
    ),
    min_size=1,
    max_size=25,
)


def walk(held: Position, path: list[Tick]) -> list[tuple[Mark, Evaluation]]:
    """Watch a position along a path of (seconds, bid, spread, underlying)."""
    now, seen, state = NOON, None, Confirmation()
    found = []
    for after, bid, spread, spot in path:
        now += seconds(after)
        book = Quote(bid=bid, ask=bid + spread, at=now)
        spots = quote(str(spot - Decimal("0.01")), str(spot + Decimal("0.01")), now)
        context = exit_context(held, now, CALENDAR, underlying=spots)
        assert context is not None
        marked = mark_of(held, book, spot, GREEKS, now, seen, max_age=5.0, max_spread=EXITS.confirm_spread)
        result = evaluate(held, marked, state, context, EXITS)
        seen, state = result.mark, result.confirmation
        found.append((marked, result))
    return found


@given(path=ticks, held=st.integers(1, 9), half=st.booleans())
def test_at_most_one_rule_closes_and_never_more_than_is_held(path: list[Tick], held: int, half: bool) -> None:
    for _, result in walk(position(held, half_taken=half), path):
        closers = [exit_ for exit_ in result.fired if exit_.action is not ExitAction.ALERT]
        assert len(closers) <= 1
        assert all(1 <= exit_.quantity <= held for exit_ in closers)
        assert all(0.0 <= exit_.nearness <= 1.0 for exit_ in result.distances)
        assert all(exit_.fired for exit_ in result.fired)
        assert result.closer is (closers[0] if closers else None)


@given(path=ticks)
def test_a_stop_is_never_proven_by_one_quote(path: list[Tick]) -> None:
    held = position(4)
    beyond: list[tuple[float, bool]] = []
    clock = 0.0
    for (after, *_), (marked, result) in zip(path, walk(held, path), strict=True):
        clock += after
        if not marked.stale:
            beyond.append((clock, marked.price <= stop_level(held)))
        stop = next(exit_ for exit_ in result.distances if exit_.rule.startswith("stop −"))
        if stop.fired:
            run = []
            for at, below in reversed(beyond):
                if not below:
                    break
                run.append(at)
            assert run
            assert run[0] - run[-1] >= EXITS.confirm_seconds


@given(path=ticks)
def test_the_best_only_rises_and_the_trail_never_lowers_its_stop(path: list[Tick]) -> None:
    held = position(4)
    best, level, armed = held.entry, Decimal(0), False
    highest = held.entry
    for marked, result in walk(held, path):
        if not marked.stale:
            highest = max(highest, marked.price)
        assert best <= result.mark.best <= highest
        assert result.mark.worst <= held.entry
        assert result.armed >= armed
        best, armed = result.mark.best, result.armed
        if armed:
            now = trail_level(held, best, EXITS)
            assert now >= level
            assert now >= held.entry * (1 + EXITS.trail_floor)
            level = now


@given(entry=cents, low=st.integers(0, 3000), more=st.integers(0, 3000))
def test_a_higher_peak_never_means_a_lower_trail(entry: Decimal, low: int, more: int) -> None:
    held = position(1, str(entry))
    first = entry + Decimal(low) / 100
    assert trail_level(held, first, EXITS) <= trail_level(held, first + Decimal(more) / 100, EXITS)


@given(path=ticks)
def test_an_alert_is_not_repeated_while_it_stands(path: list[Tick]) -> None:
    standing: set[str] = set()
    for _, result in walk(position(4), path):
        alerts = {exit_.rule for exit_ in result.fired if exit_.action is ExitAction.ALERT}
        assert not alerts & standing
        standing = {exit_.rule for exit_ in result.distances if exit_.action is ExitAction.ALERT and exit_.fired}


@given(path=ticks)
def test_the_same_path_gives_the_same_exits(path: list[Tick]) -> None:
    assert walk(position(4), path) == walk(position(4), path)


@given(path=ticks)
def test_a_break_even_stop_fires_only_at_or_below_the_entry(path: list[Tick]) -> None:
    held = position(2, half_taken=True)
    for marked, result in walk(held, path):
        if result.closer is not None and result.closer.rule == "stop break-even":
            assert result.closer.reason is ExitReason.STOP_LOSS
            assert marked.price <= held.entry


@given(bid=cents, spread=cents)
def test_each_step_of_the_ladder_asks_for_no_more_than_the_one_before(bid: Decimal, spread: Decimal) -> None:
    book = Quote(bid=bid, ask=bid + spread, at=NOON)
    prices = [ladder_limit(step, book) for step in (LadderStep.MID, LadderStep.QUARTER, LadderStep.BID)]
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] == bid
