"""Kill -9 of the engine at random moments under a steady stream of webhooks; `kill_judge` says what is left.

    python -m tests.faults.kill_engine --kills 50

Another process sends the signals and logs each answer before anything else. Positions open, fill and are closed by their
exits and by a person the whole time. Every fifth kill takes the database server along, and some hit an engine that is
still starting.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.faults.engine_process import ROOT, EngineProcess, clean, ground, kill_database
from tests.faults.kill_judge import Verdict, judge

SYMBOLS = ("SPY", "QQQ", "AAPL", "MSFT", "NVDA", "AMZN", "META", "TSLA", "AMD", "IWM")
SETTINGS = {
    "market.symbols": ",".join(SYMBOLS),
    "market.start": "2026-11-20T16:00:00Z",
    "intake.rate": "0",
    "account.cash": "100000000",
    "risk.max_risk": "0.02",
    "risk.max_heat": "0.2",
    "risk.day_budget": "1",
    "risk.symbol_heat": "1",
    "risk.group_heat": "1",
    "risk.drawdown_halt": "1",
    "risk.max_positions": "1000",
    "risk.max_positions_symbol": "1000",
    "risk.entries_per_second": "1000",
    "risk.entries_per_day": "100000",
    "risk.cooldown_minutes": "0",
    "risk.duplicate_seconds": "0",
    "risk.min_rr": "0",
    "exits.stop_loss": "0.03",
    "exits.profit_target": "0.03",
    "exits.confirm_seconds": "0.2",
}
"""Limits wide open and exits narrow: the more is bought and sold while the engine dies, the better."""


def run(
    folder: Path,
    *,
    kills: int,
    seed: int,
    rate: float,
    fresh: float,
    pause: tuple[float, float] = (0.2, 1.6),
    database_every: int = 5,
    early_every: int = 7,
) -> Verdict:
    """Start, hammer, kill `kills` times `pause` seconds after it was ready, stop cleanly, judge. Each
    `database_every`th kill takes the database along, after each `early_every`th another one hits the start."""
    rng = random.Random(seed)
    verdict = Verdict(kills=kills)
    engine = EngineProcess(folder / "home", settings=SETTINGS)
    log, stop = folder / "answers.jsonl", folder / "stop"
    log.touch()
    sender: subprocess.Popen[bytes] | None = None
    try:
        engine.start()
        sender = _send(engine, log, stop, kills, seed, rate, fresh)
        for number in range(1, kills + 1):
            time.sleep(rng.uniform(*pause))
            engine.kill()
            with_database = number % database_every == 0
            if with_database:
                kill_database(engine.home)
                verdict.database_kills += 1
            if number % early_every == 0:  # and again, before it is ready
                engine.launch()
                time.sleep(rng.uniform(0.2, 0.9))
                engine.kill()
                verdict.early_kills += 1
            engine.start()
            (verdict.ready_with_database if with_database else verdict.ready).append(engine.ready_seconds)
            _close_one(engine, rng, verdict)
        time.sleep(max(pause))
        stop.touch()
        if (said := sender.wait(30)) != 0:
            verdict.faults.append(f"the sender exited {said}: what was acknowledged is not known")
        _rest(engine)
        code = engine.stop()
        if code != 0:
            verdict.faults.append(f"a clean stop exited {code}: {engine.stderr.read_text()[-500:]}")
        judge(engine.home, log, folder, verdict)
    finally:
        stop.touch()
        if sender is not None and sender.poll() is None:
            sender.kill()
            sender.wait()
        engine.end()
    return verdict


def _send(
    engine: EngineProcess, log: Path, stop: Path, kills: int, seed: int, rate: float, fresh: float
) -> subprocess.Popen[bytes]:
    tokens = engine.secrets()
    prices = {}
    with engine.client() as client:
        for symbol in SYMBOLS:
            prices[symbol] = float(client.get(f"/api/quotes/{symbol}").json()["mid"])
    command = [sys.executable, "-m", "tests.faults.sender", "--url", engine.url, "--log", str(log), "--stop", str(stop)]
    # Joined by "=": a token may begin with a dash.
    command += [f"--token={tokens['webhook_signal']}", f"--reader={tokens['api_token']}"]
    command += ["--prices", json.dumps(prices)]
    seconds = kills * 8 + 30
    command += ["--rate", str(rate), "--fresh", str(fresh), "--seed", str(seed), "--seconds", str(seconds)]
    command += ["--count", str(round(rate * seconds))]  # it ends when it is told to, not before
    return subprocess.Popen(command, cwd=ROOT, env=clean({}))


def _close_one(engine: EngineProcess, rng: random.Random, verdict: Verdict) -> None:
    """A person closes a position, and has it in writing."""
    with engine.client() as client:
        held = [row["position"] for row in client.get("/positions").json()]
        open_ones = [position["id"] for position in held if position["quantity"] > 0]
        if not open_ones:
            return
        answer = client.post(f"/api/positions/{rng.choice(open_ones)}/close")
        if answer.status_code == httpx.codes.OK:
            verdict.closes.append(answer.json()["created"])


def _rest(engine: EngineProcess, patience: float = 60.0) -> None:
    """Wait until everything that was heard is decided."""
    deadline = time.monotonic() + patience
    with engine.client() as client:
        while client.get("/health").json()["weighing"] and time.monotonic() < deadline:
            time.sleep(0.1)
    time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0, help="signals a second")
    parser.add_argument("--fresh", type=float, default=1.5, help="signals a second that the board takes")
    parser.add_argument("--keep", type=Path, help="folder to leave everything in")
    options = parser.parse_args()
    with ground(on_disk=True) as temporary:
        folder = options.keep or temporary
        folder.mkdir(parents=True, exist_ok=True)
        verdict = run(folder, kills=options.kills, seed=options.seed, rate=options.rate, fresh=options.fresh)
    print(verdict.text())
    return 0 if verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
