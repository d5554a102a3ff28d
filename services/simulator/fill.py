"""The face of §10: one trade on a path of bars, with the kernel's own fills, triggers and funding (steps 1-4)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from packages.common.errors import InvalidInputError
from packages.common.math import slippage_atr
from packages.common.reasons import exit_reason_of
from packages.common.time import iso
from services.policy.kernel import PRESENT, TRADABLE, Barriers
from services.simulator.build import SymbolRules, account_flags, check_bars, make_constants, make_inputs, make_params
from services.simulator.step import execute, judge
from services.simulator.tables import N_TRADES, Params, new_out, new_state
from services.simulator.volume import WINDOW

_NEVER = 2**40


@dataclass(frozen=True)
class FillModel:
    """Taker fee per fill (fraction) and slippage constant (D21). ``InvalidInputError`` for what is not one."""

    fee_rate: float
    slippage_k: float

    def __post_init__(self) -> None:
        for name, value in (("fee_rate", self.fee_rate), ("slippage_k", self.slippage_k)):
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInputError(name, value, "a finite number, at least 0")

    def slippage(self, notional: float, volume: float) -> float:
        """Slippage in 1m ATRs: ``slippage_k * (1 + sqrt(notional / volume))``, the ratio at most 100."""
        return slippage_atr(float(notional), float(volume), float(self.slippage_k))


def simulate_trade_path(
    candles: pd.DataFrame,
    premium: pd.DataFrame,
    entry_ts: Any,
    side: int,
    notional: float,
    sl_price: float,
    tp_price: float,
    fill: FillModel,
    *,
    h_bars: int | None = None,
    stop_overshoot: float = 0.0,
    leverage: int = 1,
    rules: SymbolRules | None = None,
) -> dict[str, Any]:
    """Return realized_pnl (net), fees, slippage, funding, exit_ts, exit_reason, entry and exit price of one trade.

    ``candles``: ``ts`` (open time: epoch ms, ISO text or datetimes), ``open high low close quote_volume atr atr1``;
    ``premium``: ``ts``, the mark's ``open high low close``, and ``funding_rate``: settled in (ts, ts + 60 s] or NaN.
    The entry fills at the open of the bar named ``entry_ts``, for ``notional`` at that open. Without ``rules`` there
    are no brackets and no filters; without ``h_bars`` there is no time exit. A position still open after the last bar
    has ``exit_reason`` OPEN, ``exit_ts`` None and the costs so far as its result. Raises ``InvalidInputError``.
    """
    _check(side, notional, sl_price, tp_price, h_bars, stop_overshoot, leverage)
    ts, last, extra = _columns(candles, "candles", ("open", "high", "low", "close"), ("quote_volume", "atr", "atr1"))
    mark_ts, mark, rates = _columns(premium, "premium", ("open", "high", "low", "close"), ("funding_rate",))
    [entry_ms] = _epoch_ms("entry_ts", [entry_ts])
    at = int(np.searchsorted(ts, entry_ms))
    if at >= ts.size or ts[at] != entry_ms:
        raise InvalidInputError("entry_ts", entry_ts, "the open time of one of the candles")
    if at == 0:
        raise InvalidInputError(
            "entry_ts", entry_ts, "a bar with one before it: a fill uses the volume and ATR known then"
        )
    params = make_params(
        Barriers(1.0, 1.0, _NEVER if h_bars is None else h_bars, 1.0, 0.0, fill.slippage_k, stop_overshoot)
    )
    constants = make_constants([rules or SymbolRules()], fill.fee_rate)
    state, out = new_state(1, 0.0), new_out(1, all_rows=False)
    state.account["wallet"] = state.account["equity"] = state.account["day_start"] = 1e3 * notional  # never halts
    memory, pending = state.memory[0], state.pending[0]
    memory["qm"], memory["atr1"], memory["mark"] = _median(extra[:at, 0]), _last_known(extra[:at, 2]), last[at - 1, 3]
    pending["side"], pending["qty"], pending["leverage"] = side, notional / last[at, 0], leverage
    pending["sl"], pending["tp"] = sl_price, tp_price
    trading_off = account_flags(trading_on=False, kill_switch=False, stop_path_ok=True)
    nothing, there = np.full((1, 10), np.nan), np.array([True])
    for i in range(at, ts.size):
        j = int(np.searchsorted(mark_ts, ts[i]))
        if j >= mark_ts.size or mark_ts[j] != ts[i]:
            raise InvalidInputError("premium", iso(int(ts[i])), "a mark bar for every candle")
        for name, bar in (("candles", last[i]), ("premium", mark[j])):
            check_bars(f"{name} of {iso(int(ts[i]))}", bar[:, None], there)
        known = _median(extra[max(0, i - 4 * WINDOW) : i + 1, 0])
        inputs = make_inputs(
            int(ts[i]), flags=np.array([PRESENT | TRADABLE], np.uint8), account=trading_off, regime=1,
            last=last[i][:, None], mark=mark[j][:, None], qm=[known], atr=[extra[i, 1]], atr1=[extra[i, 2]],
            rate=[rates[j, 0]], predictions=nothing, beta=[1.0], tier=[0],
        )  # fmt: skip
        execute(state, inputs, params, constants, out)
        if out.events.n[N_TRADES]:
            return _closed(out.events.trades[0], int(ts[i]))
        judge(state, inputs, params, constants, out)
    return _still_open(state.positions[0], params)


def _check(
    side: int, notional: float, sl: float, tp: float, h_bars: int | None, stop_overshoot: float, leverage: int
) -> None:
    if side not in (1, -1):
        raise InvalidInputError("side", side, "+1 (long) or -1 (short)")
    for name, value in (("notional", notional), ("sl_price", sl), ("tp_price", tp)):
        if not (math.isfinite(value) and value > 0):
            raise InvalidInputError(name, value, "a finite number > 0")
    if side * (tp - sl) <= 0:
        raise InvalidInputError("sl_price, tp_price", (sl, tp), "the stop on the losing side of the target")
    if h_bars is not None and h_bars < 1:
        raise InvalidInputError("h_bars", h_bars, "at least 1 bar, or None")
    if not 0 <= stop_overshoot <= 1:
        raise InvalidInputError("stop_overshoot", stop_overshoot, "between 0 and 1")
    if leverage < 1:
        raise InvalidInputError("leverage", leverage, "at least 1")


def _closed(trade: Any, ts_ms: int) -> dict[str, Any]:
    names = {"net": "realized_pnl", "entry_fill": "entry_price", "exit_fill": "exit_price"}
    kept = (
        "net",
        "gross",
        "fees",
        "slippage",
        "funding",
        "liquidation_fee",
        "absorbed",
        "entry_fill",
        "exit_fill",
        "mae",
        "mfe",
    )
    answer: dict[str, Any] = {names.get(name, name): float(trade[name]) for name in kept}
    return answer | {"exit_ts": iso(ts_ms), "exit_reason": exit_reason_of(int(trade["reason"])).value}


def _still_open(position: Any, params: Params) -> dict[str, Any]:
    slippage = float(position["side"] * position["qty"] * (position["entry_fill"] - position["entry_ref"]))
    fees, funding = float(position["fees"]), float(position["funding"])
    return {
        "realized_pnl": -fees - funding, "gross": 0.0, "fees": fees, "slippage": slippage, "funding": funding,
        "liquidation_fee": 0.0, "absorbed": 0.0, "entry_price": float(position["entry_fill"]), "exit_price": None,
        "mae": float(position["mae"]), "mfe": float(position["mfe"]), "exit_ts": None, "exit_reason": "OPEN",
    }  # fmt: skip


def _median(volumes: Any) -> float:
    """Median of up to the last 60 volumes; a trade early in the data is filled with what is known by then."""
    known = volumes[~np.isnan(volumes)][-WINDOW:]
    return float(np.median(known)) if known.size else 0.0


def _last_known(values: Any) -> float:
    known = values[values > 0]
    if not known.size:
        raise InvalidInputError("candles.atr1", None, "an ATR > 0 before the entry")
    return float(known[-1])


def _epoch_ms(name: str, values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    series = pd.Series(values)
    if pd.api.types.is_numeric_dtype(series):
        return np.asarray(series, np.int64)
    try:
        times = pd.to_datetime(series, utc=True)
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(name, series.iloc[0], f"epoch milliseconds, ISO text or times ({exc})") from None
    return np.asarray(times.astype("datetime64[ms, UTC]").astype(np.int64), np.int64)


def _columns(frame: pd.DataFrame, name: str, bars: Sequence[str], more: Sequence[str]) -> tuple[Any, Any, Any]:
    missing = [column for column in ("ts", *bars, *more) if column not in frame.columns]
    if missing:
        raise InvalidInputError(name, list(frame.columns), f"also the columns {missing}")
    if "symbol" in frame.columns and frame["symbol"].nunique() > 1:
        raise InvalidInputError(f"{name}.symbol", sorted(map(str, frame["symbol"].unique())), "rows of one symbol")
    ts = _epoch_ms(f"{name}.ts", frame["ts"])
    if (back := np.flatnonzero(np.diff(ts) <= 0)).size:
        raise InvalidInputError(f"{name}.ts", iso(int(ts[back[0] + 1])), f"later than {iso(int(ts[back[0]]))}")
    try:
        prices, others = (frame[list(names)].to_numpy(np.float64) for names in (bars, more))
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(name, [str(kind) for kind in frame.dtypes], f"columns of numbers ({exc})") from None
    return ts, prices, others
