"""A second opinion on a replay, from the recorded files and the exported facts alone. It shares no code with the engine."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

MINUTE = timedelta(minutes=1)


class Quoted:
    """What was known of every contract at every moment: a bar's opening at its start, its close a minute later."""

    def __init__(self, path: Path, contracts: Iterable[str]) -> None:
        wanted = set(contracts)
        self.known: dict[str, list[tuple[datetime, int, Any, Any, Any, Any]]] = defaultdict(list)
        for row in pq.read_table(path).to_pylist():
            name = f"{row['root']}{_day(row['expiry'])}{row['right']}{round(float(row['strike']) * 1000):08d}"
            if name not in wanted:
                continue
            start = row["ts_utc"].astimezone(UTC)
            sizes = (row["bid_sz"], row["ask_sz"])
            self.known[name].append((start, 1, _price(row["bid_o"]), _price(row["ask_o"]), None, None))
            self.known[name].append((start + MINUTE, 0, _price(row["bid_c"]), _price(row["ask_c"]), *sizes))
        for quotes in self.known.values():
            # at one instant a close comes before the next bar's opening
            quotes.sort(key=lambda quote: quote[:2])

    def at(self, contract: str, moment: datetime) -> tuple[datetime, Decimal | None, Decimal | None, Any, Any]:
        """(since when, bid, ask, bid size, ask size) of the newest quote known; a size is that of the last close."""
        quotes = self.known[contract]
        place = bisect_right(quotes, (moment, 2), key=lambda quote: quote[:2])
        at, _, bid, ask, bid_size, ask_size = quotes[place - 1]
        if bid_size is None:
            before = [quote for quote in quotes[:place] if quote[1] == 0]
            bid_size, ask_size = before[-1][4:] if before else (None, None)
        return at, bid, ask, bid_size or None, ask_size or None


def _day(expiry: Any) -> str:
    return str(expiry)[:10].replace("-", "")[2:]


def _price(value: Any) -> Decimal | None:
    return None if value is None or value != value else Decimal(str(round(float(value), 4)))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def osi(contract: dict[str, Any]) -> str:
    strike = int(Decimal(contract["strike"]) * 1000)
    return f"{contract['symbol']}{_day(contract['expiry'])}{contract['right']}{strike:08d}"


def faults_of_fills(facts: Sequence[dict[str, Any]], quotes_file: Path) -> list[str]:
    """Every fill that the quote known at its moment would not have given."""
    intents = {fact["order"]: fact for fact in facts if fact["fact"] == "OrderIntended"}
    quoted = Quoted(quotes_file, {osi(intent["contract"]) for intent in intents.values()})
    limits = {order: intent["limit"] for order, intent in intents.items()}
    taken: dict[tuple[str, str, datetime], int] = defaultdict(int)
    faults: list[str] = []
    for fact in facts:
        if fact["fact"] == "OrderRepriced":
            limits[fact["order"]] = fact["limit"]
        if fact["fact"] != "OrderFilled":
            continue
        intent, at = intents[fact["order"]], moment(fact["at"])
        name, side = osi(intent["contract"]), intent["side"]
        since, bid, ask, bid_size, ask_size = quoted.at(name, at)
        price, limit, told = Decimal(fact["price"]), Decimal(limits[fact["order"]]), fact["quote"]
        size = ask_size if side == "BUY" else bid_size
        taken[name, side, since] += fact["quantity"]
        wrong = {
            "another quote": (
                moment(told["at"]),
                told["bid"] and Decimal(told["bid"]),
                told["ask"] and Decimal(told["ask"]),
            )
            != (since, bid, ask),
            "a quote of later": moment(told["at"]) > at,
            "an old quote": at - since > timedelta(seconds=65),
            "a fill before its order": at < moment(intent["at"]),
            "one-sided": bid is None or ask is None or bid >= ask,
            "better than the market": price < (ask or 0) if side == "BUY" else price > (bid or 0),
            "beyond the limit": price > limit if side == "BUY" else price < limit,
            "more than was shown": size is not None and taken[name, side, since] > size,
        }
        faults += [f"{fact['order']} at {at}: {what}" for what, is_wrong in wrong.items() if is_wrong]
    return faults


def books(facts: Sequence[dict[str, Any]], cash: Decimal) -> dict[str, Any]:
    """Cash, and (gross, fees, net) of every position that is over, counted from executions alone."""
    intents = {fact["order"]: fact for fact in facts if fact["fact"] == "OrderIntended"}
    flow: dict[str, Decimal] = defaultdict(Decimal)
    fees: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[str, int] = defaultdict(int)
    for fact in facts:
        if fact["fact"] == "OrderFilled":
            sign = 1 if intents[fact["order"]]["side"] == "SELL" else -1
            dollars = Decimal(fact["price"]) * fact["quantity"] * 100
        elif fact["fact"] == "ContractSettled":
            sign, dollars = 1, Decimal(fact["price"]) * fact["quantity"] * 100
        else:
            continue
        flow[fact["position"]] += sign * dollars
        fees[fact["position"]] += Decimal(fact["fees"])
        held[fact["position"]] -= sign * fact["quantity"]
    return {
        "cash": cash + sum(flow.values()) - sum(fees.values()),
        "closed": {key: (flow[key], fees[key], flow[key] - fees[key]) for key in flow if held[key] == 0},
        "held": {key: count for key, count in held.items() if count},
    }


# --- the board, counted again from the bodies ----------------------------------------------------------------------

ROLE = {"240": 2.0, "60": 1.5}
QUALITY = {"EXTREME": 1.5, "HIGH": 1.0, "MEDIUM": 0.75}
RANK = {"MEDIUM": 0, "HIGH": 1, "EXTREME": 2}
SESSION = {"OPEN": 0.8, "MIDDAY": 1.0, "POWER_HOUR": 0.7, "AFTERHOURS": 0.5}


def what_became(bodies: Path, executed: Sequence[str | None]) -> list[str]:
    """For each body in file order, given the direction of its EXECUTE (None: not one): why it opens nothing, or `enters`.

    `superseded`: the board kept another; `against`: not the decision's direction; `contradicted`: an opposite newcomer
    had been superseded and neither of the two has expired.
    """
    board: dict[str, tuple[datetime, int, str]] = {}
    until = datetime.min.replace(tzinfo=UTC)
    found = []
    for line, direction in zip(bodies.read_text(encoding="utf-8").splitlines(), executed, strict=True):
        body = json.loads(line)
        head, now = body["signal"], moment(body["timenow"])
        tf = head["timeframe"]
        minutes = (
            int(tf) * ROLE.get(tf, 1.0) * QUALITY[head["quality"]] * SESSION[body["time_context"]["market_session"]]
        )
        expires = now + timedelta(minutes=min(max(minutes, int(tf)), 720))
        held = board.get(tf)
        placed = held is None or now >= held[0] or RANK[head["quality"]] > held[1]
        if placed:
            board[tf] = (expires, RANK[head["quality"]], head["type"])
        elif held is not None and held[2] != head["type"]:
            until = max(until, min(held[0], expires))
        if direction is None:
            found.append("no EXECUTE")
        elif not placed:
            found.append("superseded" if head["type"] == direction else "superseded, against")
        elif head["type"] != direction:
            found.append("against")
        else:
            found.append("contradicted" if now < until else "enters")
    return found
