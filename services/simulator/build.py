"""Checked construction of what the kernel takes: constants, parameters, one minute of inputs, a market.

Compiled code checks nothing, so everything is checked here, once: shapes, and that a bar said to be present is whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from packages.common.reasons import AGENT, OPERATOR
from services.policy.kernel import (
    BAD_FEATURES,
    DRIFT,
    FLATTEN,
    KILL_SWITCH_ON,
    N_TARGETS,
    PRESENT,
    STALE,
    STOP_PATH_OK,
    TRADABLE,
    TRADING_ON,
    Barriers,
    PolicyParams,
)
from services.risk.kernel import RiskParams
from services.simulator.tables import RULE, Constants, Floats, Inputs, Market, Params

UNKNOWN_REGIME = -1


class LabelSpecLike(Protocol):
    """The fields of the label specification that are traded."""

    @property
    def k_tp(self) -> float: ...
    @property
    def k_sl(self) -> float: ...
    @property
    def h_bars(self) -> int: ...
    @property
    def risk_mae_atr(self) -> float: ...
    @property
    def fee_rate(self) -> float: ...
    @property
    def slippage_k(self) -> float: ...
    @property
    def stop_overshoot(self) -> float: ...


class SettingsLike(Protocol):
    """The settings of §21.2 and §21.3 under their names; ``packages.common.config.Settings`` is one."""

    @property
    def ev_min(self) -> float: ...
    @property
    def q05_min(self) -> float: ...
    @property
    def mae_max(self) -> float: ...
    @property
    def max_positions(self) -> int: ...
    @property
    def max_used_margin_pct(self) -> float: ...
    @property
    def max_total_notional_pct(self) -> float: ...
    @property
    def max_directional_notional_pct(self) -> float: ...
    @property
    def daily_loss_limit_pct(self) -> float: ...
    @property
    def max_symbol_notional_pct(self) -> float: ...
    @property
    def risk_per_trade(self) -> float: ...
    @property
    def beta_cap(self) -> float: ...
    @property
    def capital_limit_usdt(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """What the exchange says about one symbol; 0 and ``inf`` mean "no filter"."""

    tick: float = 0.0
    step: float = 0.0
    min_qty: float = 0.0
    max_qty: float = math.inf  # of a market order
    min_notional: float = 0.0
    liquidation_fee: float = 0.0
    max_leverage: int = 125
    brackets: tuple[
        tuple[float, float, float, float], ...
    ] = ()  # (cap, maintenance rate, cum, max leverage), ascending


def barriers_of(spec: LabelSpecLike) -> Barriers:
    """The label specification as the kernel takes it."""
    return Barriers(
        k_tp=float(spec.k_tp),
        k_sl=float(spec.k_sl),
        h_bars=int(spec.h_bars),
        risk_mae_atr=float(spec.risk_mae_atr),
        fee_spec=float(spec.fee_rate),
        slippage_k=float(spec.slippage_k),
        stop_overshoot=float(spec.stop_overshoot),
    )


def make_params(
    spec: LabelSpecLike | Barriers,
    policy: PolicyParams | None = None,
    risk: RiskParams | None = None,
    *,
    halt_clears_daily: bool = True,
) -> Params:
    """Parameters with every number as the type the compiled code was specialised for."""
    barriers = spec if isinstance(spec, Barriers) else barriers_of(spec)
    return Params(
        _typed(barriers), _typed(policy or PolicyParams()), _typed(risk or RiskParams()), bool(halt_clears_daily)
    )


def params_from_settings(spec: LabelSpecLike, settings: SettingsLike, *, halt_clears_daily: bool = True) -> Params:
    """Parameters from the settings of the desk; what they do not name keeps the default of ``kernel.md``."""
    policy = PolicyParams(
        ev_min=settings.ev_min,
        q05_min=settings.q05_min,
        mae_max=settings.mae_max,
        risk_per_trade=settings.risk_per_trade,
        max_symbol_notional_pct=settings.max_symbol_notional_pct,
        capital_limit=math.inf if settings.capital_limit_usdt is None else settings.capital_limit_usdt,
    )
    risk = RiskParams(
        max_positions=settings.max_positions,
        max_total_notional_pct=settings.max_total_notional_pct,
        max_directional_notional_pct=settings.max_directional_notional_pct,
        beta_cap=settings.beta_cap,
        max_used_margin_pct=settings.max_used_margin_pct,
        daily_loss_limit_pct=settings.daily_loss_limit_pct,
    )
    return make_params(spec, policy, risk, halt_clears_daily=halt_clears_daily)


def _typed(params: Any) -> Any:
    """Cast every field to the annotated type: 1 for 1.0 would compile the kernel a second time."""
    casts = {int: int, float: float, bool: bool}
    values = []
    for name, kind in type(params).__annotations__.items():
        value = getattr(params, name)
        if kind in casts:
            values.append(casts[kind](value))
        else:
            element = int if kind == tuple[int, ...] else float
            values.append(tuple(element(x) for x in value))
    return type(params)(*values)


def make_constants(rules: Sequence[SymbolRules], fee_now: float) -> Constants:
    """Constants in universe order. Short bracket lists are padded with their last bracket, empty ones with NaN."""
    if not 0.0 <= fee_now < 0.1:
        raise InvalidInputError("fee_now", fee_now, "a fraction in [0, 0.1)")
    table = np.zeros(len(rules), RULE)
    brackets = np.full((len(rules), max([1, *(len(rule.brackets) for rule in rules)]), 4), np.nan)
    for s, rule in enumerate(rules):
        for name in RULE.names or ():
            value = getattr(rule, name)
            if not value >= 0:
                raise InvalidInputError(f"rules[{s}].{name}", value, "a number >= 0")
            table[s][name] = value
        for b in range(brackets.shape[1] if rule.brackets else 0):
            brackets[s, b] = rule.brackets[min(b, len(rule.brackets) - 1)]
        if np.any(np.diff(brackets[s, :, 0]) < 0):
            raise InvalidInputError(f"rules[{s}].brackets", rule.brackets, "caps in ascending order")
    return Constants(table, brackets, float(fee_now))


def symbol_flags(
    present: NDArray[Any], tradable: NDArray[Any], stale: NDArray[Any], drift_block: NDArray[Any], bad: NDArray[Any]
) -> NDArray[np.uint8]:
    """Pack boolean arrays of one shape into the flag byte. A missing bar is stale whatever ``stale`` says."""
    flags = np.where(present, PRESENT, 0) | np.where(tradable, TRADABLE, 0) | np.where(stale, STALE, 0)
    flags |= np.where(drift_block, DRIFT, 0) | np.where(bad, BAD_FEATURES, 0)
    return flags.astype(np.uint8)


def account_flags(*, trading_on: bool, kill_switch: bool, stop_path_ok: bool, flatten: bool = False) -> int:
    """Pack the account's flags."""
    return TRADING_ON * trading_on | KILL_SWITCH_ON * kill_switch | STOP_PATH_OK * stop_path_ok | FLATTEN * flatten


def _own(value: Any, dtype: Any) -> Any:
    """Contiguous, aligned and writable: any other array would compile the kernel a second time."""
    return np.require(value, dtype, ["C", "A", "W"])


def _floats(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    array: Floats = _own(value, np.float64)
    if array.shape != shape:
        raise InvalidInputError(name, array.shape, f"shape {shape}")
    return array


def check_bars(name: str, bars: Floats, present: NDArray[np.bool_]) -> None:
    """``bars`` (..., 4, S): open, high, low, close, positive and ordered wherever ``present`` (..., S)."""
    o, h, low, c = (bars[..., k, :] for k in range(4))
    with np.errstate(invalid="ignore"):
        whole = (low > 0) & (h < np.inf) & (h >= np.maximum(o, c)) & (low <= np.minimum(o, c))
    bad = np.argwhere(present & ~whole)
    if bad.size:
        at = tuple(int(i) for i in bad[0])
        raise InvalidInputError(
            f"{name}{list(at)}", [float(x[at]) for x in (o, h, low, c)], "0 < low <= open, close <= high where present"
        )


def make_inputs(
    ts_ms: int,
    *,
    flags: NDArray[np.uint8],
    account: int,
    regime: float,
    last: Any,
    mark: Any,
    qm: Any,
    atr: Any,
    atr1: Any,
    rate: Any,
    predictions: Any,
    beta: Any,
    tier: Any,
    exit_request: Any = None,
) -> Inputs:
    """One minute. ``flags`` from ``symbol_flags``, ``account`` from ``account_flags``, ``last`` and ``mark`` (4, S),
    ``predictions`` (S, 10) as inference returns them, ``exit_request`` (S,) of 0, AGENT or OPERATOR.

    NaN is allowed wherever nothing is known; a NaN ``regime`` is an unknown feature. Raises ``InvalidInputError``.
    """
    n = int(np.shape(flags)[0])
    if ts_ms % 60_000:
        raise InvalidInputError("ts_ms", ts_ms, "the open of a minute")
    requests = np.zeros(n, np.uint8) if exit_request is None else _own(exit_request, np.uint8)
    if requests.shape != (n,) or not np.isin(requests, (0, AGENT, OPERATOR)).all():
        raise InvalidInputError("exit_request", requests.tolist(), f"{n} of 0, AGENT ({AGENT}), OPERATOR ({OPERATOR})")
    last_bars, mark_bars = _floats("last", last, (4, n)), _floats("mark", mark, (4, n))
    present = (np.asarray(flags) & PRESENT) != 0
    check_bars("last", last_bars, present)
    check_bars("mark", mark_bars, present)
    tiers = _own(tier, np.int64)
    if tiers.shape != (n,):
        raise InvalidInputError("tier", tiers.shape, f"shape {(n,)}")
    return Inputs(
        ts_ms=int(ts_ms),
        flags=_own(flags, np.uint8),
        account_flags=int(account),
        regime=UNKNOWN_REGIME if math.isnan(regime) else int(regime),
        exit_request=requests,
        last=last_bars,
        mark=mark_bars,
        qm=_floats("qm", qm, (n,)),
        atr=_floats("atr", atr, (n,)),
        atr1=_floats("atr1", atr1, (n,)),
        rate=_floats("rate", rate, (n,)),
        preds=_own(_floats("predictions", predictions, (n, N_TARGETS)).T, np.float64),
        beta=_floats("beta", beta, (n,)),
        tier=tiers,
    )


def make_market(
    ts_ms: Any,
    *,
    flags: Any,
    last: Any,
    mark: Any,
    qm: Any,
    atr: Any,
    atr1: Any,
    preds: Any,
    rate: Any = None,
    regime: Any = None,
    account: Any = None,
    exit_request: Any = None,
    beta: Any = None,
    tier: Any = None,
    day_row: Any = None,
) -> Market:
    """T minutes, one after the other. Bars are (T, 4, S), ``preds`` (T, 10, S), ``beta`` and ``tier`` (D, S) with
    ``day_row`` (T,). Left out: no funding, regime 1, trading on, no requests, beta 1, tier A. Raises
    ``InvalidInputError`` on a gap in time, a wrong shape or a broken bar.
    """
    times = _own(ts_ms, np.int64)
    symbol_bits = _own(flags, np.uint8)
    if symbol_bits.ndim != 2 or symbol_bits.shape[0] != times.size:
        raise InvalidInputError("flags", symbol_bits.shape, f"shape ({times.size}, S)")
    t, n = symbol_bits.shape
    if t and (times[0] % 60_000 or np.any(np.diff(times) != 60_000)):
        raise InvalidInputError(
            "ts_ms", times[:2].tolist(), "consecutive minutes; missing bars are flagged, not left out"
        )
    last_bars, mark_bars = _floats("last", last, (t, 4, n)), _floats("mark", mark, (t, 4, n))
    present = (symbol_bits & PRESENT) != 0
    check_bars("last", last_bars, present)
    check_bars("mark", mark_bars, present)
    days = 1 if beta is None else len(beta)
    always_on = account_flags(trading_on=True, kill_switch=False, stop_path_ok=True)
    rows = np.zeros(t, np.int64) if day_row is None else _own(day_row, np.int64)
    if rows.shape != (t,) or (t and not (rows.min() >= 0 and rows.max() < days)):
        raise InvalidInputError("day_row", rows[:3].tolist(), f"{t} rows in [0, {days})")
    tiers = np.zeros((days, n), np.int64) if tier is None else _own(tier, np.int64)
    if tiers.shape != (days, n):
        raise InvalidInputError("tier", tiers.shape, f"shape {(days, n)}")
    return Market(
        ts_ms=times,
        flags=symbol_bits,
        account_flags=_per_minute(account, t, np.int64, always_on, "account"),
        regime=_per_minute(regime, t, np.int64, 1, "regime"),
        exit_request=np.zeros((t, n), np.uint8) if exit_request is None else _own(exit_request, np.uint8),
        last=last_bars,
        mark=mark_bars,
        qm=_floats("qm", qm, (t, n)),
        atr=_floats("atr", atr, (t, n)),
        atr1=_floats("atr1", atr1, (t, n)),
        rate=np.full((t, n), np.nan) if rate is None else _floats("rate", rate, (t, n)),
        preds=_floats("preds", preds, (t, N_TARGETS, n)),
        beta=np.ones((1, n)) if beta is None else _floats("beta", beta, (days, n)),
        tier=tiers,
        day_row=rows,
    )


def _per_minute(value: Any, t: int, dtype: Any, default: int, name: str) -> Any:
    array = np.full(t, default, dtype) if value is None else _own(value, dtype)
    if array.shape != (t,):
        raise InvalidInputError(name, array.shape, f"shape {(t,)}")
    return array
