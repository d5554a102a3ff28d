"""Words that services share: market records (hot, msgspec) and the DTOs of the API (pydantic, §19.3)."""

from enum import StrEnum
from typing import Any, Literal

import msgspec
from pydantic import BaseModel

# --- market records -------------------------------------------------------------------------------------------------


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A closed 1m candle of the last price over [ts_ms, ts_ms + 60 s) (D1). Volumes in base and quote units."""

    symbol: str
    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int | None = None
    taker_buy_volume: float | None = None
    taker_buy_quote_volume: float | None = None


class OhlcBar(msgspec.Struct, frozen=True, gc=False):
    """A closed 1m candle of the mark or index price. ``samples``: stream samples behind it, None when from REST."""

    symbol: str
    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    samples: int | None = None


class MarkTick(msgspec.Struct, frozen=True, gc=False):
    """One ``markPriceUpdate``. ``funding_rate`` is the running estimate for ``next_funding_ts_ms`` (D10)."""

    symbol: str
    event_ts_ms: int
    mark: float
    index: float
    funding_rate: float
    next_funding_ts_ms: int


class KlineUpdate(msgspec.Struct, frozen=True, gc=False):
    """One push of ``@kline_1m``; ``closed`` is true only in the last one of its minute."""

    event_ts_ms: int
    closed: bool
    bar: Bar


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """A settled funding rate, a fraction per settlement; ``ts_ms`` rounded to the minute."""

    symbol: str
    ts_ms: int
    rate: float
    mark_price: float | None = None


class MinuteRecord(msgspec.Struct, frozen=True, gc=False):
    """Everything normalised of one symbol's minute: what features, kernel and both stores are fed from.

    ``settled_rate`` is the last rate settled in (close of the symbol's previous record, close of this bar], NaN when
    none; ``funding_rate`` the running estimate at the close, NaN when unknown; ``index`` may be missing.
    ``recv_ts_ms`` is the market time at which the record became complete.
    """

    bar: Bar
    mark: OhlcBar
    index: OhlcBar | None
    settled_rate: float
    funding_rate: float
    next_funding_ts_ms: int
    recv_ts_ms: int
    source: str = "ws"  # ws | rest


class QualityEvent(msgspec.Struct, frozen=True, gc=False):
    """Bad input that was refused: kept, shown, never silently dropped."""

    ts_ms: int
    symbol: str | None
    code: str
    message: str
    details: dict[str, Any] = {}


class SymbolStatus(StrEnum):
    ACTIVE = "active"
    DELISTED = "delisted"
    SETTLING = "settling"
    HALTED = "halted"
    UNKNOWN = "unknown"


class Mode(StrEnum):
    OFF = "off"
    SHADOW = "shadow"
    LIVE = "live"


# The ten predictions, in the order of every prediction array (D18, D43).
TARGETS = tuple(f"{name}_{side}" for side in ("long", "short") for name in ("er", "q05", "e_mae", "e_hold", "p_tp"))


# --- DTOs -----------------------------------------------------------------------------------------------------------


class StatusDTO(BaseModel):
    """Health in one object; `ws_connected` per stream category, `error_rates` per minute and source."""

    collector_ok: bool
    userstream_ok: bool
    latest_candle_ts: str | None
    latest_feature_ts: str | None
    latest_signal_ts: str | None
    queue_lag: dict[str, float]
    latency_ms: dict[str, float]
    ws_connected: dict[str, bool] = {}
    error_rates: dict[str, float] = {}
    mode: str = "off"  # off | shadow | live | halted
    exchange: str = ""
    clock_speed: float | None = 1.0  # null: as fast as the consumer follows
    market_ts: str | None = None  # the exchange's clock now
    data_age_ms: float | None = None  # market time since the close of the newest decided bar
    symbols_total: int = 0
    symbols_tradable: int = 0
    symbols_fresh: int = 0
    kill_switch: str = "RUNNING"
    trading_version: int = 0  # version of trading_state the worker has acknowledged
    settings_version: int = 0  # version of settings the worker decides with; 0: the environment alone
    settings_at_start: int = 0  # version it started with: what needs a restart is as of then
    model_id: str | None = None
    model_kind: str | None = None  # production | demo
    open_gaps: int = 0
    missing_rate_24h: float | None = None
    quality_events_24h: int = 0


class BlockReason(BaseModel):
    code: str
    value: float | None = None
    limit: float | None = None
    distance: float | None = None


class SignalDTO(BaseModel):
    """The one row of a symbol and minute (D46): traded, or why not. Predictions are fractions of the entry."""

    symbol: str
    ts: str
    ev_long: float | None
    ev_short: float | None
    er_long: float | None
    er_short: float | None
    q05_long: float | None
    q05_short: float | None
    decision: str
    size_notional: float | None
    leverage: int | None
    sl_price: float | None
    tp_price: float | None
    block_reasons: list[str] = []
    explain: dict[str, Any] = {}
    e_mae_long: float | None = None
    e_mae_short: float | None = None
    e_hold_long_min: int | None = None
    e_hold_short_min: int | None = None
    p_tp_long: float | None = None
    p_tp_short: float | None = None
    block_details: list[BlockReason] = []
    model_id: str | None = None
    mode: str = "shadow"
    late_ms: int | None = None
    close: float | None = None
    mark_price: float | None = None
    ret_60: float | None = None
    funding_rate: float | None = None


class InstrumentDTO(BaseModel):
    symbol: str
    status: str
    liquidity_tier: str
    tradable: bool
    exchange_status: str | None = None
    contract_type: str | None = None
    tick_size: float | None = None
    step_size: float | None = None
    price_decimals: int | None = None
    qty_decimals: int | None = None
    max_leverage: int | None = None
    latest_candle_ts: str | None = None


class AccountDTO(BaseModel):
    """Quote units (USDT)."""

    ts: str
    mode: str
    equity: float
    wallet_balance: float
    unrealized_pnl: float
    available_margin: float
    used_margin: float
    margin_ratio: float
    day_start_equity: float | None = None
    day_pnl: float | None = None
    total_pnl: float | None = None
    realized_pnl: float | None = None
    start_equity: float | None = None
    fees: float | None = None
    slippage: float | None = None
    funding: float | None = None


class PositionDTO(BaseModel):
    """An open position at the close of ``ts``; ``amt`` signed, money in quote units; costs are positive."""

    symbol: str
    ts: str
    side: str
    mode: str
    amt: float
    entry_price: float | None
    mark_price: float | None
    leverage: int | None
    margin_type: str | None
    liquidation_price: float | None
    notional: float | None
    unrealized_pnl: float | None
    sl_price: float | None = None
    tp_price: float | None = None
    opened_ts: str | None = None
    isolated_margin: float | None = None
    fees: float | None = None
    funding: float | None = None
    slippage: float | None = None
    margin_ratio: float | None = None  # maintenance margin over the margin with unrealized PnL; at 1 it is liquidated
    r_multiple: float | None = None
    risk_at_stop: float | None = None
    protected: bool = True
    unprotected_since: str | None = None  # wall time; null where it has its stop, or nobody watches


class OrderDTO(BaseModel):
    mode: str
    order_id: int
    client_order_id: str | None
    symbol: str
    side: str
    type: str
    status: str
    reduce_only: bool
    price: float | None
    stop_price: float | None
    qty: float
    created_at: str
    updated_at: str
    leg: str | None = None
    avg_price: float | None = None
    fee: float | None = None
    realized_pnl: float | None = None


class JobDTO(BaseModel):
    job_id: str
    kind: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    stage: str | None
    config: dict[str, Any]
    report_uri: str | None
    error: str | None
    eta_s: float | None = None


class ModelOverrideDTO(BaseModel):
    """The mark of a promotion without whole evidence (D31): it stays. ``missing``: kinds of evidence it lacked."""

    at: str
    author: str
    reason: str
    missing: list[str]


class ModelDTO(BaseModel):
    model_id: str
    created_at: str
    algo: str
    feature_schema_version: int
    label_spec_hash: str
    train_start: str
    train_end: str
    metrics: dict[str, Any]
    artifact_uri: str
    is_production: bool
    status: str
    pointer: str | None = None  # production | demo | challenger
    overrides: list[ModelOverrideDTO] = []
