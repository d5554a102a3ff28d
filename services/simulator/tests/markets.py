"""Random markets for the tests: seeded, and nasty on purpose: gaps, missing bars, NaN, funding, thin books, halts."""

import math

import numpy as np

from packages.common.reasons import AGENT, OPERATOR
from services.policy.kernel import Barriers, PolicyParams
from services.risk.kernel import RiskParams
from services.simulator import build
from services.simulator.tables import Params
from services.simulator.tests.oracle import Oracle, Rules

NAMES = ("er", "q05", "e_mae", "e_hold", "p_tp")
BRACKETS = (
    (2_000.0, 0.005, 0.0, 25.0),
    (10_000.0, 0.01, 10.0, 20.0),
    (50_000.0, 0.025, 160.0, 10.0),
    (1e6, 0.05, 1410.0, 4.0),
)
START = 1_700_006_400_000  # 2023-11-15T00:00Z


def rules_for(n, rng):
    ticks = rng.choice([0.001, 0.01, 0.05], n)
    return [
        build.SymbolRules(
            tick=float(ticks[s]), step=float(rng.choice([0.001, 0.1, 1.0])), min_qty=float(rng.choice([0.001, 1.0])),
            max_qty=float(rng.choice([8.0, 100.0, np.inf])), min_notional=float(rng.choice([5.0, 100.0])),
            liquidation_fee=0.0125, max_leverage=int(rng.choice([3, 20, 125])),
            brackets=BRACKETS if rng.random() < 0.9 else (),
        )
        for s in range(n)
    ]  # fmt: skip


def make(
    seed,
    n=6,
    t=600,
    *,
    wild=1.0,
    start=START + 20 * 3_600_000,
    policy=None,
    risk=None,
    barriers=None,
    hope=0.01,
    twins=False,
    funding=0.02,
    rules=None,
    fee_now=0.0005,
):
    """(market, params, constants). ``wild`` scales volatility, ``hope`` the predictions, ``funding`` is how often it is
    settled; ``twins``: the last two symbols are each other's copy, so that candidates tie in every respect."""
    rng = np.random.default_rng(seed)
    vol = 0.0015 * wild * rng.choice([0.5, 1.0, 3.0], (t, 1)) * rng.choice([0.7, 1.0, 1.5], n)
    steps = rng.standard_t(3, (t, n)) * vol + (rng.random((t, n)) < 0.004) * rng.normal(0, 0.08 * wild, (t, n))
    close = 100.0 * np.exp(np.cumsum(steps, 0))
    close[:, 0] *= 0.02  # one cheap symbol, so that ticks matter
    gap = 1 + rng.normal(0, 0.0004, (t, n)) + (rng.random((t, n)) < 0.01) * rng.normal(0, 0.02 * wild, (t, n))
    opens = np.vstack([close[:1], close[:-1]]) * gap
    high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0, 1, (t, n))) * vol)
    low = np.minimum(opens, close) * (1 - np.abs(rng.normal(0, 1, (t, n))) * vol)
    basis = 1 + rng.normal(0, 0.0004, (t, 1, n))
    last = np.stack([opens, high, low, close], 1)
    mark = last * basis
    mark[:, 0] = last[:, 0] * (1 + rng.normal(0, 0.0003, (t, n)))
    mark[:, 1] = np.maximum(mark[:, 1], mark[:, [0, 3]].max(1))
    mark[:, 2] = np.minimum(mark[:, 2], mark[:, [0, 3]].min(1))

    atr1 = 0.0018 * close * rng.uniform(0.5, 2.0, (t, n))
    atr = atr1 * rng.choice([1.0, 4.0, 0.2], (1, n), p=[0.6, 0.3, 0.1])
    qm = rng.choice([3e3, 4e4, 2e6], (1, n)) * rng.uniform(0.5, 2.0, (t, n))
    a = atr / close
    preds = np.empty((t, 10, n))
    for k in (0, 5):
        preds[:, k] = rng.normal(0, hope, (t, n))
        preds[:, k + 1] = -a * rng.uniform(0.3, 4.5, (t, n))
        preds[:, k + 2] = a * rng.uniform(0.2, 1.35, (t, n))
        preds[:, k + 3] = rng.uniform(1, 300, (t, n))
        preds[:, k + 4] = rng.uniform(0, 1, (t, n))
    tie = rng.random((t, n)) < 0.05
    for k in range(5):
        preds[:, k + 5][tie] = preds[:, k][tie]
    preds[rng.random((t, 10, n)) < 0.002] = np.nan
    for x in (qm, atr, atr1):
        x[rng.random((t, n)) < 0.003] = np.nan
    qm[rng.random((t, n)) < 0.003] = 0.0

    present = rng.random((t, n)) >= 0.03
    present[rng.integers(0, t, 3)] = False
    for s in range(n):
        at = int(rng.integers(0, t - 20))
        present[at : at + 15, s] = False
    tradable = rng.random((t, n)) >= 0.02
    stale = rng.random((t, n)) < 0.02
    drift = rng.random((t, n)) < 0.02
    bad = rng.random((t, n)) < 0.01
    rate = np.where(rng.random((t, n)) < funding, rng.normal(0, 0.002, (t, n)) * wild, np.nan)
    regime = rng.choice([0, 1, 2, -1], t, p=[0.3, 0.45, 0.23, 0.02])
    flags = build.symbol_flags(present, tradable, stale, drift, bad)
    account = np.array(
        [
            build.account_flags(
                trading_on=rng.random() > 0.01, kill_switch=rng.random() < 0.01, stop_path_ok=rng.random() > 0.02,
                flatten=rng.random() < 0.002,
            )
            for _ in range(t)
        ]
    )  # fmt: skip
    request = rng.choice([0, AGENT, OPERATOR], (t, n), p=[0.99, 0.005, 0.005])
    days = 2
    beta = rng.choice([-0.4, 0.0, 0.8, 1.0, 1.6, np.nan], (days, n))
    tier = rng.integers(0, 3, (days, n))
    day_row = (np.arange(t) >= t // 2).astype(np.int64)
    rules = rules or rules_for(n, rng)
    if twins:
        for x in (last, mark, qm, atr, atr1, preds, rate, flags, request, beta, tier):
            x[..., -1] = x[..., -2]
        rules[-1] = rules[-2]
    market = build.make_market(
        start + np.arange(t) * 60_000, flags=flags, last=last, mark=mark, qm=qm, atr=atr, atr1=atr1, preds=preds,
        rate=rate, regime=regime, account=account, exit_request=request, beta=beta, tier=tier, day_row=day_row,
    )  # fmt: skip
    params = build.make_params(
        barriers or Barriers(1.5, 1.0, 30, 3.0, 0.0004, 0.15, 0.25), policy or PolicyParams(), risk or RiskParams()
    )
    constants = build.make_constants(rules, fee_now)
    return market, params, constants


def oracle_for(wallet, params: Params, constants):
    """The slow simulator with the same parameters and constants, taken out of their arrays."""
    rules = []
    for s in range(constants.rules.size):
        fields = {name: constants.rules[name][s].item() for name in constants.rules.dtype.names}
        rows = [tuple(map(float, row)) for row in constants.brackets[s]]
        known = [row for i, row in enumerate(rows) if not math.isnan(row[1]) and row not in rows[:i]]
        rules.append(Rules(**fields, brackets=known))
    return Oracle(
        wallet, params.barriers, params.policy, params.risk, rules, constants.fee_now, params.halt_clears_daily
    )


def minutes(market):
    """The market as the oracle reads it: dictionaries."""
    exit_names = {0: None, AGENT: "AGENT", OPERATOR: "OPERATOR"}
    t, n = market.flags.shape
    for i in range(t):
        flags = market.flags[i]
        account = int(market.account_flags[i])
        day = int(market.day_row[i])
        symbols = []
        for s in range(n):
            f = int(flags[s])
            bar = {
                "present": bool(f & 1), "tradable": bool(f & 2), "stale": bool(f & 4), "drift_block": bool(f & 8),
                "feature_nan": bool(f & 16), "exit_request": exit_names[int(market.exit_request[i, s])],
                "beta": float(market.beta[day, s]), "tier": int(market.tier[day, s]),
            }  # fmt: skip
            for k, name in enumerate("ohlc"):
                bar[name] = float(market.last[i, k, s])
                bar["m" + name] = float(market.mark[i, k, s])
            for name in ("qm", "atr", "atr1", "rate"):
                bar[name] = float(getattr(market, name)[i, s])
            for k, side in ((0, "long"), (5, "short")):
                for j, name in enumerate(NAMES):
                    bar[f"{name}_{side}"] = float(market.preds[i, k + j, s])
            symbols.append(bar)
        yield {
            "ts": int(market.ts_ms[i]), "regime": int(market.regime[i]), "trading_on": bool(account & 1),
            "kill_switch": bool(account & 2), "stop_path_ok": bool(account & 4), "flatten": bool(account & 8),
            "symbols": symbols,
        }  # fmt: skip


def minute_inputs(market, i):
    """Minute ``i`` as the online caller builds it."""
    day = int(market.day_row[i])
    return build.make_inputs(
        int(market.ts_ms[i]), flags=market.flags[i].copy(), account=int(market.account_flags[i]),
        regime=float(market.regime[i]) if market.regime[i] >= 0 else float("nan"), last=market.last[i],
        mark=market.mark[i], qm=market.qm[i], atr=market.atr[i], atr1=market.atr1[i], rate=market.rate[i],
        predictions=market.preds[i].T, beta=market.beta[day], tier=market.tier[day],
        exit_request=market.exit_request[i],
    )  # fmt: skip
