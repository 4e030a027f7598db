"""A sender in its own process: posts signals at a steady rate and logs each 202, so that a kill of the engine can be judged.

Bounded in count and time, loopback only. It goes on while the engine is away: what was not answered was not acknowledged.
Each line of the log is written and flushed before the next request of that worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from pathlib import Path

import httpx

from tests.bodies import signal_body

TIMEFRAMES = ("240", "60", "30", "15", "5", "3")


def body_of(rng: random.Random, symbols: list[str], prices: dict[str, float], number: int, start_ms: int) -> bytes:
    """A signal with its own time, so that each is one receipt; now and then the very same one is sent twice."""
    symbol = rng.choice(symbols)
    body = signal_body(
        symbol,
        rng.choice(TIMEFRAMES),
        "LONG" if rng.random() < 0.85 else "SHORT",
        price=prices[symbol],
        timestamp=start_ms + number,
        quality=rng.choice(("MEDIUM", "HIGH", "EXTREME")),
        ai_score=round(rng.uniform(4, 10), 1),
    )
    return json.dumps(body).encode()


async def send(options: argparse.Namespace) -> None:
    rng = random.Random(options.seed)
    prices: dict[str, float] = json.loads(options.prices)
    symbols = list(prices)
    start_ms = int(time.time() * 1000)
    log = options.log.open("a", buffering=1)
    deadline = time.monotonic() + options.seconds
    gate = asyncio.Semaphore(options.workers)
    async with httpx.AsyncClient(timeout=3.0, limits=httpx.Limits(max_connections=options.workers)) as client:

        async def post(number: int, body: bytes) -> None:
            async with gate:
                try:
                    answer = await client.post(f"{options.url}/webhook/signal?token={options.token}", content=body)
                except httpx.HTTPError:
                    return
                if answer.status_code in (200, 202):
                    receipt = answer.json()["receipt"]
                    log.write(json.dumps({"status": answer.status_code, "receipt": receipt, "timestamp": start_ms + number}) + "\n")
                    log.flush()

        async with asyncio.TaskGroup() as tasks:
            number = 0
            began = time.monotonic()
            while number < options.count and time.monotonic() < deadline and not options.stop.exists():
                number += 1
                tasks.create_task(post(number, body_of(rng, symbols, prices, number, start_ms)))
                wait = began + number / options.rate - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
    log.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--prices", required=True, help="JSON object symbol -> price")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--stop", type=Path, required=True, help="ends when this file appears")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(send(parser.parse_args()))
