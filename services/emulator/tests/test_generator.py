import math
from dataclasses import replace

import numpy as np
import pytest

from packages.common.time import DAY_MS, HOUR_MS
from services.emulator import columns as c
from services.emulator.generator import DEFAULT_START_MS, GeneratedMarket, GeneratorConfig, default_config

FIRST = DEFAULT_START_MS // DAY_MS
NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "PUMPUSDT", "SUIUSDT", "XAUUSDT", "PAXGUSDT", "UNHEARDUSDT")
DAYS = 20


def config(**more):
    return GeneratorConfig(**{"symbols": NAMES, "seed": 11, **more})


@pytest.fixture(scope="module")
def market():
    return GeneratedMarket(config())


@pytest.fixture(scope="module")
def rows(market):
    return {
        spec.symbol: np.concatenate([market.day(s, FIRST + d) for d in range(DAYS)])
        for s, spec in enumerate(market.specs)
    }


def returns(table):
    return np.diff(np.log(table[:, c.CLOSE].astype(float)))


def test_a_restarted_market_gives_the_same_bytes_in_any_order_of_asking(market, rows):
    again = GeneratedMarket(config())
    late = again.day(3, FIRST + DAYS - 1).tobytes()
    early = again.day(3, FIRST + 2).tobytes()
    assert late == rows["DOGEUSDT"][-1440:].tobytes()
    assert early == rows["DOGEUSDT"][2 * 1440 : 3 * 1440].tobytes()


def test_bars_do_not_depend_on_which_other_symbols_are_traded(rows):
    alone = GeneratedMarket(config(symbols=("SUIUSDT",)))
    assert alone.day(0, FIRST + 5).tobytes() == rows["SUIUSDT"][5 * 1440 : 6 * 1440].tobytes()


def test_another_seed_gives_another_market(rows):
    other = GeneratedMarket(config(seed=12))
    assert other.day(0, FIRST).tobytes() != rows["BTCUSDT"][:1440].tobytes()


def test_a_forgotten_day_is_made_again_alike():
    market = GeneratedMarket(config())
    first = market.day(0, FIRST + 1).tobytes()
    market._days.clear()
    market._factor_days.clear()
    assert market.day(0, FIRST + 1).tobytes() == first


def test_every_bar_is_possible(rows):
    for symbol, table in rows.items():
        assert np.all(table[:, c.PRESENT] == 1), symbol
        for at in (c.OPEN, c.MARK, c.INDEX):
            four = table[:, at : at + 4]
            assert np.all(four[:, 1] >= four[:, [0, 3]].max(1))
            assert np.all((four[:, 2] <= four[:, [0, 3]].min(1)) & (four[:, 2] > 0))
        assert np.all(table[:, c.TAKER_VOLUME] <= table[:, c.VOLUME])
        assert np.all((table[:, c.TRADES] == 0) == (table[:, c.VOLUME] == 0))
        # mark and index are continuous: each opens where it closed
        assert np.array_equal(table[1:, c.MARK], table[:-1, c.MARK + 3])


def test_prices_stand_on_ticks_volumes_on_steps_and_turnover_within_the_bar(market, rows):
    for spec in market.specs:
        table = rows[spec.symbol]
        assert np.all(table[:, :4] % spec.tick_units == 0)
        assert np.all(table[:, c.VOLUME] % spec.step_units == 0)
        volume = table[:, c.VOLUME] / 10**spec.qty_decimals
        quote = table[:, c.QUOTE_VOLUME] / 10**spec.quote_decimals
        low, high = (table[:, at] / 10**spec.price_decimals for at in (c.LOW, c.HIGH))
        assert np.all((quote >= low * volume * (1 - 1e-9) - 1e-6) & (quote <= high * volume * (1 + 1e-9)))


def test_returns_have_fat_tails_and_clustered_volatility(rows):
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XAUUSDT"):
        r = returns(rows[symbol])
        assert ((r - r.mean()) ** 4).mean() / r.var() ** 2 > 8, symbol
        size = np.minimum(np.abs(r), np.quantile(np.abs(r), 0.99))
        assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.15
        assert np.corrcoef(size[60:], size[:-60])[0, 1] > 0.08
    assert 0.01 < returns(rows["BTCUSDT"]).std() * math.sqrt(1440) < 0.05


def test_coins_follow_btc_and_metals_do_not(rows):
    btc = returns(rows["BTCUSDT"])
    correlation = {symbol: np.corrcoef(btc, returns(table))[0, 1] for symbol, table in rows.items()}
    assert correlation["ETHUSDT"] > 0.6
    assert correlation["SOLUSDT"] > 0.5
    assert correlation["DOGEUSDT"] > 0.4
    assert abs(correlation["XAUUSDT"]) < 0.1
    assert np.corrcoef(returns(rows["XAUUSDT"]), returns(rows["PAXGUSDT"]))[0, 1] > 0.9


def test_there_are_jumps(rows):
    r = returns(rows["ETHUSDT"])
    assert np.abs(r).max() > 12 * np.median(np.abs(r))


def test_volume_is_larger_in_busy_hours_and_in_moving_minutes(rows):
    table = rows["BTCUSDT"]
    by_hour = table[:, c.QUOTE_VOLUME].reshape(DAYS, 24, 60).mean(axis=(0, 2))
    assert by_hour[14] > 1.5 * by_hour[8]
    r = np.abs(returns(table))
    assert np.corrcoef(r, table[1:, c.QUOTE_VOLUME])[0, 1] > 0.3


def test_funding_follows_the_premium_by_the_exchanges_formula(market, rows):
    for symbol in ("BTCUSDT", "SUIUSDT", "PUMPUSDT"):
        number = [s.symbol for s in market.specs].index(symbol)
        hours = market.specs[number].funding_hours
        cap = float(market.specs[number].funding_cap)
        settled = market.funding(number, market.start_ms, market.start_ms + DAYS * DAY_MS)
        assert [ts for ts, _, _ in settled[:3]] == [market.start_ms + k * hours * HOUR_MS for k in (1, 2, 3)]
        premium = rows[symbol][:, c.PREMIUM] / 1e8
        per = hours * 60
        for k, (_, rate, _) in enumerate(settled[:30]):
            mean = premium[k * per : (k + 1) * per].mean()
            expected = (mean + min(max(0.0001 - mean, -0.0005), 0.0005)) * hours / 8
            assert rate / 1e8 == pytest.approx(min(max(expected, -cap), cap), abs=2e-8)
        means = [premium[k * per : (k + 1) * per].mean() for k in range(len(settled))]
        assert np.corrcoef(means, [rate for _, rate, _ in settled])[0, 1] > 0.6


def test_intervals_are_eight_four_and_one_hours(market):
    assert {market.funding_hours(s, market.start_ms) for s in range(len(market.specs))} == {8, 4, 1}
    pump = [s.symbol for s in market.specs].index("PUMPUSDT")
    assert market.next_funding_ms(pump, market.start_ms) == market.start_ms + HOUR_MS
    assert market.next_funding_ms(pump, market.start_ms + HOUR_MS - 1) == market.start_ms + HOUR_MS


def test_a_listing_and_a_delisting_begin_and_end_the_bars():
    listed, delisted = DEFAULT_START_MS + DAY_MS + 7 * HOUR_MS, DEFAULT_START_MS + 2 * DAY_MS + 9 * HOUR_MS
    market = GeneratedMarket(config(listings={"SUIUSDT": listed}, delistings={"ETHUSDT": delisted}))
    names = [s.symbol for s in market.specs]
    sui, eth = names.index("SUIUSDT"), names.index("ETHUSDT")
    assert not market.day(sui, FIRST)[:, c.PRESENT].any()
    assert np.flatnonzero(market.day(sui, FIRST + 1)[:, c.PRESENT])[0] == 7 * 60
    assert np.flatnonzero(market.day(eth, FIRST + 2)[:, c.PRESENT])[-1] == 9 * 60 - 1
    assert not market.day(eth, FIRST + 3)[:, c.PRESENT].any()
    assert market.specs[eth].status(delisted - 1) == "TRADING"
    assert market.specs[eth].status(delisted) == "SETTLING"
    assert market.funding(eth, delisted + 1, delisted + 5 * DAY_MS) == []
    # the first days of the others are what they were without the change
    assert market.day(0, FIRST).tobytes() == GeneratedMarket(config()).day(0, FIRST).tobytes()


def test_the_default_universe_has_28_symbols_that_trade_and_two_that_do_not():
    from packages.common.config import DEFAULT_UNIVERSE

    universe = DEFAULT_UNIVERSE.split(",")
    market = GeneratedMarket(default_config(universe, 7, 0.0))
    status = {s.symbol: s.status(DEFAULT_START_MS) for s in market.specs}
    assert sum(status.get(name) == "TRADING" for name in universe) == 28
    assert status["ALPHAUSDT"] == "SETTLING"
    assert "BNXUSDT" not in status


def test_nothing_trades_in_an_outage_and_the_price_moves_on_after_it():
    market = GeneratedMarket(config(symbols=("BTCUSDT", "ETHUSDT"), outages_a_month=30.0))
    table = market.day(1, FIRST)
    halted = table[:, c.VOLUME] == 0
    assert 3 <= halted.sum() <= 20
    assert np.array_equal(halted, market.day(0, FIRST)[:, c.VOLUME] == 0)
    assert len(set(map(tuple, table[halted][:, :4]))) == 1


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_planted_alpha_is_the_share_of_variance_that_past_bars_foretell(alpha):
    market = GeneratedMarket(config(symbols=("BTCUSDT",), planted_alpha=alpha))
    r = np.concatenate([returns(market.day(0, FIRST + d)) for d in range(60)])
    r = np.clip(r / np.median(np.abs(r)), -6, 6)  # tails and jumps carry no drift
    past = np.convolve(r, np.ones(60) / 60)[: len(r) - 1]
    share = np.corrcoef(past, r[1:])[0, 1]
    if alpha:
        assert share > 0.15
    else:
        assert abs(share) < 0.02


def test_impossible_configurations_are_refused():
    with pytest.raises(ValueError, match="start_ms"):
        GeneratedMarket(config(start_ms=DEFAULT_START_MS + 1))
    with pytest.raises(ValueError, match="planted_alpha"):
        GeneratedMarket(replace(config(), planted_alpha=1.5))
