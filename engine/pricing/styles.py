"""By exercise style: one door to value, Greeks and implied vols, American and European rows side by side in one batch.

Called by whatever prices contracts of several kinds at once (scenarios, payoffs, chains, marks). Arguments and units are those of
`european`; `american` says per row which model answers. Which symbol is which is `style_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.values import Style
from engine.pricing import american as american_model
from engine.pricing import american_implied, european, implied
from engine.pricing.european import FloatArray, GreeksArrays, all_plain
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
    (found,) = _by_style(
        lambda model, rows: (_american(model).price(*rows),), 1, american, spot, strike, t, r, q, vol, is_call
    )
    return found


def greeks(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike,
    is_call: ArrayLike, american: ArrayLike,
) -> GreeksArrays:  # fmt: skip
    """Value and Greeks (units in `GreeksArrays`), of the broadcast shape."""
    return GreeksArrays(
        *_by_style(lambda model, rows: _american(model).greeks(*rows), 6, american, spot, strike, t, r, q, vol, is_call)
    )


def implied_vol(
    mid: ArrayLike, spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike,
    is_call: ArrayLike, american: ArrayLike,
) -> ImpliedVols:  # fmt: skip
    """Implied vols of prices (dollars per share), flattened to one dimension; units and statuses as in `implied.implied_vol`."""
    vol, status = _by_style(
        lambda model, rows: _american_implied(model)(*rows), 2, american, mid, spot, strike, t, r, q, is_call
    )
    return ImpliedVols(np.atleast_1d(vol).ravel(), np.atleast_1d(status).ravel().astype(np.int8))


def _american(is_american: bool) -> ModuleType:
    return american_model if is_american else european


def _american_implied(is_american: bool) -> Callable[..., ImpliedVols]:
    return american_implied.implied_vol if is_american else implied.implied_vol


Model = Callable[[bool, list[ArrayLike]], tuple[NDArray[np.generic], ...]]


def _by_style(model: Model, results: int, american: ArrayLike, *arguments: ArrayLike) -> list[FloatArray]:
    """Ask the model of each style for its rows, and put the answers side by side."""
    if type(american) is bool and all_plain(arguments):
        return [np.asarray(each, np.float64).reshape(()) for each in model(american, list(arguments))]
    styles = np.asarray(american, np.bool_)
    shape = np.broadcast(styles, *arguments).shape
    if styles.size == 1 or styles.all() or not styles.any():
        found = model(bool(styles.flat[0]) if styles.size else False, list(arguments))
        return [
            one if one.shape == shape else np.broadcast_to(one.reshape(_kept(one, shape)), shape)
            for one in (np.asarray(each, np.float64) for each in found)
        ]
    styles = np.broadcast_to(styles, shape)
    rows = [np.broadcast_to(np.asarray(one), shape) for one in arguments]
    out = [np.empty(shape) for _ in range(results)]
    for side in (True, False):
        for place, one in zip(out, model(side, [row[styles == side] for row in rows]), strict=True):
            place[styles == side] = one
    return out


def _kept(one: NDArray[np.generic], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to broadcast from: a flattened answer takes its own shape back."""
    return shape if np.size(one) == int(np.prod(shape)) else np.shape(one)
