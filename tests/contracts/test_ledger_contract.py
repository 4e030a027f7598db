"""What every ledger must do, in memory and on a real Postgres alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio

from engine.domain.canonical import canonical
from engine.domain.events import AnyFact
from engine.ports import Head, Ledger
from storage.database import open_database
from storage.ledger import PostgresLedger
from storage.memory import MemoryLedger
from storage.spool import Spool
from tests.storage.builders import at, halted, heard, refused, rejected, row, several
from tests.storage.waiting import until


@pytest_asyncio.fixture(params=["memory", "postgres", "spooling"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    database = await open_database(request.getfixturevalue("database_dsn"))
    if request.param == "spooling":  # every commit counts as slow: all goes to the spool and by it to the database
        real = PostgresLedger(database, spool=Spool(tmp_path / "spool", segment=4096), stall=0)
    else:
        real = PostgresLedger(database)
    await real.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(real.run())
        yield real
        await real.close()
    await database.close()


async def all_facts(ledger: Ledger, after: int = 0, until: int | None = None) -> list[AnyFact]:
    return [fact async for fact in ledger.facts(after, until)]


# --- order and chain ------------------------------------------------------------------------------------------------


async def test_an_empty_ledger_ends_before_the_first_fact(ledger: Ledger) -> None:
    assert ledger.head == Head(seq=0, hash=bytes(32), at=None)
    assert ledger.available
    assert await all_facts(ledger) == []
    assert await ledger.projections(["order"]) == []
    assert await ledger.keys(0) == {}


async def test_facts_come_back_as_they_went_in(ledger: Ledger) -> None:
    facts = [heard(1), refused(2), rejected(3, "too wide", cause=1), halted(4)]
    await ledger.append(facts, [], {})
    assert await all_facts(ledger) == facts


async def test_the_head_is_the_hash_over_every_fact_before_it(ledger: Ledger) -> None:
    facts = several(1, 5)
    await ledger.append(facts[:2], [], {})
    await ledger.append(facts[2:], [], {})
    digest = bytes(32)
    for fact in facts:
        digest = sha256(digest + canonical(fact)).digest()
    assert ledger.head == Head(seq=5, hash=digest, at=at(5))


async def test_appends_in_flight_together_become_durable_in_order(ledger: Ledger) -> None:
    done: list[int] = []
    futures = []
    for seq in range(1, 301):
        future = ledger.append([rejected(seq)], [row(str(seq % 7))], {f"k{seq}": seq})
        future.add_done_callback(partial(lambda seq, _: done.append(seq), seq))
        futures.append(future)
    await asyncio.gather(*futures)
    await asyncio.sleep(0)
    assert done == list(range(1, 301))
    assert ledger.head.seq == 300
    assert [fact.seq for fact in await all_facts(ledger)] == list(range(1, 301))
    assert len(await ledger.keys(0)) == 300


async def test_one_append_of_many_facts_is_kept_whole(ledger: Ledger) -> None:
    await ledger.append(several(1, 1203), [], {})
    assert [fact.seq for fact in await all_facts(ledger)] == list(range(1, 1204))


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        (0, 3, [1, 2, 3]),
        (2, 4, [3, 4]),
        (4, None, [5, 6]),
        (6, None, []),
        (3, 3, []),
        (5, 2, []),
        (0, 99, [1, 2, 3, 4, 5, 6]),
        (-1, 0, []),
        (-5, 2, [1, 2]),
    ],
)
async def test_a_range_of_facts(ledger: Ledger, after: int, until: int | None, expected: list[int]) -> None:
    await ledger.append(several(1, 6), [], {})
    assert [fact.seq for fact in await all_facts(ledger, after, until)] == expected


async def test_a_reader_that_stops_half_way_disturbs_nothing(ledger: Ledger) -> None:
    await ledger.append(several(1, 600), [], {})
    async for fact in ledger.facts():
        if fact.seq == 3:
            break
    await ledger.append([rejected(601)], [], {})
    assert ledger.head.seq == 601


async def test_an_append_of_nothing_is_done_after_what_was_before(ledger: Ledger) -> None:
    first = ledger.append([rejected(1)], [], {})
    await ledger.append([], [], {})
    assert first.done()
    assert ledger.head.seq == 1


# --- what does not fit is refused, and nothing of it is kept --------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ([rejected(3)], "does not follow fact 1"),
        ([rejected(1)], "does not follow fact 1"),
        ([rejected(2), rejected(2)], "does not follow fact 2"),
        ([rejected(2), rejected(4)], "does not follow fact 2"),
        ([rejected(2, cause=2)], "as its cause"),
        ([rejected(2, cause=0)], "as its cause"),
        ([rejected(2, moment=at(2).replace(tzinfo=None))], "without a zone"),
    ],
)
async def test_facts_that_do_not_fit_are_refused(ledger: Ledger, facts: list[AnyFact], says: str) -> None:
    await ledger.append([rejected(1)], [], {})
    with pytest.raises(ValueError, match=says):
        ledger.append(facts, [row("a")], {})
    await ledger.append([rejected(2)], [], {})
    assert [fact.seq for fact in await all_facts(ledger)] == [1, 2]
    assert await ledger.projections(["order"]) == []


async def test_a_projection_without_a_fact_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="by facts only"):
        ledger.append([], [row("a")], {})


@pytest.mark.parametrize("body", [b"\xff", b'"\xed\xa0\x80"', b'"a\0"'])
async def test_a_row_that_is_no_canonical_text_is_refused(ledger: Ledger, body: bytes) -> None:
    change = row("a").__class__(kind="order", key="a", body=body)
    with pytest.raises(ValueError, match=r"codec|NUL"):
        ledger.append([rejected(1)], [change], {})
    assert ledger.head.seq == 0


@pytest.mark.parametrize("keys", [{"a": 2}, {"a": 0}, {"k" * 1025: 1}, {"é" * 513: 1}])
async def test_keys_of_no_fact_or_without_measure_are_refused(ledger: Ledger, keys: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"not there|too long"):
        ledger.append([rejected(1)], [], keys)
    assert ledger.head.seq == 0


# --- projections ----------------------------------------------------------------------------------------------------


async def test_projections_come_in_the_order_they_were_last_changed(ledger: Ledger) -> None:
    await ledger.append([rejected(1)], [row("a"), row("b"), row("c", kind="ticket")], {})
    await ledger.append([rejected(2)], [row("c"), row("d", kind="ticket")], {})
    await ledger.append([rejected(3)], [row("a", '{"v":2}'), row("c", '{"v":3}', kind="ticket")], {})
    assert await ledger.projections(["order"]) == [
        ("order", "b", b'{"v":1}'),
        ("order", "c", b'{"v":1}'),
        ("order", "a", b'{"v":2}'),
    ]
    assert [key for _, key, _ in await ledger.projections(["ticket", "order"])] == ["b", "c", "d", "a", "c"]
    assert await ledger.projections([]) == []
    assert await ledger.projections(["nothing"]) == []


async def test_the_order_holds_for_changes_in_flight_together(ledger: Ledger) -> None:
    for seq, keys in enumerate(("ab", "ca", "d", "bc", "a"), 1):
        ledger.append([rejected(seq)], [row(key) for key in keys], {})
    await ledger.append([], [], {})
    assert [key for _, key, _ in await ledger.projections(["order"])] == ["d", "b", "c", "a"]


async def test_the_last_change_of_a_row_counts_also_within_one_append(ledger: Ledger) -> None:
    await ledger.append([rejected(1)], [row("a", "1"), row("b", "1"), row("a", "2"), row("b", None)], {})
    assert await ledger.projections(["order"]) == [("order", "a", b"2")]


async def test_a_removed_row_is_gone_and_may_come_back(ledger: Ledger) -> None:
    await ledger.append([rejected(1)], [row("a"), row("b")], {})
    await ledger.append([rejected(2)], [row("a", None), row("never there", None)], {})
    assert [key for _, key, _ in await ledger.projections(["order"])] == ["b"]
    ledger.append([rejected(3)], [row("a", "1")], {})
    ledger.append([rejected(4)], [row("a", None)], {})
    ledger.append([rejected(5)], [row("b", None)], {})
    await ledger.append([rejected(6)], [row("a", "7")], {})
    assert await ledger.projections(["order"]) == [("order", "a", b"7")]


async def test_many_rows_at_once(ledger: Ledger) -> None:
    await ledger.append([rejected(1)], [row(f"{number:03}") for number in range(400)], {})
    await ledger.append([rejected(2)], [row(f"{number:03}", None) for number in range(0, 400, 2)], {})
    assert [key for _, key, _ in await ledger.projections(["order"])] == [f"{number:03}" for number in range(1, 400, 2)]


# --- dedupe keys ----------------------------------------------------------------------------------------------------


async def test_keys_after_a_fact(ledger: Ledger) -> None:
    await ledger.append(several(1, 3), [], {"one": 1, "three": 3, "again one": 1})
    assert await ledger.keys(0) == {"one": 1, "three": 3, "again one": 1}
    assert await ledger.keys(1) == {"three": 3}
    assert await ledger.keys(3) == {}


async def test_a_key_stays_with_the_fact_that_brought_it(ledger: Ledger) -> None:
    await ledger.append([rejected(1)], [], {"a": 1})
    ledger.append([rejected(2)], [], {"a": 2, "b": 2})
    await ledger.append([rejected(3)], [], {"b": 3})
    assert await ledger.keys(0) == {"a": 1, "b": 2}
    assert ledger.head.seq == 3


async def test_one_key_is_found_however_old(ledger: Ledger) -> None:
    await ledger.append(several(1, 3), [], {"one": 1, "a\\b\0": 3})
    assert await ledger.find("one") == 1
    assert await ledger.find("a\\b\0") == 3
    assert await ledger.find("none") is None


async def test_which_fact_changed_a_row_last(ledger: Ledger) -> None:
    assert await ledger.projected() == 0
    await ledger.append(several(1, 3), [row("a")], {})
    await ledger.append([rejected(4)], [], {})
    assert await ledger.projected() == 3


async def test_a_database_that_keeps_up_leaves_nothing_in_a_spool(ledger: Ledger) -> None:
    await ledger.append(several(1, 3), [row("a")], {})
    await until(lambda: ledger.spooled is None)
    assert ledger.available
    assert ledger.head.seq == 3


# --- text of every kind ---------------------------------------------------------------------------------------------

ODD = [
    "a\0b",
    "\0",
    "é\u2028😀\uffff\U0010ffff",
    "שלום",
    "'; DROP TABLE x; --",
    "%s %(a)s $1 {}",
    "\\",
    "\\u0000",
    "\x7f\x1f\r\n\t",
]


@pytest.mark.parametrize("text", ODD)
async def test_odd_text_comes_back_unchanged(ledger: Ledger, text: str) -> None:
    fact = rejected(1, text)
    await ledger.append([fact], [row(text, '{"v":1}', kind=f"kind {text}")], {text: 1})
    assert await all_facts(ledger) == [fact]
    assert await ledger.projections([f"kind {text}"]) == [(f"kind {text}", text, b'{"v":1}')]
    assert await ledger.keys(0) == {text: 1}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d \ude00"])
async def test_lone_surrogates_are_kept_readable_and_break_nothing(ledger: Ledger, text: str) -> None:
    await ledger.append([rejected(1, text)], [row(text)], {text: 1})
    (fact,) = await all_facts(ledger)
    visible = "".join(f"\\u{ord(char):04x}" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert fact == rejected(1, visible)
    assert canonical(fact) == canonical(rejected(1, text))
    assert await ledger.keys(0) == {text: 1}
    assert [key for _, key, _ in await ledger.projections(["order"])] == [text]


async def test_a_symbol_with_odd_text_breaks_nothing(ledger: Ledger) -> None:
    facts = [heard(1, "S\0PY"), heard(2, "\ud800"), heard(3, ""), heard(4, "X" * 5000)]
    await ledger.append(facts, [], {})
    assert (await all_facts(ledger))[0] == facts[0]
    assert (await all_facts(ledger))[3] == facts[3]


async def test_large_facts(ledger: Ledger) -> None:
    facts = [rejected(1, "x" * 3_000_000), rejected(2, "😀" * 500_000)]
    await ledger.append(facts, [row("large", '"' + "y" * 2_000_000 + '"')], {})
    assert await all_facts(ledger) == facts
    assert len((await ledger.projections(["order"]))[0][2]) == 2_000_002


# --- stories --------------------------------------------------------------------------------------------------------


async def test_a_story_is_the_same_from_wherever_it_is_asked(ledger: Ledger) -> None:
    #   1 ─ 3 ─ 4 ─ 7      2 ─ 6      5
    #       └── 8 ─ 9
    causes = {1: None, 2: None, 3: 1, 4: 3, 5: None, 6: 2, 7: 4, 8: 3, 9: 8}
    await ledger.append([rejected(seq, cause=cause) for seq, cause in causes.items()], [], {})
    for seq in (1, 3, 4, 7, 8, 9):
        assert [fact.seq for fact in await ledger.story(seq)] == [1, 3, 4, 7, 8, 9]
    assert [fact.seq for fact in await ledger.story(6)] == [2, 6]
    assert await ledger.story(5) == [rejected(5)]


@pytest.mark.parametrize("seq", [0, -1, 3, 10**12])
async def test_a_fact_that_is_not_there_has_no_story(ledger: Ledger, seq: int) -> None:
    await ledger.append(several(1, 2), [], {})
    assert await ledger.story(seq) == []


async def test_a_long_story(ledger: Ledger) -> None:
    await ledger.append([rejected(seq, cause=seq - 1 or None) for seq in range(1, 401)], [], {})
    assert [fact.seq for fact in await ledger.story(200)] == list(range(1, 401))
