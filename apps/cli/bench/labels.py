"""Labels against a plain early-exit scan: per bar and direction a loop to the first touch, nothing skipped."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from apps.cli.bench import material
from apps.cli.bench.measure import Figure, Plan, at_least, at_most, interleave
from apps.cli.bench.peers import in_turn, peer
from packages.common.jit import kernel
from services.features import kernel as bar
from services.features import schema
from services.features.compute import compute_market, compute_symbol
from services.labeling.triple_barrier import PRESETS, BothLabels, LabelSpec, label_both
from services.training.research import settlements_by_bar

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SPEC = PRESETS["spec"]
NEVER = LabelSpec(k_tp=1e6, k_sl=1e6, h_bars=360, risk_mae_atr=1e6, fee_rate=0.0004, slippage_k=0.15)


@dataclass(frozen=True, slots=True)
class Market:
    """The arguments of ``label_both`` for one symbol."""

    ts_ms: I64
    high: F64
    low: F64
    close: F64
    atr: F64
    rate: F64
    next_funding: I64

    def label(self, spec: LabelSpec) -> BothLabels:
        """Through the product."""
        return label_both(
            *(self.ts_ms, self.high, self.low, self.close, self.close, self.atr, self.rate, self.next_funding, spec)
        )

    def plain(self, spec: LabelSpec) -> tuple[F64, NDArray[np.int8], NDArray[np.int32]]:
        """Through the reference; its memory is numpy's as the product's is, or its page faults would be measured."""
        n = self.ts_ms.size
        out, y, bars = np.empty((2, 7, n)), np.zeros((2, n), np.int8), np.zeros((2, n), np.int32)
        plain_scan(
            *(self.ts_ms, self.high, self.low, self.close, self.close, self.atr, self.rate, self.next_funding),
            *(spec.k_tp, spec.stop_atr, spec.h_bars, 2 * spec.fee_rate, 2 * spec.slippage_k, out, y, bars),
        )
        return out, y, bars


def market(n: int, seed: int) -> Market:
    """One symbol; its ATR is the product's."""
    rows = material.bars(n, seed)
    minutes = material.minutes("X", rows)
    shared = compute_market(minutes.ts_ms, rows[:, bar.BAR_CLOSE])
    atr = compute_symbol(rows, shared).values[:, schema.ATR]
    high, low, close = (
        np.ascontiguousarray(rows[:, i]) for i in (bar.BAR_MARK_HIGH, bar.BAR_MARK_LOW, bar.BAR_MARK_CLOSE)
    )
    return Market(minutes.ts_ms, high, low, close, np.ascontiguousarray(atr), *settlements_by_bar(minutes))


@kernel
def plain_scan(
    ts: I64, high: F64, low: F64, close: F64, mark: F64, atr: F64, rate: F64, next_funding: I64, k_tp: float,
    k_sl: float, h_bars: int, fees: float, slip_twice: float, out: F64, y: NDArray[np.int8], bars: NDArray[np.int32],
) -> None:  # fmt: skip
    """All columns of D14, both directions: net, MAE, MFE, gross, fees, slippage, funding; outcome; bars to the exit."""
    n = ts.size
    for t in range(n):
        entry, a = mark[t], atr[t]
        for d in range(2):
            if not (a > 0.0) or t + h_bars >= n:
                for c in range(7):
                    out[d, c, t] = math.nan
                continue
            side = 1.0 - 2.0 * d
            tp, sl = entry + side * k_tp * a, entry - side * k_sl * a
            top, bottom, price, funding = -math.inf, math.inf, close[t + h_bars], 0.0
            outcome, at = 0, t + h_bars
            for j in range(t + 1, t + h_bars + 1):
                top, bottom = max(top, high[j]), min(bottom, low[j])
                hit_sl = low[j] <= sl if side > 0 else high[j] >= sl
                hit_tp = high[j] >= tp if side > 0 else low[j] <= tp
                if hit_sl or hit_tp:
                    outcome, price, at = (-1, sl, j) if hit_sl else (1, tp, j)
                    break
                if next_funding[j] != 0:
                    funding += side * rate[j]
            worst, best = (bottom, top) if side > 0 else (top, bottom)
            gross = side * (price - entry) / entry
            cost = slip_twice * a / entry
            out[d, 0, t] = gross - fees - cost - funding
            out[d, 1, t] = max(side * (entry - worst) / entry, 0.0)
            out[d, 2, t] = max(side * (best - entry) / entry, 0.0)
            out[d, 3, t] = gross
            out[d, 4, t] = fees
            out[d, 5, t] = cost
            out[d, 6, t] = funding
            y[d, t] = outcome
            bars[d, t] = at - t


def measure(plan: Plan) -> Iterator[Figure]:
    """Preset, never-hit barriers, and fifty symbols on two threads."""
    n = plan.size(material.YEAR, 100_000)
    one = market(n, 1)
    _require_equal(one)
    took = interleave(
        plan.rounds,
        {
            "product": lambda: one.label(SPEC),
            "plain": lambda: one.plain(SPEC),
            "never": lambda: one.label(NEVER),
        },
    )
    plain = "plain compiled early-exit scan"
    scan = took["plain"]
    work = f"1 symbol x {n:,} bars, both directions"
    yield at_most(
        *("labels", f"{work}, preset spec", took["product"] * 1e3, "ms"),
        limit=1.5, reference=f"{plain}, {scan * 1e3:.1f} ms", ratio=took["product"] / scan,
    )  # fmt: skip
    yield at_most(
        *("labels", f"{work}, barriers never hit, H = 360", took["never"] * 1e3, "ms"),
        limit=6.0, reference=f"{plain} of the preset", ratio=took["never"] / scan,
    )  # fmt: skip
    symbols = plan.size(50, 10)
    few = [one, *(market(n, seed) for seed in range(2, 6))]
    with ThreadPoolExecutor(2) as pool:
        many = interleave(
            min(plan.rounds, 5),
            {"all": lambda: sum(1 for _ in pool.map(lambda i: one_of(few, i), range(symbols)))},
            wall=True,
        )["all"]
    yield at_most(
        *("labels", f"{symbols} symbols x {n:,} bars, ATR and funding given, 2 threads, wall", many, "s"),
        limit=2.0 * symbols * n / (50 * material.YEAR),
    )


def peers(plan: Plan) -> Iterator[Figure]:
    """Labels of both directions by ml4t-engineer: outcomes, prices and times, no costs, no MAE or MFE. Of the preset,
    and of barriers that are never hit: its own ATR face takes distances in price for fractions, so that on prices like
    these nothing is ever hit either."""
    n, told = plan.size(material.YEAR, 100_000), 50_000
    one = market(n, 1)
    arrays = {"ts_ms": one.ts_ms, "high": one.high, "low": one.low, "close": one.close, "atr": np.nan_to_num(one.atr)}
    for what, spec in (("preset spec", SPEC), (f"barriers never hit, H = {NEVER.h_bars}", NEVER)):
        label = partial(one.label, spec)
        with peer("ml4t_labels", **arrays, k_tp=spec.k_tp, k_sl=spec.stop_atr, h_bars=spec.h_bars, told=told) as other:
            both = label()
            for labels, side in ((both.long, "long"), (both.short, "short")):
                known = np.isfinite(labels.ret_net[:told])
                same = (labels.y[:told] == np.array(other.answer[side]))[known].mean()
                assert same > 0.99, f"{what}, {side}: only {same:.3f} of the outcomes agree"
            ours, theirs = in_turn(min(plan.rounds, 5), label, other)
            yield at_least(
                *("labels", f"1 symbol x {n:,} bars, both directions, {what}, against a peer", ours * 1e3, "ms"),
                limit=50.0, reference=f"{other.name}, {theirs * 1e3:.0f} ms", ratio=theirs / ours,
            )  # fmt: skip


def one_of(markets: list[Market], i: int) -> None:
    """Label one of the markets; what comes out is let go, as a job does once it is written."""
    markets[i % len(markets)].label(SPEC)


def _require_equal(one: Market) -> None:
    """The reference is one only where it gives the product's labels."""
    both, (out, y, bars) = one.label(SPEC), one.plain(SPEC)
    for d, labels in enumerate((both.long, both.short)):
        assert np.array_equal(labels.y, y[d])
        assert np.array_equal(labels.bars, bars[d])
        np.testing.assert_allclose(labels.ret_net, out[d, 0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(labels.mae, out[d, 1], rtol=1e-9, atol=1e-12)
