"""What one could have had without the model: nothing, bitcoin, and chance.

The random baseline plays the strategy's own trades at other times: per trade one entry of the same symbol and side at
a minute drawn anew, through the same kernel, with the same barriers, sizing, guards, costs and exits. What the strategy
has above it is timing; what both have is the market and the costs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.compute import Compute, LocalCompute
from packages.common.errors import InvalidInputError
from packages.common.math import slippage_atr
from packages.common.time import MINUTE_MS
from services.backtest.portfolio import BacktestResult, backtest, daily_returns, drawdown, sharpe
from services.policy.kernel import BAD_FEATURES, DRIFT, PRESENT, STALE, TRADABLE
from services.simulator.tables import Constants, Market, Params

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = dict[str, str | float | int]

_USABLE = PRESENT | TRADABLE | STALE | DRIFT | BAD_FEATURES
_SIDE_ROWS = {1: 0, -1: 5}  # where the predictions of a side begin: er, q05, e_mae, e_hold, p_tp
_WANTED = 1.0  # an er far above every cost: the entry is meant, whatever the market
_UNWANTED = -1.0
_NEUTRAL = 1e-6  # any finite number: nothing looks at it
SHARE = 10  # draws that share an array of predictions: what a worker is given at a time
PILOT_DRAWS = 4  # whose mean is looked at: one alone is off by a tenth
PILOTS = 6  # at most, to find how many random entries the guards leave


class RandomEntries(NamedTuple):
    """``draws``: the figures of every draw (``portfolio.metrics_of``); ``percentile``: share of draws whose total
    return the strategy beats, ties count half; ``p_value``: (1 + draws at least as good) / (1 + draws), one-sided."""

    draws: list[dict[str, float]]
    percentile: float
    p_value: float

    def at(self, level: float) -> dict[str, float]:
        """The draw at a quantile of the total return: one that happened, no mixture."""
        order = sorted(range(len(self.draws)), key=lambda i: (self.draws[i]["total_return"], i))
        return self.draws[order[min(int(level * len(order)), len(order) - 1)]]


def flat_row(wallet: float) -> Row:
    """Doing nothing."""
    return {"baseline": "flat", "trades": 0, "net": 0.0, "total_return": 0.0, "max_drawdown": 0.0, "sharpe": np.nan,
            "end_equity": wallet}  # fmt: skip


def buy_and_hold(market: Market, params: Params, constants: Constants, s: int, *, wallet: float = 10_000.0) -> Floats:
    """Equity (T,) of the whole wallet put into symbol ``s`` once, unlevered: bought at the second open that exists with
    slippage and fee, marked and charged funding every minute, sold with slippage and fee at the last close.

    Slippage by the kernel's formula with the volume and ATR of the bar before. All of the wallet before the first fill;
    a minute without a bar keeps the last mark. A market with fewer than three bars of the symbol raises
    ``InvalidInputError``.
    """
    there = np.flatnonzero(market.flags[:, s] & PRESENT)
    if there.size < 3:
        raise InvalidInputError(f"market, symbol {s}", int(there.size), "at least three bars to buy, hold and sell")
    first, last = int(there[1]), int(there[-1])
    fee, k = constants.fee_now, params.barriers.slippage_k

    def slip(at: int, notional: float) -> float:
        before = market.atr1[:at, s]
        known = before[before > 0]
        atr1 = float(known[-1]) if known.size else 0.0
        return float(slippage_atr(notional, float(np.nan_to_num(market.qm[at - 1, s])), k) * atr1)

    price = float(market.last[first, 0, s])
    paid = price + slip(first, wallet)
    qty = wallet / (paid * (1.0 + fee))
    marks = market.mark[:, 3, s].copy()
    seen = np.maximum.accumulate(np.where(market.flags[:, s] & PRESENT, np.arange(marks.size), 0))
    marks = marks[seen]
    rate = np.nan_to_num(market.rate[:, s])
    rate[:first] = 0.0
    equity = qty * marks - np.cumsum(qty * marks * rate)
    equity[:first] = wallet
    close = float(market.last[last, 3, s])
    sold = close - slip(last + 1, qty * close)
    equity[last:] += qty * (sold * (1.0 - fee) - marks[last])
    return np.asarray(equity)


def curve_row(name: str, equity: Floats, ts_ms: Ints, wallet: float) -> Row:
    """The figures of an equity curve as a baseline's row."""
    end = float(equity[-1]) if equity.size else wallet
    return {
        "baseline": name, "trades": 1, "net": end - wallet, "total_return": end / wallet - 1.0,
        "max_drawdown": float(drawdown(equity, wallet).max(initial=0.0)),
        "sharpe": sharpe(daily_returns(equity, ts_ms, wallet)[1]), "end_equity": end,
    }  # fmt: skip


def random_entries(
    market: Market,
    params: Params,
    constants: Constants,
    result: BacktestResult,
    rng: np.random.Generator,
    *,
    symbols: Sequence[str],
    wallet: float = 10_000.0,
    draws: int = 200,
    compute: Compute | None = None,
) -> RandomEntries | None:
    """Many draws of as many entries at random minutes, and where ``result`` (a backtest of this market, begun at
    ``wallet``) stands among their total returns. ``None`` when it has no trade that was decided inside the market.

    An entry is drawn uniformly from the minutes at which the symbol can be traded, and carries the ``q05`` and
    ``e_mae`` of its model trade in units of ATR, so that it is sized by the same rule. Guards refuse some of them, so
    more are drawn than the strategy traded: as many as pilot draws need to come within 2 % of its count. A strategy
    that fills every room all the time cannot be matched; the rows tell how many were traded. Memory: one array of
    predictions.
    """
    own = _Own.of(market, result, symbols) if draws > 0 else None
    if own is None:
        return None
    play = _Play(market, params, constants, tuple(symbols), wallet, own)
    for_pilots, for_draws = rng.spawn(2)
    wanted = count = own.symbol.size
    pilot = play.start()
    for generator in for_pilots.spawn(PILOTS):
        admitted = float(np.mean([pilot(one, count)["trades"] for one in generator.spawn(PILOT_DRAWS)]))
        if abs(admitted - wanted) <= 0.02 * wanted:
            break
        count = min(max(1, round(count * wanted / max(admitted, 1.0))), 20 * wanted)
    del pilot
    generators = for_draws.spawn(draws)
    shares = [generators[i : i + SHARE] for i in range(0, draws, SHARE)]
    done = dict((compute or LocalCompute(1)).map(_play_share, shares, play, count))
    played = [figures for number in range(len(shares)) for figures in done[number]]
    returns = np.array([m["total_return"] for m in played])
    mine = result.metrics["total_return"]
    return RandomEntries(
        draws=played,
        percentile=float((returns < mine).mean() + 0.5 * (returns == mine).mean()),
        p_value=float((1 + (returns >= mine).sum()) / (1 + draws)),
    )


class _Play(NamedTuple):
    """What all draws share."""

    market: Market
    params: Params
    constants: Constants
    symbols: tuple[str, ...]
    wallet: float
    own: "_Own"

    def start(self) -> Callable[[np.random.Generator, int], dict[str, float]]:
        """Plays ``count`` random entries a call, on an array of predictions that the calls share."""
        market, own = self.market, self.own
        minutes = _eligible(market)
        quiet = np.full(market.preds.shape, _NEUTRAL)
        for base in _SIDE_ROWS.values():
            quiet[:, base] = _UNWANTED

        def play(rng: np.random.Generator, count: int) -> dict[str, float]:
            n = own.symbol.size
            which = np.concatenate([np.tile(np.arange(n), count // n), rng.permutation(n)[: count % n]])
            which = which[np.array([minutes[s].size > 0 for s in own.symbol[which]], np.bool_)]
            s = own.symbol[which]
            t = np.array([minutes[i][rng.integers(minutes[i].size)] for i in s], np.int64)
            base = np.where(own.side[which] > 0, _SIDE_ROWS[1], _SIDE_ROWS[-1])
            a = market.atr[t, s] / market.mark[t, 3, s]
            quiet[t, base, s] = _WANTED
            quiet[t, base + 1, s], quiet[t, base + 2, s] = own.q05[which] * a, own.e_mae[which] * a
            try:
                world = market._replace(preds=quiet), self.params, self.constants
                return backtest(*world, symbols=self.symbols, wallet=self.wallet).metrics
            finally:
                quiet[t, base, s] = _UNWANTED
                quiet[t, base + 1, s] = quiet[t, base + 2, s] = _NEUTRAL

        return play


def _play_share(generators: Sequence[np.random.Generator], play: _Play, count: int) -> list[dict[str, float]]:
    one = play.start()
    return [one(generator, count) for generator in generators]


class _Own(NamedTuple):
    """The strategy's trades as templates: q05 and e_mae in ATRs."""

    symbol: Ints
    side: Ints
    q05: Floats
    e_mae: Floats

    @staticmethod
    def of(market: Market, result: BacktestResult, symbols: Sequence[str]) -> "_Own | None":
        frame, t_max = result.trades, market.ts_ms.size
        if not len(frame) or not t_max:
            return None
        place = {name: s for s, name in enumerate(symbols)}
        symbol = np.array([place[name] for name in frame["symbol"]], np.int64)
        side = frame["side"].to_numpy(np.int64)
        t = (frame["entry_ts_ms"].to_numpy(np.int64) - int(market.ts_ms[0])) // MINUTE_MS - 1
        inside = (t >= 0) & (t < t_max)
        if not inside.any():
            return None
        t, symbol, side = t[inside], symbol[inside], side[inside]
        base = np.where(side > 0, _SIDE_ROWS[1], _SIDE_ROWS[-1])
        a = market.atr[t, symbol] / market.mark[t, 3, symbol]
        return _Own(symbol, side, market.preds[t, base + 1, symbol] / a, market.preds[t, base + 2, symbol] / a)


def _eligible(market: Market) -> list[Ints]:
    """Per symbol the minutes at which its own data allow an entry."""
    with np.errstate(invalid="ignore"):
        fine = (market.atr > 0) & (market.atr1 > 0) & (market.qm > 0)
    fine &= (market.flags & _USABLE) == (PRESENT | TRADABLE)
    fine[-1:] = False  # nothing fills after the last minute
    return [np.flatnonzero(fine[:, s]) for s in range(fine.shape[1])]


def baseline_rows(
    market: Market,
    params: Params,
    constants: Constants,
    result: BacktestResult,
    rng: np.random.Generator,
    *,
    symbols: Sequence[str],
    wallet: float = 10_000.0,
    draws: int = 200,
    hold: str = "BTCUSDT",
    compute: Compute | None = None,
) -> tuple[list[Row], RandomEntries | None]:
    """The strategy, flat, buy and hold of ``hold`` (left out when it is not traded here) and the random entries
    (median, 5 % and 95 % of the draws by total return) as rows of one table, and the draws themselves."""
    rows: list[Row] = [_metrics_row("strategy", result.metrics), flat_row(wallet)]
    if hold in symbols and (market.flags[:, symbols.index(hold)] & PRESENT).astype(bool).sum() >= 3:
        equity = buy_and_hold(market, params, constants, symbols.index(hold), wallet=wallet)
        rows.append(curve_row(f"buy and hold {hold}", equity, market.ts_ms, wallet))
    drawn = random_entries(
        market, params, constants, result, rng, symbols=symbols, wallet=wallet, draws=draws, compute=compute
    )
    if drawn is not None:
        for name, level in (("5 %", 0.05), ("median", 0.5), ("95 %", 0.95)):
            rows.append(_metrics_row(f"random entries, {name}", drawn.at(level)))
    return rows, drawn


def _metrics_row(name: str, m: dict[str, float]) -> Row:
    shown = ("net", "total_return", "max_drawdown", "sharpe", "end_equity")
    return {"baseline": name, "trades": int(m["trades"]), **{key: float(m[key]) for key in shown}}
