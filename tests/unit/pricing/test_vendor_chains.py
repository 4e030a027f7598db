"""Against a vendor's own vols and deltas: whole chains, only their quotes, their header's spot and our rates go in.

The bars are what an earlier reading of the same files reached with parity forwards and Black-76. American options priced as
American, with the carry their own forwards show, the Treasury's dated curve, and quotes weighted by their spread do better.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from app.rates import rate_table
from engine.pricing.chain_fit import ChainFit, ChainQuotes, fit_chain
from engine.pricing.findings import FindingKind, Severity
from engine.pricing.time import VarianceClock, expiry_close
from engine.sessions import NEW_YORK, new_york_calendar

CALENDAR = new_york_calendar()


class Vendor(NamedTuple):
    fit: ChainFit
    quotes: ChainQuotes
    iv: np.ndarray
    delta: np.ndarray
    liquid: np.ndarray
    """Out of the money, 3 days to a year, both sides, spread under 10 %, and the vendor has a vol."""

    def error(self) -> tuple[float, float, float, float]:
        """Median and 90th percentile of |vol - vendor's|, median |delta - vendor's|, share answered."""
        vol = np.abs(self.fit.vol - self.iv)[self.liquid]
        delta = np.abs(self.fit.greeks.delta - self.delta)[self.liquid]
        sound = np.isfinite(vol)
        return (
            float(np.median(vol[sound])),
            float(np.quantile(vol[sound], 0.9)),
            float(np.median(delta[sound])),
            float(sound.mean()),
        )


def vendor(data: Path, name: str, *, american: bool, root: str = "") -> Vendor:
    columns: dict[str, list[Any]] = pq.read_table(data / "vendor_chain" / f"{name}.parquet").to_pydict()
    keep = [one.startswith(root) and one[len(root)].isdigit() for one in columns["option_symbol"]] if root else None
    take = np.flatnonzero(keep) if keep is not None else np.arange(len(columns["strike"]))
    expiries = [columns["expiration"][row] for row in take]
    days = sorted(set(expiries))
    place = {day: row for row, day in enumerate(days)}
    at = datetime.strptime(columns["valuation_et"][0], "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)
    bid, ask, strike = (np.array(columns[name], float)[take] for name in ("bid", "ask", "strike"))
    quotes = ChainQuotes(
        at=at,
        moments=tuple(expiry_close(day, CALENDAR) for day in days),
        expiry=np.array([place[day] for day in expiries]),
        strike=strike,
        is_call=np.array([columns["right"][row] == "C" for row in take]),
        bid=bid,
        ask=ask,
        american=american,
        spot=columns["spot"][0],
    )
    fit = fit_chain(quotes, rate_table().curve(at.date()), VarianceClock(CALENDAR))
    iv, delta = (np.array(columns[name], float)[take] for name in ("iv", "delta"))
    t = np.array([one.t for one in fit.expiries])[quotes.expiry]
    forward = np.array([one.forward.forward for one in fit.expiries])[quotes.expiry]
    out = np.where(quotes.is_call, strike >= forward, strike < forward)
    near = (t >= 2.999 / 365) & (t <= 1.0)
    liquid = out & near & (bid > 0) & (ask - bid < 0.1 * 0.5 * (bid + ask)) & (iv > 0)
    return Vendor(fit, quotes, iv, delta, liquid)


@pytest.mark.parametrize(
    ("name", "american", "bars", "least"),
    [
        ("SPY_cboe_20250516", True, (0.0002, 0.0006, 0.0016), 470),
        ("SPY_cboe_20230914", True, (0.0007, 0.0038, 0.0044), 1350),
        ("XSP_cboe_20230914", False, (0.0006, 0.0018, 0.0030), 2400),
    ],
)
@pytest.mark.usefixtures("compiled")
def test_vols_and_deltas_agree_with_the_vendors(
    data: Path, name: str, american: bool, bars: tuple[float, float, float], least: int
) -> None:
    found = vendor(data, name, american=american)
    assert found.liquid.sum() >= least
    median, ninth, delta, answered = found.error()
    assert answered == 1.0
    assert median <= bars[0]
    assert ninth <= bars[1]
    assert delta <= bars[2]
    # Live quotes of a liquid chain: nothing to be had for nothing, whatever the header says of the spot.
    assert [one for one in found.fit.findings if one.severity is Severity.ARBITRAGE] == []


@pytest.mark.usefixtures("compiled")
def test_an_after_hours_header_is_not_believed(data: Path) -> None:
    """The header says 589.25, which is the evening's price; the quotes belong to the close near 594."""
    fit = vendor(data, "SPY_cboe_20250516", american=True).fit
    assert not fit.spot_trusted
    assert fit.spot == pytest.approx(593.85, abs=0.15)


def test_a_stale_weekend_download_agrees_loosely(data: Path) -> None:
    """Its vols were computed at another moment than its quotes: median error above a vol point, in the notes as here."""
    found = vendor(data, "SPX_cboe_20220204", american=False, root="SPXW")
    median, ninth, delta, _ = found.error()
    assert median <= 0.0125
    assert ninth <= 0.030
    assert delta <= 0.0095
    assert all(one.kind is not FindingKind.PARITY for one in found.fit.findings)
