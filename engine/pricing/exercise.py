"""One expiry's or many contracts' terms, and what the right to exercise early is worth on them.

Called by the chain's analysis, which turns American quotes into European ones and back. European contracts are priced on the
present value of their forward, without carry: dividends within a year are cash known in advance, so that a dollar of spot is
a dollar of forward. American ones need the spot itself, and hold the dividends as a continuous carry.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.pricing import styles
from engine.pricing.european import FloatArray, GreeksArrays
from engine.pricing.forward import BoolArray, EarlyExercise
from engine.pricing.implied import ImpliedVols


class Contracts(NamedTuple):
    """Contracts and their terms; arrays of one shape. Rows without a forward have NaN as `spot`."""

    spot: FloatArray
    strike: FloatArray
    t: FloatArray
    rate: FloatArray
    carry: FloatArray
    is_call: BoolArray
    american: bool

    def greeks(self, vol: FloatArray) -> GreeksArrays:
        """Value and Greeks, in the desk's units."""
        return styles.greeks(self.spot, self.strike, self.t, self.rate, self.carry, vol, self.is_call, self.american)

    def price(self, vol: FloatArray) -> FloatArray:
        """Dollars per share."""
        return styles.price(self.spot, self.strike, self.t, self.rate, self.carry, vol, self.is_call, self.american)

    def implied_vol(self, price: FloatArray) -> ImpliedVols:
        """Vols of prices, dollars per share."""
        return styles.implied_vol(
            price, self.spot, self.strike, self.t, self.rate, self.carry, self.is_call, self.american
        )


def contracts(
    spot: float,
    forward: FloatArray,
    strike: FloatArray,
    t: FloatArray,
    rate: FloatArray,
    is_call: BoolArray,
    american: bool,
) -> Contracts:
    """Terms by which each contract has its forward (dollars; NaN where there is none)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cash = forward * np.exp(-rate * t)
        if not american:
            return Contracts(cash, strike, t, rate, np.zeros_like(t), is_call, False)
        carry = np.where(t > 0, rate - np.log(forward / spot) / t, 0.0)
    return Contracts(np.where(np.isfinite(cash), spot, np.nan), strike, t, rate, carry, is_call, True)


def early_exercise(spot: float, t: float, rate: float) -> EarlyExercise:
    """The value of early exercise on one expiry, for `parity_forward`."""

    def premium(forward: float, strike: FloatArray, vol: FloatArray, is_call: BoolArray) -> FloatArray:
        carry = rate - float(np.log(forward / spot)) / t
        terms = (spot, strike, t, rate, carry, vol, is_call)
        return np.asarray(styles.price(*terms, True) - styles.price(*terms, False))

    return premium
