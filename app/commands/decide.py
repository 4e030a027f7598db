"""`decide IN.jsonl OUT.jsonl`: pure decisions, a line in, a line out. Nothing else is read, written or remembered."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from engine.decision.cases import Case, CaseError, parse_case
from engine.decision.engine import decide
from engine.decision.inputs import DecisionInputError
from engine.decision.validity import validity_minutes
from engine.domain.signals import Decision

DONE = 0
BAD_INPUT = 2
_GZIP_MAGIC = b"\x1f\x8b"


def decide_file(source: Path, target: Path, errors: TextIO) -> int:
    """Decide every line of `source` (JSON lines, plain or gzip) into `target`. Returns the exit code.

    A bad line is named on `errors` as `file:line: what`, gives `{id, error}`, and the rest goes on; the code is then 2.
    A source that cannot be read, or a target that cannot be written, is named once and ends the work with 2.
    """
    try:
        if source.exists() and target.exists() and source.samefile(target):
            print(f"{target}: is the input; name another file for the output", file=errors)
            return BAD_INPUT
        lines = _lines(source)
        # Read before the target is opened: a wrong input name does not cost an old output.
        first = list(islice(lines, 1))
        with target.open("w", encoding="utf-8", newline="\n") as out:
            return _decide_lines(source, chain(first, lines), out, errors)
    except _Unreadable as error:
        print(error, file=errors)
    except OSError as error:
        print(f"{target}: {error.strerror or error}", file=errors)
    return BAD_INPUT


class _Unreadable(Exception):
    """The source broke off; the message names the file and, past its start, the line."""


def _decide_lines(source: Path, lines: Iterable[tuple[int, bytes]], out: TextIO, errors: TextIO) -> int:
    code = DONE
    for number, text in lines:
        answer = _answer(text)
        if "error" in answer:
            code = BAD_INPUT
            print(f"{source}:{number}: {answer['error']}", file=errors)
        out.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    return code


def _lines(source: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that hold anything. Whether they are compressed is seen, not guessed from the name."""
    number = 0
    try:
        with source.open("rb") as file:
            packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else file as lines:
                for line in lines:
                    number += 1
                    if text := line.strip():
                        yield number, text
    except (OSError, EOFError, zlib.error) as error:
        where = f"{source}:{number + 1}" if number else str(source)
        raise _Unreadable(f"{where}: {getattr(error, 'strerror', None) or error}") from error


def _answer(text: bytes) -> dict[str, Any]:
    try:
        case = parse_case(text)
    except CaseError as error:
        return {"id": error.id, "error": str(error)}
    try:
        return _row(case, decide(case.signals, case.phases, case.trends, case.now))
    except DecisionInputError as error:
        return {"id": case.id, "error": str(error)}


def _row(case: Case, decision: Decision) -> dict[str, Any]:
    return {
        "id": case.id,
        "decision": decision.verdict,
        "direction": decision.direction,
        "confluence_score": decision.confluence_score,
        "breakdown": None if decision.breakdown is None else msgspec.structs.asdict(decision.breakdown),
        "recommended_contracts": decision.recommended_contracts,
        "entry_timeframe": decision.entry_timeframe,
        "stop_loss": decision.stop_loss,
        "target_1": decision.target_1,
        "target_2": decision.target_2,
        "validity_minutes": {signal.timeframe: validity_minutes(signal) for signal in case.signals},
        "engine_version": decision.engine_version,
    }
