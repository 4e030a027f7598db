"""Looks after the chain panel: a snapshot on the loop, pricing in a worker thread, the view handed over at the next flush.

Made by the bridge. It looks only while the panel is in sight, never twice at once, and no oftener than `EVERY`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import structlog

from engine.domain.chain import Chain
from engine.domain.views import ChainView
from engine.pricing import kernels
from engine.pricing.terms import Terms
from engine.views.chain import ChainAsk, chain_view, failed, living, nothing
from engine.views.seen import Seen

log = structlog.get_logger("chains")

EVERY = 0.4
"""Seconds between two looks at the same expiry."""
BY_NUMPY = 3.0
"""The same until the kernels are compiled: a look takes a third of a second then."""
AFTER_FAILURE = 5.0
FIT_EVERY = 3.0
"""Seconds between two fits of the same expiry's smile; in between its skew stands."""

Asked = tuple[str, date | None]
TermsOf = Callable[[Chain, date], Terms]
"""The terms of a chain's expiry now."""


class ChainWatch:
    def __init__(self, terms: TermsOf) -> None:
        self._terms = terms
        self._worker: ThreadPoolExecutor | None = None
        self._working: Future[ChainView] | None = None
        self._asked: Asked | None = None
        self._due = 0.0
        self._fitted: tuple[str, date] | None = None
        self._fit_due = 0.0
        self.shown = ChainView()

    def close(self) -> None:
        """The look under way, if any, ends by itself within milliseconds. Another turn begins anew."""
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)
        self._worker = self._working = None

    def turn(self, seen: Seen, asked: Asked, now: float) -> ChainView:
        """The newest view of what is asked; starts the next look when it is due. `now`: seconds of a clock that never goes back."""
        self._take(now)
        if self._working is None and (asked != self._asked or now >= self._due):
            compiled = kernels.state().serving is kernels.Serving.COMPILED
            self._asked, self._due = asked, now + (EVERY if compiled else BY_NUMPY)
            self._look(seen, asked, now)
        return self.shown

    def _take(self, now: float) -> None:
        if self._working is None or not self._working.done():
            return
        done, self._working = self._working, None
        error = done.exception()
        if error is None:
            self.shown = done.result()
            return
        log.error("chain_not_priced", symbol=self.shown.symbol, exc_info=error)
        self.shown = failed(self.shown, f"{type(error).__name__}: {error}")
        self._due = now + AFTER_FAILURE

    def _look(self, seen: Seen, asked: Asked, now: float) -> None:
        symbols = tuple(seen.quotes.symbols())
        symbol = asked[0] if asked[0] in symbols else next(iter(symbols), asked[0])
        chain = seen.quotes.chain(symbol) if symbols else None
        days = living(chain, seen.now, seen.calendar) if chain is not None else []
        if chain is None or not days:
            self.shown = nothing(symbol, symbols)
            return
        expiry = next((index for index in days if chain.expiries[index] == asked[1]), days[0])
        this = (symbol, chain.expiries[expiry])
        # The view of another expiry may still be shown: its skew is none of this one's.
        kept = self._fitted == this == (self.shown.symbol, self.shown.expiry)
        fit = not kept or now >= self._fit_due
        if fit:
            self._fitted, self._fit_due = this, now + FIT_EVERY
        ask = ChainAsk(
            chain=chain,
            expiry=expiry,
            terms=self._terms(chain, chain.expiries[expiry]),
            now=seen.now,
            calendar=seen.calendar,
            market=seen.settings.market,
            symbols=symbols,
            fit=fit,
            skew=self.shown.skew,
        )
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chain")
        self._working = self._worker.submit(chain_view, ask)
