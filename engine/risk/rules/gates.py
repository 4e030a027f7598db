"""Gates: may anything be entered at all now? They do not depend on the quantity."""

from __future__ import annotations

from datetime import timedelta

from engine.domain.entities import RuleVerdict
from engine.domain.values import Bucket, Code, Quote, refuse
from engine.risk.book import Book, Proposal
from engine.risk.kill_switch import drawdown_limit
from engine.risk.rules.base import percent, verdict
from engine.sessions import NEW_YORK
from engine.settings import Settings


class NotHalted:
    """The kill switch is not latched."""

    name = "kill switch"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        halt = book.halt
        if halt is None or not halt.latched:
            return verdict(self, True, "trading", "trading", Code.HALTED)
        return verdict(self, False, "halted", "trading", Code.HALTED, by=halt.by, reason=halt.reason or "none given")


class DrawdownBelowHalt:
    """The drawdown is below the halt, or below what a person accepted when resuming after it."""

    name = "drawdown"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        limit = drawdown_limit(book.account, book.halt, settings.risk)
        passed = book.drawdown < limit
        value, shown = percent(book.drawdown), percent(limit)
        return verdict(self, passed, value, shown, Code.DRAWDOWN_HALT, drawdown=value, limit=shown)


class InSession:
    """Inside the hours of entries, by the calendar: half days end early, 0DTE starts later and ends sooner."""

    name = "session"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        session = book.calendar.session_at(book.now)
        now = book.now.astimezone(NEW_YORK).time().isoformat("seconds")
        if session is None:
            return verdict(self, False, now, "closed all day", Code.SESSION_CLOSED, now=now, session="none today")
        risk = settings.risk
        zero = proposal.bucket is Bucket.ZERO_DTE
        after_open = risk.entry_open_minutes_0dte if zero else risk.entry_open_minutes
        before_close = risk.entry_close_minutes_0dte if zero else risk.entry_close_minutes
        first, last = session.open + timedelta(minutes=after_open), session.close - timedelta(minutes=before_close)
        limit = "-".join(end.astimezone(NEW_YORK).time().isoformat("minutes") for end in (first, last))
        passed = first <= book.now <= last
        return verdict(self, passed, now, limit, Code.SESSION_CLOSED, now=now, entries=limit, bucket=proposal.bucket)


class FreshQuotes:
    """Option and underlying are two-sided and young enough to price an order from."""

    name = "fresh quotes"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        market = settings.market
        zero = proposal.bucket is Bucket.ZERO_DTE
        moved = proposal.underlying_moved
        quiet = moved is not None and abs(moved) < market.quiet_move
        option_limit = market.quote_age(proposal.quote.source, zero)
        lines = (
            (proposal.contract.osi, proposal.quote, option_limit, quiet),
            (proposal.symbol, proposal.underlying, market.quote_age(proposal.underlying.source), False),
        )
        limit = f"{option_limit:g}s"
        for name, quote, oldest, excused in lines:
            if not quote.two_sided:
                sides = f"{quote.bid}x{quote.ask}"
                return verdict(self, False, sides, "two-sided", Code.STALE_QUOTE, of=name, quote=sides)
            if quote.age(book.now) > oldest and not excused:
                age = _age(quote, book)
                return verdict(
                    self, False, age, f"{oldest:g}s", Code.STALE_QUOTE, of=name, age=age, limit=f"{oldest:g}s"
                )
        return verdict(self, True, _age(proposal.quote, book), limit, Code.STALE_QUOTE)


class EntryRate:
    """Not more entries a second and a day than a person could have meant."""

    name = "entry rate"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        risk = settings.risk
        second, day = book.entries_last_second, book.account.entries_today
        value = f"{second}/s, {day} today"
        limit = f"{risk.entries_per_second}/s, {risk.entries_per_day} a day"
        if second >= risk.entries_per_second:
            return verdict(
                self, False, value, limit, Code.ENTRY_RATE, this_second=second, limit=risk.entries_per_second
            )
        passed = day < risk.entries_per_day
        return verdict(self, passed, value, limit, Code.ENTRY_RATE, today=day, limit=risk.entries_per_day)


class NotDuplicate:
    """An entry signal is used once, ever; the same contract again within a minute asks a person."""

    name = "duplicate entry"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        wait = settings.risk.duplicate_seconds
        limit = f"once a signal, {wait} s a contract"
        if proposal.trigger is not None and proposal.trigger in book.used_triggers:
            return verdict(
                self, False, f"trigger {proposal.trigger}", limit, Code.DUPLICATE_ENTRY, trigger=proposal.trigger
            )
        last = book.recent_entries.get(proposal.contract.osi)
        if last is None:
            return verdict(self, True, "new", limit, Code.DUPLICATE_ENTRY)
        ago = (book.now - last).total_seconds()
        answer = verdict(self, True, f"{ago:.0f} s ago", limit, Code.DUPLICATE_ENTRY)
        if ago >= wait:
            return answer
        asks = refuse(Code.DUPLICATE_ENTRY, contract=proposal.contract.osi, ago=f"{ago:.0f}s", limit=f"{wait}s")
        return RuleVerdict(rule=self.name, passed=True, value=answer.value, limit=limit, refusal=asks)


def _age(quote: Quote, book: Book) -> str:
    return f"{quote.age(book.now):.1f}s"
