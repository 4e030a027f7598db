"""The whole assessment: size, rules, one reduction, and what happens when a rule breaks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.domain.entities import RuleVerdict
from engine.domain.values import Code
from engine.risk import manager
from engine.risk.book import Book, Proposal
from engine.risk.manager import assess
from engine.risk.rules import GATES, LIMITS, RULES
from engine.settings import Settings
from tests.unit.risk.builders import NOW, SETTINGS, D, account, book, exposure, halted, proposal, quote


def test_an_ordinary_entry_is_allowed_with_every_verdict() -> None:
    found = assess(proposal(), book(), SETTINGS)
    assert found.quantity == 3
    assert found.refusal is None
    assert [v.rule for v in found.verdicts] == [rule.name for rule in RULES]
    assert all(v.passed for v in found.verdicts)
    assert found.sizing is not None
    assert found.max_loss == found.sizing.loss_per_contract * 3
    assert found.asks == ()


def test_a_position_cap_reduces_the_quantity_once_and_names_itself() -> None:
    settings = Settings.model_validate({"risk": {"max_position": "0.008"}})
    found = assess(proposal(), book(), settings)
    assert found.quantity == 2
    assert found.sizing is not None
    assert (found.sizing.quantity, found.sizing.capped_by) == (2, "one position")
    assert next(v for v in found.verdicts if v.rule == "one position").passed


def test_the_lowest_reduction_wins() -> None:
    class Allows:
        def __init__(self, name: str, quantity: int) -> None:
            self.name, self.quantity = name, quantity

        def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
            enough = proposal.quantity <= self.quantity
            return RuleVerdict(
                rule=self.name, passed=enough, value="", limit="", reduces_to=None if enough else self.quantity
            )

    found = assess(proposal(), book(), SETTINGS, limits=(Allows("two", 2), Allows("one", 1)))
    assert found.quantity == 1
    assert found.sizing is not None
    assert found.sizing.capped_by == "one"


def test_the_first_no_in_the_order_of_the_rules_is_the_refusal() -> None:
    found = assess(proposal(), book(exposure(risk=D(99999)), halt=halted()), SETTINGS)
    assert found.quantity == 0
    assert found.max_loss == 0
    assert found.refusal is not None
    assert found.refusal.code is Code.HALTED
    assert found.stage == "risk"
    assert {v.rule for v in found.verdicts if not v.passed} == {"kill switch", "portfolio heat"}


def test_what_cannot_be_sized_is_refused_with_the_gates_verdicts() -> None:
    found = assess(proposal(recommended=0), book(), SETTINGS)
    assert found.refusal is not None
    assert found.refusal.code is Code.SIGNAL_SIZE_ZERO
    assert found.stage == "size"
    assert len(found.verdicts) == len(GATES)
    closed = assess(proposal(recommended=0), book(halt=halted()), SETTINGS).refusal
    assert closed is not None
    assert closed.code is Code.HALTED


class Broken:
    name = "broken"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        raise KeyError("no such number")


def test_a_rule_that_raises_denies_and_is_named() -> None:
    found = assess(proposal(), book(), SETTINGS, limits=(Broken(), *LIMITS))
    assert found.quantity == 0
    assert found.refusal is not None
    assert found.refusal.text == "RULE_FAILED rule=broken error=KeyError: 'no such number'"
    assert len(found.verdicts) == len(RULES) + 1


def test_a_size_that_raises_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("loss")

    monkeypatch.setattr(manager, "size", broken)
    found = assess(proposal(), book(), SETTINGS)
    assert found.refusal is not None
    assert found.refusal.text == "RULE_FAILED rule=size error=ZeroDivisionError: loss"


def test_a_proposal_without_a_price_is_refused_as_stale_not_as_broken() -> None:
    nothing = quote(None, None)
    for changes in ({"underlying": quote(None, "600")}, {"quote": nothing, "limit": D(0)}, {"underlying": nothing}):
        found = assess(proposal(**changes), book(), SETTINGS)
        assert found.refusal is not None
        assert found.refusal.code is Code.STALE_QUOTE


def test_a_person_is_asked_before_the_same_contract_is_bought_again() -> None:
    found = assess(proposal(), book(recent_entries={proposal().contract.osi: NOW - timedelta(seconds=5)}), SETTINGS)
    assert found.quantity == 3
    assert [ask.code for ask in found.asks] == [Code.DUPLICATE_ENTRY]


def test_at_approval_a_ticket_does_not_count_against_itself() -> None:
    own = exposure("T9", symbol="SPY", risk=D(2900), value=D(99500), waiting=True)
    assert assess(proposal(), book(own), SETTINGS).refusal is not None
    assert assess(proposal(ticket="T9"), book(own), SETTINGS).quantity == 3
    assert assess(proposal(ticket="T8"), book(own), SETTINGS).refusal is not None


def test_fifty_signals_of_one_second_do_not_each_see_an_empty_book() -> None:
    """Each accepted entry waits in the book of the next one: together they stay inside every limit."""
    waiting: list[Any] = []
    for n in range(50):
        proposed = proposal(trigger=n, recommended=5)
        found = assess(proposed, book(*waiting), SETTINGS)
        if found.quantity:
            waiting.append(
                exposure(
                    f"T{n}",
                    symbol="SPY",
                    quantity=found.quantity,
                    value=proposed.cost * found.quantity,
                    risk=found.max_loss,
                    waiting=True,
                )
            )
    assert 1 <= len(waiting) <= 4
    assert sum(e.risk for e in waiting) <= D("0.03") * 100000


def test_a_losing_account_is_sized_down_then_halted() -> None:
    quantities = [
        assess(proposal(recommended=9), book(equity=equity, account=account(prior_equity=D(equity))), SETTINGS).quantity
        for equity in (100000, 95000, 94999, 90001, 90000)
    ]
    assert quantities == [6, 6, 3, 2, 0]
