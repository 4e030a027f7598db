"""A real Postgres for tests: one embedded server a session, and a fresh migrated database for each test that asks.

A conftest imports the fixtures it hands out: `from tests.fixtures_postgres import *  # noqa: F403`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from storage.database import Database, open_database
from storage.dsn import part
from storage.embedded import EmbeddedPostgres
from storage.postmaster import read_pid_file

__all__ = ["database", "database_dsn", "postgres", "postgres_folder"]

TEMPLATE = "strikedesk_template"


@dataclass
class TestServer:
    """The session's server. `fresh` makes a migrated database in a few hundredths of a second."""

    __test__ = False
    embedded: EmbeddedPostgres
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def admin(self) -> str:
        """The superuser's address of the server's own database."""
        return self.embedded.dsn("postgres")

    def fresh(self) -> str:
        """The owner's address of a new database, migrated and empty."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.embedded.dsn(name)

    def empty(self) -> str:
        """The owner's address of a new database without a schema."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.embedded.dsn(name)

    def drop(self, dsn: str) -> None:
        """Forget a database of a test that is over."""
        self.execute(f"DROP DATABASE {part(dsn, 'dbname')} WITH (FORCE)")

    def execute(self, statement: str, dsn: str | None = None) -> None:
        """One statement as the superuser."""
        with psycopg.connect(dsn or self.admin, autocommit=True) as connection:
            connection.execute(statement.encode())


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end in a loop of its own, also when a test's loop is running already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """A short folder that an unprivileged user can reach, which pytest's own are not when the tests run as root."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    # Databases come and go by the hundred here; in memory that takes no time, and a killed server loses nothing either.
    folder = Path(tempfile.mkdtemp(prefix="strikedesk-tests-", dir=memory if roomy else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(postgres_folder: Path) -> Iterator[TestServer]:
    server = TestServer(EmbeddedPostgres(postgres_folder / "shared server"))

    async def begin() -> None:
        await server.embedded.start()
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        await (await open_database(server.embedded.dsn(TEMPLATE))).close()

    _finish(begin())
    yield server
    # Nothing of it is kept, so it need not write a last checkpoint of every database: that would take seconds.
    running = read_pid_file(server.embedded.cluster)
    assert running is not None
    os.kill(running.pid, signal.SIGQUIT)
    _finish(server.embedded.stop())


@pytest.fixture
def database_dsn(postgres: TestServer) -> Iterator[str]:
    """The owner's address of a migrated database of this test's own."""
    dsn = postgres.fresh()
    yield dsn
    postgres.drop(dsn)


@pytest_asyncio.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """The same, opened: the engine's role, nothing wrong."""
    opened = await open_database(database_dsn)
    yield opened
    await opened.close()
