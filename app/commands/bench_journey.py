"""`bench journey`: webhook to durable, signal to filled paper position, bursts, on the real engine in its own process.

The client lives in this process; all times are from its send to its answer, or to the engine's durable commit on the
same monotonic clock. Loopback only, bounded in count.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from app.commands.bench_client import Wires
from app.commands.bench_engine import engine_process
from app.commands.bench_progress import now
from app.options import Options
from app.paths import throwaway_home
from app.probe import signal_body
from storage.commit_bench import bare_commit

CONNECTIONS = 50
PATIENCE = 5.0
"""Seconds a fill is waited for. What was refused never fills, and is told by the counts."""
SYMBOLS = tuple(f"S{number:03d}" for number in range(1, 301))
PROFILE = {
    "account.cash": "1000000000",
    "intake.rate": "0",
    "market.start": "2026-11-20T16:00:00Z",
    "risk.max_positions": "1000",
    "risk.max_heat": "0.2",
    "risk.max_delta_dollars": "1000",
    "risk.entries_per_second": "100000",
    "risk.entries_per_day": "1000000",
    "contracts.spread_other": "2",
    "contracts.min_bid": "0",
    "contracts.min_open_interest": "0",
    "risk.min_rr": "0",
    "risk.min_stop_atr": "0",
}
"""What is opened up, so that the engine is measured and not its limits."""


@dataclass
class Running:
    process: Any
    pipe: Connection
    address: str
    secrets: dict[str, str]
    api: str
    started: float
    prices: dict[str, float] = field(default_factory=dict)

    def ask(self) -> dict[str, Any]:
        self.pipe.send("milestones")
        answer: dict[str, Any] = self.pipe.recv()
        return answer

    def stop(self) -> None:
        self.pipe.send("stop")
        self.process.join(30)


def start(home: Path, face: str) -> Running:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    overrides = {**PROFILE, "market.symbols": ",".join(SYMBOLS), "intake.port": "0", "approvals.policy": "auto-paper"}
    began = time.perf_counter()
    process = context.Process(target=engine_process, args=(Options(home=home, overrides=overrides), face, theirs))
    process.start()
    try:
        if not ours.poll(60):
            raise RuntimeError("the engine did not start within a minute")
        said = ours.recv()
    except BaseException:
        ours.close()  # it sees that nobody listens, and stops in order
        process.join(30)
        raise
    return Running(process, ours, said["address"], said["secrets"], said["api"], time.perf_counter() - began)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; NaN for nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))] if ordered else math.nan


def shown(values: Sequence[float]) -> str:
    milli = [value * 1000 for value in values]
    return f"p50 {percentile(milli, 0.5):.2f} p99 {percentile(milli, 0.99):.2f} ms (n {len(milli)})"


class Client:
    """Sends bodies and keeps when, over connections that are warm, as a relay has them."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.sent: dict[int, float] = {}
        """Receipt -> when its request was sent."""
        self.took: list[float] = []
        self.refused: list[int] = []
        """Statuses that were no 202."""
        self._wires = Wires(running.address, CONNECTIONS)
        self._http = httpx.AsyncClient(timeout=30)
        self._stamp = int(time.time() * 1000)  # noqa: TID251 - a sender's own clock

    async def open(self) -> None:
        await self._wires.open()

    async def close(self) -> None:
        self._wires.close()
        await self._http.aclose()

    async def price(self, symbol: str) -> float:
        known = self.running.prices.get(symbol)
        if known is None:
            answer = await self._http.get(
                f"{self.running.address}/api/quotes/{symbol}", headers={"Authorization": f"Bearer {self.running.api}"}
            )
            known = self.running.prices[symbol] = float(answer.json()["mid"])
        return known

    async def ready(self, symbol: str, timeframe: str) -> bytes:
        """The bytes of one signal, made before the clock runs."""
        self._stamp += 1
        body = json.dumps(signal_body(symbol, timeframe, await self.price(symbol), self._stamp)).encode()
        return self._wires.request("/webhook/signal", self.running.secrets["signal"], body)

    async def post(self, request: bytes) -> int:
        began = time.perf_counter()
        status, body, took = await self._wires.post(request)
        self.took.append(took)
        if status != 202:
            self.refused.append(status)
        receipt = int(json.loads(body)["receipt"])
        self.sent[receipt] = began
        return receipt

    async def send(self, symbol: str, timeframe: str) -> int:
        return await self.post(await self.ready(symbol, timeframe))

    async def at_once(self, signals: Sequence[tuple[str, str]]) -> list[int]:
        """All of them in the same moment; the receipts in their order."""
        requests = [await self.ready(symbol, timeframe) for symbol, timeframe in signals]
        return await asyncio.gather(*map(self.post, requests))


def bench_journey(quick: bool) -> dict[str, Any]:
    results: dict[str, dict[str, Any]] = {}
    for face in ("uvloop", "qasync"):
        with throwaway_home("bench") as home:
            now(f"journey, {face}")
            running = start(home, face)
            try:
                results[face] = asyncio.run(_measure(running, quick))
            finally:
                running.stop()
            now(f"journey, {face}: a later start")
            again = start(home, face)
            again.stop()
            results[face]["start"] = {"first": running.started, "later": again.started}
    rows: list[dict[str, str]] = []
    for face, result in results.items():
        rows += _rows(face, result)
    ratios = {
        name: percentile(results["qasync"][name], 0.5) / percentile(results["uvloop"][name], 0.5)
        for name in ("steady", "burst", "single_fill", "burst_fill")
    }
    rows.append(
        {
            "what": "qasync / headless, medians",
            "figure": ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()),
            "bar": "bar 1.5",
        }
    )
    return {"rows": rows, "profile": PROFILE, "results": results}


def _rows(face: str, result: dict[str, Any]) -> list[dict[str, str]]:
    bare = result["bare"]
    rows = [
        (f"{face}: bare commit", shown(bare), ""),
        (f"{face}: webhook durable, 20 a second", shown(result["steady"]), "bar p99 10 ms"),
        (f"{face}: webhook durable, 50 at once", shown(result["burst"]), "bar p99 60 ms"),
        (f"{face}: signal to filled position, singly", shown(result["single_fill"]), "bar p99 40 ms"),
        (f"{face}: signal to filled position, 50 at once", shown(result["burst_fill"]), "bar p99 200 ms"),
        (
            f"{face}: 1,000 at once",
            f"{result['flood']['decided']} decided in {result['flood']['seconds']:.2f} s, "
            f"{result['flood']['lost']} lost, {result['flood']['doubled']} doubled",
            "bar 3 s, 0 lost",
        ),
        (
            f"{face}: filled singly / at once",
            f"{result['filled_single']} of {result['wanted_single']}, {result['filled_burst']} of {result['wanted_burst']}",
            "",
        ),
        (
            f"{face}: start, first and later",
            f"{result['start']['first']:.2f} s, {result['start']['later']:.2f} s",
            "bar 4 s, 2 s",
        ),
    ]
    return [{"what": what, "figure": figure, "bar": bar} for what, figure, bar in rows]


async def _measure(running: Running, quick: bool) -> dict[str, Any]:
    client = Client(running)
    fresh = iter(SYMBOLS)
    await client.open()
    try:
        warm = [next(fresh) for _ in range(3)]
        for symbol in warm:
            await client.send(symbol, "240")
            await client.send(symbol, "60")
        await asyncio.sleep(0.5)
        while not running.ask()["warm"]:  # noqa: ASYNC110 - a process is asked, there is no event to wait for
            await asyncio.sleep(0.25)
        bare = await bare_commit(running.ask()["dsn"], 100 if quick else 400)
        steady = await _steady(client, 60 if quick else 300)
        burst = await _bursts(client, 3 if quick else 10)
        burst_fill, wanted_burst = [], 0
        for _ in range(2 if quick else 3):
            fills, wanted = await _burst_fills(client, [next(fresh) for _ in range(50)])
            burst_fill += fills
            wanted_burst += wanted
        single, wanted_single = await _single_fills(client, [next(fresh) for _ in range(15 if quick else 60)])
        flood = await _flood(client, 1000)
        return {
            "bare": bare,
            "steady": steady,
            "burst": burst,
            "single_fill": single,
            "burst_fill": burst_fill,
            "filled_single": len(single),
            "wanted_single": wanted_single,
            "filled_burst": len(burst_fill),
            "wanted_burst": wanted_burst,
            "flood": flood,
            "median_bare": statistics.median(bare),
        }
    finally:
        await client.close()


async def _steady(client: Client, count: int) -> list[float]:
    client.took.clear()
    began = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / 20 - time.perf_counter()))
        await client.send(SYMBOLS[0], ("15", "5", "3", "30")[number % 4])
    return list(client.took)


async def _bursts(client: Client, rounds: int) -> list[float]:
    took: list[float] = []
    for _ in range(rounds):
        client.took.clear()
        await client.at_once([(SYMBOLS[number % 3], "5") for number in range(50)])
        took += client.took
        await asyncio.sleep(0.3)
    return took


async def _single_fills(client: Client, symbols: Sequence[str]) -> tuple[list[float], int]:
    for symbol in symbols:
        await client.send(symbol, "240")
    await asyncio.sleep(0.3)
    client.running.ask()
    triggers = []
    for symbol in symbols:
        triggers.append(await client.send(symbol, "60"))
        await asyncio.sleep(0.06)
    return await _fills(client, triggers), len(triggers)


async def _burst_fills(client: Client, symbols: Sequence[str]) -> tuple[list[float], int]:
    for symbol in symbols:
        await client.send(symbol, "240")
    await asyncio.sleep(0.3)
    client.running.ask()
    triggers = await client.at_once([(symbol, "60") for symbol in symbols])
    return await _fills(client, triggers), len(triggers)


async def _fills(client: Client, triggers: Sequence[int]) -> list[float]:
    """Seconds from each trigger's send to its first durable fill, for those that filled. The slow ones are waited for:
    a percentile without them would flatter."""
    filled: dict[int, float] = {}
    patience = time.perf_counter() + PATIENCE
    while len(filled) < len(triggers) and time.perf_counter() < patience:
        await asyncio.sleep(0.5)
        for name, seq, at in client.running.ask()["milestones"]:
            if name == "filled" and seq in triggers:
                filled.setdefault(seq, at)
    return [filled[seq] - client.sent[seq] for seq in triggers if seq in filled]


async def _flood(client: Client, count: int) -> dict[str, Any]:
    """All at once: how long until the last is decided and durable, and whether each was decided exactly once."""
    for symbol in SYMBOLS[:50]:
        await client.price(symbol)
    client.running.ask()
    flood = [(SYMBOLS[number % 50], ("5", "3", "15", "30")[number % 4]) for number in range(count)]
    requests = [await client.ready(*signal) for signal in flood]
    began = time.perf_counter()
    receipts = await asyncio.gather(*map(client.post, requests))
    answered = time.perf_counter() - began
    decided: list[int] = []
    last = began
    while len(decided) < count and time.perf_counter() - began < 20:
        await asyncio.sleep(0.05)
        for name, seq, at in client.running.ask()["milestones"]:
            if name == "decided" and seq in client.sent:
                decided.append(seq)
                last = max(last, at)
    wanted = set(receipts)
    return {
        "seconds": last - began,
        "answered": answered,
        "decided": len(set(decided) & wanted),
        "lost": len(wanted - set(decided)),
        "doubled": len(decided) - len(set(decided)),
    }
