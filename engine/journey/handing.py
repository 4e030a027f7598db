"""Hand over: one effect to the broker, after the facts that decided it are durable. Called by the conductor and the player."""

from __future__ import annotations

from engine.journey.step import Cancel, Effect, Replace, Send, Step, Submit
from engine.journey.story import Journey
from engine.ports import Broker


def hand_over(journey: Journey, broker: Broker, step: Step, effect: Effect) -> None:
    """Do it, unless the story says that it must not be done any more. A broker that outlives this process gets an order
    one commit later: first that it is about to get it."""
    match effect:
        case Send(order=order):
            if journey.sent(step, order, broker.name):
                broker.submit(journey.state.orders[order])
        case Submit(order=order):
            if journey.handed(step, order):
                broker.submit(journey.state.orders[order])
        case Replace(order=order, limit=limit):
            broker.replace(order, limit)
        case Cancel(order=order):
            if not journey.withdrawn(step, order):
                broker.cancel(order)
