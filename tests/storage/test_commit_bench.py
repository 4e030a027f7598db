"""The yardstick of the benchmark leaves nothing behind."""

from __future__ import annotations

from storage.commit_bench import bare_commit
from storage.dsn import connect


async def test_bare_commits_are_timed_one_by_one(database_dsn: str) -> None:
    took = await bare_commit(database_dsn, 20)
    assert len(took) == 20
    assert all(seconds > 0 for seconds in took)
    async with await connect(database_dsn, "test") as connection:
        row = await (await connection.execute("SELECT to_regnamespace('strikedesk_bench')")).fetchone()
    assert row == (None,)
