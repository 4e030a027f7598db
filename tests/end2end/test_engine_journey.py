"""One signal from webhook to closed trade, over real sockets, on the engine as a trader starts it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from storage.embedded import EmbeddedPostgres
from tests.end2end.engines import SETTINGS, body_of, facts, positions, post, say_long, tickets, until
from tests.faults.engine_process import EngineProcess, facts_of, ground


@pytest.fixture(scope="module")
def desk() -> Iterator[EngineProcess]:
    """An engine that asks before it buys, in a home with spaces in its path."""
    with ground() as folder:
        engine = EngineProcess(folder / "a home with spaces" / "Strike desk", settings=SETTINGS, policy="manual")
        try:
            engine.start()
            yield engine
        finally:
            engine.end()


def test_a_signal_becomes_a_ticket_a_position_and_a_closed_trade(desk: EngineProcess) -> None:
    with desk.client() as client:
        receipts = say_long(desk, "SPY")
        (ticket,) = until(lambda: tickets(client, "SPY"))
        assert ticket["trigger"] == receipts[1]
        assert positions(client, "SPY") == []

        approved = client.post(f"/api/approvals/{ticket['id']}", json={"action": "approve"})
        assert approved.status_code == 200, approved.text
        (position,) = until(lambda: positions(client, "SPY"))
        assert position["ticket"] == ticket["id"]
        assert 0 < position["quantity"] <= ticket["quantity"]
        assert tickets(client, "SPY") == []

        until(lambda: client.get("/orders").json()[0]["state"] == "FILLED")
        closed = client.post(f"/api/positions/{position['id']}/close")
        assert closed.status_code == 200, closed.text
        until(lambda: positions(client, "SPY")[0]["closed"])

        story = client.get(f"/api/ledger/{receipts[1]}").json()["story"]
        told = [fact["fact"] for fact in story]
        wanted = ["SignalReceived", "DecisionMade", "TicketOpened", "TicketApproved", "OrderIntended", "OrderSubmitted"]
        assert [name for name in told if name in wanted][:6] == wanted
        assert told[-1] == "PositionClosed"
        assert story[-1]["reason"] == "MANUAL"
        approvals = [fact["by"] for fact in story if fact["fact"] == "TicketApproved"]
        assert approvals == ["http"]


def test_a_ticket_is_answered_once(desk: EngineProcess) -> None:
    with desk.client() as client:
        say_long(desk, "QQQ")
        (ticket,) = until(lambda: tickets(client, "QQQ"))
        rejected = client.post(f"/api/approvals/{ticket['id']}", json={"action": "reject", "reason": "too dear"})
        assert rejected.status_code == 200
        again = client.post(f"/api/approvals/{ticket['id']}", json={"action": "approve"})
        assert (again.status_code, again.json()["code"]) == (409, "TICKET_CLOSED")
        assert positions(client, "QQQ") == []
        refused = facts(client, kind="CommandRefused")
        assert refused[-1]["target"] == ticket["id"]


def test_while_halted_nothing_is_entered_and_only_a_reason_resumes(desk: EngineProcess) -> None:
    with desk.client() as client:
        assert client.post("/api/halt", json={"reason": "news"}).status_code == 200
        receipts = say_long(desk, "IWM")
        (denied,) = until(lambda: [f for f in facts(client, kind="EntryDenied") if f["trigger"] == receipts[1]])
        assert denied["refusal"]["code"] == "HALTED"
        assert tickets(client, "IWM") == []
        assert client.post("/api/resume", json={"reason": ""}).status_code in (400, 422)
        assert client.post("/api/resume", json={"reason": "read it"}).status_code == 200
        assert client.post("/api/resume", json={"reason": "again"}).json()["code"] == "NOT_HALTED"
        assert [f["reason"] for f in facts(client, kind="TradingHalted")] == ["news"]


def test_reading_and_acting_need_their_own_tokens(desk: EngineProcess) -> None:
    secrets = desk.secrets()

    def status(method: str, path: str, token: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(
            method, desk.url + path, headers=headers, json={} if method == "POST" else None
        ).status_code

    for path in ("/api/approvals", "/positions", "/orders", "/signals", "/api/ledger", "/api/ledger/1", "/metrics"):
        assert status("GET", path, None) == 401
        assert status("GET", path, secrets["webhook_signal"]) == 401
        assert status("GET", path, "x" * 43) == 401
        assert status("GET", path, secrets["api_token"]) == 200
    assert status("POST", "/api/halt", None) == 401
    assert status("POST", "/api/halt", secrets["webhook_signal"]) == 401
    assert status("POST", "/api/halt", secrets["api_token"]) == 403
    assert httpx.post(f"{desk.url}/webhook/signal?token={secrets['trading_token']}", content=b"{}").status_code == 401
    assert httpx.get(f"{desk.url}/health").json() == {"status": "ok"}


def test_a_signal_delivered_four_times_at_once_and_again_after_a_crash_is_decided_once() -> None:
    """TradingView delivers a trigger up to four times."""
    import concurrent.futures

    with ground() as folder:
        engine = EngineProcess(folder / "home", settings=SETTINGS)
        try:
            engine.start()
            say_long(engine, "AAPL")
            body = body_of(engine, "SPY", "60")
            with concurrent.futures.ThreadPoolExecutor(4) as senders:
                first = list(senders.map(lambda _: post(engine, body), range(4)))
            engine.kill()
            engine.start()
            with concurrent.futures.ThreadPoolExecutor(4) as senders:
                second = list(senders.map(lambda _: post(engine, body), range(4)))
            assert sorted(answer.status_code for answer in first) == [200, 200, 200, 202]
            assert [answer.status_code for answer in second] == [200] * 4
            (receipt,) = (answer.json()["receipt"] for answer in first if answer.status_code == 202)
            duplicates = [answer.json()["duplicate_of"] for answer in [*first, *second] if answer.status_code == 200]
            assert duplicates == [receipt] * 7
            with engine.client() as client:
                until(lambda: client.get("/health").json()["weighing"] == 0)
            assert engine.stop() == 0

            ledger = facts_of(engine.home, folder / "facts.jsonl")
            assert len([f for f in ledger if f["fact"] == "DecisionMade" and f["cause"] == receipt]) == 1
            bought = [f["ticket"]["trigger"] for f in ledger if f["fact"] == "TicketOpened"]
            assert len(bought) == len(set(bought)) > 0
            assert ledger[-1]["fact"] == "EngineStopped"
            assert ledger[-1]["reason"] == "stopped"
            # Its clock went on where the ledger ended, although it was told an earlier start again.
            assert [f["at"] for f in ledger] == sorted(f["at"] for f in ledger)
        finally:
            engine.end()


async def test_a_database_of_somebody_else_serves_the_whole_journey() -> None:
    """DATABASE_URL: nothing of a server is made in the home, and a restart finds everything."""
    with ground() as folder:
        server = EmbeddedPostgres(folder / "their server")
        url = await server.start()
        engine = EngineProcess(folder / "home", settings=SETTINGS, environment={"DATABASE_URL": url})
        try:
            engine.start()
            say_long(engine, "SPY")
            with engine.client() as client:
                until(lambda: positions(client, "SPY"))
            assert engine.stop() == 0
            assert not (engine.home / "database").exists()
            engine.start()
            with engine.client() as client:
                assert positions(client, "SPY")[0]["quantity"] > 0
            assert engine.stop() == 0
            ledger = facts_of(engine.home, folder / "facts.jsonl", DATABASE_URL=url)
            assert [f["fact"] for f in ledger if f["fact"].startswith("Engine")] == [
                "EngineStarted",
                "EngineStopped",
            ] * 2
        finally:
            if engine.process is not None:
                engine.kill()
            await server.stop()


def test_the_ledger_answers_questions_at_once_and_page_by_page(desk: EngineProcess) -> None:
    with desk.client() as client:
        say_long(desk, "AAPL")
        (ticket,) = until(lambda: tickets(client, "AAPL"))
        # Nothing waits for the table behind the ledger: what is durable is found.
        until(lambda: client.get("/health").json()["ledger"]["seq"] >= int(ticket["id"][1:]))
        opened = facts(client, kind="TicketOpened", symbol="AAPL")
        assert [fact["ticket"]["id"] for fact in opened] == [ticket["id"]]
        assert facts(client, text=f"{ticket['id']} ", order="newest")[0]["fact"] == "TicketOpened"
        wanted = facts(client, decision="EXECUTE", symbol="AAPL")
        assert [fact["decision"]["verdict"] for fact in wanted] == ["EXECUTE"]
        one = client.get("/api/ledger", params={"symbol": "AAPL", "limit": 1})
        rest = client.get(
            "/api/ledger", params={"symbol": "AAPL", "limit": 1000, "key": one.headers["Strikedesk-Next"]}
        )
        seqs = [fact["seq"] for fact in one.json() + rest.json()]
        assert seqs == sorted(set(seqs))
        assert "Strikedesk-Next" not in rest.headers
        before = client.get("/api/past", params={"at": opened[0]["at"]}).json()
        assert [waiting["id"] for waiting in before["tickets"]] == [ticket["id"]]
        assert client.post(f"/api/approvals/{ticket['id']}", json={"action": "reject"}).status_code == 200
        assert client.get("/api/past", params={"at": opened[0]["at"]}).json() == before
        assert client.get("/api/ledger", params={"since": "2026-11-20T10:00:00"}).status_code == 422
