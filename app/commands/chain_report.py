"""How `chain` shows a chain that was analysed: a table for a person, an object for a program."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime
from typing import Any

import numpy as np

from engine.pricing.chain_fit import SPOT_ERRORS, ChainFit, ChainQuotes, ExpiryFit, spot_slack
from engine.pricing.findings import Finding, Severity
from engine.pricing.forward import ForwardStatus
from engine.pricing.moments import quantile, skew
from engine.pricing.rates import RateCurve
from engine.pricing.time import expiry_close
from engine.sessions import NEW_YORK, new_york_calendar, new_york_day

SHOWN_FINDINGS = 20
QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)


def as_text(quotes: ChainQuotes, fit: ChainFit, curve: RateCurve) -> str:
    """A table of the expiries, and the findings that matter."""
    lines = [_spot_line(quotes, fit), _rate_line(quotes, curve), "", _HEADER]
    lines += [_expiry_line(quotes, row, one) for row, one in enumerate(fit.expiries)]
    lines += ["", "move: price of the straddle at the forward (mean absolute move), and one standard deviation."]
    lines += ["spreads: median distance of a mid from the smile, in half spreads; inside: smile between bid and ask."]
    lines += ["", *_finding_lines(quotes, fit.findings)]
    return "\n".join(lines)


def _spot_line(quotes: ChainQuotes, fit: ChainFit) -> str:
    by_parity = fit.spot_by_parity
    if math.isnan(by_parity.spot):
        return f"spot {quotes.spot:,.2f} as given: no expiry has a forward, so that nothing confirms it"
    off = abs(fit.spot - by_parity.spot) / by_parity.error if by_parity.error > 0 else 0.0
    if fit.spot_trusted and off > SPOT_ERRORS:
        limit = spot_slack(fit.spot, by_parity.error)
        return (
            f"spot {quotes.spot:,.2f} is used, parity ({by_parity.spot:,.2f} ± {by_parity.error:.2f}) is off by {off:.1f} standard "
            f"errors, {abs(fit.spot - by_parity.spot):.2f} of the {limit:.2f} from which a given spot is not used"
        )
    if fit.spot_trusted:
        return f"spot {quotes.spot:,.2f}, parity agrees ({by_parity.spot:,.2f} ± {by_parity.error:.2f})"
    given = quotes.spot if quotes.spot is not None else math.nan
    return (
        f"spot {given:,.2f} was given, the options mean {by_parity.spot:,.2f} ± {by_parity.error:.2f}: that is used, "
        f"for the two are more than {spot_slack(given, by_parity.error):.2f} apart"
    )


def _rate_line(quotes: ChainQuotes, curve: RateCurve) -> str:
    rates = ", ".join(f"{rate:.2%} to {tenor:.2g} y" for tenor, rate in zip(curve.tenors, curve.rates, strict=True))
    age = curve.age(new_york_day(quotes.at))
    return f"rates of {curve.day}{f' ({age} days before)' if age else ''}: {rates}"


_HEADER = (
    f"{'expiry':<17}{'days':>7}{'contracts':>10}{'forward':>11}{'± error':>9}{'carry':>8}{'ATM vol':>9}{'clock':>8}"
    f"{'move':>9}{'1 sd':>9}{'25d skew':>9}  smile"
)


def _expiry_line(quotes: ChainQuotes, row: int, one: ExpiryFit) -> str:
    name = str(one.day) if one.moment == _closing(one.day) else f"{one.moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
    head = f"{name:<17}{one.t * 365:>7.2f}{int((quotes.expiry == row).sum()):>10,}"
    if not one.forward.ok:
        return f"{head}  no forward: {_why_none(quotes, row, one)}"
    head += f"{one.forward.forward:>11,.3f}{one.forward.error:>9.3f}{one.carry:>8.2%}"
    if one.smile is None:
        return f"{head}  no smile: no quotes out of the money"
    smile = one.smile
    fitted = f"{smile.kind}, {smile.quotes} quotes, {smile.spreads:.1f} spreads, {smile.inside:.0%} inside"
    return (
        f"{head}{one.at_money:>9.2%}{one.at_money_clock:>8.2%}{one.move.straddle:>9.2f}{one.move.deviation:>9.2f}"
        f"{skew(smile).risk_reversal:>9.2%}  {fitted}"
    )


def _why_none(quotes: ChainQuotes, row: int, one: ExpiryFit) -> str:
    """Why an expiry has no forward. Where its quotes are crossed or one-sided that is the cause, not how few are left."""
    if one.t <= 0:
        return "expired"
    why = one.forward.status.name.lower().replace("_", " ")
    if one.forward.status is not ForwardStatus.FEW_STRIKES:
        return why
    here = quotes.expiry == row
    causes = []
    two_sided = (quotes.bid > 0) & (quotes.ask > 0)
    for name, which in (("crossed", two_sided & (quotes.ask < quotes.bid)), ("one-sided", ~two_sided)):
        count = int((here & which).sum())
        if count == int(here.sum()):
            return f"all quotes are {name}"
        if count:
            causes.append(f"{count:,} {name}")
    return why + (f"; of {int(here.sum()):,} quotes {' and '.join(causes)}" if causes else "")


def _closing(day: date) -> datetime:
    return expiry_close(day, new_york_calendar())


def _finding_lines(quotes: ChainQuotes, findings: tuple[Finding, ...]) -> list[str]:
    """The findings that matter in full, the ordinary ones as counts."""
    notes = Counter(one.kind.value for one in findings if one.severity is Severity.NOTE)
    grave = [one for one in findings if one.severity is not Severity.NOTE]
    lines = [f"{len(grave)} findings" + (":" if grave else "")]
    for one in grave[:SHOWN_FINDINGS]:
        who = ", ".join(_contract(quotes, row) for row in one.rows)
        lines.append(f"  {one.severity.value:<10}{one.kind.value:<16}{one.size:>8.2f}  {who}: {one.text}")
    if len(grave) > SHOWN_FINDINGS:
        lines.append(f"  and {len(grave) - SHOWN_FINDINGS} more; all with --json")
    if notes:
        lines.append(
            "notes: " + ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(notes.items()))
        )
    return lines


def _contract(quotes: ChainQuotes, row: int) -> str:
    day = new_york_day(quotes.moments[int(quotes.expiry[row])])
    return f"{day} {quotes.strike[row]:g}{'C' if quotes.is_call[row] else 'P'}"


def as_json_object(quotes: ChainQuotes, fit: ChainFit, curve: RateCurve) -> dict[str, Any]:
    """The fitted smiles and all findings, ready for JSON: numbers that are none are null."""
    return {
        "at": quotes.at.isoformat(),
        "spot": {
            "given": quotes.spot,
            "used": fit.spot,
            "by_parity": _number(fit.spot_by_parity.spot),
            "error": _number(fit.spot_by_parity.error),
            "given_is_used": fit.spot_trusted,
        },
        "rates": {"day": str(curve.day), "tenors": list(curve.tenors), "rates": list(curve.rates)},
        "expiries": [_expiry_json(quotes, row, one) for row, one in enumerate(fit.expiries)],
        "findings": [
            {
                "kind": one.kind.value,
                "severity": one.severity.value,
                "size": _number(one.size),
                "contracts": [_contract(quotes, row) for row in one.rows],
                "text": one.text,
            }
            for one in fit.findings
        ],
    }


def _expiry_json(quotes: ChainQuotes, row: int, one: ExpiryFit) -> dict[str, Any]:
    forward = one.forward
    found: dict[str, Any] = {
        "expiry": one.moment.isoformat(),
        "years": one.t,
        "clock_years": one.clock,
        "status": forward.status.name.lower(),
        "no_forward": None if forward.ok else _why_none(quotes, row, one),
        "forward": _number(forward.forward),
        "error": _number(forward.error),
        "rate": _number(forward.rate),
        "carry": _number(one.carry),
        "dividends": _number(one.dividends),
        "strikes_used": forward.used,
        "strikes_rejected": list(forward.rejected),
        "atm_vol": _number(one.at_money),
        "atm_vol_trading_clock": _number(one.at_money_clock),
        "expected_move": {"straddle": _number(one.move.straddle), "deviation": _number(one.move.deviation)},
        "smile": None,
    }
    if one.smile is not None:
        smile, shape = one.smile, skew(one.smile)
        ends = forward.forward * np.exp(quantile(smile, np.array(QUANTILES)))
        found["smile"] = {
            "kind": smile.kind,
            **{name: _number(value) for name, value in smile.parameters._asdict().items()},
            "quotes": smile.quotes,
            "error_vol": _number(smile.error),
            "error_half_spreads": _number(smile.spreads),
            "inside_bid_ask": _number(smile.inside),
            "least_g": _number(smile.butterfly),
            "below_next_expiry": _number(smile.calendar),
            "risk_reversal_25": _number(shape.risk_reversal),
            "butterfly_25": _number(shape.butterfly),
            "quantiles": {f"{share:g}": _number(end) for share, end in zip(QUANTILES, ends, strict=True)},
        }
    return found


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity: null."""
    return float(value) if np.isfinite(value) else None
