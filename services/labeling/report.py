"""Whether a symbol's labels are worth learning: what a round trip costs beside its target, and what policy would block.

D17: on calm symbols the costs of a 1m bracket exceed its take-profit. D39: a threshold taken literally can block every
row. The label job prints and stores both.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError
from services.labeling.triple_barrier import BothLabels, Labels, LabelSpec

F64 = NDArray[np.float64]

COST_TO_TP_WARN: Final = 0.33
BUCKETS: Final = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Policy presets of §21.2: ``ev_min`` a fraction of the entry, the others in ATRs of the barriers' interval."""

    ev_min: float = 0.0
    q05_min: float = -0.8
    mae_max: float = 1.2


@dataclass(frozen=True, slots=True)
class SideReport:
    """One direction. ``q05_atr`` and ``mae_atr`` are in ATRs of the row; shares are of the labelled rows.

    ``blocked`` says which share each threshold would block if the forecast knew the row's volatility and nothing else:
    mean and 5 % quantile of the rows in the same tenth of ATR ÷ price. ``Q05_LITERAL`` is the same limit without the
    planned loss.
    """

    tp: float
    sl: float
    time: float
    ret_net: float
    q05_atr: float
    mae_atr: float
    blocked: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LabelReport:
    """``cost_to_tp`` is the median over rows of round-trip cost ÷ TP distance; ``uneconomical`` where above 0.33."""

    symbol: str
    spec_hash: str
    rows: int
    labelled: int
    cost_to_tp: float | None
    uneconomical: bool
    long: SideReport | None
    short: SideReport | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def warning(self) -> str | None:
        """One line for people, None when there is nothing to warn about."""
        if not self.uneconomical or self.cost_to_tp is None:
            return None
        return (
            f"{self.symbol}: a round trip costs {self.cost_to_tp:.2f} of the take-profit distance "
            f"(above {COST_TO_TP_WARN}): take barriers on a longer ATR, such as preset swing"
        )


def cost_to_tp(mark: F64, atr: F64, spec: LabelSpec, atr_slip: F64 | None = None) -> F64:
    """Fees and slippage of a round trip ÷ the TP's distance, per row (n,); NaN where mark or an ATR is not positive.

    Prices and ATRs in quote units; ``atr`` of the barriers' interval, ``atr_slip`` the 1m ATR (``atr`` when None).
    """
    slip = atr if atr_slip is None else atr_slip
    if not mark.shape == atr.shape == slip.shape:
        raise InvalidInputError("atr", (mark.shape, atr.shape, slip.shape), "the shape of mark")
    usable = (mark > 0) & (atr > 0) & (slip > 0)
    out = np.full(mark.shape, math.nan)
    out[usable] = (2 * spec.fee_rate * mark[usable] + 2 * spec.slippage_k * slip[usable]) / (spec.k_tp * atr[usable])
    return out


def label_report(
    symbol: str,
    labels: BothLabels,
    mark: F64,
    atr: F64,
    spec: LabelSpec,
    atr_slip: F64 | None = None,
    thresholds: Thresholds | None = None,
) -> LabelReport:
    """Report on one symbol's labels; ``mark``, ``atr``, ``atr_slip`` (n,) as they were given to ``label_both``."""
    slip = atr if atr_slip is None else atr_slip
    limits = thresholds or Thresholds()
    ratios = cost_to_tp(mark, atr, spec, slip)
    known = ratios[np.isfinite(ratios)]
    ratio = float(np.median(known)) if known.size else None
    return LabelReport(
        symbol=symbol,
        spec_hash=spec.hash(),
        rows=mark.size,
        labelled=int(labels.long.labelled.sum()),
        cost_to_tp=ratio,
        uneconomical=ratio is not None and ratio > COST_TO_TP_WARN,
        long=_side(labels.long, mark, atr, slip, spec, limits),
        short=_side(labels.short, mark, atr, slip, spec, limits),
    )


def _side(labels: Labels, mark: F64, atr: F64, slip: F64, spec: LabelSpec, limits: Thresholds) -> SideReport | None:
    rows = labels.labelled
    if not rows.any():
        return None
    a = atr[rows] / mark[rows]
    y, net, mae = labels.y[rows], labels.ret_net[rows], labels.mae[rows]
    planned_loss = spec.stop_atr * a + 2 * spec.fee_rate + 2 * spec.slippage_k * slip[rows] / mark[rows]
    er, q05, e_mae = _volatility_forecast(a, net, mae)
    return SideReport(
        tp=float(np.mean(y == 1)),
        sl=float(np.mean(y == -1)),
        time=float(np.mean(y == 0)),
        ret_net=float(np.mean(net)),
        q05_atr=float(np.quantile(net / a, 0.05)),
        mae_atr=float(np.mean(mae / a)),
        blocked={
            "EV_BELOW_MIN": float(np.mean(er <= limits.ev_min)),
            "Q05_BELOW_MIN": float(np.mean(q05 < -planned_loss + limits.q05_min * a)),
            "Q05_LITERAL": float(np.mean(q05 < limits.q05_min * a)),
            "MAE_ABOVE_MAX": float(np.mean(e_mae > limits.mae_max * a)),
        },
    )


def _volatility_forecast(a: F64, net: F64, mae: F64) -> tuple[F64, F64, F64]:
    """er, q05, e_mae (m,) as fractions of the entry, from the rows in the same tenth of ``a``."""
    edges = np.quantile(a, np.arange(1, BUCKETS) / BUCKETS)
    bucket = np.searchsorted(edges, a, side="right")
    er, q05, e_mae = np.empty(a.size), np.empty(a.size), np.empty(a.size)
    for b in range(BUCKETS):
        inside = bucket == b
        if inside.any():
            scale = a[inside]
            er[inside] = np.mean(net[inside] / scale) * scale
            q05[inside] = np.quantile(net[inside] / scale, 0.05) * scale
            e_mae[inside] = np.mean(mae[inside] / scale) * scale
    return er, q05, e_mae
