"""A broker in a process of its own, with a log of its own, behind a Unix socket; and the engine's end of the line.

The broker's books outlive any engine. It takes an order, tells so, and fills it in one or two parts a moment later, whether
or not anybody listens. It writes down every order, execution and cancel when it happens, before it tells: that log is
what an engine that was killed is judged by. Simulated; it speaks to nobody but the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.domain.entities import Order
from engine.domain.values import OrderState, Quote, Side
from engine.ports import (
    Accepted,
    BrokerAway,
    BrokerExecution,
    BrokerOrder,
    BrokerWord,
    Cancelled,
    Disconnected,
    Evidence,
    Filled,
    Reconnected,
    Sink,
)

FEE = Decimal("0.65")
SETTLES = 0.25
_LOOK = 0.01
_WORDS = msgspec.json.Decoder(Accepted | Filled | Cancelled)


# --- the broker -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Booked:
    order: dict[str, Any]
    broker_id: str
    filled: int = 0
    state: OrderState = OrderState.WORKING

    @property
    def works(self) -> bool:
        return self.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)

    def seen(self) -> BrokerOrder:
        return BrokerOrder(
            order=self.order["id"],
            broker_id=self.broker_id,
            what=self.order["what"],
            side=Side(self.order["side"]),
            quantity=self.order["quantity"],
            filled=self.filled,
            state=self.state,
            limit=Decimal(self.order["limit"]) if self.order["limit"] else None,
        )


@dataclass
class Exchange:
    """One account. `resting`: orders are taken and not filled until this is over, so that cancels and reprices have work."""

    log: Path
    opened: datetime
    fill_after: float = 0.004
    resting: float = 0.0
    orders: dict[str, Booked] = field(default_factory=dict)
    executions: list[BrokerExecution] = field(default_factory=list)
    listeners: list[asyncio.StreamWriter] = field(default_factory=list)
    last: datetime | None = None
    """Engine time of the newest order: the broker lives by the exchange's time, too."""
    _fills: set[asyncio.Task[None]] = field(default_factory=set)

    def write_down(self, event: str, **fields: Any) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **fields}) + "\n")

    def take(self, asked: dict[str, Any]) -> None:
        """A resend is harmless to the account, but it is written down: an engine should not make any."""
        self.write_down("submit", **asked)
        self.last = datetime.fromisoformat(asked["at"])
        if asked["id"] in self.orders:
            return
        booked = Booked(asked, str(len(self.orders) + 1))
        self.orders[asked["id"]] = booked
        self.tell(Accepted(order=asked["id"], at=self.now()))
        task = asyncio.ensure_future(self._fill(booked))
        self._fills.add(task)
        task.add_done_callback(self._fills.discard)

    async def _fill(self, booked: Booked) -> None:
        await asyncio.sleep(self.fill_after + self.resting)
        quantity = int(booked.order["quantity"])
        parts = [quantity] if quantity == 1 or int(booked.broker_id) % 2 else [quantity // 2, quantity - quantity // 2]
        for part in parts:
            if not booked.works:
                return
            booked.filled += part
            booked.state = OrderState.FILLED if booked.filled == quantity else OrderState.PARTIALLY_FILLED
            execution = BrokerExecution(
                execution=f"X{len(self.executions) + 1}",
                order=booked.order["id"],
                at=self.now(),
                what=booked.order["what"],
                side=Side(booked.order["side"]),
                quantity=part,
                price=Decimal(booked.order["limit"] or "1"),
                fees=FEE * part,
            )
            self.executions.append(execution)
            self.write_down("execution", id=execution.execution, order=execution.order, quantity=part,
                            side=execution.side.value, contract=execution.what, price=str(execution.price))  # fmt: skip
            quote = Quote(bid=None, ask=None, at=execution.at, source="far")
            self.tell(
                Filled(
                    order=execution.order, at=execution.at, execution=execution.execution, quantity=part,
                    price=execution.price, fees=execution.fees, slippage=Decimal(0), quote=quote,
                )
            )  # fmt: skip
            await asyncio.sleep(self.fill_after)

    def cancel(self, order: str) -> None:
        self.write_down("cancel", id=order)
        booked = self.orders.get(order)
        if booked is not None and booked.works:
            booked.state = OrderState.CANCELLED
            self.tell(Cancelled(order=order, at=self.now(), reason="cancelled"))

    def reprice(self, order: str, limit: str) -> None:
        booked = self.orders.get(order)
        if booked is not None and booked.works:
            booked.order["limit"] = limit

    def books(self) -> Evidence:
        seen = [booked.seen() for booked in self.orders.values()]
        working = {booked.order["id"] for booked in self.orders.values() if booked.works}
        return Evidence(
            since=self.opened,
            open_orders=tuple(order for order in seen if order.order in working),
            completed=tuple(order for order in seen if order.order not in working),
            executions=tuple(self.executions),
        )

    def now(self) -> datetime:
        return self.last or self.opened

    def tell(self, word: BrokerWord) -> None:
        line = b'{"word":' + msgspec.json.encode(word) + b"}\n"
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.write(line)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.listeners.append(writer)
        try:
            while line := await reader.readline():
                asked = json.loads(line)
                match asked["do"]:
                    case "submit":
                        self.take(asked["order"])
                    case "cancel":
                        self.cancel(asked["id"])
                    case "replace":
                        self.reprice(asked["id"], asked["limit"])
                    case "books":
                        writer.write(b'{"books":' + msgspec.json.encode(self.books()) + b"}\n")
                    case "rest":
                        self.resting = asked["seconds"]
        except (ConnectionError, json.JSONDecodeError):
            return  # the engine was killed in the middle of a line: it never said it
        finally:
            self.listeners.remove(writer)
            writer.close()


async def run_exchange(path: Path, log: Path, opened: datetime, ready: int) -> None:
    """Serve until the process is ended. A byte on the pipe `ready` says that it listens."""
    exchange = Exchange(log, opened)
    server = await asyncio.start_unix_server(exchange.serve, path)
    os.write(ready, b"r")
    async with server:
        await server.serve_forever()


# --- the engine's end -------------------------------------------------------------------------------------------------


class LineBroker:
    """The Broker port over the socket. `run` it beside the conductor."""

    name = "far"
    durable_handover = True
    settle_seconds = SETTLES

    def __init__(self, path: Path, clock: Any) -> None:
        self._path = path
        self._clock = clock
        self._sink: Sink | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._books: list[asyncio.Future[Evidence]] = []

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    def submit(self, order: Order) -> None:
        limit = None if order.limit is None else str(order.limit)
        self._send(
            {
                "do": "submit",
                "order": {
                    "id": order.id, "what": order.contract.osi, "side": order.side.value, "quantity": order.quantity,
                    "limit": limit, "ticket": order.ticket, "position": order.position, "at": self._clock.now().isoformat(),
                },
            }
        )  # fmt: skip

    def replace(self, order_id: str, limit: Decimal) -> None:
        self._send({"do": "replace", "id": order_id, "limit": str(limit)})

    def cancel(self, order_id: str) -> None:
        self._send({"do": "cancel", "id": order_id})

    def rest(self, seconds: float) -> None:
        self._send({"do": "rest", "seconds": seconds})

    def restore(self, orders: Sequence[Order]) -> None:
        """Sends nothing: the books know."""

    async def evidence(self) -> Evidence:
        if self._writer is None:
            raise BrokerAway("no line")
        answer: asyncio.Future[Evidence] = asyncio.get_running_loop().create_future()
        self._books.append(answer)
        self._send({"do": "books"})
        return await answer

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path, limit=1 << 24)
            except OSError:
                await asyncio.sleep(_LOOK)
                continue
            self._say(Reconnected(at=self._clock.now()))
            while line := await reader.readline():
                self._hear(line)
            self._writer = None
            for waiting in self._books:
                waiting.set_exception(BrokerAway("the line broke"))
            self._books.clear()
            self._say(Disconnected(at=self._clock.now(), reason="the line broke"))

    def _hear(self, line: bytes) -> None:
        said = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if "word" in said:
            self._say(_WORDS.decode(said["word"]))
        elif self._books and not (waiting := self._books.pop(0)).done():
            waiting.set_result(msgspec.json.decode(said["books"], type=Evidence))

    def _send(self, what: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(what).encode() + b"\n")

    def _say(self, word: BrokerWord) -> None:
        assert self._sink is not None
        self._sink(word)


def opening(moment: datetime) -> datetime:
    """When the account was opened: long before the first order."""
    return moment.astimezone(UTC) - timedelta(days=30)
