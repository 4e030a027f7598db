"""Facts are found by what a person remembers of them, a page at a time; past states are those the fold once had."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from engine.domain import events as ev
from engine.domain.canonical import canonical
from engine.domain.commands import ClosePosition, HaltTrading
from engine.domain.events import AnyFact
from engine.domain.findable import Question, words_in
from engine.domain.values import Code, Refusal
from engine.journey.findings import Fold, finding
from engine.ports import Change, LedgerAway
from engine.state import State
from storage import follower as following
from storage import queries
from storage.database import Database
from storage.dsn import connect, replaced
from storage.follower import Follower
from storage.ledger import PostgresLedger
from storage.past import fold_until
from storage.queries import Page, find, find_all
from tests.builders_journey import Desk
from tests.storage.builders import at


def a_days_facts() -> list[AnyFact]:
    """SPY options bought and sold by hand and by rule, WAITs and refusals between: made by the engine itself."""
    desk = Desk()
    desk.bought()
    desk.wait(60, spot="602.10")
    desk.command(ClosePosition(position=desk.position.id, by="desk"))
    desk.wait(2)
    for minute in range(12):
        desk.signal("5", "SHORT" if minute % 2 else "LONG")
        desk.wait(61)
    desk.command(HaltTrading(by="desk", reason="enough for today"))
    return list(desk.player.facts)


def several(first: int, last: int) -> list[AnyFact]:
    """Commands refused: the plainest facts there are."""
    refusal = Refusal(code=Code.LEDGER_AWAY)
    return [
        ev.CommandRefused(seq=seq, at=at(seq), command="Approve", target=f"T{seq}", by="desk", refusal=refusal)
        for seq in range(first, last + 1)
    ]


@pytest_asyncio.fixture
async def facts() -> list[AnyFact]:
    return a_days_facts()


async def keep(database: Database, facts: list[AnyFact]) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append(facts, [], {})
    await ledger.close()


async def index(database: Database, every: int = following.SNAPSHOT_EVERY) -> Follower:
    follower = Follower(database.app, Fold(), every=every)
    try:
        await follower.catch_up()
    finally:
        await follower.close()
    return follower


@pytest_asyncio.fixture
async def filled(database: Database, facts: list[AnyFact]) -> AsyncIterator[Database]:
    await keep(database, facts)
    await index(database)
    yield database


def answers(facts: list[AnyFact], wanted: Callable[[AnyFact, State], bool]) -> list[int]:
    """Seqs that a plain scan of all facts finds."""
    state = State()
    found = []
    for fact in facts:
        state.apply(fact)
        if wanted(fact, state):
            found.append(fact.seq)
    return found


QUESTIONS: list[tuple[str, Question, Callable[[AnyFact, State], bool]]] = [
    ("kind", Question(kinds=("DecisionMade", "OrderFilled")), lambda f, s: f.kind in ("DecisionMade", "OrderFilled")),
    ("symbol", Question(symbol="SPY"), lambda f, s: finding(f, s).symbol == "SPY"),
    ("another symbol", Question(symbol="QQQ"), lambda f, s: False),
    (
        "decision",
        Question(decision="WAIT"),
        lambda f, s: isinstance(f, ev.DecisionMade) and f.decision.verdict == "WAIT",
    ),
    ("outcome", Question(outcome="WIN"), lambda f, s: isinstance(f, ev.PositionClosed) and f.net > 0),
    ("outcome, other", Question(outcome="LOSS"), lambda f, s: isinstance(f, ev.PositionClosed) and f.net < 0),
    ("reason of an exit", Question(reason="MANUAL"), lambda f, s: finding(f, s).reason == "MANUAL"),
    ("strategy", Question(strategy="webhook"), lambda f, s: finding(f, s).strategy == "webhook"),
    ("words", Question(text="enough today "), lambda f, s: {"enough", "today"} <= set(finding(f, s).words)),
    (
        "the beginning of a word",
        Question(text="deci"),
        lambda f, s: any(w.startswith("deci") for w in finding(f, s).words),
    ),
    ("a position's id", Question(text="PositionClosed P "), lambda f, s: False),
    ("only signs", Question(text="-- !"), lambda f, s: False),
    ("quotes", Question(text="o'clock \\ "), lambda f, s: False),
    (
        "several at once",
        Question(symbol="SPY", kinds=("DecisionMade",), decision="EXECUTE"),
        lambda f, s: isinstance(f, ev.DecisionMade) and f.decision.verdict == "EXECUTE",
    ),
]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_hold_what_a_scan_of_all_facts_finds(
    filled: Database, facts: list[AnyFact], limit: int, newest_first: bool
) -> None:
    for name, question, wanted in QUESTIONS:
        expected = answers(facts, wanted)
        found: list[int] = []
        key: int | None = None
        while True:
            page = await find(filled.engine, question, key=key, limit=limit, newest_first=newest_first)
            assert len(page.rows) <= limit
            found += [row.seq for row in page.rows]
            key = page.next
            if key is None:
                break
        assert found == (expected[::-1] if newest_first else expected), name


async def test_a_question_asked_of_each_fact_is_answered_as_the_table_answers(facts: list[AnyFact]) -> None:
    for name, question, wanted in QUESTIONS:
        asked = answers(facts, lambda f, s, q=question: q.answered_by(f, finding(f, s)))  # type: ignore[misc]
        assert asked == answers(facts, wanted), name


async def test_an_emptied_table_is_made_anew_with_the_words_of_today(database: Database, facts: list[AnyFact]) -> None:
    """What docs/queries.md says for a table that an earlier version filled."""
    await keep(database, facts)
    await index(database, every=20)
    before = [await find(database.engine, question, limit=1000) for _, question, _ in QUESTIONS]
    async with await connect(database.dsn, "owner") as connection:
        await connection.execute("TRUNCATE strikedesk.search, strikedesk.snapshot")
    assert (await find(database.engine, Question(symbol="SPY"))).rows == []
    assert (await index(database, every=20)).seq == facts[-1].seq
    assert [await find(database.engine, question, limit=1000) for _, question, _ in QUESTIONS] == before


async def test_a_scan_finds_something_for_most_questions(facts: list[AnyFact]) -> None:
    """So that the test above compares more than empty lists."""
    some = [name for name, _, wanted in QUESTIONS if answers(facts, wanted)]
    assert len(some) >= 8, some


async def test_time_is_a_half_open_interval(filled: Database, facts: list[AnyFact]) -> None:
    since, until = facts[20].at, facts[-20].at
    page = await find(filled.engine, Question(since=since, until=until), limit=1000, newest_first=False)
    assert [row.seq for row in page.rows] == [fact.seq for fact in facts if since <= fact.at < until]
    later = await find(filled.engine, Question(since=facts[-1].at + timedelta(seconds=1)))
    assert later == Page([], None, facts[-1].seq)
    before = await find(filled.engine, Question(until=facts[0].at))
    assert before.rows == []


async def test_rows_come_whole_as_they_were_hashed(filled: Database, facts: list[AnyFact]) -> None:
    page = await find(filled.engine, Question(kinds=("PositionClosed",)))
    closed = [fact for fact in facts if isinstance(fact, ev.PositionClosed)]
    assert [row.body.encode() for row in page.rows] == [canonical(fact) for fact in reversed(closed)]


async def test_without_a_condition_the_newest_facts_are_there_before_they_can_be_found(
    database: Database, facts: list[AnyFact]
) -> None:
    await keep(database, facts)
    newest = await find(database.engine, Question(), limit=3)
    assert [row.seq for row in newest.rows] == [facts[-1].seq - back for back in range(3)]
    assert newest.next == facts[-3].seq
    behind = await find(database.engine, Question(symbol="SPY"))
    assert (behind.rows, behind.indexed) == ([], 0)


async def test_pages_do_not_shift_while_facts_are_added(database: Database) -> None:
    await keep(database, several(1, 50))
    await index(database)
    first = await find(database.engine, Question(kinds=("CommandRefused",)), limit=10)
    await keep(database, several(51, 80))
    await index(database)
    second = await find(database.engine, Question(kinds=("CommandRefused",)), key=first.next, limit=10)
    assert [row.seq for row in second.rows] == list(range(40, 30, -1))


async def test_an_export_of_a_question_is_everything_oldest_first(filled: Database, facts: list[AnyFact]) -> None:
    found = [row.seq async for page in find_all(filled.engine, Question(symbol="SPY"), page=9) for row in page]
    assert found == answers(facts, lambda f, s: finding(f, s).symbol == "SPY")


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_limit_has_bounds(filled: Database, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        await find(filled.engine, Question(), limit=limit)


async def test_pages_cross_partitions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions of 250,000 facts: the search table alone is filled around their border."""
    border = following.PART
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for part in range(3):
            connection.execute(f"SELECT strikedesk.make_search_part({part})".encode())
        connection.execute(
            b"INSERT INTO strikedesk.search (seq, at, kind, symbol, words)"
            b" SELECT seq, '2026-11-20 15:00+00'::timestamptz + seq * interval '1 ms', 'X', 'SPY', 'found'"
            b" FROM generate_series(249990, 250010) seq"
        )
        connection.execute(
            b"INSERT INTO strikedesk.ledger SELECT seq, '2026-11-20 15:00+00'::timestamptz + seq * interval '1 ms',"
            b" 'X', NULL, 'SPY', '{}', '', ''"
            b" FROM generate_series(249990, 250010) seq"
        )
    down = await find(database.engine, Question(text="found"), limit=15, budget=60)
    assert [row.seq for row in down.rows] == list(range(border + 10, border - 5, -1))
    rest = await find(database.engine, Question(text="found"), key=down.next, limit=15, budget=60)
    assert [row.seq for row in rest.rows] == list(range(border - 5, border - 11, -1))
    assert rest.next is None
    up = await find(database.engine, Question(symbol="SPY"), limit=12, newest_first=False, budget=60)
    assert [row.seq for row in up.rows] == list(range(border - 10, border + 2))


# --- following ------------------------------------------------------------------------------------------------------


def search_rows(database: Database) -> list[tuple[object, ...]]:
    with psycopg.connect(database.dsn) as connection:
        return connection.execute(b"SELECT * FROM strikedesk.search ORDER BY seq").fetchall()


@pytest.mark.parametrize("every", [1, 13, 20_000])
async def test_a_follower_that_stops_goes_on_as_if_it_had_not(
    database: Database, facts: list[AnyFact], every: int
) -> None:
    thirds = [facts[: len(facts) // 3], facts[len(facts) // 3 : 2 * len(facts) // 3], facts[2 * len(facts) // 3 :]]
    for third in thirds:
        await keep(database, third)
        follower = await index(database, every=every)
    assert follower.seq == facts[-1].seq
    state = State()
    expected = []
    for fact in facts:
        state.apply(fact)
        found = finding(fact, state)
        expected.append((fact.seq, found.symbol, found.decision, found.strategy, found.outcome, found.reason))
    assert [(row[0], *row[3:8]) for row in search_rows(database)] == expected


async def test_two_followers_do_not_fill_the_same_table(database: Database) -> None:
    await keep(database, several(1, 5))
    first = Follower(database.app, Fold())
    await first.step()
    with pytest.raises(BlockingIOError, match="another program follows"):
        await Follower(database.app, Fold()).step()
    await first.close()


async def test_a_running_follower_finds_what_is_added(database: Database) -> None:
    follower = Follower(database.app, Fold())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(follower.run())
        await keep(database, several(1, 30))
        while follower.seq < 30:  # noqa: ASYNC110 - a number sets no event
            await asyncio.sleep(0.02)
        running.cancel()
    await follower.close()
    assert len((await find(database.engine, Question(text="approved T7 "))).rows) == 0
    assert [row.seq for row in (await find(database.engine, Question(text="T7 "))).rows] == [7]


async def test_the_engine_can_fill_the_search_and_change_nothing_in_it(filled: Database) -> None:
    with psycopg.connect(filled.app, autocommit=True) as connection:
        for statement in (b"DELETE FROM strikedesk.search", b"UPDATE strikedesk.snapshot SET seq = 0"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


# --- past states ----------------------------------------------------------------------------------------------------


def rows_of(state: State) -> dict[str, object]:
    return {
        "account": state.account,
        "halt": state.halt,
        "boards": state.boards,
        "tickets": state.tickets,
        "orders": state.orders,
        "positions": state.positions,
        "heard": state.heard,
        "last": (state.last_seq, state.last_at),
        "open": (state.open_positions, state.open_orders, state.pending_tickets),
    }


@pytest.mark.parametrize("every", [1, 40, 20_000])
async def test_every_past_state_is_the_one_the_fold_had(
    database: Database, facts: list[AnyFact], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_PAGE", 25)
    await keep(database, facts)
    await index(database, every=every)
    state = State()
    for fact, after in pairwise([*facts, None]):
        assert fact is not None
        state.apply(fact)
        if fact.seq % 11 and after is not None:
            continue
        past = Fold()
        assert await fold_until(database, past, seq=fact.seq) == (fact.seq, fact.at)
        assert rows_of(past.state) == rows_of(state)
        if after is None or after.at > fact.at:
            by_time = Fold()
            assert await fold_until(database, by_time, at=fact.at) == (fact.seq, fact.at)
            assert rows_of(by_time.state) == rows_of(state)


class Timed(Fold):
    """A fold that notes between which turns of the loop each fact was folded."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.folded: Counter[int] = Counter()

    def apply(self, fact: AnyFact) -> Sequence[Change]:
        self.folded[self.turn] += 1
        return super().apply(fact)

    async def count_turns(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_a_long_way_back_leaves_the_rest_of_the_program_its_turns(database: Database) -> None:
    await keep(database, several(1, 400))
    await index(database, every=1000)
    past, again = Timed(), Timed()
    beside = [asyncio.create_task(fold.count_turns()) for fold in (past, again)]
    await fold_until(database, past, seq=400)
    follower = Follower(database.app, again)
    assert not await follower.step()  # folds up to where the search ends
    await follower.close()
    for fold in (past, again):
        assert fold.folded.total() == 400
        assert max(fold.folded.values()) <= 25
    for task in beside:
        task.cancel()


async def test_without_the_database_the_past_is_away(database: Database, tmp_path: Path) -> None:
    database.reader = replaced(database.reader, host=str(tmp_path))
    with pytest.raises(LedgerAway, match="the database is away"):
        await fold_until(database, Fold(), seq=1)


async def test_before_the_first_fact_there_is_nothing(filled: Database, facts: list[AnyFact]) -> None:
    past = Fold()
    assert await fold_until(filled, past, at=facts[0].at - timedelta(seconds=1)) == (0, None)
    assert rows_of(past.state) == rows_of(State())
    with pytest.raises(ValueError, match="by its time or by its fact"):
        await fold_until(filled, past)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SIGNAL_LATE late=61.5 s", ("signal", "late", "61.5", "s")),
        ("Größe, größe", ("größe",)),
        ("", ()),
        ("a" * 60, ("a" * 40,)),
        ("…—!", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert words_in(text) == words


def test_words_of_one_fact_are_bounded() -> None:
    assert len(words_in(" ".join(map(str, range(500))))) == 64


async def test_a_page_that_takes_too_long_ends_early_and_the_next_goes_on(
    filled: Database, facts: list[AnyFact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_FIRST_WINDOW", 10)
    monkeypatch.setattr(queries, "_GROWTH", 1)
    for newest_first in (True, False):
        found: list[int] = []
        pages = 0
        key: int | None = None
        while True:
            page = await find(
                filled.engine, Question(outcome="WIN"), key=key, limit=50, newest_first=newest_first, budget=0
            )
            found += [row.seq for row in page.rows]
            pages += 1
            key = page.next
            if key is None:
                break
        expected = answers(facts, lambda f, s: finding(f, s).outcome == "WIN")
        assert found == (expected[::-1] if newest_first else expected)
        assert pages == -(-len(facts) // 10)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 700_000), (249_999, 250_000), (250_000, 499_999), (5, 4)])
def test_windows_cover_every_fact_once_within_its_partition(low: int, high: int) -> None:
    for newest_first in (True, False):
        windows = list(queries._windows(low, high, newest_first))
        assert all(start // following.PART == end // following.PART for start, end in windows)
        inner = sorted(windows)
        assert [start for start, _ in inner] == ([low] + [end + 1 for _, end in inner[:-1]] if inner else [])
        assert (inner[-1][1] == high) if inner else high < low
        assert windows == (inner[::-1] if newest_first else inner)
