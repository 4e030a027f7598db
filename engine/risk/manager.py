"""The risk manager: every entry passes here, at the ticket and again at approval. No person, policy or door goes round it.

Pure. It sizes, asks every rule, reduces once more where a rule says so, and answers with all verdicts. Exits, cancels and
whatever else lowers the risk never come here: entry limits must not keep a position open.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from engine.domain.entities import RuleVerdict, Sizing
from engine.domain.values import Code, Refusal, Value, refuse
from engine.risk.book import Book, Proposal
from engine.risk.rules import GATES, LIMITS
from engine.risk.rules.base import Rule
from engine.risk.sizing import size
from engine.settings import Settings


class Assessment(Value, frozen=True, kw_only=True):
    """The answer to one proposal. `quantity` is 0 where there is a refusal."""

    quantity: int
    verdicts: tuple[RuleVerdict, ...]
    refusal: Refusal | None
    """The first no, in the order of the rules."""
    sizing: Sizing | None
    max_loss: Decimal
    """Dollars lost at the stop, for the quantity, with half the spread and the fees."""
    asks: tuple[Refusal, ...] = ()
    """Not denied, but a person must say yes: no policy may approve it."""

    @property
    def stage(self) -> str:
        """Where a refusal came from: size or risk."""
        return "size" if self.refusal is not None and self.refusal.code in _SIZE_CODES else "risk"


_SIZE_CODES = frozenset({Code.SIGNAL_SIZE_ZERO, Code.SIZE_BELOW_ONE})


def assess(
    proposal: Proposal,
    book: Book,
    settings: Settings,
    *,
    gates: tuple[Rule, ...] = GATES,
    limits: tuple[Rule, ...] = LIMITS,
) -> Assessment:
    """How many contracts may be bought, or why none. The proposal's own ticket does not count against itself."""
    book = book.without(proposal.ticket)
    first = _ask(gates, proposal, book, settings)
    denied = _first_no(first)
    try:
        sized: Sizing | Refusal = size(proposal, book, settings)
    except Exception as error:  # noqa: BLE001 - what cannot be sized is denied, whatever the cause
        sized = _failed("size", error)
    if isinstance(sized, Refusal):
        return _no(denied or sized, first, None)
    quantity = sized.quantity
    at_quantity = replace(proposal, quantity=quantity, loss=sized.loss_per_contract)
    verdicts = _ask(limits, at_quantity, book, settings)
    reduced = [v for v in verdicts if v.reduces_to is not None and 0 < v.reduces_to < quantity]
    if reduced:
        lowest = min(reduced, key=lambda v: v.reduces_to or 0)
        quantity = lowest.reduces_to or 0
        sized = replace(sized, quantity=quantity, capped_by=lowest.rule)
        verdicts = _ask(limits, replace(at_quantity, quantity=quantity), book, settings)
    everything = first + verdicts
    denied = _first_no(everything)
    if denied is not None:
        return _no(denied, everything, sized)
    return Assessment(
        quantity=quantity,
        verdicts=everything,
        refusal=None,
        sizing=sized,
        max_loss=sized.loss_per_contract * quantity,
        asks=tuple(v.refusal for v in everything if v.refusal is not None),
    )


def _ask(rules: tuple[Rule, ...], proposal: Proposal, book: Book, settings: Settings) -> tuple[RuleVerdict, ...]:
    return tuple(_answer(rule, proposal, book, settings) for rule in rules)


def _answer(rule: Rule, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
    try:
        return rule.check(proposal, book, settings)
    except Exception as error:  # noqa: BLE001 - a rule that raises denies; it must not take the others down
        return RuleVerdict(
            rule=rule.name, passed=False, value="failed", limit="an answer", refusal=_failed(rule.name, error)
        )


def _failed(rule: str, error: Exception) -> Refusal:
    return refuse(Code.RULE_FAILED, rule=rule, error=f"{type(error).__name__}: {error}")


def _first_no(verdicts: tuple[RuleVerdict, ...]) -> Refusal | None:
    return next((v.refusal for v in verdicts if not v.passed and v.refusal is not None), None)


def _no(refusal: Refusal, verdicts: tuple[RuleVerdict, ...], sizing: Sizing | None) -> Assessment:
    return Assessment(quantity=0, verdicts=verdicts, refusal=refusal, sizing=sizing, max_loss=Decimal(0))
