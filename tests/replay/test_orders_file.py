"""Orders files: a person's own trades through a recorded day, and what a bad line says."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.commands.arrivals import read_bodies, read_orders
from app.commands.replay import run_replay
from app.options import Options, UsageError
from tests.fixtures_postgres import postgres_folder  # noqa: F401 - a fixture
from tests.replay.oracle import books, faults_of_fills
from tests.replay.playing import play

GOOG, SPY = "GOOG_20151224", "SPY_20230803"
NO_SLIPPAGE = {"paper.slippage": "0", "paper.slippage_100": "0", "paper.slippage_step": "0"}
HELD = {"exits.stop_loss": "1", "exits.profit_target": "9", "exits.trail_arm": "9", "account.cash": "1000000"}


def buy(time: str, contract: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"time": time, "action": "buy", "contract": contract, "quantity": quantity, **more}


def test_the_reference_session_costs_eight_dollars_before_fees(data: Path, tmp_path: Path) -> None:
    with (data / "option_day" / f"{SPY}_reference_session.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    orders: list[Mapping[str, Any]] = []
    for row in rows:
        expiry = row["expiry"].replace("-", "")[2:]
        contract = f"SPY{expiry}{row['right']}{round(float(row['strike']) * 1000):08d}"
        orders.append(buy(row["entry_ts"], contract, int(row["qty"])))
        orders.append({"time": row["exit_ts"], "action": "close", "contract": contract})
    report = play(data, SPY, tmp_path, signals=False, orders=orders, overrides=NO_SLIPPAGE).report
    assert all(answer["ok"] for answer in report["answers"])
    trades = [(t["entry"], t["exit"], Decimal(t["gross"])) for t in report["trades"]]
    assert trades == [(row["entry_px"], row["exit_px"], Decimal(row["pnl"])) for row in rows]
    assert sum(gross for _, _, gross in trades) == Decimal("-8.00")
    assert {t["fees"] for t in report["trades"]} == {"2.10"}


def test_a_contract_that_expires_today_leaves_by_the_ladder_before_the_early_close(
    data: Path,
    tmp_path: Path,
    postgres_folder: Path,  # noqa: F811
) -> None:
    orders = [
        buy("2015-12-24T15:05:00Z", "GOOG151224C00750000", 2, reason="call"),
        buy("2015-12-24T15:06:00Z", "GOOG151224P00745000", 2, reason="put"),
        buy("2015-12-24T15:10:00Z", "GOOG151231C00755000", 2, reason="a week"),
    ]
    home = postgres_folder / "replay orders"
    played = play(data, GOOG, tmp_path, signals=False, orders=orders, overrides=HELD, home=home)
    report = played.report
    assert {t["contract"]: t["reason"] for t in report["trades"]} == {
        "GOOG151224C00750000": "TIME_OF_DAY",
        "GOOG151224P00745000": "TIME_OF_DAY",
    }
    assert all("T17:45" <= t["exit_time"][10:16] < "T18:00" for t in report["trades"])
    (left,) = report["open"]
    assert (left["contract"], left["quantity"], left["stale"]) == ("GOOG151231C00755000", 2, True)
    assert faults_of_fills(played.facts, data / "option_day" / f"{GOOG}_option_quote_1m.parquet") == []
    counted = books(played.facts, Decimal(1000000))
    assert Decimal(report["cash"]) == counted["cash"]
    value = Decimal(left["mark"]) * 200
    assert abs(Decimal(report["equity"]) - counted["cash"] - value) < value / 10


def test_a_contract_that_found_no_bid_is_settled_by_the_early_close(data: Path, tmp_path: Path) -> None:
    orders = [buy("2015-12-24T15:05:00Z", "GOOG151224C00750000", 2)]
    never = {"exits.expiry_mid": "0", "exits.expiry_quarter": "0", "exits.expiry_bid": "0", "exits.expiry_market": "0"}
    report = play(data, GOOG, tmp_path, signals=False, orders=orders, overrides={**HELD, **never}).report
    (trade,) = report["trades"]
    assert (trade["reason"], trade["exit_time"]) == ("EXPIRATION", "2015-12-24T18:00:00.000000Z")
    assert trade["exit"] == "0.00"
    assert Decimal(trade["gross"]) == -Decimal(trade["entry"]) * 200


def test_a_person_overrides_a_wait_halts_flattens_and_resumes(data: Path, tmp_path: Path) -> None:
    orders: list[dict[str, Any]] = [
        {"time": "2023-08-03T15:00:00Z", "action": "override", "symbol": "SPY", "direction": "LONG", "quantity": 1,
         "reason": "I see a base"},
        buy("2023-08-03T15:02:00Z", "SPY230901P00430000", 3, limit=2.00, reason="patience"),
        {"time": "2023-08-03T15:10:00Z", "action": "halt", "flatten": True, "reason": "news"},
        {"time": "2023-08-03T15:11:00Z", "action": "buy", "contract": "SPY230901P00430000", "quantity": 1},
        {"time": "2023-08-03T15:20:00Z", "action": "resume", "reason": "calm"},
        {"time": "2023-08-03T15:21:00Z", "action": "reject", "symbol": "SPY"},
        {"time": "2023-08-03T15:22:00Z", "action": "approve", "symbol": "SPY"},
        {"time": "2023-08-04T00:30:00Z", "action": "close", "contract": "SPY230901P00430000"},
    ]  # fmt: skip
    report = play(
        data, SPY, tmp_path, orders=orders, overrides={"contracts.window_slack": "29", "account.cash": "1000000"},
        policy="manual",
    ).report  # fmt: skip
    texts = [(answer["line"], answer["text"].split()[0]) for answer in report["answers"]]
    assert texts == [
        (1, "done"), (2, "done"), (3, "done"), (4, "HALTED"), (5, "done"), (6, "TICKET_UNKNOWN"), (7, "TICKET_UNKNOWN"),
    ]  # fmt: skip
    assert [where.rpartition(":")[2] for where in report["after_the_end"]] == ["8"]
    assert {t["reason"] for t in report["trades"]} == {"KILL_SWITCH"}
    assert report["open"] == []


BAD_ORDERS = [
    ("{", "not JSON"),
    ("[1]", "expected a JSON object"),
    ('{"action": "buy", "contract": "X"}', "'' is no ISO time"),
    ('{"time": "2023-08-03T15:00:00", "action": "halt"}', "has no time zone"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "sell"}', "action: sell is not buy"),
    ('{"time": "2023-08-03T15:00:00Z"}', "action: None is not buy"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "buy"}', "buy needs contract"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "close"}', "close needs contract or position"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "override"}', "override needs symbol"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "quantity": 0}', "quantity: expected a whole number from 1"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "quantity": true}', "quantity: expected"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "limit": "NaN"}', "limit: NaN is no price"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "limit": "x"}', "limit: x is no price"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "limit": -1}', "limit: -1 is no price"),
    ('{"time": "2023-08-03T15:00:00Z", "action": "halt", "direction": "UP"}', "direction: UP is not LONG or SHORT"),
]


@pytest.mark.parametrize(("line", "said"), BAD_ORDERS)
def test_a_bad_order_names_its_file_and_line(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text('\n{"time": "2023-08-03T15:00:00Z", "action": "halt"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_orders(file)
    assert str(refused.value).startswith(f"{file}:3: ")
    assert said in str(refused.value)


BAD_BODIES = [
    ("{}", "no timenow"),
    ('{"timenow": "tomorrow"}', "'tomorrow' is no ISO time"),
    ('{"signal": {"timestamp": true}}', "no timenow"),
    ('{"signal": {"timestamp": 1e99}}', "no timenow"),
    ('{"signal": {"timestamp": 99999999999999999999}}', "is no time in milliseconds"),
]


@pytest.mark.parametrize(("line", "said"), BAD_BODIES)
def test_a_body_without_an_arrival_names_its_file_and_line(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bodies.jsonl"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as refused:
        read_bodies(file)
    assert str(refused.value).startswith(f"{file}:1: ")


def test_a_body_arrives_at_timenow_or_else_at_its_own_timestamp(tmp_path: Path) -> None:
    file = tmp_path / "bodies.jsonl"
    lines = ['{"timenow": "2023-08-03T10:00:00-04:00"}', "", '{"signal": {"timestamp": 1691071200000}}']
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [(one.at.isoformat(), one.line) for one in read_bodies(file)] == [
        ("2023-08-03T14:00:00+00:00", 1),
        ("2023-08-03T14:00:00+00:00", 3),
    ]


def test_a_day_that_nobody_speaks_on_says_so(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = "no --signals and no --orders, or empty ones: the market was played, and nobody said anything"
    assert play(data, "GOOG_20151224", tmp_path, signals=False).report["notes"] == [silent]
    captured = capsys.readouterr()
    assert captured.out.splitlines().count(silent) == 1
    assert silent not in captured.err


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.jsonl: cannot be read"):
        read_orders(tmp_path / "missing.jsonl")
    assert read_bodies(None) == []


def replayed(data: Path, day: str, **changes: Any) -> None:
    asked: dict[str, Any] = {"signals": None, "orders": None, "report": None, "speed": "max", "as_json": False}
    run_replay(Options(), day=day if "/" in day else str(data / "option_day" / day), **{**asked, **changes})


def test_signals_of_another_day_are_refused_before_anything_is_played(data: Path) -> None:
    other = data / "option_day" / f"{SPY}_signals_derived.jsonl"
    with pytest.raises(UsageError, match=rf"{SPY}_signals_derived.jsonl:1: .* not on the recorded day 2015-12-24"):
        replayed(data, GOOG, signals=other)


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "1e9"])
def test_a_speed_that_is_none_is_refused(data: Path, speed: str) -> None:
    with pytest.raises(UsageError, match=f"--speed {speed}"):
        replayed(data, GOOG, speed=speed)


def test_a_day_that_was_not_recorded_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="NONE_20200101"):
        replayed(data, "NONE_20200101")
    with pytest.raises(UsageError, match="no-such-setting"):
        run_replay(
            Options(overrides={"no-such-setting": "1"}), day=str(tmp_path), signals=None, orders=None, report=None,
            speed="max", as_json=False,
        )  # fmt: skip


def test_a_replay_starts_its_own_ledger_and_refuses_one_that_has_facts(
    data: Path,
    tmp_path: Path,
    postgres_folder: Path,  # noqa: F811
) -> None:
    home = postgres_folder / "replay twice"
    play(data, SPY, tmp_path, signals=False, home=home)
    with pytest.raises(UsageError, match="its ledger is not empty"):
        play(data, SPY, tmp_path, signals=False, home=home)


def test_the_table_and_the_report_say_the_same(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = tmp_path / "o.jsonl"
    late = {"time": "2023-08-04T01:00:00Z", "action": "halt"}
    held = buy("2023-08-03T18:05:00Z", "SPY230901P00430000")
    sold = {"time": "2023-08-03T19:05:00Z", "action": "close", "contract": "SPY230901P00430000"}
    kept = buy("2023-08-03T19:10:00Z", "SPY230901C00470000")
    bad = buy("2023-08-03T19:10:00Z", "SPY230901C00999000")
    orders.write_text("\n".join(map(json.dumps, (held, sold, kept, bad, late))), encoding="utf-8")
    report = tmp_path / "r.json"
    replayed(data, SPY, orders=orders, report=report)
    table = capsys.readouterr().out
    assert "nobody said anything" not in table
    said = json.loads(report.read_text(encoding="utf-8"))
    assert f"net {said['trades'][0]['net']:>10}" in table
    assert "open    1 SPY230901C00470000" in table
    assert "refused: NO_MARKET_DATA 1" in table
    assert f"not played: {orders}:5" in table
    assert said["digests"]["ledger"] in table
    replayed(data, SPY, orders=orders, as_json=True)
    assert json.loads(capsys.readouterr().out)["digests"] == said["digests"]
