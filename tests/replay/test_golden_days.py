"""Two real days through the whole engine: what was decided, why nothing was bought, and what a wider profile trades."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.commands.ledger import run_ledger
from app.options import Options
from tests.conftest import ROOT
from tests.fixtures_postgres import postgres_folder  # noqa: F401 - a fixture
from tests.replay.oracle import books, faults_of_fills, what_became
from tests.replay.playing import Played, golden, play

GOOG, SPY = "GOOG_20151224", "SPY_20230803"
WIDE: dict[str, dict[str, str]] = {
    GOOG: {"account.cash": "1000000", "contracts.spread_other": "0.15"},
    SPY: {"account.cash": "1000000", "contracts.window_slack": "29"},
}
DECIDED = {GOOG: (25, 48), SPY: (58, 76)}


@pytest.fixture(scope="module", params=[GOOG, SPY])
def by_default(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Played]:
    return request.param, play(data, request.param, tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="module", params=[GOOG, SPY])
def widened(
    request: pytest.FixtureRequest,
    data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_folder: Path,  # noqa: F811
) -> tuple[str, Played]:
    day = request.param
    home = postgres_folder / f"replay {day}"
    return day, play(data, day, tmp_path_factory.mktemp("wide"), overrides=WIDE[day], home=home)


def test_the_frozen_engine_decides_as_the_data_says(by_default: tuple[str, Played]) -> None:
    day, played = by_default
    verdicts = Counter(one["verdict"] for one in played.report["decisions"] if one["by"] == "signal")
    assert (verdicts["EXECUTE"], verdicts["WAIT"], verdicts["SKIP"]) == (*DECIDED[day], 0)


def test_by_default_nothing_is_bought_and_every_refusal_says_why(by_default: tuple[str, Played]) -> None:
    day, played = by_default
    now, frozen = golden(f"{day}_default", played.report)
    assert now == frozen
    assert (played.report["orders"], played.report["fills"], played.report["cash"]) == ([], [], "100000.00")


def test_why_nothing_is_bought_counted_again_signal_by_signal(by_default: tuple[str, Played], data: Path) -> None:
    day, played = by_default
    decisions = [one for one in played.report["decisions"] if one["by"] == "signal"]
    executed = [one["direction"] if one["verdict"] == "EXECUTE" else None for one in decisions]
    became = what_became(data / "option_day" / f"{day}_signals_derived.jsonl", executed)
    denied = {one["decision"]: one["code"] for one in played.report["denials"]}
    for decision, fate in zip(decisions, became, strict=True):
        code = denied.get(decision["seq"], "")
        if fate == "contradicted":
            assert code == "SIGNAL_CONTRADICTED", decision
        elif fate == "enters":
            assert code not in ("", "SIGNAL_CONTRADICTED"), decision
        else:
            assert code == "", (decision, fate)


def test_a_wider_profile_trades_and_its_trades_are_frozen(widened: tuple[str, Played]) -> None:
    day, played = widened
    now, frozen = golden(f"{day}_wide", played.report)
    assert now == frozen
    assert played.report["trades"]
    for setting, value in WIDE[day].items():
        assert Decimal(played.report["settings"][setting]) == Decimal(value)


def test_the_manual_tells_what_the_wider_profile_lost(widened: tuple[str, Played]) -> None:
    day, played = widened
    net = sum(Decimal(trade["net"]) for trade in played.report["trades"])
    page = " ".join((ROOT / "docs" / "replay.md").read_text(encoding="utf-8").split())
    _, told = page.split(f"{day.split('_')[0]} with 1,000,000 dollars", 1)
    assert told.index(f"{net:,} net".replace("-", "−")) < 400, f"{net} is not what docs/replay.md says"


def test_every_fill_is_one_that_the_recorded_quote_would_have_given(widened: tuple[str, Played], data: Path) -> None:
    day, played = widened
    assert faults_of_fills(played.facts, data / "option_day" / f"{day}_option_quote_1m.parquet") == []


def test_cash_fees_and_results_add_up_to_the_cent(widened: tuple[str, Played]) -> None:
    _, played = widened
    report, counted = played.report, books(played.facts, Decimal(1000000))
    assert Decimal(report["cash"]) == counted["cash"]
    told = {t["position"]: (Decimal(t["gross"]), Decimal(t["fees"]), Decimal(t["net"])) for t in report["trades"]}
    assert told == counted["closed"]
    assert {one["position"]: one["quantity"] for one in report["open"]} == counted["held"]
    assert report["equity_curve"]
    for trade in report["trades"]:
        assert sum(map(Decimal, trade["attribution"].values())) == Decimal(trade["gross"])


def test_the_ledger_of_a_replay_holds_rebuilds_and_decides_again(
    widened: tuple[str, Played], capsys: pytest.CaptureFixture[str]
) -> None:
    _, played = widened
    assert [fact["seq"] for fact in played.facts] == list(range(1, played.report["facts"] + 1))
    for work in ("verify", "rebuild", "replay"):
        assert run_ledger(Options(home=played.home), work, "", as_json=False) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "the chain holds" in said
    assert "rows agree" in said
    assert f"{len(played.report['decisions'])} decisions made again, all the same" in said


def test_the_same_day_twice_is_the_same_to_the_last_bit(
    widened: tuple[str, Played], data: Path, tmp_path: Path
) -> None:
    day, played = widened
    again = play(data, day, tmp_path, overrides=WIDE[day])
    assert again.report["digests"] == played.report["digests"]
    assert again.report["trades"] == played.report["trades"]


def test_settings_change_what_is_traded_and_never_what_is_decided(
    by_default: tuple[str, Played], data: Path, tmp_path: Path
) -> None:
    day, played = by_default
    other: dict[str, Any] = play(data, day, tmp_path, overrides=WIDE[day]).report
    assert other["digests"]["decisions"] == played.report["digests"]["decisions"]
    assert other["digests"]["ledger"] != played.report["digests"]["ledger"]


def test_the_second_opinion_notices_a_price_a_size_and_a_moment_that_were_not_there(
    widened: tuple[str, Played], data: Path
) -> None:
    day, played = widened
    file = data / "option_day" / f"{day}_option_quote_1m.parquet"
    place = next(i for i, fact in enumerate(played.facts) if fact["fact"] == "OrderFilled")
    fill = played.facts[place]
    for change, fault in (
        ({"price": "0.01"}, "better than the market"),
        ({"price": "999.00"}, "beyond the limit"),
        ({"quantity": 100_000}, "more than was shown"),
        (
            {"at": fill["at"].replace("2015-12-24T15:30", "2015-12-24T15:29").replace("T14:30", "T14:29")},
            "a quote of later",
        ),
    ):
        doctored = [*played.facts[:place], {**fill, **change}, *played.facts[place + 1 :]]
        assert any(fault in one for one in faults_of_fills(doctored, file)), fault
