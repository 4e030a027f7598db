"""One contract at a time: the Greeks of a quoted option, and its value at another price of the underlying.

Called for tickets, marks and sizing, where money is Decimal. The contract's own style chooses the model, the expiry's `Terms` its forward.
Batches use `styles` directly.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from engine.domain.values import Greeks, OptionContract, Quote, Right, Style
from engine.pricing import american, european, styles
from engine.pricing.european import GreeksArrays
from engine.pricing.terms import Terms
from engine.pricing.time import SECONDS_A_YEAR, year_fraction

MIN_SECONDS_FOR_IV = 600.0
"""Under 10 minutes to expiry a tick of the quote moves the vol by more than the vol: it is n/a."""
MIN_VEGA_FOR_IV = 0.005
"""Dollars per vol point and share, below which a cent of the quote is more than a vol point or two: n/a."""
DECIMALS = 6
"""Pricing floats are rounded to this before they enter a fact."""


def implied_of(
    contract: OptionContract,
    quoted: Quote | Decimal | float,
    spot: Decimal | float,
    now: datetime,
    expiry: datetime,
    terms: Terms,
) -> float | None:
    """Implied vol (fraction per year) of a mid price, or of a quote's mid.

    None where there is none to be had: a one-sided or crossed quote, under 10 minutes to expiry, below intrinsic value,
    no time value, or a vega under half a cent.
    """
    found = _implied(contract, quoted, spot, now, expiry, terms)
    return found[0] if found is not None else None


def greeks_of(
    contract: OptionContract,
    quoted: Quote | Decimal | float,
    spot: Decimal | float,
    now: datetime,
    expiry: datetime,
    terms: Terms,
    *,
    fallback_vol: float | None = None,
) -> Greeks | None:
    """Greeks at the contract's own implied vol, rounded to 6 decimals; `expiry` from `expiry_moment`, `spot` as quoted.

    Where its quote gives no vol, `fallback_vol` (the position's last, say) is used and stands in `iv`; without one, and
    once the contract has expired, there are no Greeks: None.
    """
    found = _implied(contract, quoted, spot, now, expiry, terms)
    if found is not None:
        return rounded(*found, (), terms)
    t = year_fraction(now, expiry)
    if fallback_vol is None or t <= 0:
        return None
    return rounded(fallback_vol, styles.greeks(*_arguments(contract, spot, t, fallback_vol, terms)), (), terms)


def value_at(
    contract: OptionContract,
    spot: Decimal | float,
    vol: float,
    now: datetime,
    expiry: datetime,
    terms: Terms,
) -> float:
    """Model value in dollars per share with the underlying quoted at `spot`; intrinsic value once expired."""
    t = year_fraction(now, expiry)
    if t <= 0:
        inside = float(spot) - float(contract.strike)
        return max(inside if contract.right is Right.CALL else -inside, 0.0)
    at, strike, _, rate, carry, _, is_call, is_american = _arguments(contract, spot, t, vol, terms)
    if is_american:
        return float(_boundaries(strike, t, rate, carry, vol, is_call).price_greeks(at, full=False).value)
    return float(european.price(at, strike, t, rate, carry, vol, is_call))


@lru_cache(maxsize=64)
def _boundaries(strike: float, t: float, rate: float, carry: float, vol: float, is_call: bool) -> american.Boundaries:
    """A contract is asked about at its stop and at its target at one moment: the boundary is found once."""
    return american.Boundaries(strike, t, rate, carry, vol, is_call)


def rounded(vol: float, arrays: GreeksArrays, row: int | tuple[()], terms: Terms) -> Greeks:
    """One row of a batch as the domain's Greeks, rounded to 6 decimals. The batch was priced at `terms`; delta and gamma come out per
    dollar of the quoted spot."""
    return Greeks(
        iv=round(float(vol), DECIMALS),
        delta=round(float(arrays.delta[row]) * terms.basis, DECIMALS),
        gamma=round(float(arrays.gamma[row]) * terms.basis * terms.basis, DECIMALS),
        vega=round(float(arrays.vega[row]), DECIMALS),
        theta=round(float(arrays.theta[row]), DECIMALS),
        rho=round(float(arrays.rho[row]), DECIMALS),
    )


def _arguments(
    contract: OptionContract, spot: Decimal | float, t: float, vol: float, terms: Terms
) -> tuple[float, float, float, float, float, float, bool, bool]:
    return (
        float(spot) * terms.basis, float(contract.strike), t, terms.rate, terms.carry, vol,
        contract.right is Right.CALL, contract.style is Style.AMERICAN,
    )  # fmt: skip


def _implied(
    contract: OptionContract,
    quoted: Quote | Decimal | float,
    spot: Decimal | float,
    now: datetime,
    expiry: datetime,
    terms: Terms,
) -> tuple[float, GreeksArrays] | None:
    """The vol of the quote and the Greeks at it, which had to be computed to trust the vol."""
    seconds = (expiry - now).total_seconds()
    mid = _mid(quoted)
    if mid is None or seconds < MIN_SECONDS_FOR_IV:
        return None
    at, strike, t, rate, carry, _, is_call, american = _arguments(contract, spot, seconds / SECONDS_A_YEAR, 0.0, terms)
    vol = float(styles.implied_vol(mid, at, strike, t, rate, carry, is_call, american).vol[0])
    if vol != vol:
        return None
    found = styles.greeks(at, strike, t, rate, carry, vol, is_call, american)
    return (vol, found) if found.vega >= MIN_VEGA_FOR_IV else None


def _mid(quoted: Quote | Decimal | float) -> float | None:
    if not isinstance(quoted, Quote):
        return float(quoted)
    return float(quoted.mid) if quoted.two_sided and quoted.mid is not None else None
