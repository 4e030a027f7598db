"""How an exit's price gives way."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from engine.domain.values import OrderState, OrderType, Quote, Side
from engine.exits.ladder import LadderStep, ladder_limit, ladder_step, reprice_due
from engine.settings import ExitSettings
from tests.builders_trading import CLOSE, FRIDAY, NOON, TODAY, WEEKLY, d, order, quote, seconds

EXITS = ExitSettings()


def before_close(minutes: float) -> datetime:
    return CLOSE - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("minutes", "step"),
    [
        (30.01, None),
        (30, LadderStep.WARN),
        (15.01, LadderStep.WARN),
        (15, LadderStep.MID),
        (14, LadderStep.QUARTER),
        (13, LadderStep.BID),
        (10.01, LadderStep.BID),
        (10, LadderStep.MARKET),
        (-10, LadderStep.MARKET),
    ],
)
def test_the_steps_of_the_last_half_hour(minutes: float, step: LadderStep | None) -> None:
    assert ladder_step(before_close(minutes), CLOSE, EXITS) is step


@pytest.mark.parametrize(
    ("step", "book", "limit"),
    [
        (LadderStep.MID, quote("1.00", "1.11"), "1.05"),
        (LadderStep.QUARTER, quote("1.00", "1.11"), "1.02"),
        (LadderStep.BID, quote("1.00", "1.11"), "1.00"),
        (LadderStep.MID, quote("0.00", "0.01"), "0.01"),
        (LadderStep.WARN, quote("1.00", "1.11"), None),
        (LadderStep.MARKET, quote("1.00", "1.11"), None),
        (LadderStep.MID, quote(None, "1.11"), None),
        (LadderStep.MID, quote("1.11", "1.00"), None),
    ],
)
def test_the_price_of_a_step(step: LadderStep, book: Quote, limit: str | None) -> None:
    assert ladder_limit(step, book) == (None if limit is None else d(limit))


@pytest.mark.parametrize(
    ("kind", "waited", "due"),
    [(OrderType.MARKETABLE, 1.99, False), (OrderType.MARKETABLE, 2.0, True), (OrderType.LIMIT, 900.0, False)],
)
def test_a_marketable_exit_is_priced_anew_every_two_seconds(kind: OrderType, waited: float, due: bool) -> None:
    made = order(Side.SELL, type=kind, limit="1.90", updated=NOON, contract=WEEKLY)
    assert reprice_due(made, NOON + seconds(waited), FRIDAY, CLOSE, EXITS) is due


def test_an_order_never_touched_since_counts_from_its_making() -> None:
    made = order(Side.SELL, created=NOON, updated=None)
    assert reprice_due(made, NOON + seconds(2), FRIDAY, CLOSE, EXITS)


@pytest.mark.parametrize(
    ("since", "now", "due"),
    [
        (15, 14.5, False),
        (15, 14, True),
        (14, 13, True),
        (13, 11, False),
        (13, 10, True),
        (10, 9.95, False),  # 3 s
        (10, 9.9, True),  # 6 s
        (60, 15, True),
        (60, 31, False),
        (60, 20, False),
    ],
)
@pytest.mark.parametrize("kind", [OrderType.LIMIT])
def test_on_its_last_day_it_follows_the_ladder(kind: OrderType, since: float, now: float, due: bool) -> None:
    made = order(
        Side.SELL, type=kind, limit="1.90", contract=TODAY, updated=before_close(since), state=OrderState.WORKING
    )
    assert reprice_due(made, before_close(now), FRIDAY, CLOSE, EXITS) is due


@pytest.mark.parametrize("minutes", [20, 14.5, 13.5, 12, 9])
def test_a_stop_on_its_last_afternoon_is_chased_as_ever(minutes: float) -> None:
    made = order(Side.SELL, contract=TODAY, updated=before_close(minutes))
    assert not reprice_due(made, before_close(minutes) + seconds(1.9), FRIDAY, CLOSE, EXITS)
    assert reprice_due(made, before_close(minutes) + seconds(2), FRIDAY, CLOSE, EXITS)


def test_a_resting_exit_on_another_day_is_left_alone() -> None:
    made = order(Side.SELL, type=OrderType.LIMIT, limit="1.90", contract=WEEKLY, updated=before_close(13))
    assert not reprice_due(made, before_close(9), FRIDAY, CLOSE, EXITS)
