"""What is proven, what is new, and what is under way already."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from engine.domain.entities import Position
from engine.domain.marks import Mark
from engine.domain.values import ExitAction, ExitReason, Greeks, OrderType, Purpose, Quote, Side
from engine.exits.context import exit_context
from engine.exits.monitor import Confirmation, Evaluation, ask_again, evaluate
from engine.portfolio.marks import mark as mark_of
from engine.settings import ExitSettings
from tests.builders_trading import (
    CALENDAR,
    CLOSE,
    GREEKS,
    NOON,
    OPEN,
    TODAY,
    Order,
    d,
    order,
    position,
    quote,
    seconds,
    ticket,
)
from tests.builders_trading import mark as a_mark

EXITS = ExitSettings()


class Watch:
    """A position watched from quote to quote, as the journey does."""

    def __init__(self, held: Position | None = None, now: datetime = NOON) -> None:
        self.held = held or position(4)
        self.now = now
        self.confirmation = Confirmation()
        self.mark: Mark | None = None
        self.book: Quote | None = None
        self.context: dict[str, Any] = {}

    def look(self, after: float = 0, greeks: Greeks = GREEKS, **context: Any) -> Evaluation:
        """The clock, with the quote that is there."""
        self.now += seconds(after)
        where = exit_context(self.held, self.now, CALENDAR, **{**self.context, **context})
        assert where is not None
        seen = mark_of(
            self.held, self.book, d(600), greeks, self.now, self.mark, max_age=5.0, max_spread=EXITS.confirm_spread
        )
        found = evaluate(self.held, seen, self.confirmation, where, EXITS)
        self.mark, self.confirmation = found.mark, found.confirmation
        return found

    def see(self, mid: str, after: float = 0, **context: Any) -> Evaluation:
        """A new believable quote."""
        return self.see_quote(
            str(Decimal(mid) - Decimal("0.01")), str(Decimal(mid) + Decimal("0.01")), after, **context
        )

    def see_quote(self, bid: str, ask: str, after: float = 0, **context: Any) -> Evaluation:
        self.now += seconds(after)
        self.book = quote(bid, ask, self.now)
        return self.look(**context)


def closed_by(found: Evaluation) -> ExitReason | None:
    return found.closer.reason if found.closer else None


def spoken(found: Evaluation) -> list[str]:
    return [exit_.rule for exit_ in found.fired]


# --- proof -----------------------------------------------------------------------------------------------------------


def test_a_stop_needs_two_quotes_a_second_apart() -> None:
    watch = Watch()
    first = watch.see("1.00")
    assert closed_by(first) is None
    assert next(exit_ for exit_ in first.distances if exit_.rule.startswith("stop −")).distance == "unproven"
    assert closed_by(watch.see("0.98", after=0.99)) is None
    found = watch.see("0.97", after=0.01)
    assert closed_by(found) is ExitReason.STOP_LOSS
    assert found.distances[0].fired


def test_the_same_quote_later_proves_nothing() -> None:
    watch = Watch()
    watch.see("0.90")
    assert closed_by(watch.look(after=3)) is None


def test_a_quote_above_the_level_begins_the_proof_anew() -> None:
    watch = Watch()
    watch.see("0.90")
    watch.see("1.10", after=1)
    assert closed_by(watch.see("0.90", after=1)) is None
    assert closed_by(watch.see("0.90", after=1)) is ExitReason.STOP_LOSS


def test_an_unbelievable_quote_proves_nothing_and_disproves_nothing() -> None:
    watch = Watch()
    watch.see("0.90")
    assert closed_by(watch.see_quote("0.50", "1.90", after=1)) is None
    assert closed_by(watch.see("0.90", after=1)) is ExitReason.STOP_LOSS


def test_the_first_minute_is_blind_for_premium_stops() -> None:
    watch = Watch(now=OPEN)
    watch.see("0.50")
    assert closed_by(watch.see("0.50", after=59)) is None
    assert closed_by(watch.see("0.50", after=1)) is None
    assert closed_by(watch.see("0.50", after=1)) is ExitReason.STOP_LOSS


def test_while_halted_nothing_is_proven() -> None:
    watch = Watch()
    watch.context = {"halted": True, "underlying": quote("590.00", "590.02"), "underlying_last": d(590)}
    watch.see("0.50")
    assert closed_by(watch.see("0.50", after=2)) is None


def test_an_underlying_stop_with_last_and_mid_beyond_needs_no_second_quote() -> None:
    watch = Watch()
    found = watch.see("2.00", underlying=quote("594.98", "595.00"), underlying_last=d("594.99"))
    assert closed_by(found) is ExitReason.STOP_LOSS


def test_without_a_last_two_quotes_of_the_underlying_prove_it() -> None:
    watch = Watch()
    assert closed_by(watch.see("2.00", underlying=quote("594.98", "595.00", NOON))) is None
    assert closed_by(watch.see("2.00", after=2, underlying=quote("594.98", "595.00", NOON))) is None
    again = quote("594.97", "594.99", NOON + seconds(3))
    assert closed_by(watch.see("2.00", after=1, underlying=again)) is ExitReason.STOP_LOSS


def test_the_underlying_gone_for_a_while_leaves_the_proof_standing() -> None:
    watch = Watch()
    watch.see("2.00", underlying=quote("594.98", "595.00", NOON))
    watch.see("2.00", after=1)
    watch.see("2.00", after=1, underlying=quote(None, "595.00", NOON + seconds(2)))
    found = watch.see("2.00", after=1, underlying=quote("594.98", "595.00", NOON + seconds(3)))
    assert closed_by(found) is ExitReason.STOP_LOSS


def test_an_underlying_stop_works_while_the_option_has_no_quote() -> None:
    watch = Watch()
    found = watch.look(underlying=quote("590.00", "590.02"), underlying_last=d(590))
    assert closed_by(found) is ExitReason.STOP_LOSS
    assert found.mark.stale


def test_the_clock_needs_no_quote_at_all() -> None:
    watch = Watch(position(4, contract=TODAY), CLOSE - timedelta(minutes=15))
    found = watch.look()
    assert closed_by(found) is ExitReason.TIME_OF_DAY
    assert spoken(found) == ["clock T−15", "expires today T−30"]


# --- extremes and the trail ------------------------------------------------------------------------------------------


def test_one_wild_quote_arms_nothing() -> None:
    watch = Watch()
    watch.see("3.50")
    found = watch.see("2.10", after=1)
    assert (found.mark.best, found.armed) == (d("2.10"), False)


def test_the_best_is_what_held_for_a_second() -> None:
    watch = Watch()
    watch.see("2.70")
    assert watch.see("2.65", after=0.5).mark.best == d("2.00")
    found = watch.see("2.80", after=0.5)
    assert (found.mark.best, found.armed) == (d("2.65"), True)
    assert watch.see("2.90", after=1).mark.best == d("2.80")
    assert watch.see("2.90", after=1).mark.best == d("2.90")


def test_the_worst_is_kept_the_same_way() -> None:
    watch = Watch()
    watch.see("1.50")
    assert watch.see("1.60", after=1).mark.worst == d("1.60")
    assert watch.see("1.70", after=1).mark.worst == d("1.60")


def test_an_armed_trail_closes_by_itself() -> None:
    watch = Watch()
    watch.see("2.70")
    watch.see("2.70", after=1)
    watch.see("2.25", after=1)
    found = watch.see("2.25", after=1)
    assert closed_by(found) is ExitReason.TRAILING_STOP
    assert found.closer is not None
    assert found.closer.action is ExitAction.CLOSE


def test_an_armed_position_stays_armed_after_a_restart() -> None:
    watch = Watch(position(4, armed=True, best=d("2.70")))
    watch.see("2.20")
    assert closed_by(watch.see("2.20", after=1)) is ExitReason.TRAILING_STOP


# --- what is new -----------------------------------------------------------------------------------------------------


def test_an_alert_is_given_once_until_it_was_clear() -> None:
    watch = Watch()
    low = replace(GREEKS, delta=0.05)
    assert spoken(watch.see("2.00", greeks=low)) == ["delta"]
    assert spoken(watch.see("2.00", after=1, greeks=low)) == []
    watch.see("2.00", after=1)
    assert spoken(watch.see("2.00", after=1, greeks=low)) == ["delta"]


def test_a_new_day_may_say_it_again() -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    assert spoken(watch.see("2.00")) == ["thesis"]
    assert spoken(watch.see("2.00", after=1)) == []
    monday = NOON + timedelta(days=3)
    watch.now = monday
    assert spoken(watch.see("2.00")) == ["thesis"]


def test_alerts_never_close() -> None:
    watch = Watch()
    found = watch.see("2.00", greeks=replace(GREEKS, delta=0.95, theta=-5.0))
    assert found.closer is None
    assert sorted(spoken(found)) == ["delta", "theta overnight"]


def test_a_question_is_asked_once() -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    assert closed_by(watch.see("2.00")) is ExitReason.THESIS_BROKEN
    assert closed_by(watch.see("2.00", after=1)) is None


@pytest.mark.parametrize(
    ("reason", "again"), [(ExitReason.THESIS_BROKEN, True), (ExitReason.TARGET_1, False), (None, False)]
)
def test_a_question_that_nobody_answered_is_asked_again_on_request(reason: ExitReason | None, again: bool) -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    watch.see("2.00")
    watch.confirmation = ask_again(watch.confirmation, reason)
    assert (closed_by(watch.see("2.00", after=1)) is ExitReason.THESIS_BROKEN) is again


@pytest.mark.parametrize(
    ("held", "context", "mid"),
    [
        (position(4), {"underlying": quote("605.00", "605.02"), "underlying_last": d(606)}, "2.00"),
        (position(4), {"underlying": quote("610.00", "610.02"), "underlying_last": d(611)}, "2.00"),
        (position(4), {}, "3.10"),
        (position(4, thesis_broken="exit notice"), {}, "2.00"),
        (position(4, contract=TODAY), {}, "2.00"),
    ],
)
def test_every_rule_that_asks_can_be_asked_again(held: Position, context: dict[str, Any], mid: str) -> None:
    watch = Watch(held)
    watch.context = context
    asked = watch.see(mid).closer or watch.see(mid, after=1).closer
    assert asked is not None
    assert asked.action is ExitAction.TICKET
    assert watch.see(mid, after=1).closer is None
    watch.confirmation = ask_again(watch.confirmation, asked.reason)
    again = watch.see(mid, after=1).closer
    assert again is not None
    assert again.reason is asked.reason


def test_a_pending_ticket_keeps_other_questions_waiting_but_no_stop() -> None:
    pending = ticket(4, purpose=Purpose.EXIT, side=Side.SELL, position="P9")
    watch = Watch(position(4, thesis_broken="exit notice"))
    watch.context = {"ticket": pending}
    assert closed_by(watch.see("0.90")) is None
    assert closed_by(watch.see("0.90", after=1)) is ExitReason.STOP_LOSS


def test_a_stop_fires_again_while_nothing_is_under_way() -> None:
    watch = Watch()
    watch.see("0.90")
    for _ in range(2):
        assert closed_by(watch.see("0.90", after=1)) is ExitReason.STOP_LOSS


def working(reason: ExitReason, quantity: int = 4, kind: OrderType = OrderType.MARKETABLE, name: str = "O20") -> Order:
    return order(Side.SELL, quantity, "1.90", type=kind, exit_reason=reason, id=name)


@pytest.mark.parametrize(
    ("under_way", "fires"),
    [
        (working(ExitReason.STOP_LOSS), False),
        (working(ExitReason.MANUAL), False),
        (working(ExitReason.TIME_OF_DAY), False),
        (working(ExitReason.TARGET_1, 2), True),
        (working(ExitReason.TARGET_2, kind=OrderType.LIMIT), True),
        (working(ExitReason.MANUAL, kind=OrderType.LIMIT), True),
        (working(ExitReason.STOP_LOSS, kind=OrderType.LIMIT), False),
        (working(ExitReason.STOP_LOSS, 3, kind=OrderType.LIMIT), True),
    ],
)
def test_what_is_already_closing_is_overtaken_only_by_what_is_more_urgent(under_way: Order, fires: bool) -> None:
    watch = Watch()
    watch.context = {"working": under_way}
    watch.see("0.90")
    found = watch.see("0.90", after=1)
    assert (closed_by(found) is ExitReason.STOP_LOSS) is fires
    assert closed_by(watch.see("0.90", after=1)) is None, "once per order"
    watch.context = {"working": None}
    assert closed_by(watch.see("0.90", after=1)) is ExitReason.STOP_LOSS, "and again when nothing is under way"


def test_questions_wait_while_an_exit_works() -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    watch.context = {"working": working(ExitReason.TARGET_1, 2)}
    assert closed_by(watch.see("2.00")) is None
    watch.context = {}
    assert closed_by(watch.see("2.00", after=1)) is ExitReason.THESIS_BROKEN


def test_a_question_waits_for_a_price_to_be_asked_with() -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    assert closed_by(watch.look()) is None
    assert closed_by(watch.see_quote("2.00", "2.00", after=1)) is None
    assert closed_by(watch.see("2.00", after=1)) is ExitReason.THESIS_BROKEN


def test_the_clock_does_not_overtake_its_own_order() -> None:
    watch = Watch(position(4, contract=TODAY), CLOSE - timedelta(minutes=14))
    watch.context = {"working": working(ExitReason.TIME_OF_DAY, kind=OrderType.LIMIT)}
    assert closed_by(watch.look()) is None


def test_the_worst_comes_first_and_a_close_before_a_question() -> None:
    stopped = Watch(position(4, contract=TODAY), CLOSE - timedelta(minutes=12))
    stopped.see("0.90")
    assert closed_by(stopped.see("0.90", after=1)) is ExitReason.STOP_LOSS
    trailed = Watch(position(4, armed=True, best=d("2.70"), thesis_broken="exit notice"))
    trailed.confirmation = Confirmation(day=NOON.date(), first={"trail": NOON - seconds(5)})
    assert closed_by(trailed.see("2.20")) is ExitReason.TRAILING_STOP


def test_beyond_both_targets_the_second_closes_all() -> None:
    watch = Watch()
    found = watch.see("2.90", underlying=quote("610.00", "610.02"), underlying_last=d(611))
    assert closed_by(found) is ExitReason.TARGET_2
    assert found.closer is not None
    assert found.closer.quantity == 4


def test_one_answer_answers_every_lesser_question() -> None:
    watch = Watch(position(4, thesis_broken="exit notice"))
    watch.context = {"underlying": quote("610.00", "610.02"), "underlying_last": d(611)}
    assert closed_by(watch.see("2.90")) is ExitReason.TARGET_2
    assert closed_by(watch.see("2.90", after=1)) is None


def test_a_question_about_all_follows_one_about_half() -> None:
    watch = Watch()
    watch.context = {"underlying": quote("605.00", "605.02"), "underlying_last": d(606)}
    assert closed_by(watch.see("2.90")) is ExitReason.TARGET_1
    watch.context = {"underlying": quote("610.00", "610.02"), "underlying_last": d(611)}
    assert closed_by(watch.see("2.90", after=1)) is ExitReason.TARGET_2


def test_after_half_was_taken_a_rule_that_is_over_is_forgotten() -> None:
    watch = Watch()
    up = {"underlying": quote("605.00", "605.02"), "underlying_last": d("605.01")}
    assert closed_by(watch.see("2.40", **up)) is ExitReason.TARGET_1
    watch.held = position(2, half_taken=True, bought=4)
    found = watch.see("2.40", after=1, **up)
    assert closed_by(found) is None
    assert "target 1" not in {exit_.rule for exit_ in found.distances}
    assert "target 1" not in found.confirmation.said


def test_distances_come_nearest_first() -> None:
    found = Watch().see("1.20", greeks=replace(GREEKS, theta=-0.01))
    nearness = [exit_.nearness for exit_ in found.distances]
    assert nearness == sorted(nearness)
    assert found.distances[0].rule == "stop −50 %"


# --- volatility ------------------------------------------------------------------------------------------------------


def test_a_crush_is_measured_within_fifteen_minutes() -> None:
    watch = Watch()
    watch.see("2.00", greeks=replace(GREEKS, iv=0.30))
    for _ in range(14):
        watch.see("2.00", after=60, greeks=replace(GREEKS, iv=0.30))
    found = watch.see("2.00", after=59, greeks=replace(GREEKS, iv=0.24))
    assert spoken(found) == ["IV crush"]


def test_an_older_volatility_is_forgotten() -> None:
    watch = Watch()
    watch.see("2.00", greeks=replace(GREEKS, iv=0.30))
    for _ in range(20):
        found = watch.see("2.00", after=60, greeks=replace(GREEKS, iv=0.245))
        assert spoken(found) == []
    assert len(found.confirmation.ivs) <= 17
    assert spoken(watch.see("2.00", after=60, greeks=replace(GREEKS, iv=0.235))) == []


def test_a_stale_mark_samples_no_volatility() -> None:
    watch = Watch()
    watch.look()
    assert watch.confirmation.ivs == ()


# --- quotes unusable for long ----------------------------------------------------------------------------------------


def by_model(watch: Watch, price: str, after: float, **fields: Any) -> Evaluation:
    """A look while the quote is unusable for long and the model says what it is worth."""
    watch.now += seconds(after)
    book = quote("0.01", price, watch.now)
    lost = {"quote": book, "model": True, "stale": True, "stale_since": NOON, "unreliable": True}
    seen = a_mark(price, watch.now, **{**lost, **fields})
    where = exit_context(watch.held, watch.now, CALENDAR)
    assert where is not None
    found = evaluate(watch.held, seen, watch.confirmation, where, EXITS)
    watch.mark, watch.confirmation = found.mark, found.confirmation
    return found


def test_a_stop_is_proven_by_two_model_values_a_second_apart() -> None:
    watch = Watch()
    assert closed_by(by_model(watch, "0.99", 20)) is None
    assert closed_by(by_model(watch, "0.99", 0.9)) is None
    assert closed_by(by_model(watch, "0.99", 0.1)) is ExitReason.STOP_LOSS


def test_a_model_value_above_the_level_begins_the_proof_anew() -> None:
    watch = Watch()
    by_model(watch, "0.99", 20)
    by_model(watch, "1.01", 1)
    assert closed_by(by_model(watch, "0.99", 1)) is None


def test_break_even_and_an_armed_trail_stand_on_the_model_too() -> None:
    rest = Watch(position(2, bought=4, sold=2, half_taken=True))
    by_model(rest, "1.99", 20)
    assert closed_by(by_model(rest, "1.99", 1)) is ExitReason.STOP_LOSS
    trail = Watch(position(4, armed=True, best=d("3.00")))
    by_model(trail, "2.50", 20, best=d("3.00"))
    assert closed_by(by_model(trail, "2.50", 1, best=d("3.00"))) is ExitReason.TRAILING_STOP


def test_a_models_gain_is_no_profit_and_arms_nothing() -> None:
    watch = Watch()
    for _ in range(5):
        found = by_model(watch, "3.50", 20)
        assert closed_by(found) is None
    assert (found.armed, found.mark.best) == (False, d("2.00"))


def test_the_model_proves_nothing_in_the_first_minute() -> None:
    watch = Watch(now=OPEN)
    by_model(watch, "0.90", 30)
    assert closed_by(by_model(watch, "0.90", 20)) is None


def test_the_alarm_is_given_once_and_closes_nothing() -> None:
    watch = Watch()
    found = by_model(watch, "1.50", 20)
    alarm = next(exit_ for exit_ in found.fired if exit_.rule == "quote unreliable")
    assert (alarm.action, alarm.reason, alarm.priority) == ("ALERT", "RISK_MANAGEMENT", "HIGH")
    assert alarm.numbers == {"bid": "0.01", "ask": "1.50", "age": "0s", "unusable": "20s", "model": "1.50"}
    assert "quote unreliable" not in spoken(by_model(watch, "1.50", 20))
    watch.see("2.00", 1)
    assert "quote unreliable" in spoken(by_model(watch, "1.50", 20))


def test_the_alarm_without_a_model_or_a_quote_says_so() -> None:
    watch = Watch()
    found = by_model(watch, "2.00", 20, model=False, quote=None)
    alarm = next(exit_ for exit_ in found.fired if exit_.rule == "quote unreliable")
    assert alarm.numbers == {"bid": "n/a", "ask": "n/a", "age": "n/a", "unusable": "20s", "model": "n/a"}
    assert closed_by(by_model(Watch(), "0.10", 20, model=False)) is None
