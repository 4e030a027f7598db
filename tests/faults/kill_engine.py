"""Kill -9 of the engine at random moments under a steady stream of webhooks, and judge what is left.

    python -m tests.faults.kill_engine --kills 50

Judged at the end: every acknowledged receipt is in the ledger at the place that was answered, no trigger bought twice,
no order sent twice, fills and positions agree, the chain verifies, projections equal a rebuild from zero.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.engine_process import ROOT, EngineProcess, run_main

SYMBOLS = ("SPY", "QQQ", "IWM")
SETTINGS = {
    "intake.rate": "0",
    "risk.entries_per_second": "1000",
    "risk.entries_per_day": "100000",
    "risk.max_positions": "200",
    "risk.max_positions_symbol": "100",
    "risk.cooldown_minutes": "0",
    "risk.max_heat": "0.2",
    "risk.duplicate_seconds": "0",
    "account.cash": "100000000",
    "market.start": "2026-11-20T16:00:00Z",
}


@dataclass
class Verdict:
    kills: int = 0
    acknowledged: int = 0
    lost: list[int] = field(default_factory=list)
    double_orders: int = 0
    faults: list[str] = field(default_factory=list)
    facts: int = 0
    orders: int = 0
    fills: int = 0
    ready: list[float] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.double_orders or self.faults)


def run(folder: Path, kills: int, seed: int, rate: float) -> Verdict:
    """Start, hammer, kill `kills` times, stop cleanly, judge."""
    import httpx

    rng = random.Random(seed)
    verdict = Verdict(kills=kills)
    engine = EngineProcess(folder / "home", settings=SETTINGS)
    engine.home.mkdir(parents=True)
    engine.start()
    tokens = engine.secrets()
    prices = {}
    for symbol in SYMBOLS:
        answer = httpx.get(f"{engine.url}/api/quotes/{symbol}", headers={"Authorization": f"Bearer {tokens['api_token']}"})
        prices[symbol] = float(answer.json()["mid"])
    log, stop = folder / "acknowledged.jsonl", folder / "stop"
    log.touch()
    sender = subprocess.Popen(
        [
            sys.executable, "-m", "tests.faults.sender", "--url", engine.url, "--token", tokens["webhook_signal"],
            "--prices", json.dumps(prices), "--log", str(log), "--stop", str(stop), "--rate", str(rate), "--seed", str(seed),
            "--seconds", str(kills * 6 + 30),
        ],
        cwd=ROOT,
    )  # fmt: skip
    try:
        for _ in range(kills):
            time.sleep(rng.uniform(0.2, 1.6))
            engine.kill()
            engine.start()
            verdict.ready.append(engine.ready_seconds)
        time.sleep(1.0)
    finally:
        stop.touch()
        sender.wait(30)
    assert engine.stop() == 0, "a clean stop exits 0"
    judge(folder, engine.home, log, verdict)
    return verdict


def judge(folder: Path, home: Path, log: Path, verdict: Verdict) -> None:
    for work in ("verify", "rebuild"):
        done = run_main("ledger", work, "--home", str(home))
        if done.returncode != 0:
            verdict.faults.append(f"ledger {work}: {done.stdout[-500:]} {done.stderr[-500:]}")
    exported = folder / "facts.jsonl"
    done = run_main("ledger", "export", str(exported), "--home", str(home))
    if done.returncode != 0:
        verdict.faults.append(f"ledger export: {done.stderr[-500:]}")
        return
    facts: dict[int, dict[str, Any]] = {}
    for line in exported.read_text().splitlines():
        fact = json.loads(line)["fact"]
        facts[fact["seq"]] = fact
    verdict.facts = len(facts)
    for line in log.read_text().splitlines():
        answer = json.loads(line)
        verdict.acknowledged += 1
        fact = facts.get(answer["receipt"])
        if fact is None:
            verdict.lost.append(answer["receipt"])
        elif fact["fact"] == "SignalReceived" and f"{answer['timestamp']}" not in fact["receipt"]["raw"]:
            verdict.faults.append(f"receipt {answer['receipt']} is not the one that was acknowledged")
    judge_orders(list(facts.values()), verdict)


def judge_orders(facts: list[dict[str, Any]], verdict: Verdict) -> None:
    """Counted from the facts alone, sharing no code with the engine."""
    sent = Counter(f["order"] for f in facts if f["fact"] == "OrderSubmitted")
    triggers = Counter(
        f["ticket"]["trigger"] for f in facts if f["fact"] == "TicketOpened" and f["ticket"]["trigger"] is not None
    )
    entries = Counter(f["ticket"] for f in facts if f["fact"] == "OrderIntended" and f["purpose"] == "ENTRY")
    executions = Counter(f["execution"] for f in facts if f["fact"] == "OrderFilled")
    verdict.orders, verdict.fills = len(sent), sum(executions.values())
    for name, counts in (("sent", sent), ("trigger", triggers), ("ticket", entries), ("execution", executions)):
        doubled = [key for key, count in counts.items() if count > 1]
        if doubled:
            verdict.double_orders += len(doubled)
            verdict.faults.append(f"more than once as {name}: {doubled[:5]}")
    quantity = {f["order"]: (f["quantity"], f["side"]) for f in facts if f["fact"] == "OrderIntended"}
    filled: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for fact in facts:
        if fact["fact"] == "OrderFilled":
            filled[fact["order"]] += fact["quantity"]
            held[fact["position"]] += fact["quantity"] * (1 if quantity[fact["order"]][1] == "BUY" else -1)
        elif fact["fact"] == "ContractSettled":
            held[fact["position"]] -= fact["quantity"]
        elif fact["fact"] == "PositionClosed" and held[fact["position"]] != 0:
            verdict.faults.append(f"{fact['position']} was closed with {held[fact['position']]} held")
    verdict.faults += [f"{order} was filled over its quantity" for order, n in filled.items() if n > quantity[order][0]]
    verdict.faults += [f"{position} was oversold" for position, n in held.items() if n < 0]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = run(Path(folder), options.kills, options.seed, options.rate)
    ready = sorted(verdict.ready)
    print(
        f"{verdict.kills} kills, {verdict.acknowledged} acknowledged, {len(verdict.lost)} lost, {verdict.facts} facts, "
        f"{verdict.orders} orders, {verdict.fills} fills, {verdict.double_orders} doubled; "
        f"ready again median {ready[len(ready) // 2]:.2f} s, worst {ready[-1]:.2f} s"
    )
    for fault in verdict.faults:
        print("FAULT", fault)
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
