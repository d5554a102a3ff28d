"""What must hold in every market, whatever the numbers."""

import numpy as np
import pytest

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.reasons import ExitReason, exit_reason_of
from services.policy.kernel import Barriers, PolicyParams, Rows
from services.risk.kernel import RiskParams
from services.simulator import build, codec
from services.simulator import step as st
from services.simulator.kernel_execute import position_liquidation
from services.simulator.tables import copy_state, new_out, new_state
from services.simulator.tests import markets
from services.simulator.volume import fold_volume, new_window, push_volume

WALLET = 1e4
SEEDS = (101, 102, 103)


def make(seed, **arguments):
    return markets.make(seed, t=400, hope=0.03, **arguments)


def same_bytes(a, b):
    """Two (nested) tuples of arrays and numbers are equal in every bit."""
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same_bytes(x, y) for x, y in zip(a, b, strict=True))
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_stepped_online_equals_the_fold_bit_for_bit(seed):
    market, params, constants = make(seed)
    t, n = market.flags.shape
    folded = new_state(n, WALLET)
    kept = st.run(folded, market, params, constants, keep=st.KEEP_ROWS)
    state, out = new_state(n, WALLET), new_out(n)
    trades = []
    for i in range(t):
        st.step(state, markets.minute_inputs(market, i), params, constants, out)
        trades.append(out.events.trades[: out.events.n[0]].copy())
        assert same_bytes(out.rows.table, kept.rows.table[i])
        assert same_bytes(out.rows.notes, kept.rows.notes[i])
        assert state.account[0]["equity"] == kept.equity[i]
    assert same_bytes(state, folded)
    assert same_bytes(np.concatenate(trades), kept.trades)
    assert len(kept.trades) > 20


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("wild", [0.5, 3.0])
def test_what_is_kept_changes_no_trade(seed, wild):
    """The short cuts of a fold without rows are exact; counts are the primaries of the rows."""
    market, params, constants = make(seed, wild=wild)
    n = market.flags.shape[1]
    ends = []
    for keep in (st.KEEP_TRADES, st.KEEP_COUNTS, st.KEEP_ROWS):
        state = new_state(n, WALLET)
        ends.append((st.run(state, market, params, constants, keep=keep), state))
    (fast, fast_state), (counted, counted_state), (full, full_state) = ends
    assert same_bytes(fast_state, full_state)
    assert same_bytes(counted_state, full_state)
    assert same_bytes(fast.trades, full.trades)
    assert same_bytes(fast.equity, full.equity)
    assert same_bytes(counted.counts, full.counts)
    for code in range(full.counts.shape[0]):
        assert (full.counts[code] == (full.rows.notes["code"][:, :, 0] == code).sum(0)).all()
    assert (full.counts.sum(0) == market.flags.shape[0]).all()


def test_limits_hold_at_every_entry():
    """Independent of how admission computes rooms: what was admitted is within each limit when it was admitted."""
    market, params, constants = markets.make(7, n=12, t=500, hope=0.05, policy=PolicyParams(q05_min=-9.0, mae_max=9.0))
    t, n = market.flags.shape
    state, out = new_state(n, WALLET), new_out(n)
    seen = 0
    for i in range(t):
        inputs = markets.minute_inputs(market, i)
        st.step(state, inputs, params, constants, out)
        if not (out.rows.table["side"] != 0).any():
            continue
        seen += 1
        equity, mark, pos, pend = state.account[0]["equity"], state.memory["mark"], state.positions, state.pending
        side = pos["side"] + pend["side"]
        notional = np.where(side != 0, (pos["qty"] + pend["qty"]) * np.nan_to_num(mark), 0.0)
        slack = 1 + 1e-12
        new = out.rows.table["side"] != 0
        assert (side != 0).sum() <= params.risk.max_positions
        assert notional.sum() <= params.risk.max_total_notional_pct * equity * slack
        for d in (1, -1):
            if (new & (side == d)).any():
                assert notional[side == d].sum() <= params.risk.max_directional_notional_pct * equity * slack
        for k in range(3):
            if (new & (inputs.tier == k)).any():
                assert notional[inputs.tier == k].sum() <= params.risk.tier_caps[k] * equity * slack
        margin = notional / np.maximum(1, pos["leverage"] + pend["leverage"])
        assert margin.sum() <= params.risk.max_used_margin_pct * equity * slack
        assert (notional[new] <= params.policy.max_symbol_notional_pct * equity * slack).all()
        assert (notional[new] <= params.policy.participation * inputs.qm[new] * slack).all()
        assert (pend["qty"][new] <= constants.rules["max_qty"][new]).all()
        steps = pend["qty"][new] / constants.rules["step"][new]
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert seen > 30


def _one_position(rng, side, fee_now):
    """A single trade on a seeded path, driven by one strong prediction; returns its ledger."""
    t = 120
    close = 100 * np.exp(np.cumsum(rng.standard_t(3, t) * 0.002))
    opens = np.concatenate([close[:1], close[:-1]])
    bars = np.stack([opens, np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999, close], 1)[:, :, None]
    flat = np.ones((t, 1))
    preds = np.full((t, 10, 1), -1.0)
    preds[:, [1, 6]], preds[:, [2, 7]] = -0.001, 0.0
    preds[0, 0 if side > 0 else 5] = 1.0
    rate = np.where(np.arange(t)[:, None] % 30 == 29, 0.0005, np.nan)
    market = build.make_market(
        markets.START + np.arange(t) * 60_000, flags=np.full((t, 1), 3), last=bars, mark=bars, qm=flat * 1e6,
        atr=flat * 0.5, atr1=flat * 0.2, preds=preds, rate=rate,
    )  # fmt: skip
    params = build.make_params(Barriers(1.5, 1.0, 100, 3.0, 0.0004, 0.15, 0.25))
    constants = build.make_constants([build.SymbolRules(tick=0.01, step=1.0, brackets=markets.BRACKETS)], fee_now)
    trades = st.run(new_state(1, WALLET), market, params, constants).trades
    assert len(trades) == 1
    return trades[0]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("side", [1, -1])
def test_higher_fees_never_raise_the_result_of_the_same_trade(seed, side):
    cheap = _one_position(np.random.default_rng(seed), side, 0.0002)
    dear = _one_position(np.random.default_rng(seed), side, 0.0009)
    assert cheap["side"] == dear["side"] == side
    per_unit = [trade["net"] / trade["qty"] for trade in (cheap, dear)]
    if cheap["reason"] == dear["reason"] and cheap["exit_bar"] == dear["exit_bar"]:
        assert per_unit[1] < per_unit[0]
    assert dear["fees"] / dear["qty"] > cheap["fees"] / cheap["qty"]


@pytest.mark.parametrize("seed", range(6))
def test_a_mirrored_market_mirrors_the_trades(seed):
    """Prices reflected around 100, predictions of the sides swapped: the same ledger with the sides swapped.

    Steps are as fractions of a price, so a path close to its axis is needed; without ticks nothing is rounded.
    """
    rng = np.random.default_rng(seed)
    t, n = 200, 3
    close = 100 + np.cumsum(rng.normal(0, 0.02, (t, n)), 0)
    opens = np.vstack([close[:1], close[:-1]]) + rng.normal(0, 0.005, (t, n))
    last = np.stack([opens, np.maximum(opens, close) + 0.01, np.minimum(opens, close) - 0.01, close], 1)
    last[:, :, 0] = 100.0 + (last[:, :, 0] - 100.0)
    preds = np.full((t, 10, n), -1.0)
    preds[:, [1, 6]], preds[:, [2, 7]] = -0.0005, 0.0
    rows = np.arange(0, t - 40, 40)
    preds[rows, np.where(rng.random(rows.size) < 0.5, 0, 5), 0] = 1.0
    mirrored = np.stack([200 - last[:, 0], 200 - last[:, 2], 200 - last[:, 1], 200 - last[:, 3]], 1)
    swapped = preds[:, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]]
    flat = np.ones((t, n))
    params = build.make_params(Barriers(1.5, 1.0, 30, 3.0, 0.0004, 0.15, 0.25))
    constants = build.make_constants([build.SymbolRules()] * n, 0.0)
    ledgers = []
    for bars, p in ((last, preds), (mirrored, swapped)):
        market = build.make_market(
            markets.START + np.arange(t) * 60_000, flags=np.full((t, n), 3), last=bars, mark=bars, qm=flat * 1e7,
            atr=flat * 0.05, atr1=flat * 0.01, preds=p,
        )  # fmt: skip
        ledgers.append(st.run(new_state(n, WALLET), market, params, constants).trades)
    a, b = ledgers
    assert len(a) == len(b) >= 3
    assert (a["side"] == -b["side"]).all()
    for name in ("entry_bar", "exit_bar", "reason", "symbol"):
        assert (a[name] == b[name]).all(), name
    for name in ("entry_ref", "entry_fill", "exit_ref", "exit_fill"):
        np.testing.assert_allclose(a[name], 200 - b[name], rtol=1e-4)
    np.testing.assert_allclose(a["gross"] / a["qty"], b["gross"] / b["qty"], atol=2e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_payloads_replay_a_minute_bit_for_bit(seed):
    market, params, constants = make(seed)
    t, n = market.flags.shape
    state, out = new_state(n, WALLET), new_out(n)
    rules = codec.pack_rules(params, constants)
    for i in range(t):
        inputs = markets.minute_inputs(market, i)
        before, seen = codec.pack_state(state), codec.pack_inputs(inputs)
        st.step(state, inputs, params, constants, out)
        if i % 7:
            continue
        again, minute = codec.unpack_state(before), codec.unpack_inputs(seen)
        replayed = new_out(n)
        st.step(again, minute, *codec.unpack_rules(rules), replayed)
        assert codec.pack_state(again) == codec.pack_state(state)
        assert codec.pack_rows(replayed.rows) == codec.pack_rows(out.rows)
        assert same_bytes(codec.unpack_rows(codec.pack_rows(out.rows)), Rows(out.rows.table, out.rows.notes))
        assert same_bytes(minute, inputs)
    assert same_bytes(codec.unpack_rules(rules), (params, constants))


def test_a_foreign_or_torn_payload_is_refused():
    state = new_state(3, WALLET)
    payload = codec.pack_state(state)
    for broken in (b"", payload[:-1], payload + b"x", b"XXX" + payload[3:], payload[:4] + b"\x09\x00" + payload[6:]):
        with pytest.raises(SchemaMismatchError):
            codec.unpack_state(broken)
    with pytest.raises(SchemaMismatchError):
        codec.unpack_inputs(payload)


def test_a_copied_state_is_independent():
    state = new_state(2, WALLET)
    other = copy_state(state)
    other.account[0]["wallet"] = 1.0
    assert state.account[0]["wallet"] == WALLET


def test_compiled_once_whoever_calls():
    """Another specialisation would cost half a minute in the middle of the market."""
    st.warm()
    market, params, constants = make(1)
    st.step(new_state(6, WALLET), markets.minute_inputs(market, 0), params, constants, new_out(6))
    for function in (st.step, st.fold, st.execute, st.judge, position_liquidation, push_volume):
        assert len(function.signatures) == 1, function.signatures


def test_constants_as_integers_do_not_compile_again():
    policy, risk = PolicyParams(ev_min=0, mae_max=2), RiskParams(beta_cap=1)
    params = build.make_params(Barriers(1, 1, 30, 3, 0, 0, 0), policy, risk)
    assert isinstance(params.barriers.k_tp, float)
    assert isinstance(params.policy.ev_min, float)
    assert isinstance(params.risk.beta_cap, float)
    assert isinstance(params.policy.leverage_table[0], int)


def test_median_volume_equals_numpy_online_and_folded():
    rng = np.random.default_rng(5)
    volume = rng.choice([0.0, 1.0, 2.5], (300, 2)) * rng.uniform(0.5, 2, (300, 2))
    volume[rng.random((300, 2)) < 0.05] = np.nan
    got = fold_volume(new_window(2), volume)
    window = new_window(2)
    for s in range(2):
        seen = []
        for t in range(300):
            assert np.array(push_volume(window, s, volume[t, s])).tobytes() == np.array(got[t, s]).tobytes()
            if not np.isnan(volume[t, s]):
                seen.append(volume[t, s])
            expected = np.median(seen[-60:]) if len(seen) >= 60 else np.nan
            assert got[t, s] == expected or (np.isnan(got[t, s]) and np.isnan(expected))


def test_broken_input_is_named():
    market, *_ = make(1)
    good = {
        "flags": market.flags[9], "account": 5, "regime": 1.0, "last": market.last[9], "mark": market.mark[9],
        "qm": market.qm[9], "atr": market.atr[9], "atr1": market.atr1[9], "rate": market.rate[9],
        "predictions": market.preds[9].T, "beta": market.beta[0], "tier": market.tier[0],
    }  # fmt: skip
    build.make_inputs(0, **good)
    inverted = market.last[9].copy()
    inverted[1, 2] = inverted[2, 2] * 0.5
    nan = market.mark[9].copy()
    nan[3, 2] = np.nan
    flags = np.full(6, 3, np.uint8)
    for change in (
        {"last": inverted, "flags": flags},
        {"mark": nan, "flags": flags},
        {"qm": np.ones(5)},
        {"predictions": market.preds[9]},
        {"exit_request": np.full(6, 3)},
        {"tier": np.ones(5)},
    ):
        with pytest.raises(InvalidInputError):
            build.make_inputs(0, **{**good, **change})
    with pytest.raises(InvalidInputError):
        build.make_inputs(1, **good)
    with pytest.raises(InvalidInputError):
        build.make_constants([build.SymbolRules(tick=-1.0)], 0.0005)
    with pytest.raises(InvalidInputError):
        build.make_constants([build.SymbolRules(brackets=((2.0, 0.01, 0.0, 9), (1.0, 0.02, 0.0, 5)))], 0.0005)


def test_exit_orders_wait_for_a_bar_and_funding_is_paid_meanwhile():
    t = 8
    bars = np.full((t, 4, 1), 100.0)
    flags = np.full((t, 1), 3)
    flags[3:5] = 2
    rate = np.full((t, 1), np.nan)
    rate[4] = 0.001
    preds = np.full((t, 10, 1), -1.0)
    preds[0] = [[0.5], [-0.01], [0.0], [9.0], [0.5], [-1.0], [-0.01], [0.0], [9.0], [0.5]]
    flat = np.ones((t, 1))
    market = build.make_market(
        markets.START + np.arange(t) * 60_000, flags=flags, last=bars, mark=bars, qm=flat * 1e6, atr=flat,
        atr1=flat * 0.1, preds=preds, rate=rate,
    )  # fmt: skip
    params = build.make_params(Barriers(1.5, 1.0, 2, 3.0, 0.0005, 0.15, 0.0))
    constants = build.make_constants([build.SymbolRules(tick=0.01, step=0.001, min_notional=5.0)], 0.0005)
    kept = st.run(new_state(1, WALLET), market, params, constants, keep=st.KEEP_ROWS)
    (trade,) = kept.trades
    assert exit_reason_of(int(trade["reason"])) is ExitReason.TIME
    assert trade["entry_bar"] == markets.START // 60_000 + 1
    assert trade["exit_bar"] == markets.START // 60_000 + 5  # ordered after bar 2, bars 3 and 4 are missing
    assert trade["funding"] == pytest.approx(trade["qty"] * 100.0 * 0.001)
    assert kept.rows.notes["code"][5, 0, 0] != 0  # cooldown in the exit bar
