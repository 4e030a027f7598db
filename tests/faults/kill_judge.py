"""What is left after the kills, counted from the exported facts and the sender's log alone: no code shared with the engine.

Every acknowledged receipt at its place, each trigger heard, decided and bought once, no order sent twice, no execution
twice, no more filled than ordered, nothing sold that was not held, cash as the fills say, time that never went back; the
chain verifies, the projections equal a rebuild from zero, and every decision can be made again bit for bit.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.engine_process import facts_of, run_main

Fact = dict[str, Any]
MULTIPLIER = 100


@dataclass
class Verdict:
    kills: int = 0
    database_kills: int = 0
    early_kills: int = 0
    acknowledged: int = 0
    duplicates: int = 0
    refused: int = 0
    """Answers 503: kept or not, the sender was told to come again."""
    lost: list[int] = field(default_factory=list)
    doubled: int = 0
    faults: list[str] = field(default_factory=list)
    facts: int = 0
    decisions: int = 0
    orders: int = 0
    fills: int = 0
    opened: int = 0
    closed: int = 0
    runs_that_bought: int = 0
    runs: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    closes: list[str] = field(default_factory=list)
    """Orders that a person's closes were answered with."""
    ready: list[float] = field(default_factory=list)
    """Seconds from a start to the ready line, after each kill of the engine alone."""
    ready_with_database: list[float] = field(default_factory=list)
    """The same where the database server was killed, too."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.faults)

    def text(self) -> str:
        lines = [
            f"kills {self.kills} (with the database {self.database_kills}, and {self.early_kills} more while starting)",
            f"acknowledged {self.acknowledged} ({self.duplicates} as duplicates), lost {len(self.lost)}, "
            f"doubled {self.doubled}, told to come again {self.refused}",
            f"facts {self.facts}, decisions {self.decisions}, orders {self.orders}, fills {self.fills}, "
            f"positions opened {self.opened}, closed {self.closed} ({_counts(self.exits)})",
            f"runs {self.runs}, that bought {self.runs_that_bought}; entries denied: {_counts(self.denied) or 'none'}",
            f"ready again: {_spread(self.ready)}; with the database killed, too: {_spread(self.ready_with_database)}",
        ]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in self.faults)])


def _spread(seconds: Sequence[float]) -> str:
    return f"median {median(seconds):.2f} s, worst {max(seconds):.2f} s" if seconds else "none"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def judge(home: Path, log: Path, folder: Path, verdict: Verdict) -> None:
    for work in ("verify", "rebuild", "replay"):
        done = run_main("ledger", work, "--home", str(home))
        if done.returncode != 0:
            verdict.faults.append(f"ledger {work}: {done.stdout[-500:]} {done.stderr[-500:]}")
    facts = facts_of(home, folder / "facts.jsonl")
    judge_facts(facts, [json.loads(line) for line in log.read_text().splitlines()], verdict)


def judge_facts(facts: Sequence[Fact], answers: Iterable[dict[str, Any]], verdict: Verdict) -> None:
    """What facts and answers say together."""
    verdict.facts = len(facts)
    judge_order(facts, verdict)
    judge_receipts(facts, answers, verdict)
    judge_orders(facts, verdict)
    judge_cash(facts, verdict)
    judge_runs(facts, verdict)


def judge_order(facts: Sequence[Fact], verdict: Verdict) -> None:
    """No gap, and no step back in time."""
    if [fact["seq"] for fact in facts] != list(range(1, len(facts) + 1)):
        verdict.faults.append("the ledger has gaps")
    back = [b["seq"] for a, b in itertools.pairwise(facts) if b["at"] < a["at"]]
    if back:
        verdict.faults.append(f"time went back at {back[:5]}")


def judge_receipts(facts: Sequence[Fact], answers: Iterable[dict[str, Any]], verdict: Verdict) -> None:
    by_seq = {fact["seq"]: fact for fact in facts}
    heard: Counter[int] = Counter()
    for fact in facts:
        if fact["fact"] == "SignalReceived":
            heard[json.loads(fact["receipt"]["raw"])["signal"]["timestamp"]] += 1
    _once("heard", heard, verdict)
    decided = Counter(f["cause"] for f in facts if f["fact"] == "DecisionMade" and f["by"] == "signal")
    verdict.decisions = decided.total()
    _once("decided", decided, verdict)
    undecided = [f["seq"] for f in facts if f["fact"] == "SignalReceived" and f["seq"] not in decided]
    if undecided:
        verdict.faults.append(f"{len(undecided)} receipts were never decided: {undecided[:5]}")
    for line in answers:
        if line["status"] not in (200, 202):
            verdict.refused += 1
            if line["status"] != 503:
                verdict.faults.append(f"answered {line['status']}: {line['answer']}")
            continue
        verdict.acknowledged += 1
        seq = line["answer"]["receipt"]
        fact = by_seq.get(seq)
        if fact is None:
            verdict.lost.append(seq)
            continue
        expected = "SignalReceived" if line["status"] == 202 else "DuplicateReceived"
        if fact["fact"] != expected or json.loads(fact["receipt"]["raw"])["signal"]["timestamp"] != line["time"]:
            verdict.faults.append(f"receipt {seq} is not the one that was acknowledged")
        if line["status"] == 200:
            verdict.duplicates += 1
            original = by_seq[line["answer"]["duplicate_of"]]
            if original["fact"] != "SignalReceived" or original["receipt"]["key"] != fact["receipt"]["key"]:
                verdict.faults.append(f"receipt {seq} is no duplicate of {original['seq']}")


def judge_orders(facts: Sequence[Fact], verdict: Verdict) -> None:
    intended = {f["order"]: f for f in facts if f["fact"] == "OrderIntended"}
    sent = Counter(f["order"] for f in facts if f["fact"] == "OrderSubmitted")
    executions = Counter(f["execution"] for f in facts if f["fact"] == "OrderFilled")
    verdict.orders, verdict.fills = sent.total(), executions.total()
    _once("sent", sent, verdict)
    _once("executed", executions, verdict)
    tickets = [f["ticket"] for f in facts if f["fact"] == "TicketOpened"]
    _once("bought on one trigger", Counter(t["trigger"] for t in tickets if t.get("trigger") is not None), verdict)
    entries = Counter(f["ticket"] for f in intended.values() if f["purpose"] == "ENTRY")
    _once("ordered on one ticket", entries, verdict)
    missing = [order for order in verdict.closes if order not in intended]
    if missing:
        verdict.lost += [int(order[1:]) for order in missing]

    filled: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for fact in facts:
        if fact["fact"] == "OrderFilled":
            order = intended[fact["order"]]
            filled[fact["order"]] += fact["quantity"]
            verdict.opened += order["side"] == "BUY" and fact["position"] not in held
            held[fact["position"]] += fact["quantity"] * (1 if order["side"] == "BUY" else -1)
            if held[fact["position"]] < 0:
                verdict.faults.append(f"{fact['position']} was oversold")
            if fact["order"] not in sent:
                verdict.faults.append(f"{fact['order']} was filled but never sent")
        elif fact["fact"] == "ContractSettled":
            held[fact["position"]] -= fact["quantity"]
        elif fact["fact"] == "PositionClosed":
            verdict.closed += 1
            verdict.exits[fact["reason"]] += 1
            if held[fact["position"]] != 0:
                verdict.faults.append(f"{fact['position']} was closed with {held[fact['position']]} held")
    over = [order for order, count in filled.items() if count > intended[order]["quantity"]]
    if over:
        verdict.faults.append(f"filled over their quantity: {over[:5]}")


def judge_cash(facts: Sequence[Fact], verdict: Verdict) -> None:
    """The account's cash at every mark is what the fills before it make."""
    sides = {f["order"]: f["side"] for f in facts if f["fact"] == "OrderIntended"}
    cash = Decimal(0)
    for fact in facts:
        if fact["fact"] == "AccountOpened":
            cash += Decimal(fact["cash"])
        elif fact["fact"] == "OrderFilled":
            worth = Decimal(fact["price"]) * fact["quantity"] * MULTIPLIER
            cash += (worth if sides[fact["order"]] == "SELL" else -worth) - Decimal(fact["fees"])
        elif fact["fact"] == "EquityMarked" and Decimal(fact["cash"]) != cash:
            verdict.faults.append(f"fact {fact['seq']} says cash {fact['cash']}, the fills make {cash}")
            return


def judge_runs(facts: Sequence[Fact], verdict: Verdict) -> None:
    """The engine goes on trading after each restart, and refuses nothing for having been away."""
    starts = [f["seq"] for f in facts if f["fact"] == "EngineStarted"]
    opened = [f["seq"] for f in facts if f["fact"] == "TicketOpened"]
    verdict.runs = len(starts)
    for first, end in zip(starts, [*starts[1:], len(facts) + 1], strict=True):
        verdict.runs_that_bought += any(first < seq < end for seq in opened)
    verdict.denied = Counter(f["refusal"]["code"] for f in facts if f["fact"] == "EntryDenied")
    if not facts or facts[-1]["fact"] != "EngineStopped":
        verdict.faults.append("the last fact is not the clean stop")


def _once(what: str, counts: Counter[Any], verdict: Verdict) -> None:
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        verdict.doubled += len(twice)
        verdict.faults.append(f"more than once {what}: {twice[:5]}")
