"""`ledger verify|find|show|past|export|rebuild|replay|index`: is it whole, what happened, what was known then, take it out,
do the projections and decisions hold."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from app.commands.ledger_find import Asked as LedgerAsked
from app.commands.ledger_find import find_facts, index, show_past
from app.faults import explained
from app.lifecycle import database_of
from app.options import Options, UsageError
from app.paths import find_home
from app.wiring import Asked, ask
from engine.decision.engine import decide
from engine.domain import events as ev
from engine.domain.canonical import canonical, time_text
from engine.domain.events import AnyFact
from engine.domain.findable import Question
from engine.operations.story import line_of
from engine.ports import Change
from engine.state import State
from storage import reading
from storage.database import Database
from storage.errors import EngineRunning, SpoolDamaged
from storage.export import export, format_of
from storage.importing import import_file
from storage.rebuild import Fold, rebuild
from storage.report import Fault, Problem
from storage.spool import left_in
from storage.verify import verify

_LAST = (1 << 63) - 1
"""No fact has a higher number."""

Outcome = tuple[int, dict[str, Any], str]
"""Exit code, the result as JSON, and as a person reads it."""


def run_ledger(
    options: Options,
    work: str,
    target: str,
    *,
    as_json: bool,
    asked: LedgerAsked | None = None,
    heads: Path | None = None,
) -> int:
    wanted = asked or LedgerAsked()
    works: dict[str, Callable[[Database, str], Awaitable[Outcome]]] = {
        "verify": lambda database, _: _verify(database, heads, home.spool),
        "find": lambda database, _: find_facts(database, wanted),
        "show": _show,
        "past": lambda database, target: show_past(database, wanted, target),
        "index": lambda database, _: index(database),
        "import": _import,
        "export": lambda database, target: _export(database, target, wanted.question),
        "rebuild": _rebuild,
        "replay": _replay,
    }
    with explained():
        if target and work not in ("show", "find", "past", "export", "import"):
            raise UsageError(f"ledger {work} {target}: takes nothing more")
        home = find_home(options.home)
        if work != "import" and not os.environ.get("DATABASE_URL") and not home.database.exists():
            raise UsageError(f"{home.root}: no ledger there; a desk, an engine or a replay --home makes one")
        start = ask(options, with_secrets=False)
        code, result, text = asyncio.run(_on_database(start, works[work], target))
    print(json.dumps(result, indent=2) if as_json else text)
    return code


async def _on_database(asked: Asked, work: Callable[[Database, str], Awaitable[Outcome]], target: str) -> Outcome:
    async with database_of(asked) as database:
        return await work(database, target)


async def _verify(database: Database, heads: Path | None, spool: Path) -> Outcome:
    try:
        found = await verify(database, heads=heads)
    except OSError as error:
        hint = "; a desk or an engine writes it within seconds of its first facts" if not _exists(heads) else ""
        raise UsageError(f"{heads}: cannot be read ({error.strerror}){hint}") from error
    head = found.head
    misfits = [problem for problem in found.problems if problem.fault is Fault.HEAD]
    sound = len(misfits) == found.count
    state = "holds" if found.ok else "is sound in itself, but " + _unproven(misfits) if sound else "is BROKEN"
    notes = [*found.notes, *_spooled(spool, head.seq if head is not None else 0)]
    problems = [str(problem) for problem in found.problems]
    result = {
        "ok": found.ok,
        "sound": sound,
        "facts": found.facts,
        "head": head.hash.hex() if head is not None else None,
        "problems": problems,
        "notes": notes,
    }
    text = "\n".join(
        [
            f"{found.facts} facts, the chain {state}" + (f", head {head.hash.hex()}" if head is not None else ""),
            *problems,
            *([_MISFIT] if sound and any(map(_compared, misfits)) else []),
            *notes,
        ]
    )
    return (0 if result["ok"] else 1), result, text


_MISFIT = (
    "after a restore this is what heads kept since the backup show; without one, facts were cut off or rewritten after them, "
    "or the file is of another ledger"
)


def _compared(misfit: Problem) -> bool:
    """Whether a head was there and does not fit; a file may hold none."""
    return misfit.seq is not None


def _unproven(misfits: Sequence[Problem]) -> str:
    return "does not fit the heads kept elsewhere" if any(map(_compared, misfits)) else "was compared with no head"


def _exists(heads: Path | None) -> bool:
    return heads is not None and heads.exists()


def _spooled(folder: Path, last: int) -> list[str]:
    """What a spool has that the database, which ends with fact `last`, does not show."""
    try:
        left = left_in(folder)
    except (SpoolDamaged, OSError) as error:
        return [f"the spool cannot be read: {error}"]
    if left is None:
        return []
    behind = max(left.after.seq - max(last, left.before.seq), 0)
    return [
        f"the spool holds facts {left.before.seq + 1} to {left.after.seq}, of which the database lacks {behind}; "
        "the engine brings them in"
    ]


async def _show(database: Database, target: str) -> Outcome:
    """`target`: a seq, or the id of a ticket, order or position: each is born from the fact its number names."""
    digits = target[1:] if target[:1] in ("T", "O", "P") else target
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"ledger show {target or '?'}: expected a fact's number, or a ticket, order or position (T12, O15, P17)"
        )
    story = await reading.story(database.engine, min(int(digits), _LAST))
    if not story:
        return 1, {"story": []}, f"no fact {digits}"
    return 0, {"story": [json.loads(canonical(fact)) for fact in story]}, "\n".join(map(line_of, story))


async def _export(database: Database, target: str, question: Question) -> Outcome:
    if not target:
        raise UsageError("ledger export: which file? OUT.csv, OUT.jsonl or OUT.parquet")
    path = Path(target)
    try:
        form = format_of(path)
    except ValueError as error:
        raise UsageError(f"ledger export: {error}") from error
    try:
        if not question.everything:
            await index(database)
        count = await export(database, path, form, question=question)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error
    return 0, {"facts": count, "file": str(path)}, f"{count} facts written to {path}"


async def _import(database: Database, target: str) -> Outcome:
    if not target:
        raise UsageError("ledger import: which file? IN.csv, IN.jsonl or IN.parquet, as ledger export wrote it")
    try:
        done = await import_file(database, Path(target), _fold())
    except (ValueError, EngineRunning) as error:
        raise UsageError(f"ledger import: {error}") from error
    result = {
        "facts": done.facts, "skipped": done.skipped, "head": done.head.hash.hex(), "projections": done.projections,
    }  # fmt: skip
    there = f", {done.skipped} were there already" if done.skipped else ""
    return 0, result, f"{done.facts} facts imported{there}, {done.projections} projection rows made of all"


def _fold() -> Fold:
    """The engine's own fold, from nothing."""
    state = State()

    def fold(fact: AnyFact) -> Sequence[Change]:
        state.apply(fact)
        return state.drain()

    return fold


async def _rebuild(database: Database, target: str) -> Outcome:
    found = await rebuild(database, _fold())
    names = {"missing": found.missing, "unexpected": found.unexpected, "different": found.different}
    result = {
        "ok": found.ok,
        "facts": found.facts,
        "rows": found.rows,
        **{k: [list(p) for p in v] for k, v in names.items()},
    }
    lines = [f"{found.facts} facts folded, {found.rows} rows {'agree' if found.ok else 'DIFFER'}"]
    lines += [f"{name}: {kind} {key}" for name, places in names.items() for kind, key in places[:20]]
    return (0 if found.ok else 1), result, "\n".join(lines)


async def _replay(database: Database, target: str) -> Outcome:
    """Make every stored decision again from its stored inputs, and compare bit for bit."""
    count, different = 0, []
    async for fact in reading.facts(database.engine):
        if not isinstance(fact, ev.DecisionMade):
            continue
        count += 1
        again = decide(
            [a.signal for a in fact.signals],
            [a.phase for a in fact.phases],
            [a.trend for a in fact.trends],
            fact.at,
        )
        if canonical(again) != canonical(fact.decision):
            different.append({"seq": fact.seq, "at": time_text(fact.at), "engine": fact.decision.engine_version})
    result = {"ok": not different, "decisions": count, "different": different}
    lines = [f"{count} decisions made again, {'all the same' if not different else f'{len(different)} DIFFER'}"]
    lines += [f"fact {row['seq']} at {row['at']} by engine {row['engine']}" for row in different[:20]]
    return (0 if not different else 1), result, "\n".join(lines)
