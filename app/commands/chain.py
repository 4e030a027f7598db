"""`chain IN.csv OUT.csv`: what a chain snapshot means. A table per expiry on the screen, a row per contract in the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TextIO

import numpy as np

from app.commands.chain_report import as_json_object, as_text
from app.commands.table_file import RowError, Table, TableError, choice, number, open_table, open_target, text_of
from app.rates import rate_table
from app.warming import serve_compiled
from engine.pricing.chain_fit import ChainError, ChainFit, ChainQuotes, fit_chain
from engine.pricing.implied import IvStatus
from engine.pricing.rates import RateCurve, RateError, flat_curve
from engine.pricing.time import VarianceClock, expiry_close
from engine.sessions import NEW_YORK, Calendar, new_york_calendar, new_york_day

DONE = 0
BAD_INPUT = 2
NEEDED = ("expiry", "type", "strike", "bid", "ask")
ANSWERS = (
    "forward", "mid", "iv", "iv_bid", "iv_ask", "smile_iv", "value", "delta", "gamma", "theta", "vega", "rho", "status",
    "findings",
)  # fmt: skip
BAD_ROW = "bad_row"
NAMED_REPEATS = 5
"""Contracts that are there twice and are named; of a file with two series a day there are thousands."""


@dataclass(slots=True)
class _Row:
    cells: list[str]
    at: int = -1
    """Which contract of the chain it is; -1 for a bad row."""


@dataclass(slots=True)
class _Read:
    """A file's rows and the contracts they hold."""

    columns: list[str]
    rows: list[_Row]
    expiry: list[datetime]
    strike: list[float]
    is_call: list[bool]
    bid: list[float]
    ask: list[float]
    bad: int = 0


def chain_file(
    source: Path,
    target: Path,
    *,
    at: str,
    spot: float,
    american: bool,
    rate: float | None,
    out: TextIO,
    errors: TextIO,
    as_json: bool = False,
) -> int:
    """Analyse the chain in `source`: contracts to `target`, expiries and findings to `out`. Returns the exit code.

    A bad row is named on `errors` as `file:line: what`, kept with the status bad_row, and the rest goes on; the code is then 2.
    What the chain shows to be wrong with itself is its result and no fault of the work: the code stays 0.
    """
    calendar = new_york_calendar()
    try:
        moment = _moment(at)
        if not (np.isfinite(spot) and spot > 0):
            raise TableError(f"--spot {spot:g} must be above 0")
        curve = _curve(moment, rate)
        with open_table(source) as table:
            table.require(*NEEDED)
            read = _read(source, table, calendar, errors)
        if not read.strike:
            raise TableError(f"{source}: holds no contract")
        if american:
            if errors.isatty():
                print("preparing the pricing code; the first time takes half a minute", file=errors)
            serve_compiled()
        fit, quotes = _fit(read, moment, spot, american, curve, calendar)
        with open_target(source, target) as file:
            _write(read, quotes, fit, file)
    except (TableError, RateError) as error:
        print(error, file=errors)
        return BAD_INPUT
    except ChainError as error:
        print(f"{source}: {error}", file=errors)
        return BAD_INPUT
    except OSError as error:
        print(f"{target}: {error.strerror or error}", file=errors)
        return BAD_INPUT
    if as_json:
        print(json.dumps(as_json_object(quotes, fit, curve), indent=1, allow_nan=False), file=out)
    else:
        print(as_text(quotes, fit, curve), file=out)
    return BAD_INPUT if read.bad else DONE


def _moment(text: str) -> datetime:
    """A moment; without a zone it is New York's. Raises `TableError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TableError(f"--at {text!r} is not a time as 2026-11-20T15:30 or 2026-11-20T20:30:00Z") from None
    if len(text.strip()) <= len("2026-11-20"):
        raise TableError(f"--at {text!r} has no time of day")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=NEW_YORK)


def _curve(moment: datetime, rate: float | None) -> RateCurve:
    if rate is None:
        return rate_table().curve(new_york_day(moment))
    if not -0.5 < rate < 1.0:
        raise TableError(f"--rate {rate:g} is not a fraction per year, as 0.04")
    return flat_curve(new_york_day(moment), rate)


def _read(source: Path, table: Table, calendar: Calendar, errors: TextIO) -> _Read:
    read = _Read(table.columns, [], [], [], [], [], [])
    known: dict[str, datetime] = {}
    lines: dict[tuple[datetime, bool, float], int] = {}
    repeats = 0
    for line, cells, kept, fault in table.rows():
        row = _Row(kept)
        read.rows.append(row)
        try:
            if fault:
                raise RowError(fault)
            text = cells["expiry"]
            if text not in known:
                known[text] = _expiry(text, calendar)
            is_call = choice(cells, "type", ("call", "put")) == "call"
            strike = number(cells, "strike", above=0.0)
            bid, ask = _side(cells, "bid"), _side(cells, "ask")
            first = lines.setdefault((known[text], is_call, strike), line)
            if first != line:
                repeats += 1
                read.bad += 1
                if repeats <= NAMED_REPEATS:
                    name = f"{text} {strike:g} {'call' if is_call else 'put'}"
                    print(f"{source}:{line}: {name} is there twice; line {first} counts", file=errors)
                continue
        except RowError as error:
            read.bad += 1
            print(f"{source}:{line}: {error}", file=errors)
            continue
        row.at = len(read.strike)
        read.expiry.append(known[text])
        read.is_call.append(is_call)
        read.strike.append(strike)
        read.bid.append(bid)
        read.ask.append(ask)
    if repeats > NAMED_REPEATS:
        print(f"{source}: and {repeats - NAMED_REPEATS:,} more that are there twice", file=errors)
    if repeats > 1:
        print(_TWO_SERIES.format(source=source), file=errors)
    return read


_TWO_SERIES = (
    "{source}: where a day has two series, one settled in the morning and one at the close (SPX and SPXW), tell them apart by a "
    "time in expiry: 2026-11-20T09:30 for the morning's"
)


def _expiry(text: str, calendar: Calendar) -> datetime:
    """A day ends at its session's close; a day with a time (an AM-settled series) at that time in New York."""
    try:
        if len(text) <= len("2026-11-20"):
            return expiry_close(date.fromisoformat(text), calendar)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowError(f"expiry {text!r} is not a day as 2026-11-20" if text else "expiry is missing") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=NEW_YORK)


def _side(cells: Mapping[str, str], name: str) -> float:
    """A quote's side; an empty cell and 0 mean that there is none."""
    return number(cells, name, least=0.0) if cells[name] else float("nan")


def _fit(
    read: _Read, moment: datetime, spot: float, american: bool, curve: RateCurve, calendar: Calendar
) -> tuple[ChainFit, ChainQuotes]:
    moments = sorted(set(read.expiry))
    place = {one: row for row, one in enumerate(moments)}
    quotes = ChainQuotes(
        at=moment,
        moments=tuple(moments),
        expiry=np.array([place[one] for one in read.expiry], np.int64),
        strike=np.array(read.strike),
        is_call=np.array(read.is_call, np.bool_),
        bid=np.array(read.bid),
        ask=np.array(read.ask),
        american=american,
        spot=spot,
    )
    return fit_chain(quotes, curve, VarianceClock(calendar)), quotes


def _write(read: _Read, quotes: ChainQuotes, fit: ChainFit, file: TextIO) -> None:
    out = csv.writer(file, lineterminator="\n")
    given = [f"{one.strip()}_in" if one.strip().lower() in ANSWERS else one for one in read.columns]
    out.writerow(given + list(ANSWERS))
    said: dict[int, list[str]] = {}
    for finding in fit.findings:
        for contract in finding.rows[:1]:
            said.setdefault(contract, []).append(finding.kind.value)
    forwards = np.array([one.forward.forward for one in fit.expiries])[quotes.expiry]
    mid = np.where((quotes.bid > 0) & (quotes.ask >= quotes.bid), 0.5 * (quotes.bid + quotes.ask), np.nan)
    iv = np.where(fit.reliable, fit.vol, np.nan)
    greeks = fit.greeks
    columns = (
        forwards, mid, iv, fit.bid_vol, fit.ask_vol, fit.smile_vol, greeks.value, greeks.delta, greeks.gamma, greeks.theta,
        greeks.vega, greeks.rho,
    )  # fmt: skip
    lists = [column.tolist() for column in columns]
    for row in read.rows:
        if row.at < 0:
            out.writerow(row.cells + [""] * (len(ANSWERS) - 2) + [BAD_ROW, ""])
            continue
        numbers = [text_of(column[row.at]) for column in lists]
        out.writerow(
            row.cells + numbers + [_status(quotes, fit, row.at), ";".join(dict.fromkeys(said.get(row.at, [])))]
        )


def _status(quotes: ChainQuotes, fit: ChainFit, row: int) -> str:
    """Of the contract's own vol: ok, why there is none, or why it is not shown (the smile's stands in the Greeks)."""
    code = IvStatus(int(fit.status[row]))
    if code is IvStatus.BAD_INPUT:
        return _no_price(float(quotes.bid[row]), float(quotes.ask[row])) or (
            code.name.lower() if fit.expiries[int(quotes.expiry[row])].forward.ok else "no_forward"
        )
    if code is not IvStatus.CONVERGED:
        return code.name.lower()
    return "ok" if fit.reliable[row] else "vega_too_small"


def _no_price(bid: float, ask: float) -> str:
    """Why a quote has no mid; empty where it has one. 0 is no side."""
    sides = bid > 0, ask > 0
    if not all(sides):
        return {(True, False): "no_ask", (False, True): "no_bid", (False, False): "no_quote"}[sides]
    return "crossed" if ask < bid else ""
