"""The command line: what each command takes, and which room of app/ does it. Imports are late, so that help is instant.

Exit codes: 0 done, 1 the work found a fault, 2 wrong use or bad input, always with one clear line on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.options import Options, UsageError, parse_overrides

if TYPE_CHECKING:
    from app.commands.ledger_find import Asked as LedgerAsked


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    chosen = parser.parse_args(list(arguments) or ["desk"])
    try:
        return int(chosen.run(chosen))
    except UsageError as error:
        print(f"strikedesk: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read us has read enough (`| head`): not a fault, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="strikedesk", description="A desktop terminal for options traders.")
    parser.add_argument("--version", action="version", version=f"strikedesk {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    desk = commands.add_parser("desk", help="the terminal (also without a command)")
    _engine_options(desk)
    desk.add_argument(
        "--layout",
        default="",
        type=str.lower,
        choices=["trade", "review", "quiet", "chain"],
        metavar="NAME",
        help="trade, review, quiet or chain",
    )
    desk.add_argument(
        "--smoke", action="store_true", help="drive one signal from webhook to closed position, then exit 0"
    )
    desk.set_defaults(run=_desk)

    engine = commands.add_parser("engine", help="the same without a screen")
    _engine_options(engine)
    engine.set_defaults(run=_engine)

    replay = commands.add_parser("replay", help="a recorded day through the whole engine")
    replay.add_argument("day", metavar="DAY", help="folder or prefix of Parquet files")
    replay.add_argument(
        "--signals", type=Path, metavar="FILE", help="webhook bodies, one a line; timenow is the arrival"
    )
    replay.add_argument("--orders", type=Path, metavar="FILE", help="manual tickets and overrides with their time")
    replay.add_argument("--report", type=Path, metavar="OUT", help="write the report as JSON")
    replay.add_argument("--speed", default="max", metavar="N", help="1 is real time; max (default) as fast as it goes")
    replay.add_argument("--json", action="store_true", help="print the report as JSON")
    _policy_options(replay, "auto-paper")
    replay.set_defaults(run=_replay)

    decide = commands.add_parser("decide", help="pure decisions: IN.jsonl to OUT.jsonl")
    decide.add_argument("source", type=Path, metavar="IN")
    decide.add_argument("target", type=Path, metavar="OUT")
    decide.set_defaults(run=_decide)

    price = commands.add_parser("price", help="value, Greeks and implied vol of contracts: IN.csv to OUT.csv")
    price.add_argument(
        "source",
        type=Path,
        metavar="IN",
        help="type,style,spot,strike,t,r,q and vol or price; optional dividends as t:amount;t:amount",
    )
    price.add_argument("target", type=Path, metavar="OUT")
    price.add_argument("--raw", action="store_true", help="Greeks per 1.00 of vol, per year, per 1.00 of the rate")
    price.set_defaults(run=_price)

    chain = commands.add_parser("chain", help="forwards, vols, smiles and arbitrage of a chain: IN.csv to OUT.csv")
    chain.add_argument(
        "source", type=Path, metavar="IN", help="expiry,type,strike,bid,ask and, if at hand, last,open_interest"
    )
    chain.add_argument("target", type=Path, metavar="OUT")
    chain.add_argument(
        "--at", required=True, metavar="TIME", help="when it was quoted; New York time unless it says else"
    )
    chain.add_argument("--spot", required=True, type=float, metavar="X", help="the underlying then; checked by parity")
    chain.add_argument("--style", required=True, choices=["american", "european"])
    chain.add_argument("--rate", type=float, metavar="R", help="one rate, as 0.04 (default: the dated Treasury curve)")
    chain.add_argument("--json", action="store_true", help="smiles and findings as JSON")
    chain.set_defaults(run=_chain)

    ledger = commands.add_parser("ledger", help="verify, search, show, export, rebuild or replay the ledger")
    ledger.add_argument(
        "work", choices=["verify", "find", "show", "past", "export", "import", "rebuild", "replay", "index"]
    )
    ledger.add_argument(
        "target",
        nargs="?",
        default="",
        metavar="ID|FILE",
        help="show: a fact, ticket, order or position; find: words; past: a fact; export: OUT.csv, .jsonl or .parquet",
    )
    _question_options(ledger)
    ledger.add_argument(
        "--head", type=Path, metavar="FILE", help="verify: compare with the heads of the chain kept in this file"
    )
    ledger.add_argument("--json", action="store_true")
    ledger.add_argument("--home", type=Path, metavar="DIR")
    ledger.set_defaults(run=_ledger)

    database = commands.add_parser("db", help="migrate, examine, back up or restore the database")
    database.add_argument("work", choices=["migrate", "health", "backup", "restore", "prune"])
    database.add_argument("target", nargs="?", type=Path, metavar="FILE", help="restore: the backup to put back")
    database.add_argument("--json", action="store_true")
    _policy_options(database, "")
    database.set_defaults(run=_database)

    doctor = commands.add_parser("doctor", help="what works here, what is missing, and what to do")
    doctor.add_argument(
        "--tunnel", default="", metavar="URL", help="post a signed self-test through the public address"
    )
    doctor.add_argument("--json", action="store_true")
    _policy_options(doctor, "")
    doctor.set_defaults(run=_doctor)

    kernels = commands.add_parser("kernels", help="compile the pricing kernels into their cache, and say what serves")
    kernels.add_argument("--cache", type=Path, metavar="DIR", help="where (default STRIKEDESK_CACHE or the platform's)")
    kernels.set_defaults(run=_kernels)

    bench = commands.add_parser("bench", help="measurements")
    bench.add_argument("names", nargs="*", metavar="NAME", help="journey, pricing, ledger (default: all there are)")
    bench.add_argument("--json", action="store_true")
    bench.add_argument("--quick", action="store_true", help="fewer rounds")
    bench.set_defaults(run=_bench)
    return parser


def _question_options(parser: argparse.ArgumentParser) -> None:
    """What `find` and `export` choose facts by, and `past` its moment."""
    asked = parser.add_argument_group("find and export")
    asked.add_argument("--since", metavar="TIME", help="from this time on; New York unless it has a zone")
    asked.add_argument("--until", metavar="TIME", help="up to and without this time")
    asked.add_argument("--kind", action="append", default=[], metavar="FACT", help="DecisionMade …; may be repeated")
    asked.add_argument("--symbol", type=str.upper, metavar="SYMBOL")
    asked.add_argument("--decision", type=str.upper, choices=["EXECUTE", "WAIT", "SKIP"])
    asked.add_argument("--strategy", metavar="NAME", help="who proposed it: webhook, manual")
    asked.add_argument("--outcome", type=str.upper, choices=["WIN", "LOSS", "FLAT"])
    asked.add_argument("--reason", type=str.upper, metavar="CODE", help="of a refusal or an exit")
    asked.add_argument("--limit", type=int, default=100, metavar="N", help="find: facts a page (default 100)")
    asked.add_argument("--key", type=int, metavar="N", help="find: go on where a page ended")
    asked.add_argument("--oldest-first", action="store_true", help="find: from the beginning")
    parser.add_argument("--at", metavar="TIME", help="past: the moment; New York unless it has a zone")


def _policy_options(parser: argparse.ArgumentParser, policy: str) -> None:
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="data folder (default STRIKEDESK_HOME or the platform's)"
    )
    parser.add_argument("--policy", choices=["manual", "auto-paper", "auto"], default=policy or None)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="a setting, as risk.max_heat=0.1",
    )


def _engine_options(parser: argparse.ArgumentParser) -> None:
    _policy_options(parser, "")
    parser.add_argument("--market", default="", metavar="SOURCE", help="simulated (default) or recorded:PATH")
    parser.add_argument("--port", type=int, help="webhook port (default 8787; 0 takes a free one)")
    parser.add_argument("--host", default="", help="address to listen on (default 127.0.0.1)")


def _options(chosen: argparse.Namespace, policy: str) -> Options:
    overrides = parse_overrides(chosen.overrides)
    for name, key in (("market", "market.source"), ("port", "intake.port"), ("host", "intake.host")):
        value = getattr(chosen, name, None)
        if value not in (None, ""):
            overrides[key] = str(value)
    overrides["approvals.policy"] = chosen.policy or overrides.get("approvals.policy", "")
    if not overrides["approvals.policy"]:
        del overrides["approvals.policy"]
    return Options(home=chosen.home, overrides=overrides, default_policy=policy)


def _version() -> str:
    from app.options import VERSION

    return VERSION


def _desk(chosen: argparse.Namespace) -> int:
    from app.desktop import run_desk

    return run_desk(
        _options(chosen, "auto-paper" if chosen.smoke else "manual"), smoke=chosen.smoke, layout=chosen.layout
    )


def _engine(chosen: argparse.Namespace) -> int:
    from app.headless import run_engine

    return run_engine(_options(chosen, "auto-paper"))


def _replay(chosen: argparse.Namespace) -> int:
    from app.commands.replay import run_replay

    return run_replay(
        _options(chosen, "auto-paper"),
        day=chosen.day,
        signals=chosen.signals,
        orders=chosen.orders,
        report=chosen.report,
        speed=chosen.speed,
        as_json=chosen.json,
    )


def _decide(chosen: argparse.Namespace) -> int:
    from app.commands.decide import decide_file

    return decide_file(chosen.source, chosen.target, sys.stderr)


def _price(chosen: argparse.Namespace) -> int:
    from app.commands.price import price_file

    return price_file(chosen.source, chosen.target, sys.stderr, raw=chosen.raw)


def _chain(chosen: argparse.Namespace) -> int:
    from app.commands.chain import chain_file

    return chain_file(
        chosen.source,
        chosen.target,
        at=chosen.at,
        spot=chosen.spot,
        american=chosen.style == "american",
        rate=chosen.rate,
        out=sys.stdout,
        errors=sys.stderr,
        as_json=chosen.json,
    )


def _ledger(chosen: argparse.Namespace) -> int:
    from app.commands.ledger import run_ledger

    if chosen.head is not None and chosen.work != "verify":
        raise UsageError(f"ledger {chosen.work}: --head is for verify")
    return run_ledger(
        Options(home=chosen.home),
        chosen.work,
        chosen.target,
        as_json=chosen.json,
        asked=_asked(chosen),
        heads=chosen.head,
    )


def _asked(chosen: argparse.Namespace) -> LedgerAsked:
    from app.commands.ledger_find import Asked, kinds_of, moment
    from engine.domain.findable import Question

    finding = chosen.work in ("find", "export")
    question = Question(
        since=moment("--since", chosen.since),
        until=moment("--until", chosen.until),
        kinds=kinds_of(chosen.kind),
        symbol=chosen.symbol,
        decision=chosen.decision,
        strategy=chosen.strategy,
        outcome=chosen.outcome,
        reason=chosen.reason,
        text=chosen.target if chosen.work == "find" else "",
    )
    if not finding and not question.everything:
        raise UsageError(f"ledger {chosen.work}: only find and export choose facts")
    if chosen.at is not None and chosen.work != "past":
        raise UsageError(f"ledger {chosen.work}: --at is for past")
    at = moment("--at", chosen.at)
    return Asked(question, chosen.limit, chosen.key, chosen.oldest_first, at)


def _database(chosen: argparse.Namespace) -> int:
    from app.commands.database import run_database

    return run_database(_options(chosen, ""), chosen.work, chosen.target, as_json=chosen.json)


def _doctor(chosen: argparse.Namespace) -> int:
    from app.commands.doctor import run_doctor

    return run_doctor(_options(chosen, ""), tunnel=chosen.tunnel, as_json=chosen.json)


def _kernels(chosen: argparse.Namespace) -> int:
    from app.warming import LEAST_URGENT, run_kernels

    os.nice(LEAST_URGENT)  # whatever is on the screen comes first
    return run_kernels(chosen.cache)


def _bench(chosen: argparse.Namespace) -> int:
    from app.commands.bench import run_bench

    return run_bench(chosen.names, as_json=chosen.json, quick=chosen.quick)
