"""The columns of the option chain: calls and puts outwards from the strike, each with its tone, ground and reasons."""

from __future__ import annotations

from collections.abc import Callable

from engine.domain.views import ChainRow, ChainSide
from widgets import numbers
from widgets.canvas import CENTRE
from widgets.table import Column

CALL, PUT = "call", "put"
NOT_TOLD = "n/a"
MARK = "†"
IN = "surface2"
"""Ground of what is in the money."""


def _of(side: str) -> Callable[[ChainRow], ChainSide | None]:
    return (lambda row: row.call) if side == CALL else (lambda row: row.put)


def _figure(side: str, name: str, decimals: int) -> Callable[[ChainRow], str]:
    get = _of(side)

    def text(row: ChainRow) -> str:
        one = get(row)
        return "" if one is None else numbers.plain(getattr(one, name), decimals)

    return text


def _price(side: str, name: str) -> Callable[[ChainRow], str]:
    get = _of(side)
    return lambda row: "" if (one := get(row)) is None else numbers.price(getattr(one, name))


def _count(side: str, name: str) -> Callable[[ChainRow], str]:
    get = _of(side)

    def text(row: ChainRow) -> str:
        one = get(row)
        found = None if one is None else getattr(one, name)
        return "" if one is None else numbers.NONE if found is None else f"{found:,}"

    return text


def _vol(side: str) -> Callable[[ChainRow], str]:
    get = _of(side)

    def text(row: ChainRow) -> str:
        one = get(row)
        if one is None:
            return ""
        mark = f"{numbers.NARROW}{MARK}" if one.marks else ""
        return (NOT_TOLD if one.iv is None else numbers.percent(one.iv, 1)) + mark

    return text


def reasons(side: ChainSide | None) -> str:
    """Why a vol is missing and what is odd about a quote, in one line; empty where there is nothing to say."""
    if side is None:
        return ""
    parts = [f"IV n/a: {side.why}"] if side.why else []
    parts += [
        one if side.stale is None or "stale" not in one else f"{one}, {numbers.age(side.stale)} old"
        for one in side.marks
    ]
    return " · ".join(parts)


def _columns(side: str) -> list[Column[ChainRow]]:
    """One side's columns, from the strike outwards."""
    get = _of(side)

    def tone(strong: str) -> Callable[[ChainRow], str]:
        return lambda row: "low" if (one := get(row)) is None or one.stale is not None else strong

    def ground(row: ChainRow) -> str:
        one = get(row)
        return IN if one is not None and one.in_the_money else ""

    def why(row: ChainRow) -> str:
        return reasons(get(row))

    def column(title: str, text: Callable[[ChainRow], str], sample: str, strength: str, more: str, drop: int = 0, weight: int = 400) -> Column[ChainRow]:  # fmt: skip
        return Column[ChainRow](title, text, sample, tone=tone(strength), weight=weight, help=f"{side.capitalize()}: {more}", drop=drop,
                                ground=ground, tip=why, spoken=lambda row: text(row) or "none")  # fmt: skip

    quotes = [
        column("Bid", _price(side, "bid"), "000.00", "hi", "best bid, dollars per share"),
        column("Mid", _price(side, "mid"), "000.000", "hi", "between bid and ask, of a two-sided quote", 3, 600),
        column("Ask", _price(side, "ask"), "000.00", "hi", "best ask, dollars per share"),
    ]
    rest = [
        column(
            "IV",
            _vol(side),
            f"000.0{numbers.NARROW}%{numbers.NARROW}{MARK}",
            "hi",
            "implied vol of the mid, a year; † has something to say",
            weight=500,
        ),
        column("Δ", _figure(side, "delta", 2), "−0.00", "mid", "delta, per 1.00 of the underlying", 2),
        column("Γ", _figure(side, "gamma", 3), "0.000", "mid", "gamma, per 1.00² of the underlying", 4),
        column("Θ", _figure(side, "theta", 2), "−00.00", "mid", "theta, dollars per calendar day and share", 5),
        column("Vega", _figure(side, "vega", 2), "0.00", "mid", "vega, dollars per vol point and share", 6),
        column("Vol", _count(side, "volume"), "000,000", "low", "contracts traded today", 7),
        column("OI", _count(side, "open_interest"), "000,000", "low", "open interest, contracts", 8),
    ]
    return [*reversed(rest), *quotes] if side == CALL else [*quotes, *rest]


COLUMNS = (
    *_columns(CALL),
    Column[ChainRow]("Strike", lambda row: f"{row.strike:,f}", "10,000.50", CENTRE, weight=600, help="Dollars", ground=lambda row: "raised"),
    *_columns(PUT),
)  # fmt: skip
STRIKE = len(_columns(CALL))
