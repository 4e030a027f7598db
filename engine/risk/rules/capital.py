"""Capital: does the book bear this quantity? One position, all positions, one symbol, one day, the account's cash."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from engine.domain.entities import RuleVerdict
from engine.domain.values import Code
from engine.risk.book import INDEX_GROUP, Book, Proposal, day_budget_used, structures
from engine.risk.rules.base import NOT_APPLICABLE, dollars, percent, verdict
from engine.settings import Settings

NOTHING = Decimal(0)


class FewPositions:
    """Open and waiting structures, in all and of one symbol."""

    name = "open positions"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        everywhere, most = structures(book.exposures), settings.risk.max_positions
        here = structures(e for e in book.exposures if e.symbol == proposal.symbol)
        most_here = settings.risk.max_positions_symbol
        value, limit = f"{everywhere}, {here} {proposal.symbol}", f"{most}, {most_here} a symbol"
        if everywhere >= most:
            return verdict(self, False, value, limit, Code.TOO_MANY_POSITIONS, open=everywhere, limit=most)
        return verdict(
            self, here < most_here, value, limit, Code.TOO_MANY_POSITIONS,
            open=here, symbol=proposal.symbol, limit=most_here,
        )  # fmt: skip


class PositionCap:
    """One position, with what is held or waits of the same contract. Sizes first, then denies."""

    name = "one position"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        cap = settings.risk.max_position * book.equity
        held = sum((e.value for e in book.exposures if e.contract == proposal.contract), NOTHING)
        value = held + proposal.cost * proposal.quantity
        allowed = int(((cap - held) / proposal.cost).to_integral_value(ROUND_FLOOR))
        shown, limit = percent(value / book.equity), percent(settings.risk.max_position)
        return verdict(
            self, value <= cap, shown, limit, Code.POSITION_OVER_CAP,
            reduces_to=allowed if 0 < allowed < proposal.quantity else None,
            position=shown, limit=limit, value=dollars(value),
        )  # fmt: skip


class Heat:
    """What the book loses if every stop is reached, with this trade."""

    name = "portfolio heat"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        heat = _at_stops(book) + _new_loss(proposal)
        most = settings.risk.max_heat
        value, limit = percent(heat / book.equity), percent(most)
        return verdict(self, heat <= most * book.equity, value, limit, Code.HEAT_OVER_LIMIT, heat=value, limit=limit)


class SymbolConcentration:
    """One symbol's share of the heat limit."""

    name = "symbol concentration"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        here = sum((e.risk for e in book.exposures if e.symbol == proposal.symbol), NOTHING) + _new_loss(proposal)
        return _share(self, here, settings.risk.symbol_heat, proposal.symbol, book, settings)


class GroupConcentration:
    """SPY, QQQ and IWM together: one bet on the index, whichever of the three it is in."""

    name = "group concentration"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        if proposal.symbol not in INDEX_GROUP:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.CONCENTRATION)
        group = sum((e.risk for e in book.exposures if e.symbol in INDEX_GROUP), NOTHING) + _new_loss(proposal)
        return _share(self, group, settings.risk.group_heat, "SPY+QQQ+IWM", book, settings)


class DayBudget:
    """Lost today, at the stops of what expires today, in what waits, and in this trade."""

    name = "day budget"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        used = day_budget_used(book) + _new_loss(proposal)
        most = settings.risk.day_budget
        value, limit = percent(used / book.equity), percent(most)
        return verdict(
            self, used <= most * book.equity, value, limit, Code.DAY_BUDGET,
            day=value, limit=limit, day_loss=dollars(book.day_loss), trade=dollars(_new_loss(proposal)),
        )  # fmt: skip


class DeltaDollars:
    """Net delta dollars of the book, beta-weighted. What brings them nearer to zero always passes."""

    name = "delta dollars"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        before = sum((e.delta_dollars for e in book.exposures), NOTHING)
        after = before + proposal.delta_dollars * proposal.quantity
        most = settings.risk.max_delta_dollars
        passed = abs(after) <= most * book.equity or abs(after) <= abs(before)
        value, limit = percent(after / book.equity), percent(most)
        return verdict(
            self, passed, value, limit, Code.DELTA_OVER_LIMIT, delta=value, limit=limit, adds=dollars(after - before)
        )


class BuyingPower:
    """Long premium is paid in full, in cash that nothing else waits for."""

    name = "buying power"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        free = book.account.cash - sum((e.value for e in book.exposures if e.waiting), NOTHING)
        needed = proposal.cost * proposal.quantity + proposal.round_trip_fees * proposal.quantity
        value, limit = dollars(needed), dollars(free)
        return verdict(self, needed <= free, value, limit, Code.BUYING_POWER, needed=value, free=limit)


def _at_stops(book: Book) -> Decimal:
    return sum((e.risk for e in book.exposures), NOTHING)


def _new_loss(proposal: Proposal) -> Decimal:
    return proposal.loss * proposal.quantity


def _share(
    rule: SymbolConcentration | GroupConcentration,
    risk: Decimal,
    share: Decimal,
    of: str,
    book: Book,
    settings: Settings,
) -> RuleVerdict:
    most = share * settings.risk.max_heat * book.equity
    value, limit = percent(risk / (settings.risk.max_heat * book.equity)), percent(share)
    return verdict(rule, risk <= most, value, limit, Code.CONCENTRATION, of=of, share=value, limit=limit)
