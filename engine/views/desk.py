"""The top and the bottom of the desk: band, tape, account line, lamps, first steps."""

from __future__ import annotations

from decimal import Decimal

from engine.domain.values import Policy, Value
from engine.domain.views import Face, HeaderView, HealthView, Lamp, LampState, Outage, Tick, WelcomeStep, WelcomeView
from engine.portfolio.account import day_pnl
from engine.ports import Spooled
from engine.risk.book import day_budget_used
from engine.views.lag import AGAIN, LATE, SPREAD, TURNS, WINDOW
from engine.views.line import broker_lamps
from engine.views.seen import Seen, age, left


class Vitals(Value, frozen=True, kw_only=True):
    """What the frame of the house knows of itself. Milliseconds and seconds."""

    address: str
    """Where the webhook listens; empty while it does not."""
    market: str
    """simulated, recorded."""
    ledger_seq: int
    ledger_available: bool
    ledger_name: str
    """`embedded Postgres`."""
    slowest_step: float
    """Of the last minute."""
    loop_block: float
    """Longest block of the loop in the last minute."""
    heard_ago: float | None
    loop_late: float | None = None
    """How late the worst of the last turns was, milliseconds, from when a person notices until that was over for a while;
    else None."""
    ledger_spooled: Spooled | None = None
    """What is durable in the spool only, while the database does not keep up."""
    weighing: int = 0
    warm: bool = True
    """Bars and chains of all watched symbols are ready; before that, steps are not judged."""
    pricing: str = ""
    """What serves the kernels: compiled, warming, numpy, unavailable."""
    pricing_reason: str = ""
    """Why there is no compiled code, or why it is not kept."""
    problems: tuple[str, ...] = ()
    clock: float = 0.0
    """Seconds of a clock that never goes back, when this was taken."""


def header_view(seen: Seen, market: str) -> HeaderView:
    book, halt, risk = seen.book, seen.state.halt, seen.settings.risk
    source = market.split(":", 1)[0].upper()
    opens = None if seen.to_close is not None else seen.calendar.next_open(seen.now)
    heat = None
    if book is not None and book.equity > 0:
        heat = round(float(sum((e.risk for e in book.exposures), Decimal(0)) / book.equity), 4)
    return HeaderView(
        account="PAPER",
        market=source,
        speed=seen.settings.market.speed,
        now=seen.now.replace(microsecond=0),
        ticks=tuple(_tick(seen, symbol) for symbol in seen.quotes.symbols()),
        session=seen.calendar.market_session(seen.now).value,
        to_close=None if seen.to_close is None else left(seen.to_close),
        to_open=None if opens is None else left((opens - seen.now).total_seconds()),
        equity=book.equity if book else None,
        day_pnl=day_pnl(book.account, book.equity) if book else None,
        budget_used=day_budget_used(book) if book else None,
        budget=(risk.day_budget * book.equity).quantize(Decimal(1)) if book else None,
        heat=heat,
        heat_limit=float(risk.max_heat),
        halted=halt is not None and halt.latched,
        halt_by=halt.by if halt else "",
        halt_reason=halt.reason if halt else "",
        policy=seen.settings.approvals.policy.value,
    )


def _tick(seen: Seen, symbol: str) -> Tick:
    quote = seen.quotes.underlying(symbol)
    if quote is None or quote.mid is None:
        return Tick(symbol=symbol, price=None, change=None)
    reference = seen.references.get(symbol)
    price = quote.mid.quantize(Decimal("0.01"))
    old = quote.age(seen.now)
    return Tick(
        symbol=symbol,
        price=price,
        change=round(float(price / reference - 1), 4) if reference else None,
        age=age(old) if old > 1 else None,
        stale=old > seen.settings.market.quote_age(quote.source),
    )


def health_view(seen: Seen, vitals: Vitals, outage: Outage | None = None) -> HealthView:
    ok, off, warn, bad = LampState.OK, LampState.OFF, LampState.WARN, LampState.BAD
    quotes = [seen.quotes.underlying(symbol) for symbol in seen.quotes.symbols()]
    ages = [quote.age(seen.now) for quote in quotes if quote is not None]
    limit = seen.settings.market.quote_age(vitals.market)
    silent = not ages or max(ages) > limit
    slow = vitals.slowest_step > 50
    lamps = [
        Lamp(id="engine", name="Engine", state=warn if slow else ok,
             text=f"{vitals.slowest_step:.0f} ms" if vitals.warm else "starting",
             detail=f"slowest step of the last minute; {vitals.weighing} waiting to be weighed"),
        Lamp(id="webhook", name="Webhook", state=ok if vitals.address else bad,
             text=vitals.address.rsplit(":", 1)[-1] if vitals.address else "not listening", detail=vitals.address,
             todo="" if vitals.address else "Set another intake.port and start again",
             age=None if vitals.heard_ago is None else age(vitals.heard_ago)),
        Lamp(id="market", name="Market", state=warn if silent else ok, text=vitals.market.split(":", 1)[0],
             detail=f"{len(quotes)} symbols", todo="No orders are priced from quotes this old" if silent else "",
             age=age(max(ages)) if ages else None),
        _ledger_lamp(vitals),
        _loop_lamp(vitals),
        _pricing(vitals),
        Lamp(id="redis", name="Redis", state=off, text="not set", detail="hot state is kept in this process"),
        Lamp(id="telegram", name="Telegram", state=off, text="not set", detail="approvals on this desk only"),
    ]  # fmt: skip
    lamps += broker_lamps(seen)
    lamps += [Lamp(id=f"problem{n}", name="Notice", state=warn, text=words) for n, words in enumerate(vitals.problems)]
    return HealthView(lamps=tuple(lamps), outage=outage)


def _loop_lamp(vitals: Vitals) -> Lamp:
    """The figure is the worst of a minute; the warning is about what lasts, and says when that is over."""
    late = vitals.loop_late
    text = f"{vitals.loop_block:.0f} ms" if vitals.warm else "starting"
    detail = (
        f"longest block of the last minute; warns when {TURNS} turns in {WINDOW:.0f} s are over {LATE:.0f} ms late, over "
        f"{SPREAD:.0f} s or more"
    )
    if late is None:
        return Lamp(id="loop", name="Loop", state=LampState.OK, text=text, detail=detail)
    todo = "This machine is too busy: figures and answers come late"
    if late > LATE:
        detail = f"turns of the last {WINDOW:.0f} s were up to {late:.0f} ms late; {detail}"
    elif late > AGAIN:
        detail = f"turns were over {LATE:.0f} ms late, and are up to {late:.0f} ms late still; {detail}"
    else:
        detail = f"turns were over {LATE:.0f} ms late until just now; {detail}"
        todo = "This machine was too busy until just now: figures and answers came late"
    return Lamp(id="loop", name="Loop", state=LampState.WARN, text=text, detail=detail, todo=todo)


def _pricing(vitals: Vitals) -> Lamp:
    """numpy prices to the same bits, only slower: no fault, but worth knowing."""
    compiled = vitals.pricing == "compiled"
    text = "compiled" if compiled else "numpy until warm" if vitals.pricing in ("numpy", "warming") else "numpy"
    detail = vitals.pricing_reason or ("kernels run as machine code" if compiled else "the same results, slower")
    missing = vitals.pricing == "unavailable" and "asked for" not in vitals.pricing_reason
    return Lamp(id="pricing", name="Pricing", state=LampState.WARN if missing else LampState.OK, text=text, detail=detail,
                todo="Results are the same, chains take longer; see doctor" if missing else "")  # fmt: skip


def _ledger_lamp(vitals: Vitals) -> Lamp:
    spooled = vitals.ledger_spooled
    if not vitals.ledger_available:
        todo = "Facts are kept in order and written when it is back; no new risk"
        return Lamp(id="ledger", name="Ledger", state=LampState.BAD, text="away", detail=vitals.ledger_name, todo=todo)
    if spooled is not None:
        todo = (
            "Facts are safe on this disk and go to the database when it keeps up; until then there is soon no new risk"
        )
        return Lamp(id="ledger", name="Ledger", state=LampState.WARN, text=f"spooling {spooled.facts:,}",
                    detail=f"{vitals.ledger_name}: {spooled.reason}", todo=todo, age=age(spooled.seconds))  # fmt: skip
    text = f"{vitals.ledger_seq:,}"
    return Lamp(id="ledger", name="Ledger", state=LampState.OK, text=text, detail=vitals.ledger_name)


def _test_words(seen: Seen) -> str:
    """What the button sends, and what comes of it."""
    symbol = next(iter(seen.quotes.symbols()), "")
    policy = seen.settings.approvals.policy
    after = "a ticket waits for your A and Enter" if policy is Policy.MANUAL else f"policy {policy} answers the ticket"
    return (
        f"The button posts two made-up alerts to the webhook, {symbol} 4H LONG and 1H LONG at the price of now. One alone "
        f"is WAIT, both are EXECUTE; then {after}. Or copy a line for a shell (it holds the secret)."
    )


def welcome_view(seen: Seen, vitals: Vitals, secret: str) -> WelcomeView:
    """The steps to the first signal. `secret`: the webhook's, shown masked."""
    account = seen.state.account
    cash = f"{account.cash:,.2f} USD, simulated money." if account else "It opens with the first start."
    url = f"{vitals.address}/webhook"
    body = '{"ticker":"SPY","action":"buy","timeframe":"5"}'
    curl = f"curl -X POST '{url}?token={secret}' -d '{body}'"
    heard, symbols = bool(seen.state.heard), seen.quotes.symbols()
    steps = (
        WelcomeStep(title="Paper account is open", detail=f"{cash} Nothing here can reach a real broker.", done=account is not None),
        WelcomeStep(title="Ledger is running", detail=f"{vitals.ledger_name}: every fact is appended and hash-chained.",
                    done=vitals.ledger_available),
        WelcomeStep(title=f"Market is {vitals.market.split(':', 1)[0]}",
                    detail=f"{', '.join(symbols)} {'is' if len(symbols) == 1 else 'are'} watched.", done=True),
        WelcomeStep(title="Take the webhook's address to your sender",
                    detail="Alerts are posted here. From outside this machine a tunnel to this port is needed.",
                    done=heard, copy=url),
        WelcomeStep(title="The secret", detail="As ?token=… in the address, a Bearer header, or “secret” in the body.",
                    done=heard, copy=secret, secret=True),
        WelcomeStep(title="Hear the first signal", detail=_test_words(seen),
                    done=heard, copy=curl, secret=True, action="" if heard else "welcome.test", button="Send two test alerts"),
    )  # fmt: skip
    return WelcomeView(steps=steps, face=Face())
