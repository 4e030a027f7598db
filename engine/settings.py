"""Settings, one frozen model per room: default, unit and bounds in one place. The settings panel, the docs and `--set` read them here.

Numbers and their meaning: the trading page of the specification. Percentages are fractions of 1 (0.08 is 8 %).
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.domain.values import Policy


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountSettings(Section):
    """The paper account."""

    cash: Decimal = Field(Decimal("100000.00"), gt=0, description="Cash a paper account starts with, dollars")


class IntakeSettings(Section):
    """The webhook listener."""

    port: int = Field(8787, ge=0, le=65535, description="Port of the webhook listener; 0 takes a free one")
    host: str = Field("127.0.0.1", description="Address it listens on; loopback unless told")
    max_body: int = Field(65536, ge=1024, le=1048576, description="Largest body, bytes")
    max_depth: int = Field(32, ge=4, le=128, description="Deepest nesting of a body, levels")
    rate: float = Field(
        50.0, ge=0, description="Requests a second that are let in on average; 0 switches the limit off"
    )
    burst: int = Field(200, ge=1, description="Requests let in at once")
    signature_age: int = Field(300, ge=10, description="Oldest accepted signature timestamp, seconds")
    body_timeout: float = Field(5.0, gt=0, le=60, description="A body has to be here within this, seconds")
    duplicate_window: int = Field(
        60, ge=1, description="A body without a time of its own is a duplicate this long, seconds"
    )


class MarketSettings(Section):
    """Quotes and the simulated market."""

    source: str = Field("simulated", description="simulated, or recorded:PATH")
    symbols: tuple[str, ...] = Field(("SPY", "QQQ", "IWM"), description="Underlyings that are watched from the start")
    seed: int = Field(20261120, description="Seed of the simulated market")
    start: str = Field(
        "", description="Exchange time it starts at, ISO UTC; empty: where the ledger ended, a recording at its open"
    )
    speed: float = Field(
        1.0, gt=0, le=600, description="Recorded seconds a second; tickets and timers then run as much faster"
    )
    interval: float = Field(0.25, gt=0, le=5, description="Seconds between simulated quotes")
    max_quote_age: float = Field(5.0, gt=0, description="Oldest quote an order may be priced from, seconds")
    max_quote_age_0dte: float = Field(2.0, gt=0, description="The same for contracts that expire today, seconds")
    max_quote_age_recorded: float = Field(65.0, gt=0, description="The same for recorded one-minute data, seconds")
    quiet_move: float = Field(
        0.0002, ge=0, description="An older quote still counts while the underlying moved less, fraction"
    )

    def quote_age(self, source: str, zero_dte: bool = False) -> float:
        """Oldest quote of that source an order may be priced from, seconds."""
        if source.startswith("recorded"):
            return self.max_quote_age_recorded
        return self.max_quote_age_0dte if zero_dte else self.max_quote_age


class ContractSettings(Section):
    """Which contract is bought."""

    delta_0dte: float = Field(0.50, gt=0, lt=1, description="Target |delta|, expiring today")
    delta_weekly: float = Field(0.45, gt=0, lt=1, description="Target |delta|, 1 to 7 days")
    delta_monthly: float = Field(0.40, gt=0, lt=1, description="Target |delta|, 30 to 45 days")
    delta_longer: float = Field(0.35, gt=0, lt=1, description="Target |delta|, other expiries over a week")
    min_bid: float = Field(0.10, ge=0, description="Lowest bid, dollars")
    min_bid_0dte: float = Field(0.20, ge=0, description="Lowest bid of a contract that expires today, dollars")
    spread_index: float = Field(0.06, gt=0, le=2, description="Widest spread for SPY and QQQ, fraction of mid")
    spread_iwm: float = Field(0.08, gt=0, le=2, description="Widest spread for IWM, fraction of mid")
    spread_other: float = Field(0.10, gt=0, le=2, description="Widest spread for other symbols, fraction of mid")
    min_open_interest: int = Field(100, ge=0, description="Lowest open interest where known, contracts")
    min_volume: int = Field(250, ge=0, description="... or today's volume where known, contracts")
    window_slack: int = Field(7, ge=0, le=60, description="An expiry this far outside its window still counts, days")
    rate: float = Field(0.04, ge=-0.05, le=0.25, description="Interest rate for Greeks, per year")


class RiskSettings(Section):
    """The risk manager's limits."""

    max_risk: Decimal = Field(Decimal("0.02"), gt=0, le=1, description="Risk per trade, fraction of equity at most")
    base_risk: Decimal = Field(Decimal("0.00667"), gt=0, le=1, description="Risk per trade per 1.0 of final multiplier")
    stop_premium: Decimal = Field(Decimal("0.50"), gt=0, le=1, description="Premium lost at the stop")
    stop_premium_0dte: Decimal = Field(
        Decimal("0.70"), gt=0, le=1, description="Premium counted as lost for sizing, 0DTE"
    )
    max_position: Decimal = Field(Decimal("0.10"), gt=0, le=1, description="One position, fraction of equity")
    max_heat: Decimal = Field(
        Decimal("0.08"), gt=0, le=Decimal("0.20"), description="Loss of all at their stops, fraction of equity"
    )
    symbol_heat: Decimal = Field(Decimal("0.40"), gt=0, le=1, description="One symbol's share of the heat limit")
    group_heat: Decimal = Field(
        Decimal("0.70"), gt=0, le=1, description="SPY, QQQ and IWM together, share of the heat limit"
    )
    day_budget: Decimal = Field(Decimal("0.03"), gt=0, le=1, description="Loss a day may cost, fraction of equity")
    drawdown_reduce: Decimal = Field(
        Decimal("0.05"), gt=0, le=1, description="Drawdown from the peak that halves the size"
    )
    drawdown_halt: Decimal = Field(
        Decimal("0.10"), gt=0, le=1, description="Drawdown from the peak that halts new trades"
    )
    max_positions: int = Field(10, ge=1, le=1000, description="Open positions")
    max_positions_symbol: int = Field(4, ge=1, le=1000, description="Open positions of one symbol")
    max_delta_dollars: Decimal = Field(Decimal("6.00"), gt=0, description="Net delta dollars, multiple of equity")
    max_zero_dte_premium: Decimal = Field(
        Decimal("0.04"), gt=0, le=1, description="Premium outstanding that expires today, fraction of equity"
    )
    max_decay: Decimal = Field(
        Decimal("0.01"), gt=0, le=1, description="Decay to the close of what expires later, fraction of equity"
    )
    max_vega: Decimal = Field(Decimal("0.01"), gt=0, le=1, description="Vega of a vol point, fraction of equity")
    stress_move: float = Field(0.02, gt=0, lt=1, description="Stress: SPY up and down this fraction, beta 1")
    stress_vol: float = Field(0.20, gt=0, lt=1, description="... with volatility up and down this fraction of itself")
    max_stress: Decimal = Field(Decimal("0.06"), gt=0, le=1, description="... loses at most, fraction of equity")
    stress_move_rare: float = Field(0.05, gt=0, lt=1, description="Rare stress: SPY up and down this fraction")
    stress_vol_rare: float = Field(0.30, gt=0, lt=1, description="... with volatility up and down this fraction")
    max_stress_rare: Decimal = Field(Decimal("0.12"), gt=0, le=1, description="... loses at most, fraction of equity")
    loss_streak: int = Field(3, ge=1, description="Losses in a row that cut the size by a quarter until a win")
    loss_streak_cut: Decimal = Field(Decimal("0.75"), gt=0, le=1, description="Size factor after that streak")
    entries_per_second: int = Field(5, ge=1, le=100000, description="Entries a second")
    entries_per_day: int = Field(100, ge=1, le=1000000, description="Entries a day")
    drift_atr: float = Field(0.5, gt=0, description="Move against us since the signal, in its ATR(14)")
    drift_fraction: float = Field(0.001, gt=0, description="... or as a fraction of the price")
    cooldown_minutes: int = Field(10, ge=0, description="Same symbol and direction waits after a stop-out, minutes")
    duplicate_seconds: int = Field(60, ge=0, description="Same contract and side again is asked first, seconds")
    price_mismatch: float = Field(0.01, gt=0, description="Signal price off our quote, fraction")
    min_rr: float = Field(1.0, ge=0, description="Reward to risk after costs, at approval")
    min_stop_atr: float = Field(0.25, ge=0, description="Nearest stop in ATR(14) of the trigger's timeframe")
    entry_open_minutes: int = Field(1, ge=0, description="First entry after the open, minutes")
    entry_close_minutes: int = Field(5, ge=0, description="Last entry before the close, minutes")
    entry_open_minutes_0dte: int = Field(5, ge=0, description="First 0DTE entry after the open, minutes")
    entry_close_minutes_0dte: int = Field(60, ge=0, description="Last 0DTE entry before the close, minutes")


class ApprovalSettings(Section):
    """Tickets and who answers them."""

    policy: Policy = Field(Policy.MANUAL, description="Who approves: manual, auto-paper or auto")
    life_0dte: int = Field(45, ge=5, description="Life of a 0DTE ticket, seconds")
    life_weekly: int = Field(90, ge=5, description="Life of a ticket up to a week, seconds")
    life_longer: int = Field(300, ge=5, description="Life of a ticket beyond, seconds")
    drift: Decimal = Field(Decimal("0.03"), gt=0, description="Mid's move that re-prices a ticket, fraction")
    reprice_life: int = Field(20, ge=5, description="Life after a re-price, seconds")
    max_reprices: int = Field(3, ge=0, description="Re-prices of one ticket")
    hold_ms: int = Field(400, ge=0, description="A ticket changed this recently ignores Enter, milliseconds")


class PaperSettings(Section):
    """The paper broker."""

    slippage: Decimal = Field(
        Decimal("0.005"), ge=0, description="Slippage of a marketable order for 1 contract, fraction of price"
    )
    slippage_100: Decimal = Field(Decimal("0.02"), ge=0, description="... growing linearly to this at 100 contracts")
    slippage_step: Decimal = Field(Decimal("0.005"), ge=0, description="... and this much more per further 100")
    max_quantity: int = Field(500, ge=1, description="Largest order, contracts")
    unknown_size_limit: int = Field(50, ge=1, description="Orders over this fill 85 % where the size is unknown")


class ExitSettings(Section):
    """When positions end."""

    stop_loss: Decimal = Field(Decimal("0.50"), gt=0, le=1, description="Premium lost, fraction")
    profit_target: Decimal = Field(Decimal("0.50"), gt=0, description="Premium gained, fraction")
    trail_arm: Decimal = Field(Decimal("0.30"), gt=0, description="Gain that arms the trailing stop, fraction")
    trail_floor: Decimal = Field(
        Decimal("0.05"), ge=0, description="The armed trail never gives back below entry plus this"
    )
    trail_points: Decimal = Field(Decimal("0.20"), ge=0, description="Given back from the peak gain, fraction of entry")
    trail_share: Decimal = Field(Decimal("0.35"), ge=0, le=1, description="... or this share of the peak gain, if more")
    confirm_seconds: float = Field(1.0, ge=0, description="Two quotes beyond a level at least this far apart")
    confirm_spread: Decimal = Field(
        Decimal("0.20"), gt=0, description="A quote wider than this fraction of mid confirms nothing"
    )
    unreliable_seconds: float = Field(
        10.0,
        gt=0,
        description="Quotes unusable this long: the model's value counts, and it is said; recorded data: a quote's age",
    )
    expiry_warn: int = Field(30, ge=0, description="Expiring today: warn, minutes before the close")
    expiry_mid: int = Field(15, ge=0, description="... offer at mid, minutes before the close")
    expiry_quarter: int = Field(14, ge=0, description="... at mid less a quarter of the spread, minutes")
    expiry_bid: int = Field(13, ge=0, description="... at the bid, minutes")
    expiry_market: int = Field(10, ge=0, description="... marketable and re-priced, minutes")
    chase_seconds: float = Field(
        5.0, gt=0, description="An unfilled exit is re-priced this often before expiry, seconds"
    )
    reprice_seconds: float = Field(2.0, gt=0, description="A marketable exit is re-priced this often, seconds")
    max_hold_sessions: int = Field(5, ge=1, description="Longest hold, sessions")
    mark_seconds: int = Field(60, ge=1, description="A position's mark is written to the ledger this often, seconds")
    delta_low: float = Field(0.10, ge=0, le=1, description="Delta alert below, |delta|")
    delta_high: float = Field(0.90, ge=0, le=1, description="Delta alert above, |delta|")
    theta_day: float = Field(0.08, gt=0, description="Theta alert, 7 days and more: decay a day, fraction of value")
    theta_night: float = Field(0.25, gt=0, description="Theta alert, 1 to 6 days: decay to the next session, fraction")
    theta_quarter: float = Field(0.10, gt=0, description="Theta alert, 0DTE: decay in 15 minutes, fraction of value")
    gamma_move: float = Field(0.005, gt=0, description="Gamma alert: the underlying's move it looks at, fraction")
    gamma_share: float = Field(0.50, gt=0, description="Gamma alert: gamma's part of that move, fraction of value")
    gamma_minutes: int = Field(60, ge=0, description="Gamma alert, 0DTE: from this many minutes before the close")
    iv_drop: float = Field(0.20, gt=0, lt=1, description="IV crush alert: fall of implied volatility, fraction")
    iv_minutes: int = Field(15, ge=1, description="IV crush alert: within this many minutes")


class LedgerSettings(Section):
    """The ledger, and its spool on this machine for while the database is slow or away."""

    stall_ms: int = Field(
        250, ge=1, le=10000, description="A commit slower than this goes to the spool too, milliseconds"
    )
    spool_mb: int = Field(1024, ge=16, le=1048576, description="Largest spool, megabytes")
    risk_seconds: float = Field(
        10.0, ge=0, description="No order adds risk once the database is behind this long, seconds"
    )
    risk_facts: int = Field(5000, ge=1, description="... or this far, facts")
    head_facts: int = Field(1000, ge=1, description="The chain's head leaves the database this often, facts")
    head_file: str = Field(
        "", description="File the heads are kept in, best on another disk; empty: heads.txt in the home"
    )


class PricingSettings(Section):
    """How options are valued."""

    kernels: Literal["compiled", "numpy"] = Field(
        "compiled", description="compiled once they are ready, or numpy for good; the results are the same to the bit"
    )


class BackupSettings(Section):
    """Copies of the ledger."""

    nightly: bool = Field(True, description="Back the ledger up once a night while an engine runs")
    at: str = Field("18:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When, New York time")
    keep: int = Field(14, ge=1, le=1000, description="Backups that are kept")
    folder: str = Field("", description="Where they are kept, another disk at best; empty: backups in the home")


class HistorySettings(Section):
    """What the market showed, kept beside the facts."""

    record: bool = Field(True, description="Keep quotes of what is watched and held, and minute bars")
    every: float = Field(1.0, ge=0.1, le=60, description="Seconds between two looks; what did not change is not kept")
    days: int = Field(730, ge=1, description="Quotes, bars and flow are kept this long, days")
    body_days: int = Field(90, ge=1, description="Raw answers of outside services are kept this long, days")


class Settings(Section):
    account: AccountSettings = AccountSettings()
    intake: IntakeSettings = IntakeSettings()
    market: MarketSettings = MarketSettings()
    contracts: ContractSettings = ContractSettings()
    risk: RiskSettings = RiskSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    paper: PaperSettings = PaperSettings()
    exits: ExitSettings = ExitSettings()
    backup: BackupSettings = BackupSettings()
    history: HistorySettings = HistorySettings()
    ledger: LedgerSettings = LedgerSettings()
    pricing: PricingSettings = PricingSettings()


class SettingError(ValueError):
    """A setting that does not exist or a value outside its bounds; the message names both."""


def with_overrides(settings: Settings, overrides: dict[str, str]) -> Settings:
    """Settings with `section.name=value` replaced. Raises `SettingError` naming the key and what was expected."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        if section not in tree or name not in tree[section]:
            raise SettingError(f"{key}: no such setting")
        tree[section][name] = (
            [part for part in value.split(",") if part] if isinstance(tree[section][name], list) else value
        )
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingError(f"{where}: {first['msg']}") from error


@cache
def _defaults() -> dict[str, Any]:
    return Settings().model_dump(mode="json")


def describe(settings: Settings) -> dict[str, str]:
    """Every setting that differs from its default, as `section.name: value`: what a report states."""
    default = _defaults()
    return {
        f"{section}.{name}": str(value)
        for section, fields in settings.model_dump(mode="json").items()
        for name, value in fields.items()
        if default[section][name] != value
    }
