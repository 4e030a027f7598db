"""The shipped table of discount rates, read once; found beside the program, in a frozen app too."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from engine.pricing.rates import RateError, RateTable, parse_rate_table

_TABLE = Path(__file__).resolve().parent.parent / "resources" / "rates" / "us_treasury_par_yields.csv"


@cache
def rate_table() -> RateTable:
    """The Treasury's par yields since 2014. Raises `RateError` naming the file when it cannot be read."""
    try:
        return parse_rate_table(_TABLE.read_text(encoding="utf-8"))
    except (OSError, RateError) as error:
        raise RateError(f"{_TABLE}: {error}") from error
