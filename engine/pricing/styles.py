"""By exercise style: one door to value and Greeks, American and European rows side by side in one batch.

Called by whatever prices contracts of several kinds at once (scenarios, payoffs, chains, marks). Arguments and units are those of
`european.price` and `european.greeks`; `american` says per row which model answers. Which symbol is which is `style_of`.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from engine.domain.values import Style
from engine.pricing import european, implied
from engine.pricing.european import FloatArray, GreeksArrays
from engine.pricing.implied import ImpliedVols

EUROPEAN_ROOTS = frozenset({"SPX", "SPXW", "XSP", "NDX", "NDXP", "XND", "RUT", "RUTW", "MRUT", "VIX", "VIXW", "DJX"})
"""Cash-settled index options, which nobody can exercise before their expiry (Cboe's product specifications). All other US listed
options, those on ETFs and single names, are American."""


def style_of(symbol: str) -> Style:
    """Exercise style of a symbol's listed options."""
    return Style.EUROPEAN if symbol.upper() in EUROPEAN_ROOTS else Style.AMERICAN


def price(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike,
    is_call: ArrayLike, american: ArrayLike,
) -> FloatArray:  # fmt: skip
    """Value in dollars per share, of the broadcast shape. NaN in, NaN out."""
    return european.price(spot, strike, t, r, q, vol, is_call)


def greeks(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike,
    is_call: ArrayLike, american: ArrayLike,
) -> GreeksArrays:  # fmt: skip
    """Value and Greeks (units in `GreeksArrays`), of the broadcast shape."""
    return european.greeks(spot, strike, t, r, q, vol, is_call)


def implied_vol(
    mid: ArrayLike, spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike,
    is_call: ArrayLike, american: ArrayLike,
) -> ImpliedVols:  # fmt: skip
    """Implied vols of prices (dollars per share), flattened to one dimension; units and statuses as in `implied.implied_vol`."""
    return implied.implied_vol(mid, spot, strike, t, r, q, is_call)
