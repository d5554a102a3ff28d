"""The face of §10: single trades with figures worked out by hand, and equal to the fold's."""

import numpy as np
import pandas as pd
import pytest

from packages.common.errors import InvalidInputError
from services.policy.kernel import Barriers
from services.simulator import build
from services.simulator import step as st
from services.simulator.fill import FillModel, simulate_trade_path
from services.simulator.tables import new_state
from services.simulator.tests import markets

FILL = FillModel(fee_rate=0.0005, slippage_k=0.15)
TS = markets.START + np.arange(6) * 60_000


def frames(highs, lows, rate=None, opens=None):
    opens = np.full(6, 100.0) if opens is None else np.array(opens, float)
    bars = {"open": opens, "high": np.array(highs, float), "low": np.array(lows, float), "close": opens}
    candles = pd.DataFrame({"ts": TS, **bars, "quote_volume": 1e6, "atr": 1.0, "atr1": 0.1})
    premium = pd.DataFrame({"ts": TS, **bars, "funding_rate": np.nan if rate is None else rate})
    return candles, premium


def test_slippage_is_in_one_minute_atrs():
    assert FILL.slippage(1e6, 1e6) == pytest.approx(0.3)
    assert FILL.slippage(1.0, 0.0) == pytest.approx(1.65)


def test_a_target_is_paid_less_both_costs():
    candles, premium = frames([100, 100, 101, 103, 100, 100], [100] * 6)
    got = simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 98.0, 102.0, FILL)
    slip_in, slip_out = (0.15 * (1 + np.sqrt(notional / 1e6)) * 0.1 for notional in (1e4, 1.02e4))
    assert got["exit_reason"] == "TP"
    assert got["exit_ts"] == "2023-11-15T00:03:00.000Z"
    assert got["gross"] == pytest.approx(200.0)
    assert got["slippage"] == pytest.approx(100.0 * (slip_in + slip_out))
    assert got["fees"] == pytest.approx(0.0005 * 100.0 * (100.0 + slip_in + 102.0 - slip_out))
    assert got["realized_pnl"] == pytest.approx(got["gross"] - got["slippage"] - got["fees"])


def test_both_touched_in_one_bar_is_the_stop_and_the_overshoot_is_lost():
    candles, premium = frames([100, 100, 104, 100, 100, 100], [100, 100, 96, 100, 100, 100])
    plain = simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 98.0, 102.0, FILL)
    shot = simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 98.0, 102.0, FILL, stop_overshoot=0.5)
    assert plain["exit_reason"] == shot["exit_reason"] == "SL"
    assert plain["gross"] == pytest.approx(-200.0)
    assert shot["gross"] == pytest.approx(-300.0)


def test_a_short_pays_negative_funding_and_leaves_after_its_time():
    rate = [np.nan, np.nan, -0.001, np.nan, np.nan, np.nan]
    candles, premium = frames([100] * 6, [100] * 6, rate)
    got = simulate_trade_path(candles, premium, "2023-11-15T00:01:00Z", -1, 1e4, 104.0, 96.0, FILL, h_bars=3)
    assert got["funding"] == pytest.approx(10.0)
    assert (got["exit_reason"], got["exit_ts"]) == ("TIME", "2023-11-15T00:04:00.000Z")


def test_an_entry_past_its_stop_is_closed_at_once():
    candles, premium = frames([100] * 6, [100] * 6)
    got = simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 100.0, 102.0, FILL)
    assert (got["exit_reason"], got["gross"]) == ("SL_GAP", 0.0)
    assert simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 99.0, 100.0, FILL)["exit_reason"] == "TP_GAP"


def test_what_never_ends_stays_open_with_its_costs():
    candles, premium = frames([100] * 6, [100] * 6)
    got = simulate_trade_path(candles, premium, int(TS[1]), 1, 1e4, 98.0, 102.0, FILL)
    assert (got["exit_reason"], got["exit_ts"]) == ("OPEN", None)
    assert got["realized_pnl"] == -got["fees"] < 0


def test_a_trade_of_the_fold_is_the_same_trade_alone():
    rng = np.random.default_rng(11)
    t = 400
    close = 100 * np.exp(np.cumsum(rng.standard_t(3, t) * 0.001))
    opens = np.concatenate([close[:1], close[:-1]])
    bars = np.stack([opens, np.maximum(opens, close) * 1.0005, np.minimum(opens, close) * 0.9995, close], 1)[:, :, None]
    volume, flat = rng.uniform(5e5, 2e6, t), np.ones((t, 1))
    qm = np.array([np.median(volume[max(0, i - 59) : i + 1]) for i in range(t)])[:, None]
    preds = np.full((t, 10, 1), -1.0)
    preds[:, [1, 6]], preds[:, [2, 7]] = -0.001, 0.0
    preds[70::60, 0], preds[100::60, 5] = 1.0, 1.0
    rate = np.where(np.arange(t)[:, None] % 50 == 49, 0.0003, np.nan)
    ts = markets.START + np.arange(t) * 60_000
    market = build.make_market(
        ts,
        flags=np.full((t, 1), 3),
        last=bars,
        mark=bars,
        qm=qm,
        atr=flat * 0.6,
        atr1=flat * 0.1,
        preds=preds,
        rate=rate,
    )
    params = build.make_params(Barriers(1.5, 1.0, 25, 3.0, 0.0005, 0.15, 0.25))
    constants = build.make_constants([build.SymbolRules()], FILL.fee_rate)
    trades = st.run(new_state(1, 1e4), market, params, constants).trades
    assert len(trades) >= 8
    names = dict(zip(("open", "high", "low", "close"), bars[:, :, 0].T, strict=True))
    candles = pd.DataFrame({"ts": ts, **names, "quote_volume": volume, "atr": 0.6, "atr1": 0.1})
    premium = pd.DataFrame({"ts": ts, **names, "funding_rate": rate[:, 0]})
    for trade in trades:
        alone = simulate_trade_path(
            candles, premium, int(trade["entry_bar"]) * 60_000, int(trade["side"]),
            float(trade["qty"] * trade["entry_ref"]), float(trade["sl"]), float(trade["tp"]), FILL, h_bars=25,
            stop_overshoot=0.25,
        )  # fmt: skip
        for mine, theirs in (
            ("realized_pnl", "net"),
            ("fees", "fees"),
            ("slippage", "slippage"),
            ("funding", "funding"),
        ):
            assert alone[mine] == pytest.approx(trade[theirs], rel=1e-9, abs=1e-9)


def test_nonsense_is_named():
    candles, premium = frames([100] * 6, [100] * 6)
    for arguments in (
        (candles.drop(columns="atr1"), premium, int(TS[1]), 1, 1e4), (candles, premium.iloc[:3], int(TS[1]), 1, 1e4),
        (candles, premium, int(TS[0]), 1, 1e4), (candles, premium, 5, 1, 1e4), (candles, premium, int(TS[1]), 0, 1e4),
        (candles, premium, int(TS[1]), 1, 0.0), (candles.iloc[::-1], premium, int(TS[1]), 1, 1e4),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            simulate_trade_path(*arguments, 98.0, 102.0, FILL)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("sl_price", {"sl_price": np.nan}), ("tp_price", {"tp_price": np.inf}), ("notional", {"notional": np.inf}),
        ("sl_price, tp_price", {"sl_price": 102.0, "tp_price": 98.0}), ("sl_price, tp_price", {"side": -1}),
        ("h_bars", {"h_bars": 0}), ("stop_overshoot", {"stop_overshoot": 9.0}), ("leverage", {"leverage": 0}),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_named(field, change):
    candles, premium = frames([100] * 6, [100] * 6)
    usual = {"side": 1, "notional": 1e4, "sl_price": 98.0, "tp_price": 102.0}
    with pytest.raises(InvalidInputError) as told:
        simulate_trade_path(candles, premium, int(TS[1]), fill=FILL, **(usual | change))
    assert told.value.field == field


def test_what_is_wrong_with_a_frame_is_named():
    candles, premium = frames([100] * 6, [100] * 6)
    broken = candles.copy()
    broken.loc[2, "low"] = 101.0
    for frame, at, field in (
        (broken, int(TS[1]), "candles of 2023-11-15T00:02"), (candles, "foo", "entry_ts"),
        (candles.assign(symbol=["A"] * 3 + ["B"] * 3), int(TS[1]), "candles.symbol"),
        (candles.assign(close="x"), int(TS[1]), "candles"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError) as told:
            simulate_trade_path(frame, premium, at, 1, 1e4, 98.0, 102.0, FILL)
        assert told.value.field.startswith(field)


def test_costs_that_cannot_be_are_named():
    for costs in ((-1e-4, 0.15), (5e-4, -0.1), (np.nan, 0.15)):
        with pytest.raises(InvalidInputError, match="at least 0"):
            FillModel(*costs)
