"""What goes wrong and when: the line, the ledger, the clock's leaps, the power. It goes on while no engine runs."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.builders_trading import CALENDAR

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


class Calamities:
    def __init__(self, run: Simulation, faults: Random, crashes: Random) -> None:
        self._run = run
        self._faults = faults
        self._crashes = crashes

    def begin(self) -> None:
        self._run.timeline.after(8.0, self.fault)
        self._run.timeline.after(self._crashes.uniform(15.0, 80.0), self.crash)

    def hours(self) -> None:
        """After hours the exchange's clock skips to the next opening."""
        now = self._run.clock.now()
        session = CALENDAR.session_at(now)
        if session is None or now >= session.options_close + timedelta(seconds=30):
            self._run.noted("night")
            self._skip(CALENDAR.next_session(now.date()).open + timedelta(minutes=6) - now)
        elif session.close + timedelta(minutes=3) <= now < session.options_close - timedelta(seconds=40):
            self._skip(session.options_close - timedelta(seconds=20) - now)

    def _skip(self, span: timedelta) -> None:
        self._run.clock.skip(span)
        self._run.market.jump()
        self._run.tell(f"--- the exchange skips {span}")

    def fault(self) -> None:
        if self._run.resting:
            return
        random, life = self._faults, self._run.life
        kind = random.choice(("line", "line", "line", "stall", "away", "word", "skip", "gateway", "foreign"))
        if life is not None:
            if kind in ("line", "gateway") and life.broker.line.up:
                life.broker.break_line()
                if kind == "gateway":
                    self._run.venue.roll_back()
                data_lost = kind == "gateway" or random.random() < 0.4
                broker = life.broker
                self._run.timeline.after(random.choice((0.3, 3.0, 15.0)), lambda: broker.mend(data_lost=data_lost))
            elif kind == "stall":
                self._run.noted("ledger stalls")
                life.ledger.stall(random.choice((1.0, 4.0, 12.0)))
            elif kind == "word":
                self._run.noted("slow acknowledgement")
                life.ledger.slow_word(random.choice((1.0, 4.0)))
            elif kind == "away":
                self._run.noted("ledger away")
                ledger = life.ledger
                ledger.leave()
                self._run.timeline.after(random.choice((2.0, 8.0, 25.0)), ledger.come_back)
        if kind == "foreign":
            self._run.noted("traded elsewhere")
            self._run.venue.trade_elsewhere()
        if kind == "skip":
            self._skip(random.choice((timedelta(minutes=2), timedelta(minutes=15), self._to_the_close())))
        self._run.timeline.after(random.expovariate(1.0 / 10.0) + 5.0, self.fault)

    def _to_the_close(self) -> timedelta:
        """Until shortly before the close, its last quarter of an hour, or the end of what the options trade."""
        now = self._run.clock.now()
        session = CALENDAR.session_at(now)
        if session is None:
            return timedelta(0)
        left = self._faults.choice((timedelta(minutes=31), timedelta(minutes=14), timedelta(minutes=-13)))
        return max(session.close - left - now, timedelta(0))

    def crash(self) -> None:
        if self._run.resting:
            return
        if self._run.life is not None and self._run.life.loop.cut_after is None:
            self._run.life.loop.cut_after = self._crashes.randint(1, 80)
        self._run.timeline.after(self._crashes.uniform(60.0, 400.0), self.crash)
