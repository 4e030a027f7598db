"""What comes in during a replay: webhook bodies and manual orders, read from their files with the time of each line.

Called by `replay`. A line that cannot be read is a `UsageError` naming file and line, before anything is played.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from app.options import UsageError
from engine.domain.commands import (
    Approve,
    ClosePosition,
    Command,
    HaltTrading,
    OpenTicket,
    Override,
    Reject,
    ResumeTrading,
)
from engine.journey.player import Arrival
from engine.journey.story import Journey

BY = "orders-file"


def read_bodies(path: Path | None) -> list[Arrival]:
    """Webhook bodies, one a line; `timenow` is the arrival, and `signal.timestamp` where there is none."""
    arrivals = []
    for number, line in _lines(path):
        tree = _object(path, number, line)
        said = tree.get("timenow")
        stamp = tree.get("signal", {}).get("timestamp") if isinstance(tree.get("signal"), dict) else None
        if isinstance(said, str):
            at = _time(path, number, said)
        elif isinstance(stamp, int) and not isinstance(stamp, bool):
            try:
                at = datetime.fromtimestamp(stamp / 1000, UTC)
            except (OverflowError, ValueError, OSError) as error:
                raise UsageError(f"{path}:{number}: signal.timestamp: {stamp} is no time in milliseconds") from error
        else:
            raise UsageError(f"{path}:{number}: no timenow: a replay must know when a body arrives")
        arrivals.append(Arrival(at=at, line=number, where=f"{path}:{number}", body=line.encode()))
    return arrivals


def read_orders(path: Path | None) -> list[Arrival]:
    """Manual tickets and overrides, one JSON object a line, each with its `time` and `action`:
    buy (contract, quantity, limit), close (contract or position, quantity), override (symbol, quantity, direction),
    approve or reject (symbol: its oldest waiting ticket), halt (flatten), resume; `reason` on all."""
    return [
        Arrival(
            at=_time(path, number, str(tree.get("time", ""))),
            line=number,
            where=f"{path}:{number}",
            command=_command(path, number, tree),
        )
        for number, line in _lines(path)
        for tree in [_object(path, number, line)]
    ]


def _command(path: Path | None, number: int, tree: dict[str, Any]) -> Callable[[Journey], Command]:
    where = f"{path}:{number}"
    reason = str(tree.get("reason") or f"orders file line {number}")
    quantity = tree.get("quantity")
    if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1):
        raise UsageError(f"{where}: quantity: expected a whole number from 1")
    try:
        limit = Decimal(str(tree["limit"])) if tree.get("limit") is not None else None
    except InvalidOperation as error:
        raise UsageError(f"{where}: limit: {tree['limit']} is no price") from error
    if limit is not None and not (limit.is_finite() and limit > 0):
        raise UsageError(f"{where}: limit: {tree['limit']} is no price")
    action = tree.get("action")
    for names in _NEEDS.get(str(action), ()):
        if not any(isinstance(tree.get(name), str) and tree[name].strip() for name in names):
            raise UsageError(f"{where}: {action} needs {' or '.join(names)}")
    if tree.get("direction") not in (None, "LONG", "SHORT"):
        raise UsageError(f"{where}: direction: {tree['direction']} is not LONG or SHORT")
    match action:
        case "buy":
            contract = str(tree.get("contract", "")).replace(" ", "")
            return lambda journey: OpenTicket(
                by=BY, contract=contract, quantity=quantity or 1, limit=limit, reason=reason, approve=True
            )
        case "approve":
            return lambda journey: Approve(
                by=BY, ticket=_waiting(journey, tree), quantity=quantity, limit=limit, reason=reason
            )
        case "reject":
            return lambda journey: Reject(by=BY, ticket=_waiting(journey, tree), reason=reason)
        case "close":
            return lambda journey: ClosePosition(by=BY, position=_held(journey, tree), quantity=quantity)
        case "override":
            symbol = str(tree.get("symbol", ""))
            return lambda journey: Override(
                by=BY,
                decision=_decided(journey, symbol),
                reason=reason,
                quantity=quantity,
                direction=tree.get("direction"),
                approve=True,
            )
        case "halt":
            return lambda journey: HaltTrading(by=BY, reason=reason, flatten=bool(tree.get("flatten")))
        case "resume":
            return lambda journey: ResumeTrading(by=BY, reason=reason)
        case other:
            raise UsageError(f"{where}: action: {other} is not buy, close, override, approve, reject, halt or resume")


_NEEDS = {
    "buy": (("contract",),),
    "close": (("contract", "position"),),
    "override": (("symbol",),),
    "approve": (("symbol",),),
    "reject": (("symbol",),),
}
"""What an action must name, each one of several."""


def _waiting(journey: Journey, tree: dict[str, Any]) -> str:
    """The oldest waiting ticket of a symbol."""
    for ticket in journey.state.pending_tickets.values():
        if ticket.symbol == tree["symbol"]:
            return ticket.id
    return f"of {tree['symbol']}"


def _held(journey: Journey, tree: dict[str, Any]) -> str:
    """The open position an order file speaks of, by its id or its contract."""
    wanted = str(tree.get("position") or tree.get("contract") or "").replace(" ", "")
    for position in journey.state.open_positions.values():
        if wanted in (position.id, position.contract.osi):
            return position.id
    return wanted


def _decided(journey: Journey, symbol: str) -> int:
    board = journey.state.boards.get(symbol)
    return board.decision_seq if board is not None and board.decision_seq is not None else 0


def _lines(path: Path | None) -> Iterator[tuple[int, str]]:
    if path is None:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _object(path: Path | None, number: int, line: str) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"{path}:{number}: expected a JSON object")
    return tree


def _time(path: Path | None, number: int, said: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"{path}:{number}: {said!r} is no ISO time") from error
    if moment.tzinfo is None:
        raise UsageError(f"{path}:{number}: {said} has no time zone")
    return moment.astimezone(UTC)
