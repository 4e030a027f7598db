"""The HTTP API: what the desk shows, as JSON, and what a trader may ask of it. OpenAPI at /docs.

Reading needs the API token, acting the trading token (see `guard`). Every command goes the one way the desk's own do.
Money and prices are JSON texts, so that no reader rounds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.security import HTTPBearer
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from engine.domain.commands import Command
from engine.domain.values import Code
from engine.intake import docs
from engine.intake.auth import Credentials
from engine.intake.context import BarContext
from engine.intake.doors import RETRY_AFTER, Desk, Hearing, said
from engine.intake.guard import READER, Guard
from engine.intake.http import Door, Tally
from engine.intake.ledger_api import Seq, add_ledger
from engine.intake.models import (
    Close,
    DecisionOverride,
    Halt,
    ManualTicket,
    Outcome,
    Problem,
    Resume,
    Settle,
    TicketAnswer,
    cancel,
)
from engine.intake.reading import join
from engine.intake.webhook import Webhook
from engine.ports import Clock, LedgerAway
from engine.sessions import Calendar
from engine.settings import IntakeSettings

Id = Annotated[str, PathParameter(max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$")]

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""The framework would hand requests, with their query, to any tracer in the process: `?token=` is in it."""

_MISSING = frozenset({Code.TICKET_UNKNOWN, Code.POSITION_UNKNOWN, Code.ORDER_UNKNOWN, Code.DECISION_UNKNOWN})
_WRONG = frozenset({Code.REASON_MISSING, Code.BAD_QUANTITY})
_BOUNDS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})


def create_app(
    desk: Desk,
    hearing: Hearing,
    credentials: Credentials,
    settings: IntakeSettings,
    clock: Clock,
    bars: BarContext,
    calendar: Calendar,
    version: str = "",
) -> FastAPI:
    """The whole HTTP face as one ASGI app. Made inside the running loop."""
    tally = Tally()
    webhook = Webhook(hearing, credentials, settings, clock, bars, calendar, tally)
    app = FastAPI(
        title="Strikedesk",
        version=version or "development",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        responses={401: {"model": Problem}, 403: {"model": Problem}, 429: {"model": Problem}},
    )
    app.add_middleware(Guard, webhook=webhook, credentials=credentials, settings=settings, tally=tally)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(LedgerAway, _away)
    _add_reading(app, desk, tally)
    _add_acting(app, desk)
    _add_docs(app)
    return app


def _add_reading(app: FastAPI, desk: Desk, tally: Tally) -> None:
    token = [Depends(HTTPBearer(auto_error=False, scheme_name="API token"))]
    views = {
        "/api/decisions": ("decisions", "The newest decision of every symbol"),
        "/signals": ("signals", "Receipts and what became of them, newest first"),
        "/orders": ("orders", "Orders, newest first"),
        "/positions": ("positions", "Positions with their marks"),
        "/exit-signals": ("exits", "How far every exit rule of every position is"),
        "/api/approvals": ("tickets", "Tickets waiting for an answer"),
    }

    @app.get("/health", summary="Alive; with a token, every lamp", tags=["watch"])
    async def health(request: Request) -> Response:
        found = desk.health()
        return _json(found if request.scope["state"][READER] else {"status": found["status"]})

    @app.get("/metrics", summary="Prometheus text", tags=["watch"], dependencies=token)
    async def metrics() -> Response:
        return Response(desk.metrics() + tally.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, (name, summary) in views.items():
        app.add_api_route(path, _viewer(desk, name), summary=summary, tags=["read"], dependencies=token)

    @app.get("/api/decisions/current", summary="The newest decision", tags=["read"], dependencies=token)
    async def current() -> Response:
        return _json(desk.view("decision"))

    @app.get("/api/quotes/{symbol}", summary="The underlying's quote now", tags=["read"], dependencies=token)
    async def quote(symbol: Annotated[str, PathParameter(max_length=12, pattern="^[A-Z0-9.]+$")]) -> Response:
        found = desk.quote(symbol)
        if found is None:
            raise HTTPException(404, f"no quote of {symbol}")
        return _json(found)

    add_ledger(app, desk, token, _json)


def _viewer(desk: Desk, name: str) -> Any:
    async def view() -> Response:
        return _json(desk.view(name))

    return view


def _add_acting(app: FastAPI, desk: Desk) -> None:
    token = [Depends(HTTPBearer(auto_error=False, scheme_name="Trading token"))]
    shared: dict[str, Any] = {
        "tags": ["act"],
        "dependencies": token,
        "response_model": Outcome,
        "responses": {404: {"model": Problem}, 409: {"model": Problem}, 422: {"model": Problem}},
    }

    @app.post("/api/approvals/{ticket}", summary="Approve or reject a ticket", **shared)
    async def answer(ticket: Id, body: TicketAnswer) -> Response:
        return await _carry_out(desk, body.command(ticket))

    @app.post("/api/tickets", summary="Open a ticket for a contract", **shared)
    async def open_ticket(body: ManualTicket) -> Response:
        return await _carry_out(desk, body.command())

    @app.post("/api/decisions/{seq}/override", summary="Execute a decision that said no", **shared)
    async def override(seq: Seq, body: DecisionOverride) -> Response:
        return await _carry_out(desk, body.command(seq))

    @app.post("/api/orders/{order}/cancel", summary="Cancel a working order", **shared)
    async def cancel_order(order: Id) -> Response:
        return await _carry_out(desk, cancel(order))

    @app.post("/api/orders/{order}/settle", summary="Say what became of an order the books cannot tell", **shared)
    async def settle_order(order: Id, body: Settle) -> Response:
        return await _carry_out(desk, body.command(order))

    @app.post("/api/positions/{position}/close", summary="Close a position", **shared)
    async def close(position: Id, body: Close | None = None) -> Response:
        return await _carry_out(desk, (body or Close()).command(position))

    @app.post("/api/halt", summary="Kill switch on", **shared)
    async def halt(body: Halt | None = None) -> Response:
        return await _carry_out(desk, (body or Halt()).command())

    @app.post("/api/resume", summary="Kill switch off, with a reason", **shared)
    async def resume(body: Resume) -> Response:
        return await _carry_out(desk, body.command())


def _add_docs(app: FastAPI) -> None:
    framework = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = framework()
            schema["paths"].update(docs.webhook_paths())
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(docs.page(app.openapi()))


async def _carry_out(desk: Desk, command: Command) -> Response:
    done = await desk.command(command)
    if done.refusal is None:
        return _json({"ok": done.ok, "seq": done.seq, "created": done.created})
    code = done.refusal.code
    if code is Code.LEDGER_AWAY:
        return _ledger_away()
    status = 404 if code in _MISSING else 422 if code in _WRONG else 409
    return _json({**said(done.refusal), "seq": done.seq}, status)


def _json(value: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def _problem(status: int, code: str, path: str, detail: str) -> Response:
    return _json({"code": code, "path": path, "detail": detail}, status)


def _ledger_away() -> Response:
    response = _problem(503, Code.LEDGER_AWAY.value, "$", "the ledger is away; nothing was done, try again")
    response.headers["retry-after"] = str(RETRY_AFTER)
    return response


async def _away(_: Request, __: Exception) -> Response:
    return _ledger_away()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: Mapping[str, Any] = error.errors()[0]
    place: Sequence[str | int] = first["loc"]
    root = "$" if place[0] == "body" else f"{place[0]}"
    names = [] if first["type"] == "json_invalid" else place[1:]
    if first["type"] in _BOUNDS:
        return _problem(422, Code.OUT_OF_RANGE.value, join(root, *names), first["msg"])
    code = Code.NOT_JSON if first["type"] == "json_invalid" else Code.BAD_FIELD
    return _problem(400, code.value, join(root, *names), first["msg"])


_DOOR_CODES = {404: Door.NOT_FOUND, 405: Door.METHOD_NOT_ALLOWED}


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _DOOR_CODES.get(error.status_code, Door.BAD_REQUEST)
    response = _problem(error.status_code, code.value, "$", str(error.detail))
    response.headers.update(error.headers or {})
    return response
