"""The broker's lamp: there is one only for a broker outside this process, and it says what is in doubt."""

from __future__ import annotations

from engine.domain.values import Side
from engine.domain.views import Lamp, LampState
from engine.views.line import broker_lamps
from tests.builders_journey import Desk
from tests.fakes.far_broker import FarBroker
from tests.unit.views.views import seen_of


def lamp(desk: Desk) -> Lamp:
    (only,) = broker_lamps(seen_of(desk))
    return only


async def test_a_broker_in_this_process_has_no_lamp() -> None:
    assert broker_lamps(seen_of(Desk())) == []


async def test_the_lamp_follows_the_line_and_the_books() -> None:
    desk = Desk(far=True)
    broker = desk.broker
    assert isinstance(broker, FarBroker)
    assert (lamp(desk).state, lamp(desk).text, lamp(desk).detail) == (LampState.BAD, "away", "the engine started")
    broker.raise_line()
    desk.listen()
    assert (lamp(desk).state, lamp(desk).text) == (LampState.WARN, "reading books")
    desk.reconcile(broker.books())
    assert (lamp(desk).state, lamp(desk).text, lamp(desk).todo) == (LampState.OK, "connected", "")
    desk.wait(12)
    assert lamp(desk).age == 12


async def test_the_lamp_names_what_is_in_doubt_and_what_is_not_ours() -> None:
    desk = Desk(far=True)
    broker = desk.broker
    assert isinstance(broker, FarBroker)
    broker.raise_line()
    desk.listen()
    desk.reconcile(broker.books())
    desk.signal("240")
    desk.signal("60")
    broker.drop("1100")
    desk.listen()
    assert lamp(desk).detail == f"1100; 1 in doubt: {desk.order.id}"
    broker.raise_line()
    desk.listen()
    broker.execute_for_another("x1", "AAPL", Side.BUY, 100)
    desk.reconcile(broker.books())
    assert lamp(desk).state is LampState.WARN
    assert lamp(desk).detail == f"1 in doubt: {desk.order.id}; 1 not ours: x1"
    assert lamp(desk).todo == "Ask the broker about what is not ours"
