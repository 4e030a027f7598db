"""What `verify` finds: nothing in a sound ledger, and exactly what was done to one that was tampered with."""

from __future__ import annotations

import pytest
import pytest_asyncio

from engine.domain.canonical import canonical
from engine.ports import Head, LedgerAway
from storage.database import Database
from storage.dsn import connect, replaced
from storage.ledger import PostgresLedger
from storage.report import MAX_SHOWN, Fault, Problem, Report
from storage.rows import link
from storage.verify import verify
from tests.storage.builders import at, heard, rejected

MONTH = f"ledger_{at(1):%Y%m}"


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    """Ten facts: receipts 1, 4, 7 and 10 with their keys, and what came of them."""
    ledger = PostgresLedger(database)
    await ledger.open()
    for seq in range(1, 11):
        if seq % 3 == 1:
            # The seventh had no time of its own, so its key is its digest and names its place.
            own = f"key-{seq}" if seq != 7 else "sha256:77"
            ledger.append([heard(seq, key=own)], [], {own if seq != 7 else "sha256:77@7": seq})
        else:
            ledger.append([rejected(seq, "as written", cause=seq - (seq - 1) % 3)], [], {})
    await ledger.close()
    return database


async def tamper(database: Database, *statements: str, values: dict[str, object] | None = None) -> None:
    """A superuser switches the guards off, does something, and switches them on again."""
    tables = (MONTH, "chain", "dedupe")
    async with await connect(database.dsn, "tamper", autocommit=False) as connection:
        for table in tables:
            await connection.execute(f"ALTER TABLE strikedesk.{table} DISABLE TRIGGER USER".encode())
        for statement in statements:
            await connection.execute(statement.encode(), values)
        for table in tables:
            for guard in ("no_change", "no_truncate"):
                await connection.execute(f"ALTER TABLE strikedesk.{table} ENABLE ALWAYS TRIGGER {guard}".encode())


async def faults(database: Database, known: Head | None = None) -> list[tuple[Fault, int | None]]:
    report = await verify(database, known)
    assert report.ok == (not report.problems)
    assert report.count == len(report.problems)
    return [(problem.fault, problem.seq) for problem in report.problems]


async def head(database: Database) -> Head:
    found = (await verify(database)).head
    assert found is not None
    return found


# --- sound --------------------------------------------------------------------------------------------------------------


async def test_a_sound_ledger(filled: Database) -> None:
    report = await verify(filled)
    assert report.ok, report.problems
    assert report.facts == 10
    digest = bytes(32)
    async with await connect(filled.app, "test") as connection:
        async for (body,) in await connection.execute("SELECT body FROM strikedesk.ledger ORDER BY seq"):
            digest = link(digest, body.encode())
    assert report.head == Head(seq=10, hash=digest, at=at(10))
    assert report.notes == ["2 monthly partitions"]
    assert (await verify(filled, report.head)).ok


async def test_an_empty_ledger_is_sound(database: Database) -> None:
    report = await verify(database)
    assert report.ok
    assert (report.facts, report.head) == (0, Head(seq=0, hash=bytes(32), at=None))


async def test_an_engine_may_be_writing_meanwhile(filled: Database) -> None:
    ledger = PostgresLedger(filled)
    await ledger.open()
    future = ledger.append([rejected(seq) for seq in range(11, 1500)], [], {})
    assert (await verify(filled)).ok
    await ledger.close()
    assert future.done()
    assert (await verify(filled)).facts == 1499


async def test_a_database_that_is_away_is_not_called_sound(filled: Database) -> None:
    filled.app = replaced(filled.app, host="/nowhere")
    with pytest.raises(LedgerAway):
        await verify(filled)


# --- facts --------------------------------------------------------------------------------------------------------------


async def test_one_changed_byte(filled: Database) -> None:
    await tamper(filled, "UPDATE strikedesk.ledger SET body = replace(body, 'as written', 'as writtem') WHERE seq = 5")
    report = await verify(filled)
    assert [str(problem) for problem in report.problems] == [
        f"fact 5: was changed after it was written (since {at(5):%Y-%m-%dT%H:%M:%S.%f}Z)"
    ]


async def test_a_changed_fact_with_a_new_hash_of_its_own(filled: Database) -> None:
    async with await connect(filled.app, "test") as connection:
        row = await (await connection.execute("SELECT prev_hash FROM strikedesk.ledger WHERE seq = 5")).fetchone()
        assert row is not None
    body = canonical(rejected(5, "nicer", cause=4))
    values: dict[str, object] = {"body": body.decode(), "hash": link(row[0], body)}
    await tamper(filled, "UPDATE strikedesk.ledger SET body = %(body)s, hash = %(hash)s WHERE seq = 5", values=values)
    assert await faults(filled) == [(Fault.CHAIN, 5), (Fault.UNLINKED, 6)]
    await tamper(filled, "UPDATE strikedesk.chain SET hash = %(hash)s WHERE seq = 5", values=values)
    assert await faults(filled) == [(Fault.UNLINKED, 6)]


async def test_a_chain_rewritten_to_its_end_shows_against_a_head_kept_elsewhere(filled: Database) -> None:
    kept = await head(filled)
    async with await connect(filled.dsn, "test") as connection:
        rows = await (await connection.execute("SELECT body FROM strikedesk.ledger ORDER BY seq")).fetchall()
    digest, statements = bytes(32), []
    for seq, (body,) in enumerate(rows, 1):
        text = body.replace("as written", "rewritten") if seq == 9 else body
        fresh = link(digest, text.encode())
        for table in ("ledger", "chain"):
            statements.append(
                f"UPDATE strikedesk.{table} SET hash = '\\x{fresh.hex()}', prev_hash = '\\x{digest.hex()}' WHERE seq = {seq}"
            )
        digest = fresh
    statements.append("UPDATE strikedesk.ledger SET body = replace(body, 'as written', 'rewritten') WHERE seq = 9")
    await tamper(filled, *statements)
    assert await faults(filled) == []
    assert await faults(filled, kept) == [(Fault.HEAD, 10)]


async def test_a_fact_removed_from_the_ledger(filled: Database) -> None:
    await tamper(filled, "DELETE FROM strikedesk.ledger WHERE seq = 5")
    (problem,) = (await verify(filled)).problems
    assert (problem.fault, problem.seq, problem.at) == (Fault.MISSING, 5, at(4))


async def test_facts_removed_from_ledger_and_chain(filled: Database) -> None:
    await tamper(
        filled,
        "DELETE FROM strikedesk.ledger WHERE seq IN (5, 6, 9)",
        "DELETE FROM strikedesk.chain WHERE seq IN (5, 6, 9)",
    )
    report = await verify(filled)
    assert [(problem.fault, problem.seq) for problem in report.problems] == [(Fault.MISSING, 5), (Fault.MISSING, 9)]
    assert report.problems[0].text == "5 to 6 are in neither ledger nor chain"
    assert report.problems[1].text == "9 is in neither ledger nor chain"


async def test_a_tail_cut_off_everywhere_shows_against_a_head_kept_elsewhere(filled: Database) -> None:
    kept = await head(filled)
    await tamper(
        filled,
        *(f"DELETE FROM strikedesk.{table} WHERE seq > 8" for table in ("ledger", "chain", "dedupe")),
    )
    assert await faults(filled) == []
    assert await faults(filled, kept) == [(Fault.HEAD, 8)]


async def test_two_facts_that_changed_places(filled: Database) -> None:
    await tamper(filled, "UPDATE strikedesk.ledger SET seq = 11 - seq WHERE seq IN (5, 6)")
    found = await faults(filled)
    assert {(Fault.CHAIN, 5), (Fault.CHAIN, 6), (Fault.COLUMNS, 5), (Fault.COLUMNS, 6), (Fault.UNLINKED, 5)} <= set(
        found
    )
    assert {seq for _, seq in found} <= {5, 6, 7}


async def test_two_texts_that_changed_places(filled: Database) -> None:
    await tamper(
        filled,
        "UPDATE strikedesk.ledger l SET body = o.body FROM strikedesk.ledger o"
        " WHERE l.seq IN (5, 6) AND o.seq = 11 - l.seq",
    )
    found = await faults(filled)
    assert {(Fault.ALTERED, 5), (Fault.ALTERED, 6), (Fault.COLUMNS, 5)} <= set(found)


async def test_a_fact_that_is_there_twice(filled: Database) -> None:
    await tamper(filled, "INSERT INTO strikedesk.ledger SELECT * FROM strikedesk.ledger WHERE seq = 5")
    assert await faults(filled) == [(Fault.DOUBLED, 5)]


async def test_a_link_removed_from_the_chain(filled: Database) -> None:
    await tamper(filled, "DELETE FROM strikedesk.chain WHERE seq IN (5, 10)")
    assert await faults(filled) == [(Fault.CHAIN, 5), (Fault.CHAIN, 10)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("at = at + interval '1 microsecond'", "at is"),
        ("kind = 'TicketApproved'", "kind is TicketApproved in its column and TicketRejected in its text"),
        ("cause = NULL", "cause is None in its column and 4 in its text"),
        ("symbol = 'QQQ'", "symbol is QQQ in its column and None in its text"),
    ],
)
async def test_a_column_that_says_something_else(filled: Database, change: str, says: str) -> None:
    await tamper(filled, f"UPDATE strikedesk.ledger SET {change} WHERE seq = 5")
    (problem,) = (await verify(filled)).problems
    assert (problem.fault, problem.seq) == (Fault.COLUMNS, 5)
    assert problem.text.startswith(says)


async def test_a_fact_that_cannot_be_read(filled: Database) -> None:
    await tamper(filled, "UPDATE strikedesk.ledger SET body = 'no json' WHERE seq = 5")
    assert await faults(filled) == [(Fault.ALTERED, 5), (Fault.UNREADABLE, 5)]


# --- keys ---------------------------------------------------------------------------------------------------------------


async def test_a_removed_key_would_let_a_receipt_act_again(filled: Database) -> None:
    await tamper(filled, "DELETE FROM strikedesk.dedupe WHERE seq = 4")
    (problem,) = (await verify(filled)).problems
    assert (problem.fault, problem.seq) == (Fault.DEDUPE, 4)
    assert "could be acted on again" in problem.text


async def test_a_key_given_to_another_fact(filled: Database) -> None:
    await tamper(filled, "UPDATE strikedesk.dedupe SET seq = 1 WHERE seq = 4")
    assert await faults(filled) == [(Fault.DEDUPE, 1), (Fault.DEDUPE, 4)]


async def test_a_key_of_no_fact(filled: Database) -> None:
    await tamper(filled, "INSERT INTO strikedesk.dedupe VALUES ('invented', 11), ('older', 0)")
    assert await faults(filled) == [(Fault.DEDUPE, 0), (Fault.DEDUPE, 11)]


# --- guards -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"ALTER TABLE strikedesk.{MONTH} DISABLE TRIGGER no_change", f"trigger no_change of {MONTH} is missing"),
        (f"DROP TRIGGER no_truncate ON strikedesk.{MONTH}", f"trigger no_truncate of {MONTH} is missing"),
        (
            "ALTER TABLE strikedesk.chain ENABLE TRIGGER no_change",
            "trigger no_change of chain is missing or not ENABLE ALWAYS",
        ),
        ("ALTER TABLE strikedesk.ledger DISABLE TRIGGER no_truncate", "trigger no_truncate of ledger is missing"),
        (
            "CREATE TABLE strikedesk.rest PARTITION OF strikedesk.ledger DEFAULT",
            "partition rest takes whatever no month has",
        ),
        ("GRANT DELETE ON strikedesk.dedupe TO strikedesk_template_app", "strikedesk_template_app may delete dedupe"),
        (
            "GRANT INSERT ON strikedesk.ledger TO strikedesk_template_reader",
            "strikedesk_template_reader may insert ledger",
        ),
    ],
)
async def test_a_guard_that_was_taken_away(filled: Database, statement: str, says: str) -> None:
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute(statement.encode())
    report = await verify(filled)
    assert any(problem.text.startswith(says) for problem in report.problems), report.problems
    assert {problem.fault for problem in report.problems} <= {Fault.GUARD, Fault.RIGHTS}


async def test_a_month_that_was_detached(filled: Database) -> None:
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute(f"ALTER TABLE strikedesk.ledger DETACH PARTITION strikedesk.{MONTH}".encode())
    report = await verify(filled)
    assert (Fault.GUARD, f"table {MONTH} was detached from the ledger") in [(p.fault, p.text) for p in report.problems]
    assert [problem.seq for problem in report.problems if problem.fault is Fault.MISSING] == list(range(1, 11))


async def test_a_table_that_was_removed(filled: Database) -> None:
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute("ALTER TABLE strikedesk.dedupe RENAME TO hidden")
        await connection.execute("CREATE VIEW strikedesk.dedupe AS SELECT * FROM strikedesk.hidden")
        await connection.execute("GRANT SELECT ON strikedesk.dedupe TO strikedesk_template_app")
    report = await verify(filled)
    assert (Fault.GUARD, "table dedupe is missing") in [(problem.fault, problem.text) for problem in report.problems]


# --- the report ---------------------------------------------------------------------------------------------------------


def test_a_report_counts_all_and_shows_the_first_thousand() -> None:
    report = Report()
    for seq in range(MAX_SHOWN + 5):
        report.add(Fault.MISSING, "gone", seq)
    assert (report.count, len(report.problems), report.ok) == (MAX_SHOWN + 5, MAX_SHOWN, False)
    assert str(report.problems[3]) == "fact 3: gone"
    assert str(Problem(Fault.RIGHTS, "may do too much")) == "may do too much"
