"""The database's server dies under the running engine: it is started again, and until then nobody is told yes."""

from __future__ import annotations

import time

from tests.end2end.engines import SETTINGS, body_of, facts, post, until
from tests.faults.engine_process import EngineProcess, database_pid, facts_of, ground, kill_database, run_main


def test_a_killed_database_comes_back_and_nothing_acknowledged_is_missing() -> None:
    with ground() as folder:
        engine = EngineProcess(folder / "home", settings=SETTINGS)
        try:
            engine.start()
            before = database_pid(engine.home)
            bodies = [body_of(engine, "SPY", timeframe) for timeframe in ("240", "60", "30", "15", "5", "3")]
            taken = [post(engine, bodies[0])]
            kill_database(engine.home)
            for body in bodies[1:]:
                answer = post(engine, body)
                if answer.status_code == 503:  # as a sender does: the same again
                    assert answer.headers["retry-after"]
                    answer = until(lambda body=body: (a := post(engine, body)).status_code != 503 and a)  # type: ignore[misc]
                taken.append(answer)
            assert {answer.status_code for answer in taken} <= {200, 202}
            until(lambda: database_pid(engine.home) != before)
            with engine.client() as client:
                until(lambda: client.get("/health").json()["status"] == "ok")
            assert engine.stop() == 0
            ledger = {fact["seq"]: fact for fact in facts_of(engine.home, folder / "facts.jsonl")}
            assert all(ledger[a.json()["receipt"]]["fact"].endswith("Received") for a in taken)
            assert len([f for f in ledger.values() if f["fact"] == "SignalReceived"]) == len(bodies)
            assert run_main("ledger", "verify", "--home", str(engine.home)).returncode == 0
            assert run_main("ledger", "rebuild", "--home", str(engine.home)).returncode == 0
        finally:
            engine.end()


def test_while_the_database_stays_away_everyone_is_told_to_come_again() -> None:
    with ground() as folder:
        engine = EngineProcess(folder / "home", settings=SETTINGS)
        try:
            engine.start()
            early, late = body_of(engine, "SPY", "60"), body_of(engine, "SPY", "240")
            broken = engine.home / "database" / "cluster18" / "postgresql.auto.conf"
            sound = broken.read_bytes()
            broken.write_bytes(b"no = such = setting\n")
            kill_database(engine.home)
            with engine.client() as client:
                assert post(engine, early).status_code == 503
                assert post(engine, late).status_code == 503
                refused = client.post("/api/resume", json={"reason": "no ledger"})
                assert (refused.status_code, refused.json()["code"]) == (503, "LEDGER_AWAY")
                health = until(lambda: (h := client.get("/health").json())["problems"] and h)
                assert health["status"] == "degraded"
                broken.write_bytes(sound)
                until(lambda: client.get("/health").json()["status"] == "ok", 30.0)
                # What was told 503 may or may not have been kept; sent again it is there exactly once.
                for body in (early, late):
                    assert post(engine, body).status_code in (200, 202)
                heard = [fact["signal"]["timeframe"] for fact in facts(client, kind="SignalReceived")]
                assert len(heard) == len(set(heard)) == 2
                assert facts(client, kind="CommandRefused") == []
            assert engine.stop() == 0
        finally:
            engine.end()


def test_an_engine_that_stops_without_its_database_says_what_it_could_not_write() -> None:
    with ground() as folder:
        engine = EngineProcess(folder / "home", settings=SETTINGS)
        try:
            engine.start()
            (engine.home / "database" / "cluster18" / "postgresql.auto.conf").write_bytes(b"no = such = setting\n")
            kill_database(engine.home)
            time.sleep(0.1)
            assert engine.stop() == 2
            said = engine.stderr.read_text().splitlines()[-1]
            assert "could not be written" in said
        finally:
            engine.end()
