"""The database goes under the running engine: facts go to the spool, what lowers risk goes on, what adds it stops after
a while, and everything is in the ledger afterwards, once. Without a spool either, nobody is told yes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.end2end.engines import SETTINGS, body_of, facts, positions, post, say_long, until
from tests.faults.engine_process import EngineProcess, database_pid, facts_of, ground, kill_database, run_main


@contextlib.contextmanager
def engine_on(folder: Path, **settings: str) -> Iterator[EngineProcess]:
    engine = EngineProcess(folder / "home", settings={**SETTINGS, **settings})
    try:
        engine.start()
        yield engine
    finally:
        engine.end()


class Gone:
    """The database's server is dead and cannot be started again, until it is brought back."""

    def __init__(self, engine: EngineProcess) -> None:
        self._file = engine.home / "database" / "cluster18" / "postgresql.auto.conf"
        self._sound = self._file.read_bytes()
        self._file.write_bytes(b"no = such = setting\n")
        kill_database(engine.home)

    def bring_back(self) -> None:
        self._file.write_bytes(self._sound)


def spooled(client: httpx.Client) -> int:
    """Facts that only the spool has."""
    ledger = client.get("/health").json()["ledger"]
    return ledger["spooled"]["facts"] if ledger["spooled"] else 0


def well(client: httpx.Client) -> bool:
    return bool(client.get("/health").json()["status"] == "ok")


def whole(engine: EngineProcess, folder: Path) -> dict[int, dict[str, object]]:
    """Every fact of a stopped engine by its number; chain and projections hold."""
    assert run_main("ledger", "verify", "--home", str(engine.home)).returncode == 0
    assert run_main("ledger", "rebuild", "--home", str(engine.home)).returncode == 0
    assert list((engine.home / "spool").glob("*.spool")) == []
    return {fact["seq"]: fact for fact in facts_of(engine.home, folder / "facts.jsonl")}


def test_a_killed_database_comes_back_and_nothing_acknowledged_is_missing() -> None:
    with ground() as folder, engine_on(folder) as engine:
        before = database_pid(engine.home)
        bodies = [body_of(engine, "SPY", timeframe) for timeframe in ("240", "60", "30", "15", "5", "3")]
        taken = [post(engine, bodies[0])]
        kill_database(engine.home)
        taken += [post(engine, body) for body in bodies[1:]]
        assert {answer.status_code for answer in taken} == {202}
        until(lambda: database_pid(engine.home) != before)
        with engine.client() as client:
            until(lambda: well(client))
            heard = [fact["seq"] for fact in facts(client, kind="SignalReceived")]
        assert heard == [answer.json()["receipt"] for answer in taken]
        assert engine.stop() == 0


def test_while_the_database_stays_away_what_lowers_risk_goes_on_and_what_adds_it_stops() -> None:
    with ground() as folder, engine_on(folder, **{"ledger.risk_seconds": "1.5"}) as engine, engine.client() as client:
        say_long(engine, "SPY")
        (position,) = until(lambda: positions(client, "SPY"))
        later = [body_of(engine, "QQQ", timeframe) for timeframe in ("240", "60")]
        early = body_of(engine, "IWM", "60")
        gone = Gone(engine)
        assert post(engine, early).status_code == 202
        closed = client.post(f"/api/positions/{position['id']}/close")
        assert closed.status_code == 200, closed.text
        until(lambda: positions(client, "SPY")[0]["closed"])
        health = until(
            lambda: (
                (h := client.get("/health").json()) and any("facts go to the spool" in p for p in h["problems"]) and h
            )
        )
        assert health["status"] == "degraded"
        assert health["ledger"]["available"]
        assert spooled(client) > 5
        # Long enough away: the signals are heard and decided, but nothing is bought.
        until(lambda: client.get("/health").json()["ledger"]["spooled"]["seconds"] > 1.6)
        assert [post(engine, body).status_code for body in later] == [202, 202]
        board = until(lambda: [row for row in client.get("/signals").json() if "LEDGER_AWAY" in row["outcome"]])
        assert board[0]["symbol"] == "QQQ"
        refused = client.post("/api/resume", json={"reason": "no ledger"})
        assert (refused.status_code, refused.json()["code"]) == (503, "LEDGER_AWAY")
        assert client.post("/api/halt", json={"reason": "no ledger"}).status_code == 200
        gone.bring_back()
        until(lambda: well(client), 30.0)
        assert spooled(client) == 0
        heard = [fact["signal"]["symbol"] for fact in facts(client, kind="SignalReceived")]
        assert sorted(heard) == ["IWM", "QQQ", "QQQ", "SPY", "SPY"]
        (denied,) = facts(client, kind="EntryDenied")
        assert denied["refusal"]["code"] == "LEDGER_AWAY"
        assert len(facts(client, kind="OrderIntended")) == 2
        assert client.post("/api/resume", json={"reason": "it is back"}).status_code == 200
        assert engine.stop() == 0


def test_a_killed_engine_without_its_database_has_everything_at_the_next_start() -> None:
    with ground() as folder, engine_on(folder) as engine, engine.client() as client:
        bodies = [body_of(engine, "SPY", timeframe) for timeframe in ("240", "60", "30")]
        receipts = [post(engine, bodies[0]).json()["receipt"]]
        gone = Gone(engine)
        receipts += [post(engine, body).json()["receipt"] for body in bodies[1:]]
        until(lambda: positions(client, "SPY"))
        engine.kill()
        gone.bring_back()
        engine.start()
        # Everything it did without its database is true: the position is there, and a repeated receipt is known.
        assert [position["quantity"] > 0 for position in positions(client, "SPY")] == [True]
        assert [post(engine, body).json()["duplicate_of"] for body in bodies] == receipts
        until(lambda: well(client))
        assert engine.stop() == 0
        ledger = whole(engine, folder)
        assert all(ledger[seq]["fact"] == "SignalReceived" for seq in receipts)
        assert len([f for f in ledger.values() if f["fact"] == "OrderSubmitted"]) == 1


def test_an_engine_that_stops_without_its_database_leaves_its_last_facts_for_the_next_start() -> None:
    with ground() as folder, engine_on(folder) as engine:
        body = body_of(engine, "SPY", "60")
        gone = Gone(engine)
        receipt = post(engine, body).json()["receipt"]
        assert engine.stop() == 0
        assert "left_in_spool" in engine.stderr.read_text()
        gone.bring_back()
        engine.start()
        assert "found_in_spool" in engine.stderr.read_text()
        with engine.client() as client:
            assert [fact["seq"] for fact in facts(client, kind="SignalReceived")] == [receipt]
            assert len(facts(client, kind="EngineStopped")) == 1
        assert engine.stop() == 0


def test_without_database_and_spool_everyone_is_told_to_come_again() -> None:
    with ground() as folder, engine_on(folder) as engine:
        early, late = body_of(engine, "SPY", "60"), body_of(engine, "SPY", "240")
        shutil.rmtree(engine.home / "spool")
        gone = Gone(engine)
        with engine.client() as client:
            answer = post(engine, early)
            assert (answer.status_code, bool(answer.headers["retry-after"])) == (503, True)
            assert post(engine, late).status_code == 503
            refused = client.post("/api/resume", json={"reason": "no ledger"})
            assert (refused.status_code, refused.json()["code"]) == (503, "LEDGER_AWAY")
            health = until(
                lambda: (
                    (h := client.get("/health").json()) and any("cannot be written" in p for p in h["problems"]) and h
                )
            )
            assert not health["ledger"]["available"]
            gone.bring_back()
            until(lambda: well(client), 30.0)
            # What was told 503 may or may not have been kept; sent again it is there exactly once.
            for body in (early, late):
                assert post(engine, body).status_code in (200, 202)
            heard = [fact["signal"]["timeframe"] for fact in facts(client, kind="SignalReceived")]
            assert len(heard) == len(set(heard)) == 2
            assert facts(client, kind="CommandRefused") == []
        assert engine.stop() == 0


def test_an_engine_that_stops_without_both_says_what_it_could_not_write() -> None:
    with ground() as folder, engine_on(folder) as engine:
        shutil.rmtree(engine.home / "spool")
        Gone(engine)
        assert engine.stop() == 2
        assert "could not be written" in engine.stderr.read_text().splitlines()[-1]
