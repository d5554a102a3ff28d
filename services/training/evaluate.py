"""What the models are worth on rows they were not fitted to. The headline is trades, never accuracy (§9.3)."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from packages.common.jit import kernel
from packages.common.time import DAY_MS, MINUTE_MS
from services.training.dataset import Dataset
from services.training.targets import Target, observed_values

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def target_metrics(target: Target, observed: FloatArray, predicted: FloatArray, ts_ms: IntArray) -> dict[str, Any]:
    """Loss figures of one target: RMSE and MAE beside those of the best constant, rank correlation per UTC day, and
    what fits the kind: pinball loss and coverage of a quantile, calibration and log loss of a probability."""
    error = predicted - observed
    out: dict[str, Any] = {
        "rmse": _rms(error),
        "mae": float(np.abs(error).mean()),
        "rmse_of_mean": float(observed.std()),
        "rank_correlation": daily_rank_correlation(observed, predicted, ts_ms),
    }
    if target.alpha is not None:
        flat = float(np.quantile(observed, target.alpha))
        out |= {
            "pinball": pinball_loss(observed, predicted, target.alpha),
            "pinball_of_quantile": pinball_loss(observed, np.full(observed.size, flat), target.alpha),
            "coverage": float((observed < predicted).mean()),
            "coverage_wanted": target.alpha,
        }
    if target.objective == "binary":
        p = np.clip(predicted, 1e-15, 1 - 1e-15)
        rate = float(np.clip(observed.mean(), 1e-15, 1 - 1e-15))
        out |= {
            "log_loss": float(-(observed * np.log(p) + (1 - observed) * np.log(1 - p)).mean()),
            "log_loss_of_rate": -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate)),
            "calibration": calibration(observed, predicted),
        }
    return out


def pinball_loss(observed: FloatArray, predicted: FloatArray, alpha: float) -> float:
    """Mean of ``max(alpha·d, (alpha−1)·d)``, d = observed − predicted."""
    d = observed - predicted
    return float(np.maximum(alpha * d, (alpha - 1) * d).mean())


def calibration(observed: FloatArray, predicted: FloatArray, bins: int = 10) -> dict[str, Any]:
    """Reliability by equally filled bins, and the expected calibration error."""
    order = np.argsort(predicted, kind="stable")
    table = [
        {"predicted": float(predicted[part].mean()), "observed": float(observed[part].mean()), "rows": int(part.size)}
        for part in np.array_split(order, min(bins, order.size))
    ]
    ece = sum(abs(b["predicted"] - b["observed"]) * b["rows"] for b in table) / observed.size
    return {"bins": table, "expected_error": ece}


def daily_rank_correlation(
    observed: FloatArray, predicted: FloatArray, ts_ms: IntArray
) -> dict[str, float | int | None]:
    """Spearman correlation within each UTC day: mean, deviation over days and number of days. ``None`` where undefined
    (a constant prediction ranks nothing)."""
    values = []
    for day in np.unique(ts_ms // DAY_MS):
        rows = ts_ms // DAY_MS == day
        a, b = rankdata(observed[rows]), rankdata(predicted[rows])
        if rows.sum() >= 10 and a.std() > 0 and b.std() > 0:
            values.append(float(np.corrcoef(a, b)[0, 1]))
    if not values:
        return {"mean": None, "std": None, "days": 0}
    return {"mean": float(np.mean(values)), "std": float(np.std(values)), "days": len(values)}


def label_trades(
    dataset: Dataset, rows: IntArray, predictions: dict[str, FloatArray], seed: int
) -> dict[str, Any] | None:
    """Trading figures read from the labels: enter the side with the larger predicted ``er`` where it is above zero, one
    position a symbol at a time, label costs, equal notional. No sizing, no guards, no shared margin: this is *not* a
    portfolio backtest and says so. Returns are fractions of the notional. ``None`` when ``er`` was not predicted.
    """
    if not {"er_long", "er_short"} <= predictions.keys():
        return None
    er_long, er_short = predictions["er_long"], predictions["er_short"]
    long_side = er_long >= er_short
    wanted = np.maximum(er_long, er_short) > 0
    tte = np.where(long_side, dataset.long.time_to_event_min[rows], dataset.short.time_to_event_min[rows])
    exit_ms = dataset.ts_ms[rows] + MINUTE_MS * (1 + tte.astype(np.int64))
    taken = one_at_a_time(dataset.ts_ms[rows], exit_ms, dataset.symbol[rows], wanted, len(dataset.symbols))

    def of(column: str) -> FloatArray:
        both = (getattr(dataset.long, column)[rows], getattr(dataset.short, column)[rows])
        return np.asarray(np.where(long_side, *both)[taken], np.float64)

    days = (int(dataset.ts_ms[rows].max()) - int(dataset.ts_ms[rows].min())) / DAY_MS
    net = of("ret_net")
    base = {
        "kind": "label_trades",
        "note": "one trade a symbol at a time on the label's own costs; no sizing, guards or margin",
        "trades": int(net.size),
        "rows_wanted": int(wanted.sum()),
        "rows": int(rows.size),
        "every_long": float(dataset.long.ret_net[rows].mean()),
        "every_short": float(dataset.short.ret_net[rows].mean()),
    }
    if net.size == 0:
        return base | {
            "profit_factor": None,
            "expectancy": None,
            "max_drawdown": 0.0,
            "tail_loss": None,
            "turnover": 0.0,
        }
    exits = exit_ms[taken]
    curve = np.concatenate([[0.0], np.cumsum(net[np.argsort(exits, kind="stable")])])
    lost = float(-net[net < 0].sum())
    worst = np.sort(net)[: max(1, net.size // 100)]
    return base | {
        "profit_factor": float(net[net > 0].sum()) / lost if lost > 0 else None,
        "expectancy": float(net.mean()),
        "expectancy_95": expectancy_interval(net, dataset.ts_ms[rows][taken], seed),
        "expectancy_atr": float((net / dataset.scale[rows][taken]).mean()),
        "hit_rate": float((net > 0).mean()),
        "max_drawdown": float((np.maximum.accumulate(curve) - curve).max()),
        "tail_loss": float(worst.mean()),
        "turnover": net.size / max(days, 1 / 24) / len(dataset.symbols),
        "costs": {name: float(of(name).mean()) for name in ("fees", "slippage", "funding")},
        "long_share": float(long_side[taken].mean()),
    }


def expectancy_interval(net: FloatArray, ts_ms: IntArray, seed: int, draws: int = 1000) -> list[float] | None:
    """95 % interval of the mean by resampling whole UTC days: trades of one day are not independent."""
    days, day = np.unique(ts_ms // DAY_MS, return_inverse=True)
    if days.size < 2:
        return None
    sums, counts = np.bincount(day, net), np.bincount(day)
    picks = np.random.default_rng(seed).integers(0, days.size, (draws, days.size))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    return [float(x) for x in np.quantile(means, (0.025, 0.975))]


def evaluate(
    dataset: Dataset, rows: IntArray, targets: tuple[Target, ...], predictions: dict[str, FloatArray], seed: int
) -> dict[str, Any]:
    """All figures of these rows. ``label_trades`` is what trading the labels would give, beside the portfolio
    backtest, which is the headline."""
    return {
        "rows": int(rows.size),
        "label_trades": label_trades(dataset, rows, predictions, seed),
        "targets": {
            t.name: target_metrics(
                t, observed_values(t, dataset.side(t.side)[0])[rows], predictions[t.name], dataset.ts_ms[rows]
            )
            for t in targets
        },
    }


@kernel
def one_at_a_time(
    ts_ms: IntArray, exit_ms: IntArray, symbol: NDArray[np.int16], wanted: NDArray[np.bool_], n_symbols: int
) -> NDArray[np.bool_]:
    """Mask of the entries taken when a symbol holds at most one position; rows ascend in time."""
    free_from = np.zeros(n_symbols, np.int64)
    out = np.zeros(ts_ms.size, np.bool_)
    for i in range(ts_ms.size):
        if wanted[i] and ts_ms[i] + 60_000 >= free_from[symbol[i]]:
            out[i] = True
            free_from[symbol[i]] = exit_ms[i]
    return out


def _rms(values: FloatArray) -> float:
    return float(np.sqrt((values * values).mean()))
