"""`chain IN OUT`: expiries on the screen, contracts in the file, smiles and findings as JSON, and bad input named."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import cli
from app.commands.chain import chain_file
from engine.pricing import kernels
from engine.pricing.chain_fit import spot_slack
from engine.sessions import NEW_YORK
from tests.synthetic_chains import AT, SPOT, Truth, synthetic_chain

HEAD = "expiry,type,strike,bid,ask,last,open_interest\n"
WHEN = AT.isoformat()


def lines_of(truth: Truth) -> str:
    quotes = truth.quotes
    return HEAD + "".join(
        f"{quotes.moments[quotes.expiry[row]].astimezone(NEW_YORK):%Y-%m-%dT%H:%M:%S},"
        f"{'call' if quotes.is_call[row] else 'put'},{quotes.strike[row]},{quotes.bid[row]},{quotes.ask[row]},,12\n"
        for row in range(len(quotes.strike))
    )


@pytest.fixture(autouse=True)
def kept_code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Machine code is kept with pytest's own cache, not with the user's."""
    assert request.config.cache is not None
    monkeypatch.setenv("STRIKEDESK_CACHE", str(request.config.cache.mkdir("kernels").parent))
    yield
    kernels.cool()
    kernels.prepare(None)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return synthetic_chain(days=(9, 30, 91))


def run(tmp_path: Path, content: str, **options: Any) -> tuple[int, list[dict[str, str]], str, list[str]]:
    source, target, out, errors = tmp_path / "in.csv", tmp_path / "out.csv", io.StringIO(), io.StringIO()
    source.write_text(content)
    settings: dict[str, Any] = {"at": WHEN, "spot": SPOT, "american": False, "rate": 0.04} | options
    code = chain_file(source, target, out=out, errors=errors, **settings)
    rows = list(csv.DictReader(target.read_text().splitlines())) if target.exists() else []
    return code, rows, out.getvalue(), errors.getvalue().splitlines()


def test_contracts_get_their_forward_vol_and_greeks(tmp_path: Path, truth: Truth) -> None:
    code, rows, _, errors = run(tmp_path, lines_of(truth))
    assert (code, errors) == (0, [])
    assert len(rows) == len(truth.vol)
    for row, vol, expiry in zip(rows, truth.vol, truth.quotes.expiry, strict=True):
        assert float(row["forward"]) == pytest.approx(truth.forward[expiry], abs=0.05)
        assert float(row["smile_iv"]) == pytest.approx(vol, abs=0.02)
        assert row["open_interest"] == "12"
    near = [row for row in rows if abs(float(row["strike"]) / SPOT - 1) < 0.02]
    assert {row["status"] for row in near} == {"ok"}
    assert all(float(row["iv_bid"]) <= float(row["iv"]) <= float(row["iv_ask"]) for row in near)


def test_the_table_has_a_line_for_each_expiry_and_says_what_was_found(tmp_path: Path, truth: Truth) -> None:
    _, _, text, _ = run(tmp_path, lines_of(truth))
    assert "spot 600.00, parity agrees" in text
    assert "rates of 2026-11-18: 4.00%" in text
    assert text.count("svi,") == 3
    assert "0 findings" in text
    _, _, doubted, _ = run(tmp_path, lines_of(truth), spot=594.0)
    assert "spot 594.00 was given, the options mean 600.0" in doubted
    assert doubted.splitlines()[0].endswith("that is used, for the two are more than 0.30 apart")


def test_a_spot_some_errors_off_is_used_and_not_said_to_agree(tmp_path: Path, truth: Truth) -> None:
    _, _, text, _ = run(tmp_path, lines_of(truth), as_json=True)
    by_parity = json.loads(text)["spot"]
    used = []
    for errors in (2.5, 3.5):
        spot = by_parity["by_parity"] + errors * by_parity["error"]
        _, _, said, _ = run(tmp_path, lines_of(truth), spot=spot)
        used.append(said.splitlines()[0])
    assert "parity agrees" in used[0]
    assert "is used, parity (600.0" in used[1]
    assert "is off by 3.5 standard errors, " in used[1]
    assert used[1].endswith("of the 0.30 from which a given spot is not used")


@pytest.mark.parametrize(("beyond", "used"), [(0.99, True), (1.01, False)])
def test_from_the_limit_that_is_said_the_given_spot_is_not_used(
    tmp_path: Path, truth: Truth, beyond: float, used: bool
) -> None:
    _, _, text, _ = run(tmp_path, lines_of(truth), as_json=True)
    known = json.loads(text)["spot"]
    spot = known["by_parity"] + beyond * spot_slack(known["by_parity"], known["error"])
    _, _, text, _ = run(tmp_path, lines_of(truth), spot=spot, as_json=True)
    assert json.loads(text)["spot"]["given_is_used"] is used


def test_a_contract_that_is_there_twice_is_named_and_the_first_counts(tmp_path: Path, truth: Truth) -> None:
    content = lines_of(truth).splitlines()
    again = content[60].split(",")
    again[3], again[4] = "1.00", "1.10"
    code, rows, _, errors = run(tmp_path, "\n".join([*content, ",".join(again)]) + "\n")
    line, name = len(content) + 1, f"{again[0]} {float(again[2]):g} {again[1]}"
    assert errors == [f"{tmp_path / 'in.csv'}:{line}: {name} is there twice; line 61 counts"]
    assert (code, rows[-1]["status"]) == (2, "bad_row")
    _, alone, _, _ = run(tmp_path, lines_of(truth))
    assert rows[:-1] == alone


def test_a_file_with_two_series_a_day_is_not_named_line_by_line(tmp_path: Path, truth: Truth) -> None:
    content = lines_of(truth)
    code, rows, _, errors = run(tmp_path, content + content.removeprefix(HEAD))
    count = len(truth.vol)
    assert code == 2
    assert [row["status"] for row in rows].count("bad_row") == count
    assert len(errors) == 7
    assert all("is there twice; line" in line for line in errors[:5])
    assert errors[5].endswith(f": and {count - 5:,} more that are there twice")
    assert "tell them apart by a time in expiry: 2026-11-20T09:30" in errors[6]


def test_a_series_of_the_morning_is_told_apart_by_its_time(tmp_path: Path, truth: Truth) -> None:
    lines = lines_of(truth)
    morning = re.sub(r"T\d\d:\d\d:\d\d", "T09:30", lines.removeprefix(HEAD))
    code, rows, _, errors = run(tmp_path, lines + morning)
    assert (code, errors) == (0, [])
    assert len(rows) == 2 * len(truth.vol)


@pytest.mark.parametrize(
    ("bid", "ask", "status"),
    [("0.00", "0.01", "no_bid"), ("", "0.01", "no_bid"), ("1.00", "", "no_ask"), ("0", "0", "no_quote"), ("3", "2", "crossed")],
)  # fmt: skip
def test_a_quote_without_a_mid_says_which_side_is_missing(
    tmp_path: Path, truth: Truth, bid: str, ask: str, status: str
) -> None:
    content = lines_of(truth).splitlines()
    cells = content[60].split(",")
    cells[3], cells[4] = bid, ask
    content[60] = ",".join(cells)
    _, rows, _, _ = run(tmp_path, "\n".join(content) + "\n")
    assert (rows[59]["status"], rows[59]["mid"], rows[59]["iv"]) == (status, "", "")


@pytest.mark.parametrize(
    ("bid", "ask", "why"),
    [
        ("2", "1", "all quotes are crossed"),
        ("0", "1", "all quotes are one-sided"),
    ],
)
def test_quotes_that_make_no_forward_are_named_as_its_cause(
    tmp_path: Path, truth: Truth, bid: str, ask: str, why: str
) -> None:
    rows = [line.split(",") for line in lines_of(truth).removeprefix(HEAD).splitlines()]
    spoilt = HEAD + "".join(",".join([*row[:3], bid, ask, *row[5:]]) + "\n" for row in rows)
    _, _, text, _ = run(tmp_path, spoilt)
    assert text.count(f"no forward: {why}") == 3
    _, _, text, _ = run(tmp_path, spoilt, as_json=True)
    assert {one["no_forward"] for one in json.loads(text)["expiries"]} == {why}
    head = HEAD + ",".join([*rows[0][:3], bid, ask, *rows[0][5:]]) + "\n" + ",".join(rows[1]) + "\n"
    _, _, text, _ = run(tmp_path, head)
    assert f"no forward: few strikes; of 2 quotes 1 {why.split()[-1]}" in text


def test_json_holds_smiles_quantiles_and_findings_and_no_nan(tmp_path: Path, truth: Truth) -> None:
    content = lines_of(truth).splitlines()
    cells = content[60].split(",")
    cells[3], cells[4] = "9.00", "8.50"
    content[60] = ",".join(cells)
    code, rows, text, _ = run(tmp_path, "\n".join(content) + "\n", as_json=True)
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert code == 0
    assert [one["status"] for one in found["expiries"]] == ["ok"] * 3
    first = found["expiries"][0]["smile"]
    assert {"a", "b", "rho", "m", "sigma", "least_g", "quantiles"} <= set(first)
    assert list(first["quantiles"].values()) == sorted(first["quantiles"].values())
    assert found["spot"]["given_is_used"] is True
    assert "crossed" in {one["kind"] for one in found["findings"]}
    assert "crossed" in rows[59]["findings"]


def test_the_dated_curve_serves_where_no_rate_is_given(tmp_path: Path, truth: Truth) -> None:
    _, _, text, _ = run(tmp_path, lines_of(truth), rate=None)
    assert "rates of 2026-10-09 (40 days before)" in text


def test_an_american_chain_of_real_form_by_days(tmp_path: Path) -> None:
    truth = synthetic_chain(american=True, days=(9, 30), strikes=15)
    code, rows, text, errors = run(tmp_path, lines_of(truth), american=True)
    assert (code, errors) == (0, [])
    assert np.nanmedian([abs(float(row["smile_iv"]) - vol) for row, vol in zip(rows, truth.vol, strict=True)]) < 0.003
    assert "1.3" in text  # the carry, per cent


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2026-13-01,call,600,1,2,,", "expiry '2026-13-01' is not a day as 2026-11-20"),
        (",call,600,1,2,,", "expiry is missing"),
        ("2026-12-18,c,600,1,2,,", "type 'c' is not call or put"),
        ("2026-12-18,call,0,1,2,,", "strike 0 must be above 0"),
        ("2026-12-18,call,600,-1,2,,", "bid -1 must not be below 0"),
        ("2026-12-18,call,600,x,2,,", "bid 'x' is not a number"),
        ("2026-12-18,call", "2 cells where the header has 7"),
    ],
)
def test_a_bad_row_is_named_and_kept_and_the_chain_is_still_read(
    tmp_path: Path, truth: Truth, line: str, says: str
) -> None:
    code, rows, text, errors = run(tmp_path, lines_of(truth) + line + "\n")
    assert code == 2
    assert errors == [f"{tmp_path / 'in.csv'}:{len(truth.vol) + 2}: {says}"]
    assert rows[-1]["status"] == "bad_row"
    assert rows[0]["status"] == "ok"
    assert "svi" in text


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("", {}, "is empty"),
        ("expiry,type,strike,bid\n", {}, "no column 'ask'"),
        (HEAD, {}, "holds no contract"),
        (HEAD + "2020-01-17,call,600,1,2,,\n", {}, "no contract is alive at that time"),
        (HEAD + "2026-12-18,call,600,1,2,,\n", {"at": "soon"}, "--at 'soon' is not a time"),
        (HEAD + "2026-12-18,call,600,1,2,,\n", {"at": "2026-11-18"}, "has no time of day"),
        (HEAD + "2026-12-18,call,600,1,2,,\n", {"spot": -1.0}, "--spot -1 must be above 0"),
        (HEAD + "2026-12-18,call,600,1,2,,\n", {"rate": 4.0}, "--rate 4 is not a fraction"),
        (
            HEAD + "2026-12-18,call,600,1,2,,\n",
            {"rate": None, "at": "2010-01-05T12:00"},
            "no rates are known on 2010-01-05",
        ),
    ],
)
def test_what_cannot_be_used_is_said_once(tmp_path: Path, content: str, options: dict[str, Any], says: str) -> None:
    code, rows, text, errors = run(tmp_path, content, **options)
    assert code == 2
    assert (rows, text) == ([], "")
    assert len(errors) == 1
    assert says in errors[0]


def test_too_few_quotes_for_a_forward_are_no_error(tmp_path: Path) -> None:
    code, (row,), text, _ = run(tmp_path, HEAD + "2026-12-18,call,600,10,10.2,,\n")
    assert code == 0
    assert "no forward: few strikes" in text
    assert row["iv"] == ""
    assert row["status"] == "no_forward"


def test_a_time_without_a_zone_is_new_yorks(tmp_path: Path, truth: Truth) -> None:
    local = AT.astimezone(NEW_YORK).replace(tzinfo=None).isoformat()
    assert run(tmp_path, lines_of(truth), at=local)[1] == run(tmp_path, lines_of(truth))[1]


def test_the_command_line_reaches_it(tmp_path: Path, truth: Truth, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text(lines_of(truth))
    words = [
        "chain",
        str(tmp_path / "in.csv"),
        str(tmp_path / "out.csv"),
        "--at",
        WHEN,
        "--spot",
        "600",
        "--style",
        "european",
    ]
    assert cli.main(words) == 0
    assert "svi" in capsys.readouterr().out
