"""Named checks that no row knows its future (D19). Run by every training job; what they say is kept in the manifest.

``future_truncation`` is exact: a stored feature row must come out the same, bit for bit, when every later bar is
taken away. A leak in the computation differs in the rows before the cut, a leak in the stored rows (shifted by a bar,
joined to the wrong minute) differs everywhere. The other two are plausibility: a feature that ranks the return of the
*next* bar, or predictions that rank what the labels hold, better than any real market lets itself be ranked. Those are
reported and do not stop the job; a market made with a planted signal exceeds them rightly.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, iso
from services.features import kernel as bar
from services.features import schema
from services.features.compute import MarketFeatures, compute_market, compute_symbol
from services.training.market import Minutes, in_common

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

NEXT_BAR_RANK_MAX = 0.35  # recorded markets stay below 0.15
OOS_RANK_MAX = 0.35
_DAYS_RANKED = 20


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """One check: what was ``measured`` and the ``limit`` it must not exceed; ``exact`` ones stop the job."""

    name: str
    exact: bool
    passed: bool
    measured: float
    limit: float
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Bars of one symbol and the feature rows (n, 17) a training set would be made of."""

    minutes: Minutes
    ts_ms: I64
    features: F64


def check_no_leak(
    stored: Iterable[StoredFeatures], btc: Minutes, *, rank_correlations: dict[str, float | None], seed: int
) -> tuple[LeakCheck, ...]:
    """All checks. ``btc``: minutes of BTCUSDT from its first bar; ``rank_correlations``: mean daily rank correlation of
    out-of-sample predictions by target. ``seed`` draws one cut per symbol and the days that are ranked."""
    rng = np.random.default_rng(seed)
    wrong: list[str] = []
    ranked: list[F64] = []
    for one in stored:
        if one.ts_ms.size < 2:
            continue
        cut = int(one.ts_ms[rng.integers(one.ts_ms.size // 2, one.ts_ms.size)])
        if fault := rows_that_know_more(one, btc, cut):
            wrong.append(f"{one.minutes.symbol}: {fault}")
        ranked.append(next_bar_ranks(one, rng))
    return (
        LeakCheck(
            "future_truncation", True, not wrong, float(len(wrong)), 0.0,
            "; ".join(wrong[:3]) or "stored rows equal those computed without any later bar",
        ),
        _next_bar(ranked),
        _implausible(rank_correlations),
    )  # fmt: skip


def require(checks: tuple[LeakCheck, ...]) -> None:
    """``InvalidInputError`` when an exact check failed: what was learned from such rows is worth nothing."""
    for check in checks:
        if check.exact and not check.passed:
            raise InvalidInputError("features", f"{check.name}: {check.detail}", "rows that know no later bar")


def rows_that_know_more(stored: StoredFeatures, btc: Minutes, cut_ms: int) -> str:
    """What differs in the rows up to ``cut_ms`` when they are computed from the bars up to it; empty when nothing."""
    upto = stored.minutes.ts_ms <= cut_ms
    shared = _market(btc, cut_ms)
    again = compute_symbol(stored.minutes.bars[upto], shared)
    ts, at, here = in_common(again.ts_ms, stored.ts_ms)
    if not ts.size:
        return f"no stored row at or before {iso(cut_ms)}"
    a, b = again.values[at], stored.features[here]
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    rows = np.flatnonzero(differs.any(axis=1))
    if not rows.size:
        return ""
    first = rows[-1]
    names = ", ".join(schema.KEYS[i] for i in np.flatnonzero(differs[first]))
    return f"{rows.size} of {ts.size} rows, such as {names} at {iso(int(ts[first]))}"


def next_bar_ranks(stored: StoredFeatures, rng: np.random.Generator) -> F64:
    """Mean daily rank correlation (17,) of each feature with the return of the following bar, over drawn days; NaN
    where a feature does not vary."""
    ts, at, here = in_common(stored.minutes.ts_ms, stored.ts_ms)
    close = stored.minutes.bars[at][:, bar.BAR_CLOSE]
    following = np.append(np.diff(ts) == 60_000, False)
    ahead = np.append(close[1:] / close[:-1] - 1.0, np.nan)
    day = ts // DAY_MS
    days = np.unique(day)
    days = np.sort(rng.choice(days, min(_DAYS_RANKED, days.size), replace=False))
    rows = [np.flatnonzero((day == d) & following) for d in days]
    features = stored.features[here]
    out = np.full(schema.N_FEATURES, np.nan)
    for i in range(schema.N_FEATURES):
        values = [_spearman(features[r, i], ahead[r]) for r in rows]
        known = [v for v in values if v is not None]
        if known:
            out[i] = float(np.mean(known))
    return out


def _market(btc: Minutes, cut_ms: int) -> MarketFeatures:
    upto = btc.ts_ms <= cut_ms
    return compute_market(btc.ts_ms[upto], btc.bars[upto, bar.BAR_CLOSE])


def _next_bar(ranked: list[F64]) -> LeakCheck:
    table = np.abs(np.array(ranked).reshape(-1, schema.N_FEATURES))
    means = np.array([column[~np.isnan(column)].mean() if (~np.isnan(column)).any() else 0.0 for column in table.T])
    worst = int(np.argmax(means))
    return LeakCheck(
        "next_bar_rank", False, bool(means[worst] <= NEXT_BAR_RANK_MAX), float(means[worst]), NEXT_BAR_RANK_MAX,
        f"strongest with the next bar's return: {schema.KEYS[worst]}",
    )  # fmt: skip


def _implausible(ranks: dict[str, float | None]) -> LeakCheck:
    known = {name: abs(rank) for name, rank in ranks.items() if name.startswith("er_") and rank is not None}
    worst = max(known, key=lambda name: known[name]) if known else None
    measured = known[worst] if worst else 0.0
    return LeakCheck(
        "oos_rank", False, measured <= OOS_RANK_MAX, measured, OOS_RANK_MAX,
        f"strongest out of sample: {worst}" if worst else "no prediction ranks anything",
    )  # fmt: skip


def _spearman(a: F64, b: F64) -> float | None:
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 30:
        return None
    x, y = rankdata(a[known]), rankdata(b[known])
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else None
