"""Settings: one frozen, validated object, read from the environment and ``.env`` (specification names, D43)."""

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from packages.common.errors import InvalidInputError, SettingsError
from packages.common.symbol_map import validate_internal

DEFAULT_UNIVERSE = (
    "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,AVAXUSDT,DOTUSDT,LINKUSDT,LTCUSDT,BCHUSDT,SUIUSDT,"
    "AAVEUSDT,1000PEPEUSDT,FILUSDT,AXSUSDT,ENAUSDT,ZKUSDT,XAUUSDT,XAGUSDT,HYPEUSDT,ZECUSDT,BNXUSDT,ALPHAUSDT,"
    "ZORAUSDT,TRUMPUSDT,PUMPUSDT,NEARUSDT,PAXGUSDT"
)

Fraction = Annotated[float, Field(gt=0, le=1)]


class Settings(BaseSettings):
    """Every setting; `.env.example` says what each does. Names are case-insensitive in the environment."""

    model_config = SettingsConfigDict(env_file=".env", frozen=True, extra="forbid", env_ignore_empty=True)

    # where things are
    exchange: Literal["emulator", "binance", "binance-demo"] = "emulator"
    market: str = "generated"
    universe: Annotated[tuple[str, ...], NoDecode] = tuple(DEFAULT_UNIVERSE.split(","))
    var_dir: Path = Path("var")
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    database_url: str | None = None
    redis_url: str | None = None
    store_url: str | None = None
    exchange_rest_url: str | None = None
    exchange_ws_url: str | None = None

    # the emulated market
    speed: float = 60.0
    seed: Annotated[int, Field(ge=0)] = 7
    mark_updates: Annotated[int, Field(ge=4, le=60)] = 10
    kline_updates: Annotated[int, Field(ge=1, le=240)] = 1
    planted_alpha: Annotated[float, Field(ge=0, le=1)] = 0.005
    market_start: datetime | None = None
    history_days: Annotated[int, Field(ge=2, le=1000)] = 20

    # running
    mode: Literal["off", "shadow", "live"] = "shadow"
    trading_enabled: bool = True
    flush_interval_ms: Annotated[int, Field(ge=50, le=5000)] = 1000
    bar_deadline_ms: Annotated[int, Field(ge=500, le=60_000)] = 5_000
    mark_min_samples: Annotated[int, Field(ge=1, le=60)] | None = None
    stale_after_ms: Annotated[int, Field(ge=5_000)] = 90_000
    retention_days: Annotated[int, Field(ge=7)] = 400
    compute: str = "local"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # labels (§21.1); unset values come from the preset
    label_preset: Literal["spec", "swing"] = "swing"
    k_tp: Annotated[float, Field(gt=0)] | None = None
    k_sl: Annotated[float, Field(gt=0)] | None = None
    h_bars: Annotated[int, Field(ge=1)] | None = None
    risk_mae_atr: Annotated[float, Field(gt=0)] | None = None
    fee_rate: Annotated[float, Field(ge=0, lt=0.1)] | None = None
    slippage_k: Annotated[float, Field(ge=0)] | None = None

    # policy (§21.2)
    ev_min: float = 0.0
    q05_min: float = -0.8
    mae_max: Annotated[float, Field(gt=0)] = 1.2
    max_positions: Annotated[int, Field(ge=1)] = 6

    # risk (§21.3, kernel.md)
    max_used_margin_pct: Fraction = 0.35
    max_total_notional_pct: Annotated[float, Field(gt=0)] = 1.2
    max_directional_notional_pct: Annotated[float, Field(gt=0)] = 0.8
    daily_loss_limit_pct: Fraction = 0.02
    max_symbol_notional_pct: Annotated[float, Field(gt=0)] = 0.4
    risk_per_trade: Fraction = 0.005
    beta_cap: Annotated[float, Field(gt=0)] = 0.8
    taker_fee_rate: Annotated[float, Field(ge=0, lt=0.1)] = 0.0005
    shadow_equity_usdt: Annotated[float, Field(gt=0)] = 10_000.0
    instance: Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")] | None = None
    capital_limit_usdt: Annotated[float, Field(gt=0)] | None = None

    # live trading: what the kill-switch and the guards allow (execution.md, D44), and what the gate asks for (D35)
    weekly_loss_limit_pct: Fraction = 0.05
    drawdown_limit_pct: Fraction = 0.10
    capital_stage_pct: Fraction = 1.0
    max_order_notional_pct: Annotated[float, Field(gt=0)] = 0.5
    entries_per_minute: Annotated[int, Field(ge=1)] = 6
    entries_per_hour: Annotated[int, Field(ge=1)] = 30
    entries_per_day: Annotated[int, Field(ge=1)] = 200
    max_spread_bps: Annotated[float, Field(gt=0)] = 10.0
    max_mark_gap_bps: Annotated[float, Field(gt=0)] = 20.0
    staged_exits: Annotated[tuple[tuple[float, float], ...], NoDecode] = ()
    model_max_age_days: Annotated[float, Field(gt=0)] = 45.0
    live_shadow_days: Annotated[float, Field(ge=0)] = 14.0
    live_balance_min_usdt: Annotated[float, Field(ge=0)] = 10.0
    watchdog_poll_ms: Annotated[int, Field(ge=1_000, le=60_000)] = 5_000
    watchdog_silent_ms: Annotated[int, Field(ge=2_000)] = 15_000

    @field_validator("universe", mode="before")
    @classmethod
    def _split_universe(cls, value: object) -> object:
        symbols = tuple(s.strip() for s in value.split(",") if s.strip()) if isinstance(value, str) else value
        if not isinstance(symbols, tuple | list) or not symbols:
            raise ValueError("expected comma-separated symbols such as BTCUSDT,ETHUSDT")
        for symbol in symbols:
            try:
                validate_internal(symbol)
            except InvalidInputError as exc:
                raise ValueError(str(exc)) from exc
        if len(set(symbols)) != len(symbols):
            raise ValueError("a symbol stands twice")
        if "BTCUSDT" not in symbols:
            raise ValueError("BTCUSDT must be part of it: three features are of BTCUSDT")
        return tuple(symbols)

    @field_validator("staged_exits", mode="before")
    @classmethod
    def _read_stages(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple((float(part), float(way)) for part, way in (one.split("@") for one in value.split(",") if one))
        except ValueError as exc:
            raise ValueError("expected parts of the position at parts of the way to its target: 0.5@0.4") from exc

    @field_validator("staged_exits")
    @classmethod
    def _check_stages(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        ways = [way for _, way in value]
        if not all(0 < part < 1 and 0 < way < 1 for part, way in value) or ways != sorted(set(ways)):
            raise ValueError("expected parts and ways between 0 and 1, the ways ascending: 0.3@0.4,0.3@0.7")
        if not sum(part for part, _ in value) < 1:
            raise ValueError("expected parts that leave something to the target: less than 1 in all")
        return value

    @field_validator("compute")
    @classmethod
    def _check_compute(cls, value: str) -> str:
        host, _, port = value.removeprefix("dask://").rpartition(":")
        if value != "local" and not (value.startswith("dask://") and host and port.isdigit()):
            raise ValueError("expected local, or dask://HOST:PORT")
        return value

    @field_validator("speed", mode="before")
    @classmethod
    def _read_speed(cls, value: object) -> object:
        return math.inf if value == "max" else value

    @field_validator("speed")
    @classmethod
    def _check_speed(cls, value: float) -> float:
        if not value > 0:
            raise ValueError('expected a factor > 0, or "max"')
        return value

    @model_validator(mode="after")
    def _only_emulators_are_accelerated(self) -> "Settings":
        if self.exchange != "emulator" and "speed" in self.model_fields_set and self.speed != 1:
            raise ValueError("speed: only the emulator can run faster than 1")
        return self

    @property
    def clock_speed(self) -> float:
        """Market time per wall time; 1 on a real exchange, ``inf`` as fast as the consumer follows."""
        return self.speed if self.exchange == "emulator" else 1.0

    @property
    def mark_samples_needed(self) -> int:
        """Fewest mark samples that make a minute's bar (D41); fewer are fetched from the exchange's klines."""
        if self.mark_min_samples is not None:
            return self.mark_min_samples
        return max(1, self.mark_updates * 8 // 10) if self.exchange == "emulator" else 45

    @property
    def store(self) -> str:
        """fsspec URL of the research store and the artifacts."""
        return self.store_url or f"file://{self.var_dir.resolve()}/store"

    @property
    def identity(self) -> str:
        """The exchange a database and a research store are bound to (D40)."""
        if self.exchange != "emulator":
            return f"{self.exchange}:public"
        start = f":start={self.market_start:%Y-%m-%dT%H:%M}" if self.market_start is not None else ""
        if self.market != "generated":
            return f"emulator:{self.market}{start}"
        return f"emulator:generated:seed={self.seed}:alpha={self.planted_alpha:g}{start}"


def load_settings(env_file: str | None = ".env", **overrides: Any) -> Settings:
    """Read the settings; a malformed or unknown one raises ``SettingsError`` with its name and what was expected."""
    try:
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as exc:
        lines = []
        for error in exc.errors(include_url=False):
            name = ".".join(str(part) for part in error["loc"]).upper() or "settings"
            if error["type"] == "extra_forbidden":
                lines.append(f"{name}: unknown setting; see .env.example for the names")
            else:
                lines.append(f"{name}: got {error['input']!r}, {error['msg']}" if error["loc"] else error["msg"])
        raise SettingsError("; ".join(lines)) from exc
