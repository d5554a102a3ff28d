"""The face of §13: one symbol from predictions to a wish with leverage and bracket. Thin over ``kernel.choose``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from packages.common.errors import InvalidInputError
from packages.common.math import stop_price, target_price
from packages.common.reasons import Reason, reason_of
from packages.common.types import TARGETS
from services.policy.kernel import (
    BAD_FEATURES,
    DRIFT,
    KILL_SWITCH_ON,
    MAX_NOTES,
    NOTE,
    PRESENT,
    ROW,
    STALE,
    STOP_PATH_OK,
    TRADABLE,
    TRADING_ON,
    Barriers,
    PolicyParams,
    Rows,
    choose,
    count_unusable,
    gates,
)

LONG_AGO = 10**9
DEFAULTS = PolicyParams()


@dataclass(frozen=True)
class PolicyConfig:
    """Thresholds of §21.2 (×ATR where the name says so there); ``max_positions`` is tested by the risk guard."""

    ev_min: float = 0.0
    q05_min: float = -0.8
    mae_max: float = 1.2
    max_positions: int = 6
    params: PolicyParams = DEFAULTS  # everything else of kernel.md

    def kernel_params(self) -> PolicyParams:
        """The parameters of the compiled policy."""
        return self.params._replace(ev_min=float(self.ev_min), q05_min=float(self.q05_min), mae_max=float(self.mae_max))


def decide(symbol: str, preds: Mapping[str, float], state: Mapping[str, Any], cfg: PolicyConfig) -> dict[str, Any]:
    """Return decision, wished notional, leverage, SL, TP and reasons of one symbol.

    ``preds``: the ten targets by name, fractions of the entry; a missing one counts as NaN. ``state`` must have
    ``price`` (the mark's close), ``atr``, ``atr1`` (price units), ``qm`` (quote units), ``equity``, ``barriers``
    (``Barriers``) and ``fee_now``. It may have ``tick``, ``max_qty``, ``max_leverage``, ``brackets`` (rows of cap,
    maintenance rate, cum, leverage), ``regime`` (1), ``tier`` (0), ``day_floor``, ``bars_since_exit``,
    ``bars_since_pause`` and the flags ``present``, ``tradable``, ``trading_on``, ``stop_path_ok`` (true), ``stale``,
    ``drift_block``, ``feature_nan``, ``kill_switch``, ``halted``, ``in_position`` (false).

    ``decision`` is LONG, SHORT or FLAT; ``block_reasons`` holds every failing code, the primary one first. The notional
    is the wish: what it is cut to is the risk guard's. Raises ``InvalidInputError`` when a needed field is missing.
    """
    missing = {"price", "atr", "atr1", "qm", "equity", "barriers", "fee_now"} - set(state)
    if missing:
        raise InvalidInputError("state", sorted(state), f"also {sorted(missing)}")
    params, barriers = cfg.kernel_params(), state["barriers"]
    if not isinstance(barriers, Barriers):
        raise InvalidInputError("state.barriers", barriers, "the Barriers of the label specification")
    column = np.array([[float(preds.get(name, math.nan))] for name in TARGETS])
    price, atr, atr1, qm = (float(state[name]) for name in ("price", "atr", "atr1", "qm"))
    equity = float(state["equity"])
    regime, tier = int(state.get("regime", 1)), int(state.get("tier", 0))
    rows = Rows(np.zeros(1, ROW), np.zeros((1, MAX_NOTES), NOTE))
    flags, account = _flags(state)
    passed = gates(
        rows, 0, flags, count_unusable(column, 0, qm, atr, atr1), account, bool(state.get("halted", False)), equity,
        float(state.get("day_floor", 0.0)), bool(state.get("in_position", False)),
        int(state.get("bars_since_exit", LONG_AGO)), int(state.get("bars_since_pause", LONG_AGO)), regime, params,
    )  # fmt: skip
    answer: dict[str, Any] = {
        "symbol": symbol, "decision": "FLAT", "side": 0, "ev_long": None, "ev_short": None, "size_notional": None,
        "leverage": None, "sl_price": None, "tp_price": None, "loss": None,
    }  # fmt: skip
    if passed:
        tick = float(state.get("tick", 0.0))
        plan = choose(
            rows, 0, column, price, atr, atr1, qm, min(equity, params.capital_limit), regime, tier, tick,
            float(state.get("max_qty", math.inf)), int(state.get("max_leverage", 125)),
            _brackets(state.get("brackets", ())), float(state["fee_now"]), True, barriers, params,
        )  # fmt: skip
        allowed = rows.table["n_notes"][0] == 0
        answer |= {
            "side": plan.side if allowed else 0,
            "decision": ("LONG" if plan.side > 0 else "SHORT") if allowed else "FLAT",
            "ev_long": plan.ev_long,
            "ev_short": plan.ev_short,
            "size_notional": plan.wish,
            "leverage": plan.leverage,
            "sl_price": stop_price(price, plan.side, plan.stop, tick),
            "tp_price": target_price(price, plan.side, plan.target, tick),
            "loss": plan.loss,
        }
    answer["block_details"] = block_details(rows, 0)
    answer["block_reasons"] = [detail["code"] for detail in answer["block_details"]]
    return answer


def block_details(rows: Rows, s: int) -> list[dict[str, Any]]:
    """Reasons of row ``s`` as ``{code, value, limit, distance}``, the primary one first."""
    return [
        {
            "code": reason_of(int(entry["code"])).value,
            "value": float(entry["value"]),
            "limit": float(entry["limit"]),
            "distance": float(entry["distance"]),
        }
        for entry in rows.notes[s, : int(rows.table["n_notes"][s])]
    ]


def _flags(state: Mapping[str, Any]) -> tuple[int, int]:
    def yes(name: str) -> bool:
        return bool(state.get(name, True))

    def no(name: str) -> bool:
        return bool(state.get(name, False))

    flags = PRESENT * yes("present") | TRADABLE * yes("tradable") | STALE * no("stale")
    flags |= DRIFT * no("drift_block") | BAD_FEATURES * no("feature_nan")
    account = TRADING_ON * yes("trading_on") | KILL_SWITCH_ON * no("kill_switch") | STOP_PATH_OK * yes("stop_path_ok")
    return flags, account


def _brackets(rows: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.ascontiguousarray(rows, np.float64).reshape(-1, 4)


__all__ = ["PolicyConfig", "Reason", "block_details", "decide"]
