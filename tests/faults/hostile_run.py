"""Thousands of authenticated hostile bodies against the real engine, with a good signal every hundred; then its ledger is read.

    python -m tests.faults.hostile_run --count 10000

Counted: how many are answered 400, 413 or 422 with the path of what is wrong, that nothing is answered 5xx, that the
engine's memory stays where it was after the first thousand, that every good signal in between is decided, and that the
ledger keeps each refusal with the status that was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.bodies import signal_body
from tests.fakes.hostile import Hostile, hostile_bodies
from tests.faults.engine_process import EngineProcess, facts_of, ground, run_main

TIMEFRAMES = ("240", "60", "30", "15", "5", "3")
WORKERS = 16
REFUSALS = (400, 413, 422)
SHARE = 0.95
GROWTH = 10 << 20
"""Bytes the engine may grow after the first thousand bodies."""


@dataclass
class Report:
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    without_path: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    """Mutations that stayed valid, by what was done to them."""
    silent: int = 0
    """Nobody answered."""
    good: int = 0
    decided: int = 0
    settled: int = 0
    """Memory after the warm-up, bytes."""
    final: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return sum(self.statuses[status] for status in REFUSALS)

    def text(self) -> str:
        lines = [
            f"sent {self.sent} in {self.seconds:.1f} s; refused with 400, 413 or 422: {self.refused} "
            f"({self.refused / self.sent:.2%}), without a path {self.without_path}, unanswered {self.silent}",
            f"answers {dict(sorted(self.statuses.items()))}; taken, for they stayed valid: {dict(self.taken)}",
            f"good signals in between {self.good}, decided {self.decided}",
            f"memory {self.settled / 2**20:.1f} MB after the warm-up, {self.final / 2**20:.1f} MB after the last",
        ]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in self.faults)])


def run(folder: Path, count: int, seed: int = 1, warm_up: int = 1000) -> Report:
    """Post `count` bodies, `warm_up` of them before the memory is looked at first; judge the answers and the ledger."""
    engine = EngineProcess(folder / "home", settings={"intake.rate": "0"})
    report = Report()
    try:
        engine.start()
        tokens = engine.secrets()
        asyncio.run(_post_all(engine, tokens, report, list(hostile_bodies(seed, count)), warm_up))
        code = engine.stop()
        if code != 0:
            report.faults.append(f"a clean stop exited {code}")
        _judge(engine.home, folder, report)
    finally:
        engine.end()
    return report


async def _post_all(
    engine: EngineProcess, tokens: dict[str, str], report: Report, bodies: list[Hostile], warm_up: int
) -> None:
    began = time.monotonic()
    limits = httpx.Limits(max_connections=WORKERS)
    async with httpx.AsyncClient(base_url=engine.url, timeout=10.0, limits=limits) as client:
        done = 0
        for first in range(0, len(bodies), 100):
            part = bodies[first : first + 100]
            queue = list(part)
            await asyncio.gather(*(_worker(client, tokens, queue, report) for _ in range(WORKERS)))
            await _post_good(client, tokens, report, first // 100)
            done += len(part)
            if report.settled == 0 and done >= warm_up:
                report.settled = engine.rss()
        await _settle(client, tokens)
    report.seconds = time.monotonic() - began
    report.final = engine.rss()


async def _worker(client: httpx.AsyncClient, tokens: dict[str, str], queue: list[Hostile], report: Report) -> None:
    while queue:
        hostile = queue.pop()
        kind = hostile.path.rpartition("/")[2]
        token = tokens["webhook_signal" if kind == "webhook" else f"webhook_{kind}"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": hostile.content_type}
        report.sent += 1
        try:
            answer = await client.post(hostile.path, content=hostile.body, headers=headers)
        except httpx.HTTPError as error:
            report.silent += 1
            report.faults.append(f"{hostile.why}: {type(error).__name__} {error}")
            continue
        report.statuses[answer.status_code] += 1
        if answer.status_code in REFUSALS:
            report.without_path += not str(answer.json().get("path", "")).startswith("$")
        elif answer.status_code < 300:
            report.taken[hostile.why] += 1
        elif answer.status_code >= 500:
            report.faults.append(f"{hostile.why}: answered {answer.status_code} {answer.text[:200]}")


async def _post_good(client: httpx.AsyncClient, tokens: dict[str, str], report: Report, number: int) -> None:
    """A good signal among the bad: it is told 202."""
    moment = int(time.time() * 1000)  # noqa: TID251 - a sender's own clock
    body = signal_body("QQQ", TIMEFRAMES[number % len(TIMEFRAMES)], "LONG", price=604.0, timestamp=moment)
    report.good += 1
    answer = await client.post(f"/webhook/signal?token={tokens['webhook_signal']}", content=json.dumps(body).encode())
    if answer.status_code != 202:
        report.faults.append(f"a good signal was answered {answer.status_code} {answer.text[:200]}")


async def _settle(client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
    """Until everything that was heard is decided."""
    headers = {"Authorization": f"Bearer {tokens['api_token']}"}
    while (await client.get("/health", headers=headers)).json()["weighing"]:  # noqa: ASYNC110 - a process is asked
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)


def _judge(home: Path, folder: Path, report: Report) -> None:
    done = run_main("ledger", "verify", "--home", str(home))
    if done.returncode != 0:
        report.faults.append(f"ledger verify: {done.stdout[-500:]} {done.stderr[-500:]}")
    facts = facts_of(home, folder / "facts.jsonl")
    kept: Counter[int] = Counter(f["status"] for f in facts if f["fact"] == "ReceiptRefused")
    for status in REFUSALS:
        if kept[status] != report.statuses[status]:
            report.faults.append(f"{report.statuses[status]} were answered {status}, {kept[status]} are kept")
    report.decided = len(_decided(facts))
    if report.decided != report.good:
        report.faults.append(f"{report.good - report.decided} good signals were not decided")
    if report.refused < SHARE * report.sent:
        report.faults.append(f"only {report.refused} of {report.sent} were refused")
    if report.without_path:
        report.faults.append(f"{report.without_path} refusals name no path")
    if report.settled and report.final > report.settled + GROWTH:
        report.faults.append(f"memory grew by {(report.final - report.settled) / 2**20:.1f} MB")


def _decided(facts: list[dict[str, Any]]) -> set[int]:
    """Receipts of good signals that have their decision."""
    good = {f["seq"] for f in facts if f["fact"] == "SignalReceived" and f["signal"]["symbol"] == "QQQ"}
    return {f["cause"] for f in facts if f["fact"] == "DecisionMade" and f["by"] == "signal" and f["cause"] in good}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ground(on_disk=True) as folder:
        report = run(folder, options.count, options.seed)
    print(report.text())
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
