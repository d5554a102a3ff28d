"""The face of §14: may this one action be done? Thin over ``kernel.measure``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from packages.common.errors import InvalidInputError
from packages.common.math import round_down
from packages.common.reasons import Reason, reason_of
from services.risk.kernel import (
    BOOK_SIZE,
    FIRST_LIMIT,
    LIMIT,
    N_LIMITS,
    ROOM,
    VALUE,
    Candidate,
    RiskParams,
    beta_or_one,
    book_add,
    measure,
    primary_limit,
    tier_or_last,
    too_small,
)

DEFAULTS = RiskParams()


@dataclass(frozen=True)
class RiskConfig:
    """Limits of §21.3 as multiples of the equity."""

    max_used_margin_pct: float = 0.35
    daily_loss_limit_pct: float = 0.02
    max_positions: int = 6
    max_total_notional_pct: float = 1.2
    max_directional_notional_pct: float = 0.8
    params: RiskParams = DEFAULTS  # everything else of kernel.md

    def kernel_params(self) -> RiskParams:
        """The parameters of the compiled guard."""
        return self.params._replace(
            max_used_margin_pct=float(self.max_used_margin_pct),
            daily_loss_limit_pct=float(self.daily_loss_limit_pct),
            max_positions=int(self.max_positions),
            max_total_notional_pct=float(self.max_total_notional_pct),
            max_directional_notional_pct=float(self.max_directional_notional_pct),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """``notional`` is what the wish is cut to, 0 when blocked; ``details`` all failing codes, the primary one first."""

    notional: float
    qty: float
    details: tuple[dict[str, Any], ...]


def check_risk(
    action: Mapping[str, Any], portfolio: Mapping[str, Any], account: Mapping[str, Any], cfg: RiskConfig
) -> list[str]:
    """Return the block reason codes of one action, the primary one first; empty means allowed.

    ``action``: ``side`` (±1), ``notional`` (the wish), ``price``, and optionally ``leverage`` (1), ``loss`` (fraction
    lost at the SL, 0), ``tier`` (0), ``beta`` (1), ``qm``, ``max_qty`` (inf), ``min_notional``, ``min_qty``, ``step``
    (0); an action with ``reduce_only`` is always allowed: guards never keep a position open. ``portfolio``:
    ``positions``, each with ``side``, ``notional`` (at the mark) and optionally ``leverage``, ``tier``, ``beta``,
    ``risk`` (quote units still at stake); pending entries stand among them. ``account``: ``equity``, and optionally
    ``day_start_equity`` (equity), ``trading_on``, ``stop_path_ok`` (true), ``kill_switch``, ``halted`` (false).
    Raises ``InvalidInputError``.
    """
    return [detail["code"] for detail in assess(action, portfolio, account, cfg).details]


def assess(
    action: Mapping[str, Any], portfolio: Mapping[str, Any], account: Mapping[str, Any], cfg: RiskConfig
) -> Verdict:
    """As ``check_risk``, with the admitted size and value, limit and distance of every code."""
    side, wish, price = (_number(action, name, "action") for name in ("side", "notional", "price"))
    equity = _number(account, "equity", "account")
    if side not in (1, -1) or not wish > 0 or not price > 0:
        raise InvalidInputError("action", dict(action), "side +1 or -1, notional and price > 0")
    if action.get("reduce_only"):
        return Verdict(wish, wish / price, ())
    params = cfg.kernel_params()
    floor = float(account.get("day_start_equity", equity)) * (1.0 - params.daily_loss_limit_pct)
    details = _account_gates(account, equity, floor)
    candidate = Candidate(
        int(side), wish, price, int(action.get("leverage", 1)), float(action.get("loss", 0.0)),
        tier_or_last(int(action.get("tier", 0))), beta_or_one(float(action.get("beta", 1.0))),
        float(action.get("qm", math.inf)), float(action.get("max_qty", math.inf)),
    )  # fmt: skip
    room = np.zeros((3, N_LIMITS))
    book = _book(portfolio.get("positions", ()))
    measure(room, book, candidate, equity, equity - floor, bool(account.get("stop_path_ok", True)), params)
    first = primary_limit(room)
    for i in sorted(range(N_LIMITS), key=lambda k: k != first):
        if room[ROOM, i] < params.min_share * wish:
            details.append(_detail(reason_of(FIRST_LIMIT + i), room[VALUE, i], room[LIMIT, i]))
    notional = min(wish, float(room[ROOM].min()))
    qty = round_down(notional / price, float(action.get("step", 0.0)))
    min_notional, min_qty = float(action.get("min_notional", 0.0)), float(action.get("min_qty", 0.0))
    if not details and too_small(qty, price, min_notional, min_qty, params):
        least = max(min_notional * params.min_notional_margin, min_qty * price)
        details.append(_detail(Reason.MIN_NOTIONAL, qty * price, least))
    return Verdict(0.0, 0.0, tuple(details)) if details else Verdict(qty * price, qty, ())


def _account_gates(account: Mapping[str, Any], equity: float, floor: float) -> list[dict[str, Any]]:
    """§14.1: the hard guards of the account."""
    details = []
    if not account.get("trading_on", True):
        details.append(_detail(Reason.TRADING_OFF, 1.0, 0.0))
    if account.get("kill_switch", False):
        details.append(_detail(Reason.KILL_SWITCH, 1.0, 0.0))
    if account.get("halted", False) or equity <= floor or equity <= 0.0:
        details.append(_detail(Reason.DAILY_LOSS_LIMIT, equity, floor))
    return details


def _book(positions: Iterable[Mapping[str, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    book = np.zeros(BOOK_SIZE)
    for held in positions:
        book_add(
            book, int(_number(held, "side", "position")), abs(_number(held, "notional", "position")),
            int(held.get("leverage", 1)), int(held.get("tier", 0)), float(held.get("beta", 1.0)),
            float(held.get("risk", 0.0)),
        )  # fmt: skip
    return book


def _detail(reason: Reason, value: float, limit: float) -> dict[str, Any]:
    return {"code": reason.value, "value": float(value), "limit": float(limit), "distance": abs(float(value - limit))}


def _number(source: Mapping[str, Any], name: str, where: str) -> float:
    if name not in source:
        raise InvalidInputError(f"{where}.{name}", None, "a number")
    return float(source[name])
