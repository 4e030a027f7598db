"""Views of what is remembered and watched, and the ground of all views: the four faces a panel may show.

Re-exported by `engine.domain.views`, where everybody imports them from.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from engine.domain.values import Value


class FaceKind(StrEnum):
    FULL = "full"
    EMPTY = "empty"
    STALE = "stale"
    ERROR = "error"


class Face(Value, frozen=True, kw_only=True):
    """Which of its four faces a panel shows, and the words for it."""

    kind: FaceKind = FaceKind.FULL
    what: str = ""
    """Empty: why there is nothing. Stale: what went quiet. Error: what failed."""
    then: str = ""
    """Empty: what to do. Stale: what still counts. Error: what still works, and the next try."""
    age: float | None = None
    """Seconds since the newest value, for a stale face."""
    action: str = ""
    """Id of the one action offered."""


FULL = Face()


class View(Value, frozen=True, kw_only=True):
    """Base of what one panel draws."""

    face: Face = FULL


class Point(Value, frozen=True, kw_only=True):
    """One figure with its name, for strips and cards."""

    name: str
    value: str
    gain: bool | None = None
    """True and False colour it as gain and loss; None leaves it plain."""


# --- remember ------------------------------------------------------------------------------------------------------


class StoryStep(StrEnum):
    """The links of the chain, in the order a signal travels."""

    SIGNAL = "Signal"
    DECISION = "Decision"
    RULES = "Rules"
    APPROVAL = "Approval"
    ORDER = "Order"
    FILLS = "Fills"
    EXIT = "Exit"


class StoryCard(Value, frozen=True, kw_only=True):
    """One link: what happened, with the facts that say so."""

    step: StoryStep
    title: str
    """`SPY 5m LONG EXTREME`; `not yet` for a link that has not come."""
    at: datetime | None = None
    after: float | None = None
    """Seconds since the link before."""
    points: tuple[Point, ...] = ()
    seqs: tuple[int, ...] = ()
    stopped: bool = False
    """The story ended here with a no."""


class LedgerRow(Value, frozen=True, kw_only=True):
    seq: int
    at: datetime
    kind: str
    text: str
    cause: int | None = None


class StoryView(View, frozen=True, kw_only=True):
    seq: int | None = None
    title: str = ""
    outcome: str = ""
    gain: bool | None = None
    cards: tuple[StoryCard, ...] = ()
    facts: tuple[LedgerRow, ...] = ()


# --- watch ---------------------------------------------------------------------------------------------------------


class LampState(StrEnum):
    OK = "ok"
    OFF = "off"
    """Not set up: nothing is wrong."""
    WARN = "warn"
    BAD = "bad"


class Lamp(Value, frozen=True, kw_only=True):
    """One thing that must work, and whether it does."""

    id: str
    name: str
    state: LampState
    text: str
    """Short, beside the name: `0.3 ms`."""
    detail: str = ""
    todo: str = ""
    age: float | None = None


class Outage(Value, frozen=True, kw_only=True):
    """The ledger does not keep up: what a trader must know of it."""

    word: str
    """`NO NEW ENTRIES`."""
    grave: bool
    """Something is refused because of it."""
    since: datetime
    lasts: float
    """Seconds."""
    facts: int
    """Durable on this machine only, waiting for the database."""
    goes_on: str
    stops: str
    reason: str = ""


class HealthView(View, frozen=True, kw_only=True):
    lamps: tuple[Lamp, ...] = ()
    outage: Outage | None = None
    """None while the ledger keeps up."""


class LogRow(Value, frozen=True, kw_only=True):
    id: int
    at: datetime
    level: str
    """info, warning, error."""
    source: str
    text: str


class LogView(View, frozen=True, kw_only=True):
    rows: tuple[LogRow, ...] = ()
    """Newest first, bounded by whoever keeps them."""


class WelcomeStep(Value, frozen=True, kw_only=True):
    title: str
    detail: str
    done: bool
    copy: str = ""
    """Text to take along: an address, a secret, a command line."""
    secret: bool = False
    """Shown masked until asked."""
    action: str = ""
    button: str = ""


class WelcomeView(View, frozen=True, kw_only=True):
    steps: tuple[WelcomeStep, ...] = ()
