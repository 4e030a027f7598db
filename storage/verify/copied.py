"""Rows of a COPY as the server sends them, with nothing in between: half the cost of a walk would be the getting of rows.

Called by `walk`, in its thread. It waits outside of libpq, so that the rest of the program goes on meanwhile.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import psycopg
from psycopg import pq

_BREATH = 500
"""Rows between two chances for the rest of the program."""
_SIGNATURE = 19
_END = 2
"""Bytes of the row that is none: the end of binary data."""


def copied(pgconn: pq.abc.PGconn, query: str) -> Iterator[bytes]:
    """The rows of a `COPY … TO STDOUT (FORMAT BINARY)`, each as its binary tuple. The connection must be idle.

    Close it when it is not read to its end. Raises psycopg's errors.
    """
    pgconn.send_query(query.encode())
    _expect(_result(pgconn), pq.ExecStatus.COPY_OUT)
    sent = _sent(pgconn)
    skipped, number = _SIGNATURE, 0
    try:
        for data in sent:
            row = bytes(data)
            if skipped:
                row, skipped = row[skipped:], 0
            if len(row) > _END:
                yield row
                number += 1
                if not number % _BREATH:
                    time.sleep(0)
    finally:
        # Whoever has seen enough leaves the connection as it was.
        for _ in sent:
            pass
        _expect(_result(pgconn), pq.ExecStatus.COMMAND_OK)
        while _result(pgconn) is not None:
            pass


def _sent(pgconn: pq.abc.PGconn) -> Iterator[memoryview]:
    while True:
        size, data = pgconn.get_copy_data(1)
        if size > 0:
            yield data
        elif size == 0:
            _wait(pgconn)
        else:
            return


def _wait(pgconn: pq.abc.PGconn) -> None:
    """Until the server has sent something. A connection that broke is readable, too."""
    select.select([pgconn.socket], [], [])
    pgconn.consume_input()


def _result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    pgconn.flush()
    while pgconn.is_busy():
        _wait(pgconn)
    return pgconn.get_result()


def _expect(result: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        raise psycopg.OperationalError("the server ended the copy early")
