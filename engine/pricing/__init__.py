"""Pricing: batches in, arrays out. Pure; floats live here and nowhere above.

The seam: callers use `expiry_moment`, `year_fraction`, `implied_of`, `greeks_of`, `value_at` for one contract, and
`implied_vol(price, spot, strike, t, r, q, is_call)` and `greeks(spot, strike, t, r, q, vol, is_call)` for many. Behind
it stands Black-Scholes-Merton. A model with early exercise keeps these arguments and results, so that only the bodies
change; a forward from parity replaces `spot` and `q` by what the chain implies.
"""

from engine.pricing.contract import greeks_of, implied_of, value_at
from engine.pricing.european import GreeksArrays, greeks, price
from engine.pricing.implied import ImpliedVols, IvStatus, implied_vol
from engine.pricing.time import SECONDS_A_YEAR, expiry_moment, year_fraction

__all__ = [
    "SECONDS_A_YEAR",
    "GreeksArrays",
    "ImpliedVols",
    "IvStatus",
    "expiry_moment",
    "greeks",
    "greeks_of",
    "implied_of",
    "implied_vol",
    "price",
    "value_at",
    "year_fraction",
]
