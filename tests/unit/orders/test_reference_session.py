"""A real session of SPY options through the paper broker, against trades worked out beside it by hand."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from engine.clock import SetClock
from engine.domain.values import OptionContract, Quote, Right, Side
from engine.orders.fees import NO_FEES, us_option_fees
from engine.orders.paper import PaperBroker
from engine.ports import BrokerWord, Filled
from engine.sessions import Calendar
from engine.settings import Settings, with_overrides
from tests.builders_trading import HandQuotes, order

DAY = date(2023, 8, 3)
CALENDAR = Calendar(DAY, DAY, frozenset(), frozenset())
NO_SLIPPAGE = with_overrides(Settings(), {"paper.slippage": "0", "paper.slippage_100": "0", "paper.slippage_step": "0"})


class RecordedOpens(HandQuotes):
    """The opening quote of every recorded minute, known from its first instant."""

    source = "recorded"

    def __init__(self, folder: Path, clock: SetClock) -> None:
        super().__init__(max_age=65.0)
        self.clock = clock
        self.bars: dict[tuple[OptionContract, datetime], Quote] = {}
        for row in pq.read_table(folder / "SPY_20230803_option_quote_1m.parquet").to_pylist():
            at = row["ts_utc"].astimezone(UTC)
            self.bars[contract_of(row["strike"], row["right"]), at] = Quote(
                bid=Decimal(str(row["bid_o"])), ask=Decimal(str(row["ask_o"])), at=at, bid_size=row["bid_sz"],
                ask_size=row["ask_sz"], source="recorded",
            )  # fmt: skip

    def option(self, contract: OptionContract) -> Quote | None:
        return self.bars.get((contract, self.clock.now()))


def contract_of(strike: float | str, right: str) -> OptionContract:
    return OptionContract(
        symbol="SPY", expiry=date(2023, 9, 1), right=Right(right), strike=Decimal(str(strike)).normalize()
    )


def trades_of(folder: Path, settings: Settings, *, fees: bool) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(entry, exit, dollars after fees) of each reference trade, filled by the paper broker at the same moments."""
    with (folder / "SPY_20230803_reference_session.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clock = SetClock(datetime(2023, 8, 3, 13, 30, tzinfo=UTC))
    said: list[BrokerWord] = []
    broker = PaperBroker(RecordedOpens(folder, clock), clock, CALENDAR, settings, us_option_fees() if fees else NO_FEES)
    broker.connect(said.append)
    found = []
    for number, row in enumerate(rows):
        contract = contract_of(row["strike"], row["right"])
        for side, moment in ((Side.BUY, row["entry_ts"]), (Side.SELL, row["exit_ts"])):
            clock.set(datetime.fromisoformat(moment))
            broker.match()
            broker.submit(order(side, int(row["qty"]), id=f"O{number}{side}", contract=contract, created=clock.now()))
        bought, sold = (report for report in said[-4:] if isinstance(report, Filled))
        dollars = (sold.price - bought.price) * 100 - bought.fees - sold.fees
        found.append((bought.price, sold.price, dollars))
    return found


def test_three_real_trades_cost_eight_dollars_before_costs(data: Path) -> None:
    trades = trades_of(data / "option_day", NO_SLIPPAGE, fees=False)
    assert [dollars for _, _, dollars in trades] == [Decimal("-8.00"), Decimal("-3.00"), Decimal("3.00")]
    assert sum(dollars for _, _, dollars in trades) == Decimal("-8.00")


def test_the_same_trades_with_slippage_and_fees(data: Path) -> None:
    trades = trades_of(data / "option_day", Settings(), fees=True)
    # 1.92 × 1.005 → 1.93, 1.84 × 0.995 → 1.83 …; fees 1.05 to buy and 1.05 to sell one contract
    assert trades == [
        (Decimal("1.93"), Decimal("1.83"), Decimal("-12.10")),
        (Decimal("0.69"), Decimal("0.64"), Decimal("-7.10")),
        (Decimal("1.93"), Decimal("1.93"), Decimal("-2.10")),
    ]
