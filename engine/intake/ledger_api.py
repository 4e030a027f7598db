"""The ledger's part of the HTTP API: facts by what they are found by, one signal's story, and past states.

Called by `api`. Facts come in pages: the header `Strikedesk-Next` is the `key` of the page after this one; without it
there is none. `Strikedesk-Behind` is how many of the newest facts a search could not look at yet.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi import Path as PathParameter
from fastapi.responses import Response
from pydantic import StringConstraints
from starlette.exceptions import HTTPException

from engine.domain.findable import Question
from engine.intake.doors import Desk

NEXT = "Strikedesk-Next"
BEHIND = "Strikedesk-Behind"
Seq = Annotated[int, PathParameter(ge=1, le=2**62)]
Kind = Annotated[str, StringConstraints(max_length=40, pattern="^[A-Za-z]+$")]
Word = Annotated[str | None, Query(max_length=40, pattern="^[A-Za-z0-9_]+$")]


def add_ledger(app: FastAPI, desk: Desk, token: list[Any], answer: Callable[[object], Response]) -> None:
    """The three paths. `answer` makes JSON of what the desk gives."""

    @app.get(
        "/api/ledger", summary="Facts, oldest or newest first, a page at a time", tags=["read"], dependencies=token
    )
    async def ledger(
        after: Annotated[int | None, Query(ge=0, le=2**62, description="Oldest first, from behind this fact")] = None,
        key: Annotated[int | None, Query(ge=0, le=2**62, description="What the page before gave as next")] = None,
        order: Annotated[Literal["oldest", "newest"], Query()] = "oldest",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        since: Annotated[datetime | None, Query(description="ISO time with its zone")] = None,
        until: Annotated[datetime | None, Query(description="Up to and without this time")] = None,
        kind: Annotated[list[Kind] | None, Query(max_length=20)] = None,
        symbol: Annotated[str | None, Query(max_length=12, pattern="^[A-Z0-9.]+$")] = None,
        decision: Word = None,
        strategy: Word = None,
        outcome: Word = None,
        reason: Word = None,
        text: Annotated[str, Query(max_length=200, description="Words; the last may be the beginning of one")] = "",
    ) -> Response:
        question = Question(
            since=_zoned("since", since),
            until=_zoned("until", until),
            kinds=tuple(kind or ()),
            symbol=symbol,
            decision=decision,
            strategy=strategy,
            outcome=outcome,
            reason=reason,
            text=text,
        )
        found = await desk.find(question, key if key is not None else after, limit, order == "newest")
        response = answer(found.rows)
        if found.next is not None:
            response.headers[NEXT] = str(found.next)
        if found.behind:
            response.headers[BEHIND] = str(found.behind)
        return response

    @app.get("/api/ledger/{seq}", summary="The whole story a fact belongs to", tags=["read"], dependencies=token)
    async def story(seq: Seq) -> Response:
        found = await desk.story(seq)
        if not found:
            raise HTTPException(404, f"no fact {seq}")
        return answer({"seq": seq, "story": found})

    @app.get("/api/past", summary="What the engine knew at a past moment", tags=["read"], dependencies=token)
    async def past(at: Annotated[datetime, Query(description="ISO time with its zone")]) -> Response:
        moment = _zoned("at", at)
        assert moment is not None
        return answer(await desk.past(moment))


def _zoned(name: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise HTTPException(422, f"{name}: a time needs its zone (2026-11-20T15:00:00Z)")
    return moment
