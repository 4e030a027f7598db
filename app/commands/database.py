"""`db migrate|health`: bring the database to this version, or say how it is."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from sqlalchemy import text as sql

from app.faults import explained
from app.lifecycle import database_of
from app.options import Options
from app.wiring import ask
from storage.migrations import HEAD


def run_database(options: Options, work: str, *, as_json: bool) -> int:
    with explained():
        asked = ask(options, with_secrets=False)
        result = asyncio.run(_examine(asked))
    if as_json:
        print(json.dumps(result, indent=2))
    elif work == "migrate":
        print(f"at revision {result['revision']}")
    else:
        print(f"Postgres {result['server']}, revision {result['revision']}, answers in {result['answer_ms']} ms")
        print(f"{result['facts']} facts, {result['size_mb']} MB")
        for problem in result["problems"]:
            print(problem)
    return 1 if result["problems"] else 0


async def _examine(asked: Any) -> dict[str, Any]:
    """Opening migrates; what is left is to ask a few things."""
    async with database_of(asked) as database, database.engine.connect() as connection:
        began = time.perf_counter()
        await connection.execute(sql("SELECT 1"))
        answer = time.perf_counter() - began
        size = (await connection.execute(sql("SELECT pg_database_size(current_database())"))).scalar_one()
        facts = (await connection.execute(sql("SELECT coalesce(max(seq), 0) FROM strikedesk.chain"))).scalar_one()
        return {
            "server": database.server,
            "revision": HEAD,
            "answer_ms": round(answer * 1000, 2),
            "facts": facts,
            "size_mb": round(size / 1e6, 1),
            "problems": list(database.problems),
        }
