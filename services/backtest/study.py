"""A backtest and everything that keeps one from believing it too easily, as one report.

Order: the backtest; who earned and who paid; what chance does to it; what one could have had instead; worse worlds;
other numbers; the verdict. The caller brings out-of-sample predictions in the market, and what validation found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from packages.common.compute import Compute, LocalCompute
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS, iso
from services.backtest import attribution
from services.backtest.baselines import baseline_rows
from services.backtest.evidence import block_length, bootstrap_intervals, days_of, monte_carlo
from services.backtest.portfolio import BacktestResult, backtest, daily_returns, drawdown
from services.backtest.report import (
    Costs,
    Curve,
    Evidence,
    FoldSpan,
    Overfitting,
    ResearchReport,
    Snippet,
    TradeOnPrice,
)
from services.backtest.sensitivity import base_value, default_grid, sensitivity, sweep
from services.backtest.stress import STRESSES, Stress, stress_table
from services.backtest.verdict import judge
from services.policy.kernel import PRESENT
from services.simulator.step import KEEP_COUNTS
from services.simulator.tables import Constants, Market, Params

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[float, str], None]

CURVE_POINTS = 1_200
SNIPPET_BARS = 120


@dataclass(frozen=True)
class Effort:
    """How much to compute. Backtests: one for the result, one per stress, one per grid value, one per random draw and a
    pilot. ``grid`` of ``None`` is ``sensitivity.default_grid``; 0 draws, ``{}`` or no stress leave a part out."""

    bootstrap_draws: int = 5_000
    monte_carlo_draws: int = 2_000
    random_draws: int = 200
    stresses: Mapping[str, Stress] = field(default_factory=lambda: STRESSES)
    grid: Mapping[str, Sequence[float]] | None = None
    trades_shown: int = 3  # best, and as many worst


def research_report(
    market: Market,
    params: Params,
    constants: Constants,
    rng: np.random.Generator,
    *,
    symbols: Sequence[str],
    kind: str,
    title: str,
    inputs: Mapping[str, Any],
    wallet: float = 10_000.0,
    effort: Effort | None = None,
    folds: Sequence[FoldSpan] = (),
    targets: Mapping[str, dict[str, Any]] | None = None,
    importance: Mapping[str, Mapping[str, float]] | None = None,
    shap: Mapping[str, Mapping[str, float]] | None = None,
    overfitting: Overfitting | None = None,
    label_sensitivity: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> tuple[BacktestResult, ResearchReport]:
    """Backtest ``market`` from ``wallet`` and report on it; equal arguments and generator state give an equal report.

    ``inputs``: names → hashes and settings, shown as they are; ``targets``, ``importance``, ``shap``, ``overfitting``
    come from training and validation and pass through; ``label_sensitivity``: rows of ``sensitivity`` run with labels
    anew; ``progress(fraction, stage)`` may raise to stop; ``compute``: where random entries, stresses and sensitivities
    run, by default one after the other in this process. Raises ``InvalidInputError`` as ``backtest`` does.
    """
    effort, symbols, compute = effort or Effort(), tuple(symbols), compute or LocalCompute(1)
    told = progress or (lambda _fraction, _stage: None)
    # one generator a part, so that more draws of one part leave the others as they were
    for_intervals, for_monte_carlo, for_entries = rng.spawn(3)
    told(0.0, "backtest")
    result = backtest(market, params, constants, symbols=symbols, wallet=wallet, keep=KEEP_COUNTS)
    told(0.1, "evidence")
    days = days_of(result.kept_trades, result.equity, result.ts_ms, wallet)
    intervals = bootstrap_intervals(days, for_intervals, draws=effort.bootstrap_draws)
    dealt = monte_carlo(result.kept_trades, days, wallet, for_monte_carlo, draws=effort.monte_carlo_draws)
    told(0.2, "baselines")
    baselines, random = baseline_rows(
        market, params, constants, result, for_entries, symbols=symbols, wallet=wallet, draws=effort.random_draws,
        compute=compute,
    )  # fmt: skip
    told(0.6, "stress")
    stress = stress_table(
        market, params, constants, symbols=symbols, wallet=wallet, stresses=effort.stresses, compute=compute
    )
    told(0.8, "sensitivity")
    grid = default_grid(params) if effort.grid is None else effort.grid
    runner = sweep(market, params, constants, symbols=symbols, wallet=wallet, grid=grid, compute=compute)
    moved = sensitivity(runner, grid, {name: base_value(params, name) for name in grid})
    told(0.95, "report")
    verdict = judge(len(result.trades), days.returns.size, intervals, random, overfitting)
    chance = {} if random is None else {"random_percentile": random.percentile, "random_p_value": random.p_value}
    report = ResearchReport(
        kind=kind,
        title=title,
        inputs={
            **inputs,
            "symbols": list(symbols),
            "from": iso(int(market.ts_ms[0])) if market.ts_ms.size else None,
            "to": iso(int(market.ts_ms[-1]) + MINUTE_MS) if market.ts_ms.size else None,
            "barriers": params.barriers._asdict(),
            "policy": params.policy._asdict(),
            "risk": params.risk._asdict(),
            "fee_now": constants.fee_now,
        },
        verdict=verdict,
        metrics={**result.metrics, **chance},
        curve=curve_of(result.equity, result.ts_ms, wallet),
        daily_returns=named_days(result.equity, result.ts_ms, wallet),
        folds=list(folds),
        targets=dict(targets or {}),
        importance={name: dict(shares) for name, shares in (importance or {}).items()},
        shap={name: dict(shares) for name, shares in (shap or {}).items()},
        costs=Costs(
            by_symbol=attribution.by_symbol(result.trades),
            by_side=attribution.by_side(result.trades),
            by_reason=attribution.by_reason(result.trades),
        ),
        block_counts=dict(sorted(result.block_counts.items(), key=lambda item: (-item[1], item[0]))),
        evidence=Evidence(
            intervals=intervals,
            monte_carlo=dealt,
            by_regime=attribution.by_regime(result.trades, market.ts_ms, market.regime),
            by_month=attribution.by_month(result.trades),
            notes=[f"mean block of the bootstrap: {block_length(days.returns):.1f} days"],
        ),
        baselines=baselines,
        stress=stress,
        sensitivity=[*moved, *(dict(row) for row in label_sensitivity)],
        overfitting=overfitting or Overfitting(),
        trades=trades_on_price(result.trades, market, symbols, effort.trades_shown),
        notes=[*notes, *funding_notes(market, symbols)],
    )
    told(1.0, "done")
    return result, report


def funding_notes(market: Market, symbols: Sequence[str]) -> list[str]:
    """Where bars lie more than a day from one settlement to the next, none is known, and the kernel charges nothing: no
    contract settles so seldom."""
    present = (market.flags & PRESENT) != 0
    unknown = {}
    for s, symbol in enumerate(symbols):
        edges = np.concatenate([[-1], np.flatnonzero(~np.isnan(market.rate[:, s])), [market.ts_ms.size]])
        holes = [(a + 1, b) for a, b in pairwise(edges.tolist()) if (b - a) * MINUTE_MS > DAY_MS + HOUR_MS]
        minutes = sum(int(present[a:b, s].sum()) for a, b in holes)
        if minutes:
            unknown[symbol] = minutes
    if not unknown:
        return []
    shares = ", ".join(f"{symbol} {minutes / 1440:.1f} days" for symbol, minutes in unknown.items())
    return [f"no settlement known for more than a day, so funding is missing from the costs of: {shares}"]


def thin(values: Floats, points: int = CURVE_POINTS) -> Ints:
    """Ascending positions, at most about ``points``, that keep the first, the last, and the lowest and highest value of
    each of ``points / 2`` equal stretches, so that no spike of the picture is lost."""
    n = values.size
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, points // 2 + 1).astype(np.int64)
    kept = {0, n - 1}
    for a, b in pairwise(edges):
        kept |= {int(a + np.argmin(values[a:b])), int(a + np.argmax(values[a:b]))}
    return np.array(sorted(kept), np.int64)


def curve_of(equity: Floats, ts_ms: Ints, start: float) -> Curve:
    """The equity curve, thinned."""
    rows = thin(equity)
    return Curve(ts_ms=ts_ms[rows], equity=equity[rows], drawdown=drawdown(equity, start)[rows])


def named_days(equity: Floats, ts_ms: Ints, start: float) -> dict[str, float]:
    """Daily returns by UTC day, ``2025-06-01``."""
    days, returns = daily_returns(equity, ts_ms, start)
    return {iso(int(day) * DAY_MS)[:10]: float(x) for day, x in zip(days, returns, strict=True)}


def trades_on_price(trades: pd.DataFrame, market: Market, symbols: Sequence[str], shown: int = 3) -> list[TradeOnPrice]:
    """The ``shown`` best and worst trades by net (a trade is in one list only: gains are best, losses worst), each with
    the bars around it."""
    order = np.argsort(trades["net"].to_numpy(np.float64), kind="stable")
    net = trades["net"].to_numpy(np.float64)
    best = [int(i) for i in order[::-1][:shown] if net[i] > 0]
    worst = [int(i) for i in order[:shown] if net[i] < 0]
    out = []
    for kind, rows in (("best", best), ("worst", worst)):
        for rank, row in enumerate(rows, 1):
            trade = trades.iloc[row]
            bars = snippet(market, symbols.index(trade["symbol"]), int(trade["entry_ts_ms"]), int(trade["exit_ts_ms"]))
            out.append(
                TradeOnPrice(
                    kind=kind,
                    rank=rank,
                    symbol=trade["symbol"],
                    side="long" if trade["side"] > 0 else "short",
                    reason=trade["reason"],
                    entry_ts_ms=int(trade["entry_ts_ms"]),
                    exit_ts_ms=int(trade["exit_ts_ms"]),
                    entry_price=float(trade["entry_fill"]),
                    exit_price=float(trade["exit_fill"]),
                    sl_price=float(trade["sl"]),
                    tp_price=float(trade["tp"]),
                    net=float(trade["net"]),
                    bars=bars,
                )
            )
    return out


def snippet(market: Market, s: int, from_ms: int, to_ms: int) -> Snippet:
    """Bars of symbol ``s`` from half an hour (or 40 % of the trade) before to as long after, at most ``SNIPPET_BARS``;
    minutes without a bar are left out."""
    first = int(market.ts_ms[0])
    pad = max(30, int(0.4 * (to_ms - from_ms) / MINUTE_MS))
    a = max(0, (from_ms - first) // MINUTE_MS - pad)
    b = min(market.ts_ms.size, (to_ms - first) // MINUTE_MS + pad + 1)
    minutes = -(-(b - a) // SNIPPET_BARS)
    columns: dict[str, list[float]] = {name: [] for name in ("ts_ms", "open", "high", "low", "close")}
    for at in range(a, b, minutes):
        rows = np.arange(at, min(at + minutes, b))
        rows = rows[(market.flags[rows, s] & PRESENT) != 0]
        if rows.size:
            last = market.last[rows, :, s]
            bar = (int(market.ts_ms[at]), last[0, 0], last[:, 1].max(), last[:, 2].min(), last[-1, 3])
            for name, value in zip(columns, bar, strict=True):
                columns[name].append(value)
    return Snippet(minutes=minutes, **columns)
