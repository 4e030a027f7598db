"""`db migrate|health|backup|restore|prune`: bring the database to this version, say how it is, copy it, put a copy back,
let old market history go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text as sql

from app.faults import explained
from app.lifecycle import database_of
from app.options import Options, UsageError
from app.paths import find_home
from app.wiring import Asked, ask
from engine.clock import SystemClock
from engine.domain.canonical import time_text
from storage.backup import backup, backups, described, owner
from storage.embedded import EmbeddedPostgres
from storage.history import Kind
from storage.migrations import HEAD
from storage.restore import restore
from storage.retention import prune

Outcome = tuple[int, dict[str, Any], list[str]]
"""Exit code, the result as JSON, and as a person reads it."""


def run_database(options: Options, work: str, target: Path | None, *, as_json: bool) -> int:
    if (work == "restore") != (target is not None):
        raise UsageError(
            "db restore: name the backup, a .dump file" if target is None else f"db {work} {target}: takes nothing more"
        )
    with explained():
        home = find_home(options.home)
        if work in ("backup", "prune") and not os.environ.get("DATABASE_URL") and not home.database.exists():
            raise UsageError(f"{home.root}: no ledger there; a desk, an engine or a replay --home makes one")
        asked = ask(options, with_secrets=False)
        works = {"migrate": _migrate, "health": _health, "backup": _backup, "prune": _prune}
        code, result, lines = asyncio.run(
            _restore(asked, target.expanduser().absolute()) if target is not None else works[work](asked)
        )
    print(json.dumps(result, indent=2) if as_json else "\n".join(lines))
    return code


async def _migrate(asked: Asked) -> Outcome:
    """Opening migrates."""
    async with database_of(asked) as database:
        problems = list(database.problems)
    return int(bool(problems)), {"revision": HEAD, "problems": problems}, [f"at revision {HEAD}", *problems]


async def _health(asked: Asked) -> Outcome:
    async with database_of(asked) as database, database.engine.connect() as connection:
        began = time.perf_counter()
        await connection.execute(sql("SELECT 1"))
        answer = time.perf_counter() - began
        size = (await connection.execute(sql("SELECT pg_database_size(current_database())"))).scalar_one()
        facts = (await connection.execute(sql("SELECT coalesce(max(seq), 0) FROM strikedesk.chain"))).scalar_one()
        sizes = list(await connection.execute(sql(_SIZES)))
        server, problems = database.server, list(database.problems)
        made = backups(asked.backups, await owner(database, asked.backups))
    disk = shutil.disk_usage(asked.home.root)
    result = {
        "server": server,
        "revision": HEAD,
        "answer_ms": round(answer * 1000, 2),
        "facts": facts,
        "size_mb": round(size / 1e6, 1),
        "tables_mb": {name: round(bytes_ / 1e6, 1) for name, bytes_ in sizes},
        "free_gb": round(disk.free / 1e9, 1),
        "backups": len(made),
        "backups_mb": round(sum(page.size for _, page in made) / 1e6, 1),
        "last_backup": time_text(made[0][1].made) if made else None,
        "problems": problems,
    }
    lines = [
        f"Postgres {server}, revision {HEAD}, answers in {result['answer_ms']} ms",
        f"{facts} facts, {result['size_mb']} MB: " + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes[:6]),
        f"disk: {result['free_gb']} GB free at {asked.home.root}",
        f"backups: {len(made)}, {result['backups_mb']} MB, the last {described(made[0][1])}"
        if made
        else f"backups: none in {asked.backups}; `db backup` makes one",
        *problems,
    ]
    return int(bool(problems)), result, lines


_SIZES = """
SELECT regexp_replace(c.relname, '_[0-9]{6,8}$', '') AS name, sum(pg_total_relation_size(c.oid))::bigint AS bytes
FROM pg_class c WHERE c.relnamespace = 'strikedesk'::regnamespace AND c.relkind = 'r'
GROUP BY 1 ORDER BY 2 DESC, 1"""


async def _backup(asked: Asked) -> Outcome:
    async with database_of(asked) as database:
        mine = await owner(database, asked.backups)
        made = await backup(database.dsn, asked.backups, SystemClock().wall(), keep=asked.settings.backup.keep)
    kept = len(backups(asked.backups, mine._replace(ledger=made.ledger)))
    result = {
        "file": str(asked.backups / made.name),
        "facts": made.facts,
        "head": made.head,
        "size_mb": round(made.size / 1e6, 1),
        "kept": kept,
    }
    return 0, result, [described(made), f"in {asked.backups}: {result['kept']} of at most {asked.settings.backup.keep}"]


async def _prune(asked: Asked) -> Outcome:
    """Market history beyond its time goes; facts never do."""
    history = asked.settings.history
    keep = dict.fromkeys(Kind, history.days) | {Kind.BODY: history.body_days}
    async with database_of(asked) as database:
        gone = await prune(database.dsn, SystemClock().wall(), keep)
    return 0, {"removed": gone}, [f"{len(gone)} days of market history removed" + (":" if gone else ""), *gone]


async def _restore(asked: Asked, file: Path) -> Outcome:
    async with _server(asked) as dsn:
        done = await restore(dsn, file, SystemClock().wall(), app_dsn=os.environ.get("DATABASE_APP_URL"))
    head = done.report.head
    result = {
        "facts": done.report.facts,
        "head": head.hash.hex() if head else None,
        "former": done.former,
        "page": done.page is not None,
    }
    ends = f", the last of {time_text(head.at)[:19].replace('T', ' ')} UTC" if head and head.at else ""
    lines = [f"{done.report.facts} facts restored{ends}; the chain holds, head {result['head']}"]
    if done.former:
        lines.append(f"what was there before is kept in the schema {done.former}; drop it when you are sure")
    if done.page is None:
        lines.append(f"{file.name}.json was not beside it: there was no page to compare with")
    lines.append("heads that were kept elsewhere after this backup was made no longer fit: that is what they are for")
    return 0, result, lines


@asynccontextmanager
async def _server(asked: Asked) -> AsyncIterator[str]:
    """The owner's address without opening the database: what is in it is about to be replaced."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    postgres = EmbeddedPostgres(asked.home.database)
    dsn = await postgres.start()
    try:
        yield dsn
    finally:
        await postgres.stop()
