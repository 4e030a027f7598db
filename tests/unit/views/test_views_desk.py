"""The band, the lamps and the first steps as a person sees them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from engine.domain.commands import HaltTrading
from engine.domain.values import Policy
from engine.domain.views import HealthView, Lamp, LampState
from engine.ports import Spooled
from engine.views import desk as views
from engine.views.desk import Vitals
from engine.views.seen import age, left
from tests.builders_journey import Desk
from tests.builders_trading import CLOSE, NOON, HandQuotes, quote
from tests.unit.views.views import seen_by_hand, seen_of

D = Decimal


def vitals(**fields: object) -> Vitals:
    made: dict[str, object] = {
        "address": "http://127.0.0.1:8787", "market": "simulated", "ledger_seq": 1234, "ledger_available": True,
        "ledger_name": "embedded Postgres", "slowest_step": 4.0, "loop_block": 3.0, "heard_ago": None,
    }  # fmt: skip
    return Vitals(**{**made, **fields})  # type: ignore[arg-type]


def lamps(view: HealthView) -> dict[str, Lamp]:
    return {lamp.id: lamp for lamp in view.lamps}


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, 0.0), (0.44, 0.4), (9.94, 9.9), (9.96, 10.0), (59.4, 59.0), (61, 60.0), (3700, 3660.0)]
)
def test_ages_are_as_fine_as_the_screen(seconds: float, shown: float) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, 0.0), (31.4, 31.0), (7199.6, 7200.0), (7201, 7200.0), (7319, 7260.0)]
)
def test_what_is_left_is_as_fine_as_the_screen(seconds: float, shown: float) -> None:
    assert left(seconds) == shown


def test_before_an_account_is_open_the_header_knows_no_money() -> None:
    view = views.header_view(seen_by_hand(), "simulated")
    assert (view.equity, view.day_pnl, view.budget_used, view.budget, view.heat) == (None, None, None, None, None)
    assert (view.account, view.market, view.halted, view.policy) == ("PAPER", "SIMULATED", False, "manual")
    assert (view.to_close, view.to_open) == (4 * 3600.0, None)


def test_a_recorded_market_is_named_without_its_path_and_with_its_speed() -> None:
    view = views.header_view(seen_by_hand(overrides={"market.speed": "60"}), "recorded:/days/GOOG")
    assert (view.market, view.speed) == ("RECORDED", 60.0)


def test_after_the_close_it_says_when_it_opens() -> None:
    view = views.header_view(seen_by_hand(now=CLOSE), "simulated")
    assert view.to_close is None
    assert view.to_open == left((3 * 24 - 6.5) * 3600)  # a weekend


async def test_the_header_shows_money_heat_and_the_tape() -> None:
    desk = Desk()
    desk.bought()
    desk.wait(1, spot="601")
    seen = seen_of(desk)
    view = views.header_view(seen, "simulated")
    assert seen.book is not None
    assert view.equity == seen.book.equity
    assert view.day_pnl == seen.book.equity - D(100000)
    assert view.budget == (seen.book.equity * D("0.03")).quantize(D(1))
    assert view.heat == pytest.approx(float(sum(e.risk for e in seen.book.exposures) / seen.book.equity), abs=1e-4)
    (tick,) = view.ticks
    assert (tick.symbol, tick.price, tick.change, tick.age, tick.stale) == ("SPY", D("601.00"), 0.005, None, False)
    desk.command(HaltTrading(by="test", reason="news"))
    halted = views.header_view(seen_of(desk), "simulated")
    assert (halted.halted, halted.halt_by, halted.halt_reason) == (True, "test", "news")
    broke = msgspec.structs.replace(seen.book, equity=D(0))
    assert views.header_view(seen_of(desk, book=broke), "simulated").heat is None


def test_a_symbol_without_a_quote_a_reference_or_a_fresh_price() -> None:
    quotes = HandQuotes()
    quotes.underlyings |= {"SPY": quote(None, "600"), "QQQ": quote("500", "500"), "IWM": quote("200", "200")}
    seen = seen_by_hand(quotes=quotes, now=NOON + timedelta(seconds=6), references={"IWM": D(200)})
    spy, qqq, iwm = views.header_view(seen, "simulated").ticks
    assert (spy.price, spy.change) == (None, None)
    assert (qqq.price, qqq.change, qqq.age, qqq.stale) == (D("500.00"), None, 6.0, True)
    assert iwm.change == 0.0
    quotes.underlyings["SPY"] = None  # type: ignore[assignment]
    assert views.header_view(seen, "simulated").ticks[0].price is None


# --- lamps


def test_all_is_well() -> None:
    quotes = HandQuotes()
    quotes.underlyings["SPY"] = quote("600", "600")
    found = lamps(views.health_view(seen_by_hand(quotes=quotes), vitals(heard_ago=34.2)))
    on = {name for name, lamp in found.items() if lamp.state is LampState.OK}
    assert on == {"engine", "webhook", "market", "ledger", "loop", "pricing"}
    assert (found["engine"].text, found["webhook"].text, found["ledger"].text) == ("4 ms", "8787", "1,234")
    assert (found["webhook"].age, found["market"].age) == (34.0, 0.0)


def test_each_trouble_lights_its_own_lamp_and_says_what_to_do() -> None:
    troubled = vitals(
        address="", ledger_available=False, slowest_step=51.0, loop_late=160.0, problems=("disk is full", "no roles")
    )
    found = lamps(views.health_view(seen_by_hand(), troubled))
    states = {name: lamp.state for name, lamp in found.items()}
    warn, bad = LampState.WARN, LampState.BAD
    assert states == {
        "engine": warn, "webhook": bad, "market": warn, "ledger": bad, "loop": warn, "pricing": LampState.OK, "redis": LampState.OFF,
        "telegram": LampState.OFF, "problem0": warn, "problem1": warn,
    }  # fmt: skip
    assert all(found[name].todo for name in ("webhook", "market", "ledger", "loop"))
    assert (found["webhook"].text, found["ledger"].text, found["webhook"].age) == ("not listening", "away", None)
    assert found["problem0"].text == "disk is full"


def test_a_spooling_ledger_warns_with_its_count_and_age() -> None:
    spooled = Spooled(facts=12_345, seconds=61.0, reason="the database is away: no answer")
    lamp = lamps(views.health_view(seen_by_hand(), vitals(ledger_spooled=spooled)))["ledger"]
    assert (lamp.state, lamp.text, lamp.age) == (LampState.WARN, "spooling 12,345", 60.0)
    assert lamp.detail == "embedded Postgres: the database is away: no answer"
    assert "safe on this disk" in lamp.todo
    away = lamps(views.health_view(seen_by_hand(), vitals(ledger_spooled=spooled, ledger_available=False)))["ledger"]
    assert (away.state, away.text) == (LampState.BAD, "away")


def test_a_single_late_turn_is_shown_and_no_warning() -> None:
    found = lamps(views.health_view(seen_by_hand(), vitals(loop_block=480.0)))["loop"]
    assert (found.state, found.text, found.todo) == (LampState.OK, "480 ms", "")
    late = lamps(views.health_view(seen_by_hand(), vitals(loop_block=480.0, loop_late=160.0)))["loop"]
    assert (late.state, late.text) == (LampState.WARN, "480 ms")
    assert late.detail.startswith("turns of the last 5 s were up to 160 ms late")


@pytest.mark.parametrize(
    ("milliseconds", "says", "todo"),
    [
        (0.0, "turns were over 100 ms late until just now; ", "was too busy until just now"),
        (50.0, "turns were over 100 ms late until just now; ", "was too busy until just now"),
        (75.0, "turns were over 100 ms late, and are up to 75 ms late still; ", "is too busy"),
        (101.0, "turns of the last 5 s were up to 101 ms late; ", "is too busy"),
    ],
)
def test_a_loop_that_was_late_says_so_until_the_warning_ends(milliseconds: float, says: str, todo: str) -> None:
    lamp = lamps(views.health_view(seen_by_hand(), vitals(loop_late=milliseconds)))["loop"]
    assert lamp.state is LampState.WARN
    assert lamp.detail.startswith(says)
    assert todo in lamp.todo


def test_an_old_quote_warns() -> None:
    quotes = HandQuotes()
    quotes.underlyings["SPY"] = quote("600", "600")
    found = lamps(views.health_view(seen_by_hand(quotes=quotes, now=NOON + timedelta(seconds=6)), vitals()))
    assert (found["market"].state, found["market"].age) == (LampState.WARN, 6.0)


def test_while_it_warms_up_nothing_is_judged() -> None:
    found = lamps(views.health_view(seen_by_hand(), vitals(warm=False, slowest_step=0.0, loop_block=0.0)))
    assert (found["engine"].text, found["loop"].text) == ("starting", "starting")
    assert found["engine"].state is found["loop"].state is LampState.OK


# --- first steps


def test_the_steps_of_a_first_start() -> None:
    quotes = HandQuotes()
    quotes.underlyings["SPY"] = quote("600", "600")
    view = views.welcome_view(seen_by_hand(quotes=quotes), vitals(), "s3cret")
    account, ledger, market, address, secret, test = view.steps
    assert (account.done, ledger.done, address.done, test.done) == (False, True, False, False)
    assert market.detail == "SPY is watched."
    assert address.copy == "http://127.0.0.1:8787/webhook"
    assert (secret.copy, secret.secret, test.secret) == ("s3cret", True, True)
    assert "s3cret" in test.copy
    assert test.action == "welcome.test"
    assert "SPY 4H LONG and 1H LONG" in test.detail
    assert "a ticket waits for your A and Enter" in test.detail


async def test_the_steps_after_the_first_signal() -> None:
    desk = Desk({"approvals.policy": "auto-paper"}, policy=Policy.AUTO_PAPER)
    desk.signal("5")
    quotes = HandQuotes()
    quotes.underlyings |= {"SPY": quote("600", "600"), "QQQ": quote("500", "500")}
    view = views.welcome_view(seen_of(desk, quotes=quotes), vitals(market="recorded:/day"), "")
    assert all(step.done for step in view.steps)
    assert view.steps[0].detail.startswith("100,000.00 USD")
    assert (view.steps[2].title, view.steps[2].detail) == ("Market is recorded", "SPY, QQQ are watched.")
    assert view.steps[5].action == ""
    assert "policy auto-paper answers the ticket" in view.steps[5].detail


@pytest.mark.parametrize(
    ("serving", "reason", "state", "text", "detail"),
    [
        ("compiled", "", LampState.OK, "compiled", "kernels run as machine code"),
        ("numpy", "", LampState.OK, "numpy until warm", "the same results, slower"),
        ("warming", "", LampState.OK, "numpy until warm", "the same results, slower"),
        ("unavailable", "the numpy build was asked for", LampState.OK, "numpy", "the numpy build was asked for"),
        ("unavailable", "no compiler: x", LampState.WARN, "numpy", "no compiler: x"),
    ],
)
def test_the_pricing_lamp_says_what_serves(serving: str, reason: str, state: LampState, text: str, detail: str) -> None:
    lamp = lamps(views.health_view(seen_by_hand(), vitals(pricing=serving, pricing_reason=reason)))["pricing"]
    assert (lamp.state, lamp.text, lamp.detail) == (state, text, detail)
    assert bool(lamp.todo) == (state is LampState.WARN)
