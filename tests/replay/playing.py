"""Replays for tests: run a day through the program's own command, and read what it wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.commands.ledger import run_ledger
from app.commands.replay import run_replay
from app.options import Options

GOLDEN = Path(__file__).parent / "golden"
REWRITE = "STRIKEDESK_WRITE_GOLDEN"
"""Set to write the golden files anew instead of comparing with them."""


@dataclass(frozen=True)
class Played:
    report: dict[str, Any]
    facts: list[dict[str, Any]]
    """Every fact of the ledger, as exported; empty where the ledger was thrown away."""
    home: Path | None


def play(
    data: Path,
    day: str,
    folder: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    signals: bool = True,
    orders: Sequence[Mapping[str, Any]] = (),
    policy: str = "auto-paper",
    home: Path | None = None,
) -> Played:
    """`replay DAY`; with a `home` its ledger is kept there and exported."""
    report, lines = folder / f"{day}.report.json", folder / "orders.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in orders), encoding="utf-8")
    code = run_replay(
        Options(home=home, overrides=dict(overrides or {}) | {"approvals.policy": policy}),
        day=str(data / "option_day" / day),
        signals=data / "option_day" / f"{day}_signals_derived.jsonl" if signals else None,
        orders=lines if orders else None,
        report=report,
        speed="max",
        as_json=False,
    )
    assert code == 0
    facts: list[dict[str, Any]] = []
    if home is not None:
        out = folder / "ledger.jsonl"
        assert run_ledger(Options(home=home), "export", str(out), as_json=False) == 0
        facts = [json.loads(line)["fact"] for line in out.read_text(encoding="utf-8").splitlines()]
    return Played(report=json.loads(report.read_text(encoding="utf-8")), facts=facts, home=home)


def golden(name: str, report: Mapping[str, Any]) -> tuple[Any, Any]:
    """(what is now, what is frozen). What floats made beyond the cent and the ledger's digest stay out: they may differ
    in the last bit on another machine."""
    kept = {key: report[key] for key in ("verdicts", "receipts", "refusals", "orders", "fills", "cash", "equity")}
    kept["decided"] = _count(f"{one['by']} {one['verdict']} {one['direction']}" for one in report["decisions"])
    kept["denials"] = [{key: one[key] for key in ("time", "trigger", "stage", "code")} for one in report["denials"]]
    kept["trades"] = [{key: value for key, value in one.items() if key != "attribution"} for one in report["trades"]]
    kept["open"] = report["open"]
    kept["decisions_digest"] = report["digests"]["decisions"]
    path = GOLDEN / f"{name}.json"
    if os.environ.get(REWRITE):
        path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return json.loads(json.dumps(kept)), json.loads(path.read_text(encoding="utf-8"))


def _count(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
