"""`ledger` and `db` on the ledger of a replay, through the program's own command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.cli import main
from engine.ports import Head
from storage.heads import HeadFile, KeptHead
from tests.fixtures_postgres import postgres_folder  # noqa: F401 - a fixture

SPY = "SPY_20230803"


@pytest.fixture(scope="module")
def home(data: Path, tmp_path_factory: pytest.TempPathFactory, postgres_folder: Path) -> Path:  # noqa: F811
    """A kept replay: all signals of a day, and one contract bought and sold by hand."""
    folder = tmp_path_factory.mktemp("ledger")
    orders = folder / "orders.jsonl"
    lines = [
        {"time": "2023-08-03T18:05:00Z", "action": "buy", "contract": "SPY230901P00430000", "reason": "range"},
        {"time": "2023-08-03T19:05:00Z", "action": "close", "contract": "SPY230901P00430000"},
    ]
    orders.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    place = postgres_folder / "ledger command"
    day = data / "option_day"
    signals = day / f"{SPY}_signals_derived.jsonl"
    asked = ["replay", str(day / SPY), "--signals", str(signals), "--orders", str(orders), "--home", str(place)]
    assert main(asked) == 0
    return place


def run(capsys: pytest.CaptureFixture[str], home: Path | None, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([*arguments, *(["--home", str(home)] if home else [])])
    said = capsys.readouterr()
    return code, said.out, said.err


def story(capsys: pytest.CaptureFixture[str], home: Path, target: str) -> list[dict[str, object]]:
    code, out, _ = run(capsys, home, "ledger", "show", target, "--json")
    assert code == 0
    found: list[dict[str, object]] = json.loads(out)["story"]
    return found


def first(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, kind: str) -> dict[str, object]:
    out = tmp_path / "all.jsonl"
    assert run(capsys, home, "ledger", "export", str(out))[0] == 0
    facts = [json.loads(line)["fact"] for line in out.read_text(encoding="utf-8").splitlines()]
    found: dict[str, object] = next(fact for fact in facts if fact["fact"] == kind)
    return found


def test_a_ledger_that_is_whole_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for work, words in (("verify", "the chain holds"), ("rebuild", "rows agree"), ("replay", "all the same")):
        code, out, err = run(capsys, home, "ledger", work)
        assert (code, err) == (0, "")
        assert words in out
        code, out, _ = run(capsys, home, "ledger", work, "--json")
        assert (code, json.loads(out)["ok"]) == (0, True)


def test_one_trades_whole_story_is_found_by_any_of_its_names(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = first(capsys, home, tmp_path, "TicketOpened")
    ticket = opened["ticket"]["id"]  # type: ignore[index]
    whole = story(capsys, home, ticket)
    kinds = [fact["fact"] for fact in whole]
    assert [kinds[0], kinds[1], kinds[2]] == ["TicketOpened", "TicketApproved", "OrderIntended"]
    assert {"OrderSubmitted", "OrderAccepted", "OrderFilled", "PositionMarked", "PositionClosed"} <= set(kinds)
    order = next(fact["order"] for fact in whole if fact["fact"] == "OrderIntended")
    position = next(fact["position"] for fact in whole if fact["fact"] == "OrderFilled")
    for name in (order, position, str(opened["seq"])):
        assert story(capsys, home, str(name)) == whole
    code, out, _ = run(capsys, home, "ledger", "show", ticket)
    assert code == 0
    assert len(out.splitlines()) == len(whole)
    assert "BUY 1 SPY 1 Sep 23 430 P" in out
    assert "THESIS_BROKEN: gross 1.00" in out


def test_a_signals_story_leads_from_the_receipt_to_its_refusal(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = first(capsys, home, tmp_path, "EntryDenied")
    kinds = [fact["fact"] for fact in story(capsys, home, str(denied["trigger"]))]
    assert kinds == ["SignalReceived", "SignalPlaced", "DecisionMade", "EntryDenied"]
    _, out, _ = run(capsys, home, "ledger", "show", str(denied["seq"]))
    assert "NO_EXPIRY" in out.splitlines()[-1]


def test_what_is_not_there_is_a_fault_and_not_wrong_use(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target in ("99999999", "T99999999999999999999999", "0"):
        code, out, err = run(capsys, home, "ledger", "show", target)
        assert (code, err) == (1, "")
        assert out.startswith("no fact ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ledger", "show"], "expected a fact's number"),
        (["ledger", "show", "X12"], "ledger show X12"),
        (["ledger", "show", "T²"], "expected a fact's number"),
        (["ledger", "export"], "which file?"),
        (["ledger", "export", "out.txt"], "ledger export:"),
        (["ledger", "verify", "T12"], "takes nothing more"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, home, *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert said in err


def test_a_folder_without_a_ledger_is_named_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "nothing here"
    code, _, err = run(capsys, empty, "ledger", "verify")
    assert code == 2
    assert str(empty) in err
    assert not empty.exists()


def test_an_export_that_cannot_be_written_is_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "no" / "out.csv"
    code, _, err = run(capsys, home, "ledger", "export", str(target))
    assert code == 2
    assert str(target) in err


def test_every_form_of_export_has_every_fact(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        code, out, _ = run(capsys, home, "ledger", "export", str(tmp_path / name))
        assert (code, out.strip().endswith(name)) == (0, True)
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.num_rows == len(lines)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").count("\n") == len(lines) + 1
    assert table.column("hash").to_pylist()[-1] == json.loads(lines[-1])["hash"]


def test_the_database_says_how_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, home, "db", "health", "--json")
    health = json.loads(out)
    assert (code, health["problems"]) == (0, [])
    assert health["facts"] > 100
    code, out, _ = run(capsys, home, "db", "health")
    assert (code, out.startswith("Postgres ")) == (0, True)
    code, out, _ = run(capsys, home, "db", "migrate")
    assert (code, out) == (0, f"at revision {health['revision']}\n")


def test_bad_lines_and_files_of_a_replay_end_with_2_and_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = str(data / "option_day" / SPY)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"time": "2023-08-03T15:00:00Z", "action": "halt"}\nnonsense\n', encoding="utf-8")
    for arguments, said in (
        (["replay", day, "--orders", str(bad)], f"{bad}:2: not JSON"),
        (["replay", day, "--signals", str(bad)], f"{bad}:1: no timenow"),
        (["replay", day, "--set", "risk.max_heat=9"], "risk.max_heat"),
        (["replay", day, "--report", str(tmp_path / "no" / "r.json")], "cannot be written"),
    ):
        code, out, err = run(capsys, None, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("strikedesk: ")
        assert len(err.splitlines()) == 1
        assert said in err


def test_a_ledger_is_backed_up_and_put_back_from_the_command_line(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    folder = ["--set", f"backup.folder={tmp_path / 'copies'}"]
    code, out, _ = run(capsys, home, "db", "backup", "--json", *folder)
    made = json.loads(out)
    assert code == 0
    assert made["kept"] == 1
    code, out, _ = run(capsys, home, "db", "health", "--json", *folder)
    health = json.loads(out)
    assert (health["backups"], health["facts"]) == (1, made["facts"])
    assert health["tables_mb"]["ledger"] > 0
    assert health["free_gb"] > 0
    code, out, _ = run(capsys, home, "db", "restore", made["file"], "--json")
    restored = json.loads(out)
    assert (code, restored["facts"], restored["head"]) == (0, made["facts"], made["head"])
    assert restored["former"].startswith("strikedesk_before_")
    assert run(capsys, home, "ledger", "verify")[0] == 0
    assert run(capsys, home, "ledger", "rebuild")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore"], "name the backup"),
        (["backup", "somewhere"], "takes nothing more"),
        (["restore", "missing.dump"], "missing.dump: there is no such file"),
        (["backup", "--set", "backup.keep=0"], "backup.keep"),
    ],
)
def test_wrong_use_of_backups_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str], said: str
) -> None:
    code, _, error = run(capsys, home, "db", *arguments)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_facts_are_found_from_the_command_line(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    assert run(capsys, home, "ledger", "export", str(out))[0] == 0
    everything = [json.loads(line)["fact"] for line in out.read_text().splitlines()]
    executes = [f["seq"] for f in everything if f["fact"] == "DecisionMade" and f["decision"]["verdict"] == "EXECUTE"]
    found: list[int] = []
    key: list[str] = []
    while True:
        code, text, _ = run(
            capsys, home, "ledger", "find", "--json", "--decision", "execute", "--limit", "20", "--oldest-first", *key
        )
        assert code == 0
        page = json.loads(text)
        found += [fact["seq"] for fact in page["facts"]]
        if page["next"] is None:
            break
        key = ["--key", str(page["next"])]
    assert found == executes
    code, text, _ = run(capsys, home, "ledger", "find", "range", "--kind", "OrderIntended", "--kind", "TicketOpened")
    assert code == 0
    part = tmp_path / "fills.csv"
    assert run(capsys, home, "ledger", "export", str(part), "--kind", "OrderFilled", "--symbol", "spy")[0] == 0
    assert len(part.read_text().splitlines()) == 1 + sum(fact["fact"] == "OrderFilled" for fact in everything)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Orderfilled", "close to it: OrderFilled"),
        ("Nonsense", "there are: AccountOpened, "),
        ("PositionClose", "PositionClosed"),
    ],
)
def test_a_kind_that_there_is_not_is_refused_with_what_is_close(
    capsys: pytest.CaptureFixture[str], home: Path, kind: str, said: str
) -> None:
    code, out, error = run(capsys, home, "ledger", "find", "--kind", kind)
    assert (code, out) == (2, "")
    assert f"--kind {kind}: no such kind of fact; " in error
    assert said in error


def test_lines_of_facts_name_the_contract_they_are_about(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    _, out, _ = run(
        capsys, home, "ledger", "find", "--kind", "OrderFilled", "--kind", "PositionClosed", "--kind", "OrderAccepted"
    )
    lines = out.splitlines()
    assert {line.split()[3] for line in lines} == {"OrderFilled", "PositionClosed", "OrderAccepted"}
    assert all(line.endswith("[SPY 1 Sep 23 430 P]") for line in lines), lines
    for kind, said in (("EquityMarked", "equity "), ("SignalPlaced", "SPY 5m ")):
        _, out, _ = run(capsys, home, "ledger", "find", "--kind", kind, "--limit", "2")
        assert said in out


def test_a_past_beyond_the_end_says_where_the_ledger_ends(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = run(capsys, home, "ledger", "past", "99999999", "--json")
    ends = json.loads(out)["ends"]
    assert (code, json.loads(out)["seq"]) == (0, ends)
    _, out, _ = run(capsys, home, "ledger", "past", "99999999")
    assert out.startswith(f"the ledger ends at fact {ends}: there is no fact 99999999 yet\n")
    _, out, _ = run(capsys, home, "ledger", "past", str(ends), "--json")
    assert "ends" not in json.loads(out)


def test_a_past_state_is_shown_at_a_time_and_after_a_fact(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, _ = run(capsys, home, "ledger", "past", "--at", "2023-08-03T14:10", "--json")
    held = json.loads(out)
    assert code == 0
    assert [position["contract"]["strike"] for position in held["positions"]] == ["430.00"]
    assert held["at"] <= "2023-08-03T18:10:00Z"
    code, out, _ = run(capsys, home, "ledger", "past", str(held["seq"]), "--json")
    assert json.loads(out) == held
    code, out, _ = run(capsys, home, "ledger", "past", "--at", "2023-08-03T19:30Z", "--json")
    assert json.loads(out)["positions"] == []
    code, out, _ = run(capsys, home, "ledger", "past", "--at", "2023-08-03T14:10")
    assert "position   P" in out
    assert "430" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["past"], "a fact's number, or --at TIME"),
        (["past", "12", "--at", "2023-08-03"], "a fact's number, or --at TIME"),
        (["past", "T12"], "expected a fact's number"),
        (["find", "--since", "yesterday"], "--since yesterday: expected a time"),
        (["find", "--limit", "0"], "limit 0"),
        (["verify", "--symbol", "SPY"], "only find and export"),
        (["find", "--at", "2023-08-03"], "--at is for past"),
    ],
)
def test_wrong_questions_are_one_clear_line(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str], said: str
) -> None:
    code, _, error = run(capsys, home, "ledger", *arguments)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_ledger_is_compared_with_kept_heads(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The head that verify names, written as the engine writes it, fits; one beyond the end does not."""
    report = json.loads(run(capsys, home, "ledger", "verify", "--json")[1])
    lines = (tmp_path / "all.jsonl", tmp_path / "heads.txt")
    assert run(capsys, home, "ledger", "export", str(lines[0]))[0] == 0
    first = json.loads(lines[0].read_text(encoding="utf-8").splitlines()[0])
    head = Head(seq=report["facts"], hash=bytes.fromhex(report["head"]), at=datetime(2023, 8, 3, tzinfo=UTC))
    kept = KeptHead(head, first["hash"][:16], "1.0.0")
    HeadFile(lines[1]).append(kept)
    code, out, err = run(capsys, home, "ledger", "verify", "--head", str(lines[1]))
    assert (code, err) == (0, "")
    assert "compared with 1 head of heads.txt" in out
    HeadFile(lines[1]).append(kept._replace(head=Head(seq=head.seq + 5, hash=head.hash, at=head.at)))
    code, out, _ = run(capsys, home, "ledger", "verify", "--head", str(lines[1]))
    assert code == 1
    assert f"the ledger ends here, but fact {head.seq + 5} was known elsewhere" in out
    assert "the chain is sound in itself, but does not fit the heads kept elsewhere" in out
    assert "after a restore this is what heads kept since the backup show" in out
    assert "BROKEN" not in out
    told = json.loads(run(capsys, home, "ledger", "verify", "--json", "--head", str(lines[1]))[1])
    assert (told["ok"], told["sound"]) == (False, True)
    code, _, err = run(capsys, home, "ledger", "verify", "--head", str(tmp_path / "none"))
    assert (code, "cannot be read" in err, "within seconds of its first facts" in err) == (2, True, True)
    code, _, err = run(capsys, home, "ledger", "rebuild", "--head", str(lines[1]))
    assert (code, "--head is for verify" in err) == (2, True)


def test_an_exported_ledger_is_imported_elsewhere(
    home: Path,
    tmp_path: Path,
    postgres_folder: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, other = tmp_path / "all.csv", postgres_folder / "imported ledger"
    assert run(capsys, home, "ledger", "export", str(file))[0] == 0
    facts = json.loads(run(capsys, home, "ledger", "verify", "--json")[1])
    code, out, err = run(capsys, other, "ledger", "import", str(file))
    assert (code, err) == (0, "")
    assert out.startswith(f"{facts['facts']} facts imported, ")
    again = json.loads(run(capsys, other, "ledger", "verify", "--json")[1])
    assert (again["ok"], again["head"]) == (True, facts["head"])
    assert run(capsys, other, "ledger", "rebuild")[0] == 0
    for target, says in (("", "which file?"), (str(tmp_path / "none.csv"), "cannot be read"), ("x.txt", "must end in")):
        code, _, err = run(capsys, other, "ledger", "import", *([target] if target else []))
        assert (code, says in err) == (2, True), err


def test_a_file_without_heads_is_no_proof(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    for text in ("", "not a head\n"):
        (tmp_path / "heads.txt").write_text(text)
        code, out, _ = run(capsys, home, "ledger", "verify", "--head", str(tmp_path / "heads.txt"))
        assert code == 1
        assert "holds no head to compare with" in out
        assert "the chain is sound in itself, but was compared with no head" in out
        assert "after a restore" not in out


def test_a_backup_of_a_home_without_a_ledger_makes_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, error = run(capsys, tmp_path / "typo", "db", "backup")
    assert code == 2
    assert "no ledger there" in error
    assert not (tmp_path / "typo").exists()


def test_a_backup_is_named_from_where_one_stands(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, home, "db", "backup", "--json", "--set", f"backup.folder={tmp_path}")
    assert code == 0
    monkeypatch.chdir(tmp_path)
    assert run(capsys, home, "db", "restore", Path(json.loads(out)["file"]).name)[0] == 0
