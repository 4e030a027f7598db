"""What the engine keeps: entities as projection rows, in memory by their ids. Only the fold of facts changes them.

Each entity is one row `(kind, key)`. What was touched is drained as `Change`s and commits in one transaction with its
facts, so that a restart reads rows instead of folding the whole ledger again. Rows of things long over are dropped by
the same rule everywhere (`KEPT`); their facts stay in the ledger for ever.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec

from engine.domain.canonical import canonical
from engine.domain.entities import Account, BrokerLink, Halt, Heard, Order, Position, SymbolBoard, Ticket
from engine.domain.values import TicketState, Value
from engine.ports import Change

KEPT = 500
"""Rows kept of each kind of finished thing: what the panels show without asking the ledger's history."""

BOOKS = timedelta(days=4)
"""How long a broker may come back to an order that is over: a long weekend."""

_TYPES: dict[str, type[Value]] = {
    "account": Account,
    "halt": Halt,
    "broker": BrokerLink,
    "board": SymbolBoard,
    "ticket": Ticket,
    "order": Order,
    "position": Position,
    "heard": Heard,
}
KINDS = tuple(_TYPES)


@dataclass(slots=True)
class _Finished:
    """Which finished things are kept: always those born last, whatever order they finished in, so that a rebuild
    from the facts and a load from the rows keep the same ones."""

    oldest: list[int]
    members: set[int]


class Kept:
    """Dicts of frozen entities in the order they were born, and which of them are still alive."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.halt: Halt | None = None
        self.link: BrokerLink | None = None
        self.boards: dict[str, SymbolBoard] = {}
        self.tickets: dict[str, Ticket] = {}
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.heard: dict[int, Heard] = {}
        self.last_seq = 0
        self.last_at: datetime | None = None
        self.open_positions: dict[str, Position] = {}
        self.open_orders: dict[str, Order] = {}
        self.pending_tickets: dict[str, Ticket] = {}
        self._touched: dict[tuple[str, str], Value | None] = {}
        self._loading = False
        self._finished = {kind: _Finished([], set()) for kind in ("ticket", "order", "position", "heard")}

    # --- in and out -----------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, rows: Iterable[tuple[str, str, bytes]], last_seq: int, last_at: datetime | None) -> Self:
        """The state whose projection rows these are, whatever their order: entities stand in the order they were born,
        as the fold leaves them. Nothing is dropped here, for the fold that made the rows dropped what it had to."""
        state = cls()
        state.last_seq, state.last_at = last_seq, last_at
        state._loading = True
        for kind, key, body in sorted(rows, key=_place):
            state._keep(kind, key, msgspec.json.decode(body, type=_TYPES[kind]))
        state._loading = False
        state._touched.clear()
        return state

    @property
    def changed(self) -> int:
        """Rows changed since the last drain."""
        return len(self._touched)

    def drain(self) -> list[Change]:
        """Rows changed since the last drain, each once, in the order they were last touched."""
        changes = [
            Change(kind=kind, key=key, body=None if value is None else canonical(value))
            for (kind, key), value in self._touched.items()
        ]
        self._touched.clear()
        return changes

    # --- keeping --------------------------------------------------------------------------------------------------

    def _keep(self, kind: str, key: str, value: Any) -> None:
        self._touched.pop((kind, key), None)
        self._touched[kind, key] = value
        if kind == "board":
            self.boards[key] = value
        elif kind == "account":
            self.account = value
        elif kind == "halt":
            self.halt = value
        elif kind == "broker":
            self.link = value
        elif kind == "ticket":
            self.tickets[key] = value
            self._index(kind, key, value, self.pending_tickets, value.state is TicketState.PENDING)
        elif kind == "order":
            self.orders[key] = value
            self._index(kind, key, value, self.open_orders, value.state.is_open)
        elif kind == "position":
            self.positions[key] = value
            self._index(kind, key, value, self.open_positions, value.is_open)
        elif kind == "heard":
            self.heard[int(key)] = value
            self._index(kind, key, value, {}, not value.weighed)

    def _index(self, kind: str, key: str, value: Value, live: dict[str, Any], is_live: bool) -> None:
        finished = self._finished[kind]
        born = _born(kind, key)
        if is_live:
            live[key] = value
            if born in finished.members:  # a late fill opened a closed position again
                finished.members.discard(born)
                finished.oldest.remove(born)
                heapq.heapify(finished.oldest)
            return
        live.pop(key, None)
        if born not in finished.members:
            finished.members.add(born)
            heapq.heappush(finished.oldest, born)
            if not self._loading:
                self._drop_oldest(kind, finished, born)

    def _drop_oldest(self, kind: str, finished: _Finished, newly: int) -> None:
        """Back to `KEPT` finished things, but for tickets that something unfinished still speaks of, or is about to (an
        approved ticket's order comes right after it), and for orders that a broker's books may still speak of."""
        spared: list[int] = []
        while len(finished.members) > KEPT and finished.oldest:
            born = heapq.heappop(finished.oldest)
            if kind == "ticket" and (born == newly or self._is_needed(self.tickets[f"T{born}"])):
                spared.append(born)
                continue
            if kind == "order" and self._in_books(self.orders[f"O{born}"]):
                spared.append(born)
                continue
            finished.members.discard(born)
            self._drop(kind, born)
        for born in spared:
            heapq.heappush(finished.oldest, born)

    def _is_needed(self, ticket: Ticket) -> bool:
        """Its order may still fill, or its trigger could still make a second ticket."""
        if any(order.ticket == ticket.id for order in self.open_orders.values()):
            return True
        if self.link is not None and any(o.ticket == ticket.id and self._in_books(o) for o in self.orders.values()):
            return True
        board = self.boards.get(ticket.symbol)
        return board is not None and any(a.source == ticket.trigger for a in board.signals)

    def _in_books(self, order: Order) -> bool:
        """A broker outside this process may still tell of its executions."""
        return self.link is not None and self.last_at is not None and self.last_at - order.created < BOOKS

    def _drop(self, kind: str, born: int) -> None:
        key = str(born) if kind == "heard" else f"{kind[0].upper()}{born}"
        if kind == "heard":
            self.heard.pop(born, None)
        elif kind == "ticket":
            self.tickets.pop(key, None)
        elif kind == "order":
            self.orders.pop(key, None)
        else:
            self.positions.pop(key, None)
        self._touched.pop((kind, key), None)
        self._touched[kind, key] = None


def _born(kind: str, key: str) -> int:
    """Seq of the fact an entity was born from: ids are derived from it (`T12`), receipts are named by it."""
    return int(key) if kind == "heard" else int(key[1:])


def _place(row: tuple[str, str, bytes]) -> tuple[str, int, str]:
    kind, key, _ = row
    return kind, _born(kind, key) if kind in ("ticket", "order", "position", "heard") else 0, key
