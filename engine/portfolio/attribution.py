"""Where a position's result came from: delta, gamma, vega, theta per mark-to-mark step, and an honest residual.

Called by the fold of facts: one `Attribution` per position, from its first fill to its last. The steps are the
ledger's own (fills, kept marks, settlement), so the same ledger gives the same parts.

Each step is a Taylor expansion around its start: delta·dS, ½·gamma·dS², vega·dIV, theta·days, times what was held.
What that does not explain (higher orders, cross terms, spread and slippage, steps without Greeks) is the residual:
gross − the parts, never spread over them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from engine.domain.entities import Attribution, Position
from engine.domain.events import ContractSettled, OrderFilled, PositionMarked
from engine.domain.values import Greeks, Value, money

PARTS = ("delta", "gamma", "vega", "theta")
_DAY = 86_400.0
_VOL_POINT = 0.01


def attribution_after_buy(attribution: Attribution | None, fill: OrderFilled, multiplier: int = 100) -> Attribution:
    """Begin with the first execution, or step to a further one and hold more."""
    if attribution is None:
        return Attribution(
            quantity=fill.quantity,
            multiplier=multiplier,
            at=fill.at,
            underlying=fill.underlying,
            greeks=fill.greeks,
        )
    stepped = _step(attribution, fill.at, fill.underlying, fill.greeks)
    return msgspec.structs.replace(stepped, quantity=stepped.quantity + fill.quantity)


def attribution_after_mark(attribution: Attribution, fact: PositionMarked) -> Attribution:
    return _step(attribution, fact.at, fact.underlying, fact.greeks)


def attribution_after_sell(attribution: Attribution, fill: OrderFilled) -> Attribution:
    """Step to an execution with all that was held, then hold less."""
    stepped = _step(attribution, fill.at, fill.underlying, fill.greeks)
    return msgspec.structs.replace(stepped, quantity=stepped.quantity - fill.quantity)


def attribution_after_settlement(attribution: Attribution, fact: ContractSettled) -> Attribution:
    """The last step: to the price the contract was settled against. There is no volatility left to step to."""
    stepped = _step(attribution, fact.at, fact.settlement, None)
    return msgspec.structs.replace(stepped, quantity=stepped.quantity - fact.quantity)


class Closing(Value, frozen=True, kw_only=True):
    """What a position that holds nothing any more came to: the figures of `PositionClosed`."""

    gross: Decimal
    """From fill prices, dollars to the cent."""
    fees: Decimal
    net: Decimal
    """Gross − fees, and nothing else."""
    r: Decimal
    """Net / risk at entry, four decimals."""
    average_exit: Decimal
    best: Decimal
    worst: Decimal
    attribution: dict[str, Decimal]
    """delta, gamma, vega, theta and residual; they sum to `gross` exactly."""


def closing(position: Position) -> Closing:
    """The result of a position that was sold or settled to the last contract."""
    gross = money(position.gross)
    fees = money(position.fees)
    net = gross - fees
    return Closing(
        gross=gross,
        fees=fees,
        net=net,
        r=(net / position.risk).quantize(Decimal("0.0001")) if position.risk > 0 else Decimal(0),
        average_exit=position.average_exit if position.average_exit is not None else Decimal(0),
        best=position.best if position.best is not None else position.entry,
        worst=position.worst if position.worst is not None else position.entry,
        attribution=attribution_parts(position.attribution, gross),
    )


def attribution_parts(attribution: Attribution | None, gross: Decimal) -> dict[str, Decimal]:
    """Dollars to the cent: the parts and `residual`. They sum to `gross` exactly."""
    parts = {name: money(getattr(attribution, name, 0.0)) for name in PARTS}
    parts["residual"] = money(gross) - sum(parts.values(), Decimal(0))
    return parts


def _step(start: Attribution, at: datetime, underlying: Decimal | None, greeks: Greeks | None) -> Attribution:
    """Without the underlying nothing moves: the next point that has it spans the gap. Without Greeks at the start
    there is nothing to expand around: the step is residual, and the next one starts here."""
    if underlying is None:
        return start
    if start.greeks is None or start.underlying is None:
        return msgspec.structs.replace(start, at=at, underlying=underlying, greeks=greeks or start.greeks)
    held = start.quantity * start.multiplier
    known = start.greeks
    moved = float(underlying - start.underlying)
    vol_points = (greeks.iv - known.iv) / _VOL_POINT if greeks is not None else 0.0
    days = (at - start.at).total_seconds() / _DAY
    return Attribution(
        quantity=start.quantity,
        multiplier=start.multiplier,
        at=at,
        underlying=underlying,
        greeks=greeks if greeks is not None else known,
        delta=_sum(start.delta, held * known.delta * moved),
        gamma=_sum(start.gamma, held * 0.5 * known.gamma * moved * moved),
        vega=_sum(start.vega, held * known.vega * vol_points),
        theta=_sum(start.theta, held * known.theta * days),
    )


def _sum(so_far: float, part: float) -> float:
    """Rounded like every pricing float that is kept: six decimals."""
    return round(so_far + part, 6)
