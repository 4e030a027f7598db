"""A few kills at places of every sort; and a judge who would notice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.engine_process import ROOT
from tests.faults.point_judge import judge

Lines = list[dict[str, Any]]


def test_engines_killed_at_many_places_lose_and_double_nothing() -> None:
    """In a process of its own: it forks, and a process with threads must not."""
    command = [sys.executable, "-m", "tests.faults.kill_points", "--kills", "36", "--processes", "2", "--from", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    kills = int(done.stdout.split()[1])
    assert kills >= 15, done.stdout


def a_trade() -> tuple[Lines, Lines, Lines]:
    """Facts, the broker's log and acknowledgements of one signal bought and sold, all in order."""
    raw = json.dumps({"signal": {"number": 4}})
    told: list[tuple[str, dict[str, Any]]] = [
        ("SignalReceived", {"receipt": {"raw": raw}}),
        ("DecisionMade", {"cause": 1, "by": "signal"}),
        ("TicketOpened", {"ticket": {"id": "T3", "trigger": 1}}),
        ("OrderIntended", {"order": "O4", "ticket": "T3", "purpose": "ENTRY"}),
        ("OrderFilled", {"order": "O4", "execution": "X1", "quantity": 2, "position": "P5"}),
        ("OrderIntended", {"order": "O6", "ticket": None, "purpose": "EXIT"}),
        ("OrderFilled", {"order": "O6", "execution": "X2", "quantity": 2, "position": "P5"}),
        ("PositionClosed", {"position": "P5"}),
    ]
    facts = [{"fact": name, "seq": seq, "at": f"2026-{seq}", **more} for seq, (name, more) in enumerate(told, 1)]
    log: Lines = []
    for order, execution, side in (("O4", "X1", "BUY"), ("O6", "X2", "SELL")):
        log.append({"event": "submit", "id": order})
        log.append(
            {"event": "execution", "id": execution, "order": order, "quantity": 2, "side": side, "contract": "C"}
        )
    return facts, log, [{"number": 4, "status": 202, "receipt": 1}, {"number": 4, "status": 200, "duplicate_of": 1}]


def judged(folder: Path, facts: Lines, log: Lines, acks: Lines) -> list[str]:
    for name, lines in (("broker", log), ("acks", acks)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return judge(facts, folder / "broker", folder / "acks").faults


def test_a_trade_in_order_has_no_fault(tmp_path: Path) -> None:
    assert judged(tmp_path, *a_trade()) == []


def _again(lines: Lines, place: int, **other: Any) -> None:
    lines.append({**lines[place], **other})


BREAKS: dict[str, tuple[Callable[[Lines, Lines, Lines], object], str]] = {
    "a lost receipt": (lambda f, b, a: a.append({"number": 5, "status": 202, "receipt": 9}), "is not at 9"),
    "another signal at its place": (
        lambda f, b, a: a.append({"number": 5, "status": 202, "receipt": 1}),
        "another signal",
    ),
    "heard twice": (lambda f, b, a: _again(f, 0, seq=9, at="2026-9"), "signals heard twice"),
    "decided twice": (lambda f, b, a: _again(f, 1, seq=9, at="2026-9"), "decided twice"),
    "never decided": (lambda f, b, a: f[1].update(by="expiry"), "never decided"),
    "sent again": (lambda f, b, a: _again(b, 0), "sent again"),
    "a second order of a trigger": (
        lambda f, b, a: (_again(f, 3, seq=9, at="2026-9", order="O9"), _again(b, 0, id="O9")),
        "triggers with two orders",
    ),
    "an order nobody intended": (lambda f, b, a: _again(b, 0, id="O77"), "that no ledger has"),
    "a fill that was lost": (lambda f, b, a: f[6].update(fact="OrderAccepted"), "executions differ"),
    "a fill counted twice": (lambda f, b, a: _again(f, 6, seq=9, at="2026-9"), "executions differ"),
    "a fill counted half": (lambda f, b, a: f[4].update(quantity=1), "executions differ"),
    "our own order taken for a stranger's": (
        lambda f, b, a: f.append({"fact": "ForeignOrderSeen", "seq": 9, "at": "2026-9"}),
        "stranger",
    ),
    "oversold": (lambda f, b, a: b.append({**b[3], "id": "X3"}), "sold more than was held"),
    "left over": (lambda f, b, a: f.pop(), "left over"),
    "a gap": (lambda f, b, a: f[7].update(seq=9), "gaps"),
    "time that goes back": (lambda f, b, a: f[7].update(at="2026-1"), "time went back"),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_the_judge_notices(tmp_path: Path, name: str) -> None:
    facts, log, acks = a_trade()
    damage, said = BREAKS[name]
    damage(facts, log, acks)
    assert any(said in fault for fault in judged(tmp_path, facts, log, acks))
