"""One simulated symbol's contracts on one day, as arrays: what every quote of that day is computed from.

Made once a day by the simulator. What stands here does not change while the exchange is open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import FloatArray
from engine.market import listing, smile, spreads
from engine.market.noise import stream
from engine.market.table import seconds_of
from engine.market.universe import Traits
from engine.sessions import Calendar, Session


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """One symbol's contracts on one day: what the chain is computed from."""

    traits: Traits
    session: Session
    expiries: tuple[date, ...]
    terms: smile.Terms
    is_call: NDArray[np.bool_]
    noise: NDArray[np.uint64]
    open_interest: NDArray[np.int64]
    day_volume: NDArray[np.int64]
    width: FloatArray
    row: dict[str, int]

    def part(self, rows: NDArray[np.int64]) -> Board:
        """The same board with only these rows."""
        return replace(
            self,
            terms=replace(
                self.terms,
                expiry=self.terms.expiry[rows],
                strike=self.terms.strike[rows],
                log_strike=self.terms.log_strike[rows],
                sign=self.terms.sign[rows],
            ),
            is_call=self.is_call[rows],
            noise=self.noise[rows],
            open_interest=self.open_interest[rows],
            day_volume=self.day_volume[rows],
            width=self.width[rows],
            row={},
        )


def make_board(
    nature: Traits,
    session: Session,
    calendar: Calendar,
    seed: int,
    dates: tuple[date, ...],
    shown: listing.Strikes,
    opened: float,
) -> Board:
    """The board of these contracts; `opened` is the underlying's price at the open, dollars. Noise is named by contract,
    so a contract is the same on a board of one and on a board of all."""
    per_expiry = np.array(
        [
            [calendar.sessions_between(session.day, expiry) for expiry in dates],
            [seconds_of(listing.expiry_close(calendar, expiry)) for expiry in dates],
        ],
        dtype=np.float64,
    )
    terms = smile.terms(shown.expiry, shown.strike, shown.is_call, per_expiry)
    days = np.array([(expiry - session.day).days for expiry in dates], dtype=np.float64)[shown.expiry]
    names = [
        f"{nature.symbol}{dates[index]:%y%m%d}{'C' if is_call else 'P'}{milli:08d}"
        for index, is_call, milli in zip(
            shown.expiry.tolist(),
            shown.is_call.tolist(),
            np.round(shown.strike * 1000).astype(np.int64).tolist(),
            strict=True,
        )
    ]
    noise = np.array([stream(seed, name) for name in names], dtype=np.uint64)
    usual = smile.moment(terms, nature, opened, nature.vol, 1.0, seconds_of(session.open), rate=0.0)
    _, _, away = smile.values(terms, nature, usual)
    held, traded = spreads.interest(noise, shown.strike, away, days, nature)
    return Board(
        traits=nature,
        session=session,
        expiries=dates,
        terms=terms,
        is_call=shown.is_call,
        noise=noise,
        open_interest=held,
        day_volume=traded,
        width=spreads.tenor_factor(days),
        row={name: index for index, name in enumerate(names)},
    )
