"""What every rule has: a name, one question, and an answer with its numbers."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from engine.domain.entities import RuleVerdict
from engine.domain.values import CENT, Code, Refusal
from engine.risk.book import Book, Proposal
from engine.settings import Settings

NOT_APPLICABLE = "n/a"


class Rule(Protocol):
    """One question about an entry. A rule that raises denies; the manager sees to that."""

    name: str

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        """The answer. Passed with a refusal means: a person must be asked first."""
        ...


def verdict(
    rule: Rule,
    passed: bool,
    value: str,
    limit: str,
    code: Code,
    /,
    reduces_to: int | None = None,
    **numbers: object,
) -> RuleVerdict:
    """An answer; the refusal is made from the numbers only where the rule says no and no reduction helps."""
    refusal: Refusal | None = None
    if not passed and not reduces_to:
        refusal = Refusal(code=code, numbers={name: str(number) for name, number in numbers.items()})
    return RuleVerdict(rule=rule.name, passed=passed, value=value, limit=limit, refusal=refusal, reduces_to=reduces_to)


def percent(fraction: Decimal) -> str:
    """8.4 % as `8.4%`; rounded up to two decimals, so that what is over a limit also looks over it."""
    return f"{plain((fraction * 100).quantize(CENT, ROUND_CEILING))}%"


def dollars(amount: Decimal) -> str:
    return f"${amount.quantize(CENT, ROUND_CEILING)}"


def plain(number: Decimal) -> str:
    """Without trailing zeros and without an exponent."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
