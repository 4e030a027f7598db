"""A running engine keeps what the market showed, beside its facts."""

from __future__ import annotations

import asyncio
import json
import time

import psycopg

from storage.embedded import EmbeddedPostgres
from tests.end2end.engines import SETTINGS, body_of, post, say_long, tickets, until
from tests.faults.engine_process import EngineProcess, ground

MINUTES_LATER = {"market.start": "2026-11-20T15:00:57Z", "history.every": "0.1"}
"""Three seconds before a minute bar closes."""


def test_quotes_bars_and_shapes_are_kept() -> None:
    with ground() as folder:
        engine = EngineProcess(folder / "home", settings=SETTINGS | MINUTES_LATER, policy="manual")
        try:
            engine.start()
            with engine.client() as client:
                say_long(engine, "SPY")
                until(lambda: tickets(client, "SPY"))
                body = json.loads(body_of(engine, "QQQ", "60"))
                body["a_new_field"] = {"deep": [1]}
                assert post(engine, json.dumps(body).encode()).status_code == 202

                time.sleep(6.0)  # of exchange time: the minute is over
        finally:
            engine.end()
        rows = asyncio.run(_stored(engine))
    symbols = {symbol for symbol, osi, *_ in rows["quote"] if not osi}
    assert symbols == {"SPY", "QQQ", "IWM", "AAPL"}
    (ticket,) = {osi for _, osi, *_ in rows["quote"] if osi}
    assert ticket.startswith("SPY")
    assert all(source == "simulated" for *_, source in rows["quote"])
    assert {symbol for symbol, *_ in rows["bar"]} == {"SPY", "QQQ", "IWM", "AAPL"}
    shapes = [paths for (paths,) in rows["shape"]]
    assert len(shapes) == 2
    assert sum("a_new_field.deep[]: number" in paths for paths in shapes) == 1


async def _stored(engine: EngineProcess) -> dict[str, list[tuple[str, ...]]]:
    server = EmbeddedPostgres(engine.home / "database")
    dsn = await server.start()
    try:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            found = {}
            for table, columns in (("quote", "symbol, osi, source"), ("bar", "symbol, source"), ("shape", "paths")):
                query = f"SELECT {columns} FROM strikedesk_market.{table}"
                found[table] = await (await connection.execute(query.encode())).fetchall()
            return found
    finally:
        await server.stop()
