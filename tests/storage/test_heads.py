"""Heads off the database: lines that say whole what they say, and a ledger that is compared with them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from app.commands.ledger import run_ledger
from app.options import Options
from engine.ports import Head
from storage.database import Database, open_database
from storage.dsn import connect
from storage.heads import HeadFile, KeptHead, head_line, origin_of, read_head
from storage.ledger import PostgresLedger
from storage.report import Fault
from storage.rows import link
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import at, rejected

KEPT = KeptHead(Head(seq=7, hash=bytes(range(32)), at=at(7)), "0123456789abcdef", "1.2.3")


@given(
    st.builds(
        KeptHead,
        st.builds(
            Head,
            seq=st.integers(1, 10**18),
            hash=st.binary(min_size=32, max_size=32),
            at=st.integers(0, 10**6).map(at),
        ),
        st.text("0123456789abcdef", min_size=16, max_size=16),
        st.from_regex(r"[0-9]\.[0-9]{1,3}\.[0-9a-z]{1,4}", fullmatch=True),
    )
)
def test_a_line_says_what_was_kept(kept: KeptHead) -> None:
    assert read_head(head_line(kept)) == kept


@given(st.integers(0, len(head_line(KEPT)) - 1), st.characters(codec="ascii"))
def test_a_line_that_was_changed_or_cut_is_none(where: int, letter: str) -> None:
    line = head_line(KEPT)
    assert read_head(line[:where]) is None
    changed = line[:where] + letter + line[where + 1 :]
    assert read_head(changed) in ((KEPT,) if changed == line else (None,))


def test_a_line_names_the_program_and_one_of_before_is_still_read() -> None:
    line = head_line(KEPT)
    assert " strikedesk 1.2.3 sum " in line
    text = line.partition(" sum ")[0].replace(" strikedesk ", " engine ")
    assert read_head(f"{text} sum {sha256(text.encode()).hexdigest()[:8]}") == KEPT


def test_an_empty_ledger_has_no_head() -> None:
    with pytest.raises(ValueError, match="no head"):
        head_line(KeptHead(Head(seq=0, hash=bytes(32), at=None), "", "1"))


def test_a_file_grows_and_passes_over_what_a_crash_tore(tmp_path: Path) -> None:
    file = HeadFile(tmp_path / "elsewhere" / "heads.txt")
    file.append(KEPT)
    with file.path.open("a") as out:
        out.write(head_line(KEPT)[:60])
    later = KEPT._replace(head=Head(seq=9, hash=bytes(32), at=at(9)))
    file.append(later)
    assert file.read() == ([KEPT, later], [2])
    assert file.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="directory"):
        HeadFile(tmp_path).append(KEPT)


# --- compared with a ledger ---------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def kept(database: Database, tmp_path: Path) -> Path:
    """Ten facts, with a head kept after every second."""
    ledger = PostgresLedger(database)
    await ledger.open()
    file = HeadFile(tmp_path / "heads.txt")
    for seq in range(1, 11):
        ledger.append([rejected(seq, "as written")], [], {})
    await ledger.close()
    digest = bytes(32)
    async with await connect(database.app, "test") as connection:
        rows = await (await connection.execute("SELECT seq, body FROM strikedesk.ledger ORDER BY seq")).fetchall()
    for seq, body in rows:
        digest = link(digest, body.encode())
        if seq % 2 == 0:
            file.append(KeptHead(Head(seq=seq, hash=digest, at=at(seq)), await origin_of(database), "1.0.0"))
    return file.path


async def rewrite(database: Database, first: int, last: int) -> None:
    """A superuser's perfect work: every hash after the change is right again, and nothing is left after `last`."""
    async with await connect(database.dsn, "tamper", autocommit=False) as connection:
        for table in (f"ledger_{at(1):%Y%m}", "chain"):
            await connection.execute(f"ALTER TABLE strikedesk.{table} DISABLE TRIGGER USER".encode())
            await connection.execute(f"DELETE FROM strikedesk.{table} WHERE seq > {last}".encode())
        rows = await (
            await connection.execute(
                "SELECT seq, body, prev_hash FROM strikedesk.ledger WHERE seq >= %s ORDER BY seq", [first]
            )
        ).fetchall()
        await connection.execute("DELETE FROM strikedesk.chain WHERE seq >= %s", [first])
        digest = rows[0][2] if rows else b""
        for seq, text, _ in rows:
            body = text.replace("as written", "rewritten") if seq == first else text
            previous, digest = digest, link(digest, body.encode())
            await connection.execute(
                "UPDATE strikedesk.ledger SET body = %s, hash = %s, prev_hash = %s WHERE seq = %s",
                [body, digest, previous, seq],
            )
            await connection.execute("INSERT INTO strikedesk.chain VALUES (%s, %s, %s)", [seq, previous, digest])
        for table in (f"ledger_{at(1):%Y%m}", "chain"):
            for guard in ("no_change", "no_truncate"):
                await connection.execute(f"ALTER TABLE strikedesk.{table} ENABLE ALWAYS TRIGGER {guard}".encode())


async def test_a_ledger_that_fits_its_heads(database: Database, kept: Path) -> None:
    report = await verify(database, heads=kept)
    assert report.ok, report.problems
    assert "compared with 5 heads of heads.txt" in report.notes


@pytest.mark.parametrize(
    ("first", "last", "seq", "says"),
    [
        (99, 9, 9, "the ledger ends here, but fact 10 was known elsewhere"),
        (99, 5, 5, "the ledger ends here, but fact 6 was known elsewhere; 2 heads kept after it do not fit either"),
        (5, 10, 6, "has another hash than the one kept elsewhere; 2 heads kept after it do not fit either"),
        (7, 10, 8, "has another hash than the one kept elsewhere; 1 head kept after it does not fit either"),
        (10, 10, 10, "has another hash than the one kept elsewhere"),
    ],
)
async def test_the_first_head_that_does_not_fit_is_named(
    database: Database, kept: Path, first: int, last: int, seq: int, says: str
) -> None:
    await rewrite(database, first, last)
    assert (await verify(database)).ok, "it is sound in itself"
    report = await verify(database, heads=kept)
    assert [(one.fault, one.seq, one.text) for one in report.problems] == [(Fault.HEAD, seq, says)]


async def test_a_ledger_that_was_rewritten_and_cut_shows_both(database: Database, kept: Path) -> None:
    await rewrite(database, 3, 7)
    report = await verify(database, heads=kept)
    assert [(one.fault, one.seq) for one in report.problems] == [(Fault.HEAD, 4), (Fault.HEAD, 7)]


async def test_the_command_tells_a_chain_that_is_broken_from_one_that_only_does_not_fit(
    database: Database, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.dsn)

    async def said() -> str:
        options = Options(home=tmp_path / "home")
        code = await asyncio.to_thread(run_ledger, options, "verify", "", as_json=False, heads=kept)
        assert code == 1
        return capsys.readouterr().out

    await rewrite(database, 99, 8)
    out = await said()
    assert "8 facts, the chain is sound in itself, but does not fit the heads kept elsewhere" in out
    async with await connect(database.dsn, "tamper") as connection:
        part = f"strikedesk.ledger_{at(1):%Y%m}"
        await connection.execute(f"ALTER TABLE {part} DISABLE TRIGGER USER".encode())
        await connection.execute(
            f"UPDATE {part} SET body = replace(body, 'as written', 'altered') WHERE seq = 3".encode()
        )
        for guard in ("no_change", "no_truncate"):
            await connection.execute(f"ALTER TABLE {part} ENABLE ALWAYS TRIGGER {guard}".encode())
    out = await said()
    assert "8 facts, the chain is BROKEN" in out
    assert "after a restore" not in out


async def test_a_ledger_that_was_rewritten_from_its_first_fact_is_taken_for_another(
    database: Database, kept: Path
) -> None:
    await rewrite(database, 1, 10)
    (problem,) = (await verify(database, heads=kept)).problems
    assert (problem.fault, problem.seq, problem.at) == (Fault.HEAD, 2, at(2))
    assert "another ledger, or this one was rewritten from its first fact (5 of 5 heads)" in problem.text


async def test_a_ledger_that_was_emptied_shows(database: Database, kept: Path) -> None:
    await rewrite(database, 99, 0)
    assert [(one.fault, one.seq) for one in (await verify(database, heads=kept)).problems] == [(Fault.HEAD, 0)]


async def test_heads_of_another_ledger_are_told_apart(database: Database, kept: Path, postgres: TestServer) -> None:
    other = await open_database(postgres.fresh())
    ledger = PostgresLedger(other)
    await ledger.open()
    ledger.append([rejected(1, "elsewhere")], [], {})
    await ledger.close()
    HeadFile(kept).append(KeptHead(ledger.head, await origin_of(other), "1.0.0"))
    (problem,) = (await verify(database, heads=kept)).problems
    assert (problem.fault, problem.seq) == (Fault.HEAD, 1)
    assert "(1 of 6 heads)" in problem.text
    await other.close()


async def test_a_file_that_is_not_there_is_an_error_and_a_damaged_line_a_note(
    database: Database, kept: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await verify(database, heads=tmp_path / "none")
    with kept.open("a") as out:
        out.write("gibberish\n")
    report = await verify(database, heads=kept)
    assert report.ok
    assert "lines 6 of heads.txt are not whole and were passed over" in report.notes
