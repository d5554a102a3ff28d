"""DTOs that only the API speaks; those shared with the workers are in ``packages.common.types``."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from packages.common.types import ModelDTO, OrderDTO, SignalDTO

# Why a human changed something: kept for ever, so it says something and fits a line.
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class ProcessDTO(BaseModel):
    """Heartbeat of a process. ``age_ms`` on this machine's clock; ``alive``: the age is within its limit."""

    name: str
    updated_at: str
    age_ms: float
    alive: bool
    status: dict[str, Any]


class OrdersPage(BaseModel):
    """Newest first."""

    items: list[OrderDTO]
    next_cursor: str | None = None


class TradeDTO(BaseModel):
    """A closed round trip: net = gross − slippage − fees − liquidation_fee − funding + absorbed, in quote units."""

    mode: str
    symbol: str
    side: str
    entry_ts: str
    exit_ts: str
    qty: float
    entry_price: float
    exit_price: float
    exit_reason: str
    gross: float
    slippage: float
    fees: float
    liquidation_fee: float
    funding: float
    absorbed: float
    net: float
    mae: float
    mfe: float
    leverage: int
    sl_price: float
    tp_price: float
    r_multiple: float | None = None
    model_id: str | None = None


class TradesPage(BaseModel):
    """Newest exit first."""

    items: list[TradeDTO]
    next_cursor: str | None = None


class EquityOut(BaseModel):
    """The account over time as columns; ``drawdown`` is 1 − equity ÷ its running peak in the span."""

    mode: str
    ts: list[int]
    equity: list[float | None]
    wallet_balance: list[float | None]
    unrealized_pnl: list[float | None]
    used_margin: list[float | None]
    drawdown: list[float | None]


class CandleColumns(BaseModel):
    ts: list[int]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]


class CloseColumns(BaseModel):
    ts: list[int]
    close: list[float | None]


class SignalColumns(BaseModel):
    """One signal a bar; in a thinned series the most telling one of each bar: a trade, else the highest EV."""

    ts: list[int]
    ev_long: list[float | None]
    ev_short: list[float | None]
    er_long: list[float | None]
    er_short: list[float | None]
    q05_long: list[float | None]
    q05_short: list[float | None]
    e_mae_long: list[float | None]
    e_mae_short: list[float | None]
    e_hold_long_min: list[float | None]
    e_hold_short_min: list[float | None]
    decision: list[str | None]
    block_reason: list[str | None]


class PositionSpan(BaseModel):
    """A position over the time it was open; ``to_ts`` and what follows an exit are null while it is."""

    side: str
    from_ts: int
    to_ts: int | None
    entry_price: float | None
    exit_price: float | None
    sl_price: float | None
    tp_price: float | None
    liquidation_price: float | None
    exit_reason: str | None
    net: float | None


class SeriesOut(BaseModel):
    """History of a symbol as columns; ``interval_min`` is the length of a bar, above 1 when the span is long (D37):
    what the exchange did not round is rounded then, prices to 7 significant digits, volumes and predictions to 4."""

    symbol: str
    mode: str
    interval_min: int
    from_ts: int
    to_ts: int
    candles: CandleColumns
    mark: CloseColumns
    signals: SignalColumns
    positions: list[PositionSpan]


class EvidenceDTO(BaseModel):
    kind: str
    created_at: str
    valid_until: str | None
    passed: bool
    valid: bool
    figures: dict[str, Any]


class ModelDetailDTO(ModelDTO):
    """A model with what speaks for it."""

    content_hash: str
    label_spec: dict[str, Any]
    evidence: list[EvidenceDTO]
    report_url: str | None = None


class RestartIn(BaseModel):
    """Why the realtime worker is to begin anew."""

    model_config = {"extra": "forbid"}

    reason: Reason


class RestartDTO(BaseModel):
    """What the worker was told of; ``settings_at_start`` of the status moves on when it has begun anew.
    ``restart_needed``: what counts then and does not yet."""

    settings_at_start: int | None
    restart_needed: list[str]


class ToggleIn(BaseModel):
    """What is asked of trading. ``live`` also needs ``confirm`` to repeat the word LIVE."""

    model_config = {"extra": "forbid"}

    mode: Literal["off", "shadow", "live"]
    reason: Reason
    confirm: Annotated[str, Field(max_length=20)] | None = None
    expected_version: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class TradingStateDTO(BaseModel):
    """``toggle``: what was asked for; ``pending`` until the worker has acknowledged ``version``."""

    toggle: str
    permitted: str
    trading_enabled: bool
    kill_switch: str
    reason: str | None
    changed_by: str
    changed_at: str
    version: int
    acknowledged_version: int | None
    pending: bool


class AcceptedDTO(BaseModel):
    """A command was accepted; the worker will acknowledge ``version`` in its status."""

    version: int
    toggle: str
    changed: bool
    acknowledged_version: int | None


class GateConditionDTO(BaseModel):
    """One thing that live trading needs; ``code`` is named after what is wrong when it is not met."""

    code: str
    met: bool
    value: str
    expected: str


class GateDTO(BaseModel):
    """``open``: every condition is met but the typed confirmation, which only the toggle can bring. ``money``: false at
    an emulated exchange, where production model, evidence, sign-in and second factor are not asked for."""

    exchange: str
    money: bool
    open: bool
    account_asked_at: str | None
    conditions: list[GateConditionDTO]


class KillSwitchIn(BaseModel):
    """``halt``: no new entries, stops stay. ``flatten``: leave every position as well. ``resume`` needs a reason."""

    model_config = {"extra": "forbid"}

    action: Literal["halt", "flatten", "resume"]
    reason: Reason | None = None
    expected_version: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class KillSwitchAcceptedDTO(BaseModel):
    """``kill_switch``: as it was asked for; the worker may hold a stricter one, which ``/api/risk/state`` shows."""

    version: int
    kill_switch: str
    changed: bool
    acknowledged_version: int | None


CommandKind = Literal["close", "pause", "unpause"]


class CommandIn(BaseModel):
    """Why."""

    model_config = {"extra": "forbid"}

    reason: Reason


class DeskCommandDTO(BaseModel):
    """What was asked of one symbol; ``outcome`` says what came of it once it is no longer waiting."""

    command_id: int
    created_at: str
    author: str
    kind: CommandKind
    symbol: str
    reason: str
    state: Literal["waiting", "done", "refused"]
    answered_at: str | None
    outcome: str | None


class GuardDTO(BaseModel):
    """One limit: ``distance`` = limit − value, negative when over; ``used`` = value ÷ limit."""

    code: str
    value: float | None
    limit: float
    distance: float | None
    used: float | None
    unit: str


class BlockCount(BaseModel):
    """``primary``: rows it alone would have explained first; ``all``: rows it stands in."""

    code: str
    primary: int
    all: int


class FunnelDTO(BaseModel):
    """What became of the symbols' minutes from ``from_ts`` until before ``to_ts``."""

    from_ts: str | None
    to_ts: str | None
    rows: int
    traded: int
    blocked: int
    flat: int
    reasons: list[BlockCount]


class RiskEventDTO(BaseModel):
    ts: str
    event_type: str
    symbol: str | None
    severity: int
    message: str
    details: dict[str, Any] | None


class TripDTO(BaseModel):
    """Something that asked for a stricter kill-switch and was not cleared. Times are the market's."""

    code: str
    latch: str
    since: str
    by: str
    detail: str


class EntryBlockDTO(BaseModel):
    """Entries are forbidden while this lasts; ``symbol`` null: all of them."""

    code: str
    symbol: str | None
    since: str


class NakedDTO(BaseModel):
    """Wall milliseconds from the first sign of a position to its accepted stop, over the newest thousand."""

    p50: float
    p99: float
    max: float


class LiveStateDTO(BaseModel):
    """The worker's word on live trading; it is gone with the worker. ``proofs``: market time at which the stop path was
    last seen to work, by tier: A (refused as it must be), B (a real stop accepted, listed and told), trigger."""

    ready: bool
    stream_up: bool
    latch: str
    latch_code: str
    latch_since: str | None
    trips: list[TripDTO]
    blocks: list[EntryBlockDTO]
    positions: int
    unprotected: list[str]
    unprotected_since: dict[str, str] = {}
    locked: dict[str, str]
    paused: list[str]
    entries_unknown: int
    stop_path_proven: bool
    proofs: dict[str, str]
    naked_ms: NakedDTO | None
    equity: str | None


class RiskStateDTO(BaseModel):
    """``live`` is null where the worker does not trade an account."""

    mode: str
    kill_switch: str
    toggle: str
    reason: str | None
    account_ts: str | None
    guards: list[GuardDTO]
    funnel_minute: FunnelDTO
    funnel_hour: FunnelDTO
    events: list[RiskEventDTO]
    live: LiveStateDTO | None = None


class SymbolQuality(BaseModel):
    """Bars of one symbol in the last 24 h of market time; ``expected`` starts at its first bar."""

    symbol: str
    status: str
    tradable: bool
    newest_ts: str | None
    age_ms: float | None
    bars_24h: int
    expected_24h: int
    missing_24h: int
    missing_rate_24h: float | None
    open_gaps: int
    late_24h: int
    quality_events_24h: int


class GapDTO(BaseModel):
    symbol: str
    dataset: str
    from_ts: str
    to_ts: str
    missing_bars: int
    repaired_bars: int
    status: str
    source: str | None
    found_at: str
    repaired_at: str | None


class QualityEventDTO(BaseModel):
    ts: str
    symbol: str | None
    code: str
    message: str
    details: dict[str, Any] | None


class DataQualityDTO(BaseModel):
    """``market_ts``: the close of the newest bar of any symbol, against which ages and the 24 h are measured."""

    market_ts: str | None
    missing_rate_24h: float | None
    open_gaps: int
    quality_events_24h: int
    symbols: list[SymbolQuality]
    gaps: list[GapDTO]
    events: list[QualityEventDTO]


class SymbolDrift(BaseModel):
    """Newest measurement of one symbol: ``psi`` is the mean over the model's inputs against its training rows."""

    symbol: str
    ts: str
    psi: float | None
    missing_rate: float | None
    outlier_rate: float | None
    latency_ms: float | None


class DriftDTO(BaseModel):
    """Columns by time, epoch milliseconds, over the symbols measured then; below 0.1 an index is usually read as
    stable, above 0.25 as another population. ``symbols``: the newest measurement of each in the span."""

    ts: list[int]
    psi_mean: list[float | None]
    psi_max: list[float | None]
    symbols: list[SymbolDrift]


class SettingsDTO(BaseModel):
    """Trading settings under the names of the specification (D43); null: the preset of LABEL_PRESET decides.

    ``effects``: what may be changed here, and when a change counts. ``restart_needed``: changed since the worker
    started, and waiting for its next start. ``pending`` until the worker has taken ``version`` over.
    """

    version: int | None
    changed_at: str | None
    values: dict[str, Any]
    effects: dict[str, str]
    acknowledged_version: int | None
    pending: bool
    restart_needed: list[str]
    hash: str


SettingName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,39}$")]
SettingValue = (
    bool | int | float | Annotated[str, Field(max_length=60)] | list[Annotated[str, Field(max_length=60)]] | None
)


class SettingsIn(BaseModel):
    """``changes`` by name; ``expected_version``: the version they were looked at in, 0 when there is none yet."""

    model_config = {"extra": "forbid"}

    changes: Annotated[dict[SettingName, SettingValue], Field(min_length=1, max_length=60)]
    reason: Reason
    expected_version: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class SettingChange(BaseModel):
    """``takes_effect``: next_minute, next_job (labels and models made from then on) or restart (of the worker)."""

    name: str
    before: Any
    after: Any
    takes_effect: str


class SettingsAcceptedDTO(BaseModel):
    """``changes``: what is other than before; none when all was so already. ``takes_effect``: of the last one."""

    version: int
    changes: list[SettingChange]
    acknowledged_version: int | None
    takes_effect: str


class SettingsVersionDTO(BaseModel):
    """``acknowledged_at``: when the worker took it over; null while it has not, or when a newer one came first."""

    version: int
    ts: str
    actor: str
    reason: str | None
    changes: list[SettingChange]
    acknowledged_at: str | None


class SettingsVersionsPage(BaseModel):
    """Newest first."""

    items: list[SettingsVersionDTO]
    next_cursor: str | None = None


class SignalList(BaseModel):
    """The newest row of each symbol."""

    ts: str | None
    items: list[SignalDTO]


class ReadyDTO(BaseModel):
    ok: bool
    database: str
    bus: str
