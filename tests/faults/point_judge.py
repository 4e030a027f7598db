"""What is left after engines were killed at many places: the ledger, the broker's own log and the acknowledgements agree.

Read from the rows, and from two files that the killed engines never wrote. No code is shared with the engine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

Fact = dict[str, Any]


@dataclass
class Findings:
    """Counts of one series, and what is wrong."""

    facts: int = 0
    acknowledged: int = 0
    triggers_bought: int = 0
    orders: int = 0
    resent: int = 0
    """Orders that reached the broker twice under one id: harmless there, and counted."""
    executions: int = 0
    closed: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        for name in ("facts", "acknowledged", "triggers_bought", "orders", "resent", "executions", "closed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults


def judge(facts: Sequence[Fact], broker: Path, acks: Path) -> Findings:
    """`facts`: all of the ledger, in order. Both files hold a JSON object a line."""
    found = Findings(facts=len(facts))
    _acknowledged(facts, _lines(acks), found)
    log = _lines(broker)
    _orders(facts, log, found)
    _executions(facts, log, found)
    _positions(facts, log, found)
    if [fact["seq"] for fact in facts] != list(range(1, len(facts) + 1)):
        found.faults.append("the ledger has gaps")
    if any(b["at"] < a["at"] for a, b in pairwise(facts)):
        found.faults.append("time went back")
    return found


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def _acknowledged(facts: Sequence[Fact], acks: Sequence[dict[str, Any]], found: Findings) -> None:
    """What was answered 202 is at its place, once; what was answered 200 is the same as what it names."""
    by_seq = {fact["seq"]: fact for fact in facts}
    heard = Counter(
        json.loads(fact["receipt"]["raw"])["signal"]["number"] for fact in facts if fact["fact"] == "SignalReceived"
    )
    doubled = [number for number, count in heard.items() if count > 1]
    if doubled:
        found.faults.append(f"signals heard twice: {doubled[:5]}")
    for ack in acks:
        if ack["status"] not in (200, 202):
            continue
        found.acknowledged += 1
        place = ack["receipt"] if ack["status"] == 202 else ack["duplicate_of"]
        fact = by_seq.get(place)
        if fact is None or fact["fact"] != "SignalReceived":
            found.faults.append(f"acknowledged signal {ack['number']} is not at {place}")
        elif json.loads(fact["receipt"]["raw"])["signal"]["number"] != ack["number"]:
            found.faults.append(f"fact {place} is another signal than the one that was acknowledged")
    weighed = Counter(f["cause"] for f in facts if f["fact"] == "DecisionMade" and f["by"] == "signal")
    again = [cause for cause, count in weighed.items() if count > 1]
    if again:
        found.faults.append(f"decided twice: {again[:5]}")
    received = [fact["seq"] for fact in facts if fact["fact"] == "SignalReceived"]
    undecided = [seq for seq in received if seq not in weighed]
    if undecided:
        found.faults.append(f"never decided: {undecided[:5]}")


def _orders(facts: Sequence[Fact], log: Sequence[dict[str, Any]], found: Findings) -> None:
    """Each order at the broker was intended before, and no trigger has two."""
    intended = {fact["order"]: fact for fact in facts if fact["fact"] == "OrderIntended"}
    triggers = {fact["ticket"]["id"]: fact["ticket"]["trigger"] for fact in facts if fact["fact"] == "TicketOpened"}
    submits = Counter(line["id"] for line in log if line["event"] == "submit")
    found.orders = len(submits)
    found.resent = sum(count - 1 for count in submits.values())
    unknown = [order for order in submits if order not in intended]
    if unknown:
        found.faults.append(f"orders at the broker that no ledger has: {unknown[:5]}")
    if found.resent:
        found.faults.append(f"orders sent again under their own id: {[o for o, c in submits.items() if c > 1][:5]}")
    entries = Counter(
        triggers[intended[order]["ticket"]]
        for order in submits
        if order in intended
        and intended[order]["purpose"] == "ENTRY"
        and triggers[intended[order]["ticket"]] is not None
    )
    found.triggers_bought = len(entries)
    twice = [trigger for trigger, count in entries.items() if count > 1]
    if twice:
        found.faults.append(f"triggers with two orders at the broker: {twice[:5]}")


def _executions(facts: Sequence[Fact], log: Sequence[dict[str, Any]], found: Findings) -> None:
    """The broker's executions are the ledger's fills: each once, with its quantity, none missing, none made up."""
    broker = Counter((line["id"], line["order"], line["quantity"]) for line in log if line["event"] == "execution")
    ours = Counter((f["execution"], f["order"], f["quantity"]) for f in facts if f["fact"] == "OrderFilled")
    found.executions = broker.total()
    if broker != ours:
        missing, extra = list(broker - ours)[:3], list(ours - broker)[:3]
        found.faults.append(f"executions differ: not in the ledger {missing}, not at the broker {extra}")
    foreign = [fact["fact"] for fact in facts if fact["fact"].startswith("Foreign")]
    if foreign:
        found.faults.append(f"{len(foreign)} of our own orders or executions were taken for a stranger's")


def _positions(facts: Sequence[Fact], log: Sequence[dict[str, Any]], found: Findings) -> None:
    """Nothing is sold that is not held, at any moment of the broker's; at the end both hold the same, and that is nothing."""
    held: Counter[str] = Counter()
    for line in log:
        if line["event"] == "execution":
            held[line["contract"]] += line["quantity"] * (1 if line["side"] == "BUY" else -1)
            if held[line["contract"]] < 0:
                found.faults.append(f"sold more than was held: {line}")
    left = {contract: count for contract, count in held.items() if count}
    opened = {fact["position"] for fact in facts if fact["fact"] == "OrderFilled"}
    closed = Counter(fact["position"] for fact in facts if fact["fact"] == "PositionClosed")
    found.closed = len(closed)
    orphans = opened - set(closed)
    if left or orphans:
        found.faults.append(f"left over: {left} at the broker, {sorted(orphans)[:5]} in the ledger")
