"""Ask a broker outside this process for its books, whenever something is in doubt, until nothing is. Run by the conductor.

It decides nothing: a query that fails or takes too long leaves everything as unknown as it was, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from engine.journey.step import Step
from engine.journey.story import Journey
from engine.ports import Broker, BrokerAway

log = structlog.get_logger("enquiry")

ANSWER = 10.0
"""Seconds the broker has for an answer."""

OPENING = 5.0
"""Seconds a start waits for the first reconciliation; after that it goes on without, and adds no risk."""

AGAIN, LONGEST = 0.5, 30.0
"""Seconds between two questions about the same doubt: the first time, and at most."""


class Enquiry:
    def __init__(self, journey: Journey, broker: Broker, perform: Callable[[Callable[[Step], None]], Any]) -> None:
        self._journey = journey
        self._broker = broker
        self._perform = perform
        self._wake = asyncio.Event()
        self._wanted = False
        """The books are wanted although no order is in doubt."""

    def wake_if_asked(self) -> None:
        """After every step: whether it made a new doubt."""
        if self._journey.live.ask:
            self._journey.live.ask = False
            self._wanted = True
            self._wake.set()

    async def run(self) -> None:
        """For ever. A new doubt is asked about at once, an old one less and less often."""
        delay = AGAIN
        while True:
            if self._journey.question(self._wanted) is None:
                await self._wake.wait()
                delay = AGAIN
            self._wake.clear()
            await self.ask()
            if self._journey.question(self._wanted) is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
                delay = AGAIN if self._wake.is_set() else min(delay * 2, LONGEST)

    async def at_first(self) -> None:
        """Before the first order: the broker's books, if they can be had in reasonable time."""
        if self._journey.live.far is None:
            return
        try:
            async with asyncio.timeout(OPENING):
                while not self._journey.ready:
                    await self.ask()
                    self._wake.clear()
                    if not self._journey.ready:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(AGAIN):
                                await self._wake.wait()
        except TimeoutError:
            log.warning("opened_without_broker", broker=self._broker.name)

    async def ask(self) -> None:
        """Once, if there is something to ask and somebody to be asked."""
        asked = self._journey.question(self._wanted)
        if asked is None:
            return
        self._wanted = False
        try:
            async with asyncio.timeout(ANSWER):
                evidence = await self._broker.evidence()
        except (BrokerAway, TimeoutError) as error:
            self._wanted = True
            log.warning("broker_not_asked", broker=self._broker.name, error=str(error) or type(error).__name__)
            return
        self._perform(lambda step: self._journey.reconcile(step, asked, evidence))
