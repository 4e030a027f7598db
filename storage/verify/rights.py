"""What the roles may do."""

from __future__ import annotations

from storage import roles
from storage.database import Database
from storage.dsn import connect
from storage.report import Fault, Report


async def check_rights(database: Database, report: Report) -> None:
    """What the roles may do; and what could not be arranged at the start."""
    wrong = list(database.problems)
    async with await connect(database.app, "verify") as connection:
        wrong += await roles.excess_rights(connection)
    if database.reader != database.app:
        async with await connect(database.reader, "verify") as connection:
            wrong += await roles.excess_rights(connection, reader=True)
    for text in dict.fromkeys(wrong):
        report.add(Fault.RIGHTS, text)
