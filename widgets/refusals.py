"""What a refusal says to a trader: a sentence for each code, its numbers, and the code itself, by which the ledger knows it.

Words only; called where an answer is shown. The ledger, the API and the log keep the refusal's own text.
"""

from __future__ import annotations

from engine.domain.values import Code, Refusal

SENTENCES: dict[Code, str] = {
    Code.UNKNOWN_FORM: "this form is not known",
    Code.NOT_JSON: "this is not JSON",
    Code.BAD_FIELD: "a field cannot be used",
    Code.OUT_OF_RANGE: "a value is out of range",
    Code.TOO_DEEP: "it is nested too deeply",
    Code.TOO_LARGE: "it is too large",
    Code.NOT_FINITE: "a number is not finite",
    Code.SIGNAL_LATE: "the signal came too late",
    Code.SIGNAL_CONTRADICTED: "another signal contradicts it",
    Code.SIGNAL_SIZE_ZERO: "the signal asks for no contracts",
    Code.PRICE_MISMATCH: "the signal's price is not the market's",
    Code.CLOSED_DAY: "the exchange is closed that day",
    Code.COOLING_DOWN: "this direction rests after a stop-out",
    Code.DUPLICATE_ENTRY: "this entry was just made",
    Code.NO_MARKET_DATA: "there is no market for it",
    Code.STALE_QUOTE: "its quote is too old",
    Code.NO_EXPIRY: "no listed expiry fits",
    Code.NO_LIQUID_CONTRACT: "no contract is liquid enough",
    Code.ADJUSTED_CONTRACT: "adjusted contracts are not traded",
    Code.SIZE_BELOW_ONE: "the risk budget does not pay for one contract",
    Code.POSITION_OVER_CAP: "the position would be too large",
    Code.HEAT_OVER_LIMIT: "the book's heat would be over its limit",
    Code.CONCENTRATION: "too much would be at risk in one place",
    Code.DAY_BUDGET: "the day budget does not cover it",
    Code.TOO_MANY_POSITIONS: "there would be too many positions",
    Code.BUYING_POWER: "there is not enough cash",
    Code.DELTA_OVER_LIMIT: "the book's delta would be over its limit",
    Code.ZERO_DTE_PREMIUM: "too much premium would expire today",
    Code.THETA_OVER_LIMIT: "the book's theta would be over its limit",
    Code.VEGA_OVER_LIMIT: "the book's vega would be over its limit",
    Code.STRESS_OVER_LIMIT: "the book would lose too much under stress",
    Code.DRAWDOWN_HALT: "the drawdown halted entries",
    Code.HALTED: "trading is halted",
    Code.SESSION_CLOSED: "the session is closed",
    Code.ENTRY_RATE: "entries come too fast",
    Code.PRICE_DRIFT: "the price has drifted too far",
    Code.STOP_BREACHED: "the stop is reached already",
    Code.STOP_TOO_TIGHT: "the stop is too tight",
    Code.TARGET_PASSED: "the target is passed already",
    Code.RR_TOO_LOW: "the reward is too small for the risk",
    Code.RULE_FAILED: "a rule could not be worked out",
    Code.TICKET_UNKNOWN: "there is no such ticket",
    Code.TICKET_CLOSED: "the ticket was answered already",
    Code.TICKET_EXPIRED: "the ticket's time is over",
    Code.TICKET_REPRICED: "the ticket has a new price: look again",
    Code.TICKET_JUST_CHANGED: "the ticket has just changed: look again",
    Code.REASON_MISSING: "a reason is needed",
    Code.POSITION_UNKNOWN: "there is no such position",
    Code.ORDER_UNKNOWN: "there is no such order",
    Code.DECISION_UNKNOWN: "there is no such decision to override",
    Code.BAD_QUANTITY: "this quantity cannot be used",
    Code.NOT_HALTED: "trading is not halted",
    Code.NOT_IN_DOUBT: "the order is not in doubt",
    Code.BROKER_MAY_ANSWER: "the broker may still answer for it",
    Code.OVERSELL: "that is more than is held",
    Code.ALREADY_CLOSING: "it is being closed already",
    Code.ORDER_TOO_LARGE: "the order is too large",
    Code.LEDGER_AWAY: "the ledger does not keep up, so no new risk is taken",
    Code.BROKER_AWAY: "the broker cannot be reached",
    Code.BROKER_REJECTED: "the broker rejected it",
}


def refusal_words(refusal: Refusal) -> str:
    """`the ledger does not keep up, so no new risk is taken: facts 9, seconds 21 · LEDGER_AWAY`."""
    where = f" at {refusal.path}" if refusal.path else ""
    said = ", ".join(f"{name.replace('_', ' ')} {refusal.numbers[name]}" for name in refusal.order)
    sentence = SENTENCES.get(refusal.code, refusal.code.value.replace("_", " ").lower())
    return f"{sentence}{where}{f': {said}' if said else ''} · {refusal.code}"
