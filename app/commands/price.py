"""`price IN.csv OUT.csv`: value, Greeks and implied vol of every row, in batches, so that a file of any length will do."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from app.commands.table_file import RowError, TableError, choice, fraction, number, open_table, open_target, text_of
from app.warming import serve_compiled
from engine.pricing import escrowed, styles
from engine.pricing.dividends import CashDividend
from engine.pricing.european import DAYS_A_YEAR
from engine.pricing.implied import IvStatus

DONE = 0
BAD_INPUT = 2
BATCH = 20_000
WORTH_COMPILING = 2_000
"""American rows in the first batch from which machine code is worth waiting for; numpy gives the same bits."""
NEEDED = ("type", "style", "spot", "strike", "t", "r", "q")
ANSWERS = ("price", "delta", "gamma", "theta", "vega", "rho", "iv", "status")
VOL_LIMIT, RATE_LIMIT, YIELD_LIMIT = 20.0, 1.0, 5.0
"""2,000 % of vol, 100 % of rate, 500 % of yield: what is beyond was meant as per cents."""
VOL_SEEN, YIELD_SEEN = 5.0, 1.0
"""500 % of vol before an event or at the end of a day, and a borrow above 100 %, are real but rare: what is beyond is
priced, with a warning."""
OK = "ok"
BAD_ROW = "bad_row"

Cells = list[str]


@dataclass(slots=True)
class _Row:
    """A line of the file: what it said, and either its terms or what is wrong with it."""

    cells: Cells
    fault: str = ""
    terms: tuple[float, ...] = ()
    """spot, strike, t, r, q, vol, price (NaN where not given), call, american."""
    dividends: tuple[CashDividend, ...] = ()


def price_file(source: Path, target: Path, errors: TextIO, *, raw: bool = False) -> int:
    """Price every row of `source` into `target`. Returns the exit code.

    Units: vega per vol point, theta per calendar day, rho per 1 % of the rate; `raw`: per 1.00 of vol, per year, per 1.00 of
    the rate. A bad row is named on `errors` as `file:line: what`, kept with the status bad_row, and the rest goes on; the code
    is then 2. A vol or a yield that is rarely so high is warned of there and priced. A file that cannot be read or written is named once and ends the work with 2.
    """
    try:
        with open_table(source) as table:
            table.require(*NEEDED)
            if "vol" not in table.names and "price" not in table.names:
                raise TableError(f"{source}:1: no column 'vol' and no column 'price'; one of them is needed")
            with open_target(source, target) as file:
                return _price_rows(source, table.columns, table.rows(), file, errors, raw=raw)
    except TableError as error:
        print(error, file=errors)
    except OSError as error:
        print(f"{target}: {error.strerror or error}", file=errors)
    return BAD_INPUT


def _price_rows(
    source: Path,
    columns: Cells,
    lines: Iterator[tuple[int, Mapping[str, str], Cells, str]],
    file: TextIO,
    errors: TextIO,
    *,
    raw: bool,
) -> int:
    out = csv.writer(file, lineterminator="\n")
    # A given price stands beside the computed one, under another name: no two columns share one.
    out.writerow([_given(column) for column in columns] + list(ANSWERS))
    code, done = DONE, 0
    shows = errors.isatty()
    while batch := [
        _read(number_, cells, kept, fault, source, errors) for number_, cells, kept, fault in islice(lines, BATCH)
    ]:
        if any(row.fault for row in batch):
            code = BAD_INPUT
        if not done and _work(batch) >= WORTH_COMPILING:
            serve_compiled()
        out.writerows(row.cells + answers for row, answers in zip(batch, _answers(batch, raw=raw), strict=True))
        done += len(batch)
        if shows and len(batch) == BATCH:
            print(f"\r{done:,} rows", end="", file=errors, flush=True)
    if shows and done >= BATCH:
        print(f"\r{done:,} rows", file=errors)
    return code


def _work(batch: list[_Row]) -> int:
    """About how many American values have to be worked out; one with cash dividends, by numpy, takes seconds."""
    return sum(WORTH_COMPILING if row.dividends else 1 for row in batch if row.terms and row.terms[-1])


def _given(column: str) -> str:
    name = column.strip().lower()
    return f"{column.strip()}_in" if name in ANSWERS else column


def _read(line: int, cells: Mapping[str, str], kept: Cells, fault: str, source: Path, errors: TextIO) -> _Row:
    try:
        if fault:
            raise RowError(fault)
        row = _terms(cells, kept)
        for doubt in _doubts(cells, row):
            print(f"{source}:{line}: warning: {doubt}", file=errors)
        return row
    except RowError as error:
        print(f"{source}:{line}: {error}", file=errors)
        return _Row(kept, str(error))


def _terms(cells: Mapping[str, str], kept: Cells) -> _Row:
    call = choice(cells, "type", ("call", "put")) == "call"
    american = choice(cells, "style", ("american", "european")) == "american"
    spot, strike = number(cells, "spot", above=0.0), number(cells, "strike", above=0.0)
    t = number(cells, "t", least=0.0)
    r, q = fraction(cells, "r", RATE_LIMIT), fraction(cells, "q", YIELD_LIMIT)
    vol = fraction(cells, "vol", VOL_LIMIT, least=0.0) if cells.get("vol") else float("nan")
    price = number(cells, "price", least=0.0) if cells.get("price") else float("nan")
    if vol != vol and price != price:
        raise RowError("neither vol nor price is given")
    return _Row(
        kept, "", (spot, strike, t, r, q, vol, price, call, american), _dividends(cells.get("dividends", ""), t)
    )


def _doubts(cells: Mapping[str, str], row: _Row) -> Iterator[str]:
    """What may have been meant as per cents, and is priced as it stands."""
    _, _, _, _, q, vol, *_ = row.terms
    for name, value, usual in (("vol", vol, VOL_SEEN), ("q", q, YIELD_SEEN)):
        if abs(value) > usual:
            yield f"{name} {cells[name]} is {value:,.0%}, over {usual:.0%}, and priced so; {value:g} % is {value / 100:g}"


def _dividends(text: str, t: float) -> tuple[CashDividend, ...]:
    """Times (years) and amounts before `t`, earliest first. Raises `RowError`."""
    found = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        when, colon, amount = part.partition(":")
        if not colon:
            raise RowError(f"dividend {part!r} is not t:amount")
        pair = {"dividend's t": when.strip(), "dividend's amount": amount.strip()}
        found.append((number(pair, "dividend's t", least=0.0), number(pair, "dividend's amount", least=0.0)))
    return tuple(sorted(CashDividend(when, amount) for when, amount in found if 0 < when < t and amount > 0))


def _answers(batch: list[_Row], *, raw: bool) -> list[Cells]:
    """The answers of a batch, a list of cells per row."""
    answers: list[Cells] = [[""] * (len(ANSWERS) - 1) + [BAD_ROW] for _ in batch]
    plain = [at for at, row in enumerate(batch) if not row.fault and not row.dividends]
    # Cash dividends: contracts with the same underlying terms are priced together.
    groups: dict[tuple[object, ...], list[int]] = {}
    for at, row in enumerate(batch):
        if row.dividends:
            spot, _, t, r, q, _, _, _, american = row.terms
            groups.setdefault((spot, t, r, q, american, row.dividends), []).append(at)
    for rows in filter(None, (plain, *groups.values())):
        for at, cells in zip(rows, _priced([batch[at] for at in rows], raw=raw), strict=True):
            answers[at] = cells
    return answers


def _priced(rows: list[_Row], *, raw: bool) -> list[Cells]:
    """Rows without dividends, or rows that share everything but strike, vol, price and right."""
    spot, strike, t, r, q, vol, given, call, american = np.array([row.terms for row in rows], np.float64).T
    is_call, early, paid = call > 0, american > 0, rows[0].dividends
    quoted = np.isfinite(given)
    iv, reason = vol.copy(), np.full(len(vol), OK, object)
    if quoted.any():
        if paid:
            found = escrowed.implied_vols(
                given[quoted], spot[0], strike[quoted], t[0], r[0], q[0], is_call[quoted], bool(early[0]), paid
            )
        else:
            found = styles.implied_vol(
                given[quoted],
                spot[quoted],
                strike[quoted],
                t[quoted],
                r[quoted],
                q[quoted],
                is_call[quoted],
                early[quoted],
            )
        iv[quoted] = found.vol
        reason[quoted] = [OK if code == IvStatus.CONVERGED else IvStatus(code).name.lower() for code in found.status]
    used = np.where(np.isfinite(vol), vol, iv)
    if paid:
        greeks = escrowed.greeks(spot[0], strike, t[0], r[0], q[0], used, is_call, bool(early[0]), paid)
    else:
        greeks = styles.greeks(spot, strike, t, r, q, used, is_call, early)
    # A price without a vol is still a price; its Greeks are not known.
    value = np.where(np.isfinite(used), greeks.value, given)
    reason[np.isfinite(used) & ~np.isfinite(value)] = "dividends_exceed_spot" if paid else "bad_input"
    per_year, per_one = (DAYS_A_YEAR, 100.0) if raw else (1.0, 1.0)
    columns = (
        value, greeks.delta, greeks.gamma, greeks.theta * per_year, greeks.vega * per_one, greeks.rho * per_one, iv,
    )  # fmt: skip
    lists = (column.tolist() for column in columns)
    return [[*map(text_of, row[:-1]), row[-1]] for row in zip(*lists, reason, strict=True)]
