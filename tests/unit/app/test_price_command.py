"""`price IN OUT`: every row is answered and kept, bad ones are named, units are the desk's or raw, dividends are cash."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from app import cli
from app.commands.price import ANSWERS, price_file
from engine.pricing import european
from engine.pricing.american import greeks as american_greeks

HEAD = "type,style,spot,strike,t,r,q,vol,price,dividends,note\n"


def run(tmp_path: Path, content: str | bytes, *, raw: bool = False) -> tuple[int, list[dict[str, str]], list[str]]:
    source, target, errors = tmp_path / "in.csv", tmp_path / "out.csv", io.StringIO()
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    code = price_file(source, target, errors, raw=raw)
    rows = list(csv.DictReader(target.read_text().splitlines())) if target.exists() else []
    return code, rows, errors.getvalue().splitlines()


def test_a_european_row_in_the_desks_units_and_raw(tmp_path: Path) -> None:
    line = HEAD + "call,european,100,105,0.5,0.04,0.01,0.25,,,kept\n"
    code, (row,), errors = run(tmp_path, line)
    exact = european.greeks(100.0, 105.0, 0.5, 0.04, 0.01, 0.25, True)
    assert (code, errors, row["status"], row["note"], row["iv"]) == (0, [], "ok", "kept", "0.25")
    for name, value in zip(("price", "delta", "gamma", "vega", "theta", "rho"), exact, strict=True):
        assert float(row[name]) == float(value), name
    _, (bare,), _ = run(tmp_path, line, raw=True)
    assert float(bare["vega"]) == pytest.approx(100 * float(exact.vega), rel=1e-15)
    assert float(bare["theta"]) == pytest.approx(365 * float(exact.theta), rel=1e-15)
    assert float(bare["rho"]) == pytest.approx(100 * float(exact.rho), rel=1e-15)
    assert bare["delta"] == row["delta"]


def test_an_american_row_is_worth_more_than_the_european(tmp_path: Path) -> None:
    lines = [f"put,{style},100,110,1,0.06,0,0.2,,," for style in ("american", "european")]
    code, (american, plain), _ = run(tmp_path, HEAD + "\n".join(lines) + "\n")
    assert code == 0
    assert float(american["price"]) > float(plain["price"]) + 0.5
    exact = american_greeks(100.0, 110.0, 1.0, 0.06, 0.0, 0.2, False)
    assert float(american["price"]) == float(exact.value)
    assert float(american["delta"]) == float(exact.delta)


@pytest.mark.parametrize("style", ["american", "european"])
def test_a_price_gives_its_vol_and_the_greeks_at_it(tmp_path: Path, style: str) -> None:
    _, (there,), _ = run(tmp_path, HEAD + f"put,{style},100,95,0.7,0.05,0.01,0.31,,,\n")
    code, (back,), _ = run(tmp_path, HEAD + f"put,{style},100,95,0.7,0.05,0.01,,{there['price']},,\n")
    assert (code, back["status"], back["price_in"]) == (0, "ok", there["price"])
    assert float(back["iv"]) == pytest.approx(0.31, abs=1e-8)
    assert float(back["delta"]) == pytest.approx(float(there["delta"]), abs=1e-7)


def test_with_both_the_greeks_are_at_the_vol_and_the_price_gives_the_implied(tmp_path: Path) -> None:
    _, (row,), _ = run(tmp_path, HEAD + "call,european,100,100,1,0.05,0.02,0.25,12,,\n")
    assert float(row["price"]) == pytest.approx(11.1237619, abs=1e-6)
    assert float(row["iv"]) == pytest.approx(0.2730935, abs=1e-6)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("call,european,100,100,1,0.05,0.02,,200,,", "above_bound"),
        ("call,european,100,50,1,0.05,0,,40,,", "below_intrinsic"),
        ("put,american,100,150,1,0.05,0,,50,,", "exercise_region"),
        ("put,american,100,150,1,0.05,0,,50,0.5:1,", "exercise_region"),
        ("put,american,100,150,1,0.05,0,,49,0.5:1,", "below_intrinsic"),
        ("call,american,100,100,1,0.05,0,,99.99,0.5:1,", "above_bound"),
        ("call,european,100,100,0,0.05,0,,1,,", "expired"),
        ("call,american,100,100,1,0.05,0,0.2,,0.5:120,", "dividends_exceed_spot"),
    ],
)
def test_a_price_without_a_vol_says_why_and_is_no_bad_row(tmp_path: Path, line: str, status: str) -> None:
    code, (row,), errors = run(tmp_path, HEAD + line + "\n")
    assert (code, errors, row["status"]) == (0, [], status)
    assert row["delta"] == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cal,european,100,100,1,0.05,0,0.2,,,", "type 'cal' is not call or put"),
        ("call,asian,100,100,1,0.05,0,0.2,,,", "style 'asian' is not american or european"),
        ("call,european,0,100,1,0.05,0,0.2,,,", "spot 0 must be above 0"),
        ("call,european,100,-1,1,0.05,0,0.2,,,", "strike -1 must be above 0"),
        ("call,european,100,100,-1,0.05,0,0.2,,,", "t -1 must not be below 0"),
        ("call,european,100,100,1,nan,0,0.2,,,", "r 'nan' is not a number"),
        ("call,european,100,100,1,0.05,inf,0.2,,,", "q 'inf' is not a number"),
        ("call,european,100,100,1,,0,0.2,,,", "r is missing"),
        ("call,european,1_0,100,1,0.05,0,0.2,,,", "spot '1_0' is not a number"),
        ("call,european,100,100,1,0.05,0,,,,", "neither vol nor price is given"),
        ("call,european,100,100,1,0.05,0,-0.2,,,", "vol -0.2 must not be below 0"),
        (
            "call,european,100,100,1,0.05,0,25,,,",
            "vol 25 is 2,500%, over 2,000%: a fraction is expected, 0.25 for 25 %",
        ),
        ("call,european,100,100,1,5,0,0.2,,,", "r 5 is 500%, over 100%: a fraction is expected, 0.05 for 5 %"),
        ("call,european,100,100,1,-2,0,0.2,,,", "r -2 is -200%, over 100%: a fraction is expected, -0.02 for -2 %"),
        ("call,european,100,100,1,0,5.5,0.2,,,", "q 5.5 is 550%, over 500%: a fraction is expected, 0.055 for 5.5 %"),
        ("call,european,100,100,1,0,-6,0.2,,,", "q -6 is -600%, over 500%: a fraction is expected, -0.06 for -6 %"),
        ("call,european,100,100,1,0.05,0,0.2,,0.5,", "dividend '0.5' is not t:amount"),
        ("call,european,100,100,1,0.05,0,0.2,,0.5:x,", "dividend's amount 'x' is not a number"),
        ("call,european,100", "3 cells where the header has 11"),
        ("call,european,100,100,1,0.05,0,0.2,,,,,", "13 cells where the header has 11"),
    ],
)
def test_a_bad_row_is_named_kept_and_the_rest_goes_on(tmp_path: Path, line: str, says: str) -> None:
    good = "call,european,100,100,1,0.05,0,0.2,,,\n"
    code, rows, errors = run(tmp_path, HEAD + good + "\n" + line + "\n" + good)
    assert code == 2
    assert errors == [f"{tmp_path / 'in.csv'}:4: {says}"]
    assert [row["status"] for row in rows] == ["ok", "bad_row", "ok"]
    assert rows[1]["type"] == line.split(",")[0]


@pytest.mark.parametrize(
    ("q", "vol", "says"),
    [
        ("0.01", "5", ""),
        ("0.01", "5.4", "vol 5.4 is 540%, over 500%, and priced so; 5.4 % is 0.054"),
        ("0.01", "20", "vol 20 is 2,000%, over 500%, and priced so; 20 % is 0.2"),
        ("-1", "0.9", ""),
        ("-1.2", "0.9", "q -1.2 is -120%, over 100%, and priced so; -1.2 % is -0.012"),
        ("5", "0.9", "q 5 is 500%, over 100%, and priced so; 5 % is 0.05"),
    ],
)
def test_what_is_rarely_so_high_is_priced_with_a_warning(tmp_path: Path, q: str, vol: str, says: str) -> None:
    code, (row,), errors = run(tmp_path, HEAD + f"call,european,100,100,0.002,0.05,{q},{vol},,,\n")
    assert (code, row["status"]) == (0, "ok")
    assert errors == ([f"{tmp_path / 'in.csv'}:2: warning: {says}"] if says else [])
    exact = european.price(100.0, 100.0, 0.002, 0.05, float(q), float(vol), True)
    assert float(row["price"]) == float(exact)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "in.csv: is empty"),
        (b"type,style\n", "in.csv:1: no column 'spot', 'strike'"),
        (b"type,style,spot,strike,t,r,q\n", "in.csv:1: no column 'vol' and no column 'price'"),
        (b"type,style,spot,strike,t,r,q,vol,vol\n", "in.csv:1: column 'vol' stands there twice"),
        (b"\xff\xfe\x00", "in.csv:1: is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_once_and_nothing_is_written(
    tmp_path: Path, content: bytes, says: str
) -> None:
    code, _, errors = run(tmp_path, content)
    assert code == 2
    assert len(errors) == 1
    assert says in errors[0]
    assert not (tmp_path / "out.csv").exists()


def test_a_file_that_breaks_off_keeps_what_was_answered(tmp_path: Path) -> None:
    code, rows, errors = run(tmp_path, HEAD.encode() + b'call,european,100,100,1,0.05,0,0.2,,,\n"call,european')
    assert code == 2
    assert "in.csv:3" in errors[-1]
    assert not rows or rows[0]["status"] == "ok"


def test_missing_input_same_output_and_an_unwritable_target_are_wrong_use(tmp_path: Path) -> None:
    errors = io.StringIO()
    assert price_file(tmp_path / "no.csv", tmp_path / "out.csv", errors) == 2
    source = tmp_path / "in.csv"
    source.write_text(HEAD + "call,european,100,100,1,0.05,0,0.2,,,\n")
    assert price_file(source, source, errors) == 2
    assert price_file(source, tmp_path / "no" / "out.csv", errors) == 2
    lines = errors.getvalue().splitlines()
    assert ["No such file" in lines[0], "is the input" in lines[1], "No such file" in lines[2]] == [True] * 3
    assert source.read_text().startswith("type,")


def test_header_case_spaces_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    text = "\ufeffType, Style ,SPOT,Strike,T,R,Q,Vol\nCALL,European,100,100,1,0.05,0,0.2\n"
    code, (row,), _ = run(tmp_path, text.encode())
    assert (code, row["status"]) == (0, "ok")


def test_a_dividend_before_expiry_lowers_calls_one_after_it_nothing(tmp_path: Path) -> None:
    lines = [f"call,european,100,100,1,0.05,0,0.2,,{one},\n" for one in ("", "0.5:2", "1.5:2", "0.25:1;0.75:1")]
    _, (plain, paid, late, twice), _ = run(tmp_path, HEAD + "".join(lines))
    assert late["price"] == plain["price"]
    exact = european.price(100 - 2 * np.exp(-0.025), 100.0, 1.0, 0.05, 0.0, 0.2, True)
    assert float(paid["price"]) == pytest.approx(float(exact), abs=1e-12)
    assert float(twice["price"]) == pytest.approx(float(paid["price"]), abs=0.02)


@pytest.mark.parametrize("style", ["european", "american"])
def test_greeks_with_dividends_are_the_slopes_of_the_price(tmp_path: Path, style: str) -> None:
    """Central differences of whole rows: spot, time with the ex-date coming nearer, rate, vol."""
    tolerance = 3e-4 if style == "european" else 2e-2
    h = 1e-3

    def row(spot: float = 100, t: float = 1.0, r: float = 0.05, vol: float = 0.2, shift: float = 0.0) -> str:
        return f"put,{style},{spot!r},105,{t + shift!r},{r!r},0,{vol!r},,{0.4 + shift!r}:2,\n"

    lines = [
        row(), row(spot=100 + 0.5), row(spot=100 - 0.5), row(vol=0.2 + h), row(vol=0.2 - h), row(r=0.05 + h),
        row(r=0.05 - h), row(shift=h), row(shift=-h),
    ]  # fmt: skip
    _, rows, _ = run(tmp_path, HEAD + "".join(lines), raw=True)
    price = [float(one["price"]) for one in rows]
    found = {name: float(rows[0][name]) for name in ("delta", "vega", "rho", "theta")}
    assert found["delta"] == pytest.approx(price[1] - price[2], abs=2e-3)
    assert found["vega"] == pytest.approx((price[3] - price[4]) / (2 * h), rel=tolerance, abs=tolerance)
    assert found["rho"] == pytest.approx((price[5] - price[6]) / (2 * h), rel=tolerance, abs=tolerance)
    assert found["theta"] == pytest.approx(-(price[7] - price[8]) / (2 * h), rel=10 * tolerance, abs=5 * tolerance)


@pytest.mark.parametrize("kind", ["call", "put"])
def test_a_vol_comes_back_through_cash_dividends(tmp_path: Path, kind: str) -> None:
    strikes = (90, 100, 110)
    _, there, _ = run(tmp_path, HEAD + "".join(f"{kind},american,100,{k},0.5,0.05,0,0.27,,0.2:1.5,\n" for k in strikes))
    lines = "".join(
        f"{kind},american,100,{k},0.5,0.05,0,,{one['price']},0.2:1.5,\n" for k, one in zip(strikes, there, strict=True)
    )
    _, back, _ = run(tmp_path, HEAD + lines)
    assert [one["status"] for one in back] == ["ok"] * 3
    assert [float(one["iv"]) for one in back] == pytest.approx([0.27] * 3, abs=2e-5)


def test_batches_give_what_one_row_at_a_time_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"call,european,100,{80 + k},0.5,0.04,0.01,0.2,,,{k}\n" for k in range(37))
    _, whole, _ = run(tmp_path, HEAD + lines)
    monkeypatch.setattr("app.commands.price.BATCH", 5)
    _, parts, _ = run(tmp_path, HEAD + lines)
    assert parts == whole
    assert len(whole) == 37
    assert list(whole[0])[-len(ANSWERS) :] == list(ANSWERS)


def test_the_command_line_reaches_it(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(HEAD + "call,european,100,100,1,0.05,0,0.2,,,\n")
    assert cli.main(["price", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), "--raw"]) == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert float(row["vega"]) > 30


def test_the_largest_vols_and_rates_that_are_fractions_are_priced(tmp_path: Path) -> None:
    code, rows, errors = run(tmp_path, HEAD + "call,european,100,100,1,1,-1,5,,,\n")
    assert (code, errors, rows[0]["status"]) == (0, [], "ok")
