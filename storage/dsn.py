"""Addresses of databases and plain connections to them. Called by everything in storage; knows no table.

An address is a libpq URL (`postgresql://user:password@host:port/database?host=/socket/folder`) as `DATABASE_URL` and the
embedded server give it; SQLAlchemy's spelling (`postgresql+psycopg://`) is accepted too.
"""

from __future__ import annotations

import os
import socket
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SCHEMA = "strikedesk"

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def url(*, user: str, password: str, database: str, host: str, port: int) -> str:
    """The address of a database behind a Unix socket in the folder `host`."""
    return f"postgresql://{user}:{quote(password, safe='')}@/{quote(database, safe='')}?host={quote(host, safe='')}&port={port}"


def normal(dsn: str) -> str:
    """The address as libpq takes it. Raises `ValueError` when it is none."""
    scheme, mark, rest = dsn.partition("://")
    if mark and scheme.startswith(("postgresql+", "postgres+")):
        dsn = f"postgresql://{rest}"
    try:
        return make_conninfo("", **conninfo_to_dict(dsn))
    except psycopg.Error:
        # libpq repeats what it did not understand, and that may be the password.
        raise ValueError(
            "not the address of a Postgres database (postgresql://user:password@host:port/name; in a name or a password "
            "%, /, @, : and spaces are written %25, %2F, %40, %3A and %20)"
        ) from None


def part(dsn: str, name: str) -> str:
    """One part of an address (user, password, dbname, host, port); empty when it is not given."""
    value = conninfo_to_dict(normal(dsn)).get(name)
    return "" if value is None else str(value)


def replaced(dsn: str, **parts: str) -> str:
    """The same address with some parts replaced."""
    return make_conninfo(normal(dsn), **parts)


def shown(dsn: str) -> str:
    """The address for people: who and where, never the password."""
    host = part(dsn, "host") or "localhost"
    port = part(dsn, "port")
    return f"{part(dsn, 'dbname') or part(dsn, 'user')} on {host}{f':{port}' if port else ''} as {part(dsn, 'user') or 'this user'}"


def application_name(purpose: str) -> str:
    """How our connections are named in the server's lists, so that a person can find the process behind one."""
    return f"strikedesk {purpose} {os.getpid()}@{socket.gethostname()}"[:63]


async def connect(dsn: str, purpose: str, *, autocommit: bool = True) -> Connection:
    """A connection of its own, outside any pool. Raises `psycopg.OperationalError` when the server is away."""
    return await psycopg.AsyncConnection.connect(normal(dsn), autocommit=autocommit, **connect_options(dsn, purpose))


def connect_options(dsn: str, purpose: str) -> dict[str, Any]:
    """What every connection of ours asks for: its name, UTF-8, UTC, and a dead network noticed within seconds."""
    options: dict[str, Any] = {
        "application_name": application_name(purpose),
        "client_encoding": "UTF8",
        "options": f"{part(dsn, 'options')} -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres".strip(),
        "connect_timeout": part(dsn, "connect_timeout") or "10",
    }
    if not part(dsn, "host").startswith("/"):
        options |= {
            "keepalives_idle": "5",
            "keepalives_interval": "2",
            "keepalives_count": "3",
            "tcp_user_timeout": "10000",
        }
    return options
