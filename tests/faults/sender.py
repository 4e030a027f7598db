"""A sender in its own process: posts signals at a steady rate and logs each answer, so that a kill of the engine can be judged.

As TradingView does, it sends a body again, up to four times in all, when it was told 5xx; and also when nobody answered,
which is harsher. What was not answered with 200 or 202 was not acknowledged. Bounded in count and time, loopback only.
Each line of the log is written and flushed before anything else is done with that answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.commands.bench_client import Wire
from tests.bodies import signal_body

TIMEFRAMES = ("240", "60", "30", "15", "5", "3")
QUALITIES = ("MEDIUM", "HIGH", "EXTREME")
DELIVERIES = 4
AGAIN = 0.4
"""Seconds between two deliveries of one body; TradingView's own pause is 5."""
PATIENCE = 3.0
"""Seconds a sender waits for an answer, as TradingView does."""
MIXED = "IWM"
"""The symbol whose signals point both ways, so that contradictions happen too and stand in nobody else's way."""


def news(rng: random.Random, symbols: list[str]) -> Iterator[tuple[str, str, str]]:
    """(symbol, timeframe, quality) of signals that the board takes: of each timeframe a better one after the other."""
    for quality in QUALITIES:
        pairs = [(symbol, timeframe) for symbol in symbols if symbol != MIXED for timeframe in TIMEFRAMES]
        rng.shuffle(pairs)
        for symbol, timeframe in pairs:
            yield symbol, timeframe, quality


class Bodies:
    """Every body has a time of its own, so that each is one receipt. A share of them is news, spread over the run."""

    def __init__(self, seed: int, prices: dict[str, float], rate: float, fresh: float) -> None:
        self.prices = prices
        self._rng = random.Random(seed)
        self._news = news(self._rng, list(prices))
        self._every = max(1, round(rate / fresh))
        self._numbers = itertools.count()
        self._said: list[tuple[str, str, str]] = []
        self._last = 0

    def next(self) -> tuple[int, bytes]:
        """(its time in milliseconds, body)."""
        self._last = max(self._last + 1, int(time.time() * 1000))  # noqa: TID251 - lateness is told by real clocks
        rng = self._rng
        fresh = next(self._news, None) if next(self._numbers) % self._every == 0 else None
        if fresh is not None:
            self._said.append(fresh)
        symbol, timeframe, quality = fresh or rng.choice(self._said)
        if fresh is None and rng.random() < 0.1:
            symbol = MIXED
        short = symbol == MIXED and rng.random() < 0.5
        body = signal_body(
            symbol,
            timeframe,
            "SHORT" if short else "LONG",
            price=self.prices[symbol],
            timestamp=self._last,
            quality=quality,
            ai_score=round(rng.uniform(7, 10), 1),
            contracts=rng.choice((1, 2, 5)),
        )
        return self._last, json.dumps(body).encode()


class Lines:
    """Kept connections to the engine, made anew when it comes back: the sender must not take the engine's processor."""

    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._path = path
        self._free: list[Wire] = []

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises `OSError`, `EOFError` or `TimeoutError` when there is none."""
        head = f"POST {self._path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n"
        async with asyncio.timeout(PATIENCE):
            wire = self._free.pop() if self._free else Wire(*await asyncio.open_connection(self._host, self._port))
            try:
                status, answer, _ = await wire.post(head.encode() + body)
            except BaseException:
                wire.close()
                raise
        self._free.append(wire)
        return status, answer

    def close(self) -> None:
        for wire in self._free:
            wire.close()


async def send(options: argparse.Namespace) -> None:
    bodies = Bodies(options.seed, json.loads(options.prices), options.rate, options.fresh)
    deadline = time.monotonic() + options.seconds
    gate = asyncio.Semaphore(options.workers)
    lines = Lines(options.url, f"/webhook/signal?token={options.token}")
    with options.log.open("a", buffering=1) as log:

        async def deliver(moment: int, body: bytes) -> None:
            for _ in range(DELIVERIES):
                async with gate:
                    with contextlib.suppress(OSError, EOFError, TimeoutError):
                        status, answer = await lines.post(body)
                        log.write(json.dumps({"time": moment, "status": status, "answer": json.loads(answer)}) + "\n")
                        log.flush()
                        if status < 500:
                            return
                await asyncio.sleep(AGAIN)

        async def see_prices() -> None:
            headers = {"Authorization": f"Bearer {options.reader}"}
            async with httpx.AsyncClient(base_url=options.url, headers=headers, timeout=PATIENCE) as client:
                while True:
                    await asyncio.sleep(5.0)
                    for symbol in bodies.prices:
                        with contextlib.suppress(httpx.HTTPError, KeyError):
                            bodies.prices[symbol] = float((await client.get(f"/api/quotes/{symbol}")).json()["mid"])

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(see_prices())
            began = time.monotonic()
            for number in range(options.count):
                if time.monotonic() > deadline or options.stop.exists():
                    break
                tasks.create_task(deliver(*bodies.next()))
                await asyncio.sleep(max(0.0, began + (number + 1) / options.rate - time.monotonic()))
            watching.cancel()
    lines.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--reader", required=True, help="API token, for prices")
    parser.add_argument("--prices", required=True, help="JSON object symbol -> price")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--stop", type=Path, required=True, help="ends when this file appears")
    parser.add_argument("--rate", type=float, default=200.0, help="signals a second")
    parser.add_argument("--fresh", type=float, default=2.0, help="signals a second that the board takes")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(send(parser.parse_args()))
