"""The desk, minute by minute, and the research chain over the stored minutes are one arithmetic: equal bit for bit.

A generated market is stored, a package is trained on it, and the chain of a training job predicts its test span,
replays it and folds it into trades. Then the desk gets the same minutes one by one, as the collector hands them over
(feature book, predictor, engine, shadow account), and every number of every minute is compared.

What this market has on purpose: a symbol that settles every hour, one that was delisted, bars that are missing (among
them bitcoin's, and one that closes with a settlement), an outage that starts a symbol's features again, optional
features that are not known, tiers and betas that change at midnight, a crash that halts the day.

Only lateness is the desk's own: history does not know which bar, or which settlement, came after its minute was
decided. Tests say exactly what each changes, and that nothing else differs.
"""

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from apps.worker_realtime.engine import Engine, Permission
from apps.worker_realtime.feature_book import FeatureBook
from apps.worker_realtime.loop import LoopConfig, MinuteLoop
from apps.worker_realtime.totals import Totals
from packages.common.compute import LocalCompute
from packages.common.config import load_settings
from packages.common.reasons import EXIT_REASONS, reason_of
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS, ManualClock, iso
from packages.common.types import Bar, MinuteRecord, OhlcBar, Settlement
from services.backtest.portfolio import BacktestResult, backtest
from services.collector.batch import CollectorBatch, GapReport
from services.features import schema
from services.inference.predictor import Predictor
from services.labeling.triple_barrier import LabelSpec
from services.policy.kernel import BAD_FEATURES, PRESENT
from services.registry.instruments import DayFacts
from services.simulator.build import SymbolRules, make_constants, params_from_settings
from services.simulator.codec import pack_state, unpack_inputs, unpack_rows
from services.simulator.step import KEEP_COUNTS, KEEP_ROWS, fold, new_kept
from services.simulator.tables import N_ENTRIES, N_TRADES, Market, new_out, new_state
from services.simulator.volume import new_window
from services.training import market as stored
from services.training.replay import Desk, replay_market
from services.training.research import label_symbols
from services.training.splits import Span
from services.training.store_env import StoreEnv
from services.training.train import TrainConfig, run_training_job

pytestmark = pytest.mark.xdist_group("parity")  # one chain for all of them
START_MS = 1_750_032_000_000  # 2025-06-16T00:00:00Z
MINUTES = 4 * 1440
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "PUMPUSDT", "BNXUSDT")
BTC, ETH, SOL, PUMP, BNX = range(len(SYMBOLS))
TEST = Span(START_MS + 46 * HOUR_MS, START_MS + MINUTES * MINUTE_MS)  # two midnights
FIRST = (TEST.start_ms - START_MS) // MINUTE_MS
SPEC = LabelSpec(0.5, 0.4, 90, 3.0, fee_rate=0.0004, slippage_k=0.1, atr_interval_min=60, stop_overshoot=0.1)
RULES = (
    SymbolRules(0.1, 0.001, 0.001, 120.0, 100.0, 0.0125, 125, ((5e4, 0.004, 0.0, 125.0), (2e5, 0.005, 50.0, 100.0))),
    SymbolRules(0.01, 0.001, 0.001, 2e3, 20.0, 0.0125, 100, ((5e4, 0.005, 0.0, 100.0),)),
    SymbolRules(0.001, 0.1, 0.1, 300.0, 5.0, 0.015, 75, ((1e4, 0.01, 0.0, 50.0), (5e4, 0.025, 150.0, 20.0))),
    SymbolRules(1e-5, 1.0, 1.0, 1e6, 5.0, 0.015, 50, ((2e3, 0.02, 0.0, 10.0), (1e4, 0.05, 60.0, 5.0))),
    SymbolRules(),
)
PRICES = (60_000.0, 2_500.0, 150.0, 0.5, 20.0)
VOLUMES = (5e6, 2e6, 5e5, 8e3, 1e4)  # quote units a minute: the fourth one's bind a position
# Days on record, and what was known when each began: nothing of the first two, another thing on every other.
DAYS = START_MS + DAY_MS * np.arange(2, 4)
TIERS = np.array([[0, 0, 1, 2, 2], [0, 1, 0, 2, 2]])
BETAS = np.array([[1.0, 1.3, np.nan, -0.7, 1.0], [1.0, 0.4, 1.9, 0.9, np.nan]])


@dataclasses.dataclass(frozen=True)
class Series:
    """One symbol's market: minutes (n,), bars (n, 4), what is missing of them, settlements by time."""

    symbol: str
    last: np.ndarray
    mark: np.ndarray
    index: np.ndarray  # NaN where unknown
    volume: np.ndarray
    present: np.ndarray
    settled: dict[int, float]

    def record(self, i: int, after_ms: int | None) -> MinuteRecord:
        """Minute ``i`` as the collector hands it over; ``after_ms``: close of the record before it, None: first."""
        ts, symbol = START_MS + i * MINUTE_MS, self.symbol
        seen = [t for t in self.settled if (ts if after_ms is None else after_ms) < t <= ts + MINUTE_MS]
        bar = Bar(symbol, ts, *self.last[i].tolist(), self.volume[i] / self.last[i, 3], float(self.volume[i]))
        mark, x = OhlcBar(symbol, ts, *self.mark[i].tolist(), 10), float(self.index[i])
        index = None if np.isnan(x) else OhlcBar(symbol, ts, x, x, x, x, 10)
        rate = self.settled[max(seen)] if seen else np.nan
        return MinuteRecord(bar, mark, index, rate, np.nan, 0, ts + MINUTE_MS)


def generate() -> list[Series]:
    """Random walks that drift the way the last settled rate points, each with its own holes."""
    out = []
    for s, symbol in enumerate(SYMBOLS):
        rng = np.random.default_rng([17, s])
        ts = START_MS + MINUTE_MS * np.arange(MINUTES)
        every = 60 if s == PUMP else 480
        state = np.repeat(rng.choice([-1.0, 1.0], MINUTES // every), every)
        sigma = 0.0012 * np.exp(0.5 * np.sin(np.arange(MINUTES) / 200.0))  # calm, normal and wild hours
        steps = (rng.standard_normal((MINUTES, 4)) / 2 + 0.05 * state[:, None]) * sigma[:, None]
        path = PRICES[s] * np.exp(np.cumsum(steps.ravel())).reshape(MINUTES, 4)
        ticks = np.column_stack([np.concatenate([path[:1, 0], path[:-1, 3]]), path])
        if s in (BTC, ETH):
            ticks[1440 * 2 + 40 :] *= 0.95  # a crash and a squeeze, the open first
            ticks[1440 * 3 + 40 :] *= 1.06
        marks = ticks * (1.0 + 2e-4 * rng.standard_normal(ticks.shape))
        last, mark = (np.column_stack([x[:, 0], x.max(1), x.min(1), x[:, 4]]) for x in (ticks, marks))
        present = rng.random(MINUTES) > (0.002 if s == BTC else 0.01)
        if s == ETH:
            present[1440 * 2 + 16 * 60 - 1] = False  # the bar that closes with a settlement
        if s == SOL:
            present[1440 * 3 + 600 : 1440 * 3 + 670] = False  # longer than 60 minutes: features start again
        if s == BNX:
            present[FIRST + 500 :] = False
        index = np.where(rng.random(MINUTES) < 0.05, np.nan, marks[:, 4] * (1 + 1e-4 * rng.standard_normal(MINUTES)))
        volume = VOLUMES[s] * np.exp(0.3 * rng.standard_normal(MINUTES))
        settled = {int(ts[i]): 2e-4 * state[i] * (1 + rng.random()) for i in range(0, MINUTES, every)}
        out.append(Series(symbol, last, mark, index, volume, present, settled))
    return out


def store_market(store: ResearchStore, series: Series) -> None:
    keep = series.present
    ts = (START_MS + MINUTE_MS * np.arange(MINUTES))[keep]
    bars = dict(zip(("open", "high", "low", "close"), series.last[keep].T, strict=True))
    volume = {"volume": series.volume[keep] / bars["close"], "quote_volume": series.volume[keep]}
    other = dict.fromkeys(("trades", "taker_buy_volume", "taker_buy_quote_volume"), np.ones(ts.size))
    store.write(stored.CANDLES, stored.VERSION, series.symbol, {"ts": ts, **bars, **volume, **other})
    marks = dict(zip(bars, series.mark[keep].T, strict=True))
    store.write(stored.MARK, stored.VERSION, series.symbol, {"ts": ts, **marks})
    known = keep & ~np.isnan(series.index)
    index = dict.fromkeys(bars, series.index[known])
    store.write(stored.INDEX, stored.VERSION, series.symbol, {"ts": ts[~np.isnan(series.index[keep])], **index})
    at, rates = (np.array(x) for x in zip(*series.settled.items(), strict=True))
    prices = {"funding_rate": rates, "mark_price": np.ones(at.size)}
    store.write(stored.FUNDING, stored.VERSION, series.symbol, {"ts": at, **prices})


@dataclasses.dataclass(frozen=True)
class Chain:
    """The research side: what was stored, trained, and found."""

    series: list[Series]
    env: StoreEnv
    desk: Desk
    report: dict

    def market(self, desk: Desk | None = None) -> Market:
        """The test span as the job replayed it, with the predictions it stored."""
        return replay_market(self.env.store, desk or self.desk, SPEC, self.report["manifest"]["run"], TEST)


def settings():
    return load_settings(env_file=None, q05_min=-3.0, mae_max=3.0, daily_loss_limit_pct=0.01, shadow_equity_usdt=5e3)


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    folder = tmp_path_factory.mktemp("parity")
    store, series = ResearchStore(f"file://{folder}/store"), generate()
    for one in series:
        store_market(store, one)
    tradable = np.arange(len(SYMBOLS)) != BNX
    constants = make_constants(RULES, settings().taker_fee_rate)
    params = params_from_settings(SPEC, settings())
    desk = Desk(SYMBOLS, tradable, constants, params, settings().shadow_equity_usdt, DAYS, TIERS, BETAS)
    env = StoreEnv(store, f"file://{folder}/models", lambda _spec, _symbols, _span: desk)
    label_symbols(env, SYMBOLS, SPEC, lambda _fraction, _stage: None, LocalCompute(1))
    config = TrainConfig(
        SPEC.hash(), schema.SCHEMA_VERSION, iso(START_MS + 26 * HOUR_MS), iso(START_MS + 40 * HOUR_MS),
        iso(START_MS + 42 * HOUR_MS), iso(START_MS + 44 * HOUR_MS), test_start=iso(TEST.start_ms),
        test_end=iso(TEST.end_ms), symbols=SYMBOLS, events="every:2", num_threads=1, max_rounds=8, learning_rate=0.2,
        num_leaves=15, min_data_in_leaf=60, early_stopping_rounds=8, random_draws=0, cpcv_groups=0,
    )  # fmt: skip
    return Chain(series, env, desk, run_training_job(config, env=env))


class Tables:
    """What the desk wrote, in memory: rows by table, in order."""

    def __init__(self) -> None:
        self.rows: dict[str, list] = {}

    def put(self, table, rows) -> None:
        self.rows.setdefault(table, []).extend(rows)


def run_desk(chain: Chain, late=frozenset(), unsettled=None) -> Tables:
    """Every stored minute through the worker's loop; the model is there from the first minute of ``TEST`` on.

    ``late``: (symbol, minute) whose bar comes with the next minute's. ``unsettled``: (symbol, minute) that closed with
    a settlement → the minute whose batch tells it.
    """
    unsettled = unsettled or {}
    tables, clock = Tables(), ManualClock()
    loop = MinuteLoop(
        FeatureBook(SYMBOLS), new_window(len(SYMBOLS)), np.full(len(SYMBOLS), np.nan), {}, clock, tables,
        lambda _channel, _message: None, lambda: Permission(trading_on=True, kill_switch=False),
        Totals(chain.desk.wallet), LoopConfig(stale_after_ms=90_000),
    )  # fmt: skip
    predictor = Predictor.load(chain.report["artifact_uri"], expected_hash=chain.report["content_hash"])
    last_close: list[int | None] = [None] * len(SYMBOLS)
    held: list[MinuteRecord] = []
    for i in range(MINUTES):
        ts = START_MS + i * MINUTE_MS
        if i == FIRST:
            state = new_state(len(SYMBOLS), chain.desk.wallet)
            loop.engine = Engine(SYMBOLS, chain.desk.tradable, chain.desk.constants, settings(), predictor, state)
        for day, tier, beta in zip(DAYS, TIERS, BETAS, strict=True):  # a day's row appears when the day begins
            if day == ts:
                loop.days = loop.days | {datetime.fromtimestamp(day / 1e3, tz=UTC).date(): DayFacts(tier, beta)}
        records, gaps, held_now = held, [], []
        for s, one in enumerate(chain.series):
            if one.present[i]:
                record = one.record(i, last_close[s])
                last_close[s] = ts + MINUTE_MS
                (held_now if (s, i) in late else records).append(record)
            elif s == BTC:
                gaps.append(GapReport(one.symbol, "candles_1m", ts, ts, 1, ts + MINUTE_MS, status="unavailable"))
        told = [(s, i) for s, x in enumerate(chain.series) if ts + MINUTE_MS in x.settled and (s, i) not in unsettled]
        told += [what for what, then in unsettled.items() if then == i]
        told += [what for what, then in unsettled.items() if then == i - 2]  # deliveries may repeat
        instants = [(chain.series[s], START_MS + (m + 1) * MINUTE_MS) for s, m in told]
        news = [Settlement(one.symbol, at, one.settled[at]) for one, at in instants]
        clock.advance_to(ts + MINUTE_MS + 1_500)
        loop.take(CollectorBatch(ts, tuple(records), gaps=tuple(gaps), settlements=tuple(news)))
        held = held_now
    return tables


def bits(array) -> np.ndarray:
    """For comparison bit by bit; a NaN is a NaN whatever its payload."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        return np.where(np.isnan(array), np.nan, array).view(np.int64)
    return array


def assert_inputs_equal(tables: Tables, market: Market) -> None:
    inputs = [unpack_inputs(row["inputs"]) for row in tables.rows["decisions"]]
    assert [one.ts_ms for one in inputs] == market.ts_ms.tolist()
    for name in market._fields:
        if name not in ("beta", "tier", "day_row"):
            online = np.array([getattr(one, name) for one in inputs])
            np.testing.assert_array_equal(bits(online), bits(getattr(market, name)), err_msg=name)
    for name in ("beta", "tier"):
        online = np.array([getattr(one, name) for one in inputs])
        np.testing.assert_array_equal(bits(online), bits(getattr(market, name)[market.day_row]), err_msg=name)


def assert_same_minutes(tables: Tables, market: Market, desk: Desk) -> BacktestResult:
    """Inputs (predictions among them), decisions with every reason and number, the state after each minute, fills,
    trades and equity."""
    assert_inputs_equal(tables, market)
    decisions, n = tables.rows["decisions"], len(SYMBOLS)
    result = backtest(market, desk.params, desk.constants, symbols=SYMBOLS, wallet=desk.wallet, keep=KEEP_ROWS)
    assert result.rows is not None
    equity = [row["equity"] for row in tables.rows["account_snapshots"]]
    np.testing.assert_array_equal(bits(equity), bits(result.equity))
    rows = [unpack_rows(row["outputs"]) for row in decisions]
    table, notes = np.stack([x.table for x in rows]), np.stack([x.notes for x in rows])
    used = np.arange(notes.shape[2]) < table["n_notes"][..., None]
    for name in table.dtype.names:
        np.testing.assert_array_equal(bits(table[name]), bits(result.rows.table[name]), err_msg=name)
    for name in notes.dtype.names:
        np.testing.assert_array_equal(bits(notes[name][used]), bits(result.rows.notes[name][used]), err_msg=name)
    state, out, fills = new_state(n, desk.wallet), new_out(n), iter(tables.rows["fills"])
    kept = new_kept(market.ts_ms.size, n, capacity=4096)
    for t, decision in enumerate(decisions):
        fold(state, market, desk.params, desk.constants, out, kept, t, t + 1, KEEP_COUNTS)
        assert pack_state(state) == decision["state"], f"state after minute {t}"
        events = out.events
        expected = [(e["symbol"], e["fill"], e["qty"]) for e in events.entries[: events.n[N_ENTRIES]]]
        expected += [(e["symbol"], e["exit_fill"], e["qty"]) for e in events.trades[: events.n[N_TRADES]]]
        for symbol, price, qty in expected:
            fill = next(fills)
            assert (SYMBOLS.index(fill["symbol"]), fill["price"], fill["qty"]) == (symbol, price, qty)
            assert fill["ts"] == market.ts_ms[t]
    assert next(fills, None) is None
    trades = tables.rows["trades"]
    assert len(trades) == len(result.kept_trades)
    same = (
        "gross",
        "slippage",
        "fees",
        "liquidation_fee",
        "funding",
        "absorbed",
        "net",
        "mae",
        "mfe",
        "qty",
        "leverage",
    )
    pairs = {name: name for name in (*same, "entry_ref", "exit_ref")}
    pairs |= {"entry_price": "entry_fill", "exit_price": "exit_fill", "sl_price": "sl", "tp_price": "tp"}
    for online, offline in zip(trades, result.kept_trades, strict=True):
        for ours, theirs in pairs.items():
            assert bits(online[ours]) == bits(offline[theirs]), ours
        assert online["symbol"] == SYMBOLS[offline["symbol"]]
        assert online["exit_reason"] == EXIT_REASONS[offline["reason"] - 1].value
        assert (online["entry_ts"], online["exit_ts"]) == (
            offline["entry_bar"] * MINUTE_MS, offline["exit_bar"] * MINUTE_MS,
        )  # fmt: skip
    return result


def assert_same_features(tables: Tables, store: ResearchStore) -> None:
    """Every row the desk stored, late or not, is the one that was computed from stored minutes."""
    online = {(row[0], row[1]): schema.feature_row(json.loads(row[3]), row[2]) for row in tables.rows["features_1m"]}
    count = 0
    for symbol in SYMBOLS:
        offline = store.read(stored.FEATURES, stored.FEATURES_VERSION, symbol, schema.KEYS)
        values = np.column_stack([offline[key] for key in schema.KEYS])
        ours = np.array([online[symbol, int(ts)] for ts in offline["ts"]])
        np.testing.assert_array_equal(bits(ours), bits(values), err_msg=symbol)
        count += len(values)
    assert count == len(online)


def test_the_desk_and_the_research_chain_are_equal_bit_for_bit(chain: Chain) -> None:
    market, tables = chain.market(), run_desk(chain)
    result = assert_same_minutes(tables, market, chain.desk)
    assert_same_features(tables, chain.env.store)
    told = chain.report["metrics"]["trading"]  # what the job itself reported of this span
    assert (told["trades"], told["net"]) == (len(tables.rows["trades"]), result.metrics["net"])


def test_the_market_has_what_it_claims_to_have(chain: Chain) -> None:
    market = chain.market()
    result = backtest(
        market, chain.desk.params, chain.desk.constants, symbols=SYMBOLS, wallet=chain.desk.wallet, keep=KEEP_ROWS
    )
    assert result.rows is not None
    assert result.metrics["halts"] >= 1
    assert {"TP", "SL", "TIME", "HALT"} <= set(result.trades["reason"])
    assert set(result.trades["symbol"]) == set(SYMBOLS) - {"BNXUSDT"}
    assert result.metrics["funding"] != 0.0
    codes = {reason_of(int(code)).value for code in np.unique(result.rows.notes["code"]) if code}
    expected = {"DATA_STALE", "FEATURE_NAN", "SYMBOL_NOT_TRADABLE", "DAILY_LOSS_LIMIT", "ALREADY_IN_POSITION"}
    assert codes >= expected | {"COOLDOWN", "EV_BELOW_MIN", "TIER_CAP", "BETA_CAP", "MAX_DIRECTIONAL_NOTIONAL"}
    features = chain.env.store.read(stored.FEATURES, stored.FEATURES_VERSION, "ETHUSDT", ("funding_z", "basis"))
    traded = market.ts_ms[result.rows.table["side"][:, ETH] != 0]
    at = np.searchsorted(features["ts"], traded)
    for key in schema.OPTIONAL:  # traded with it and without: the first ten settlements, minutes without an index bar
        assert 0 < np.isnan(features[key][at]).sum() < traded.size
    assert set(np.unique(market.regime)) == {-1, 0, 1, 2}
    assert (~np.isnan(market.rate)).sum(0)[PUMP] > 40
    assert np.isnan(market.last[:, 3][~np.isnan(market.rate)]).any()  # a settlement in a minute without a bar


def test_a_backtest_never_sees_a_later_tier_or_beta(chain: Chain) -> None:
    later = dataclasses.replace(chain.desk, tier=TIERS.copy(), beta=BETAS.copy())
    later.tier[-1], later.beta[-1] = 2, 3.0
    runs = [
        backtest(chain.market(desk), desk.params, desk.constants, symbols=SYMBOLS, wallet=desk.wallet)
        for desk in (chain.desk, later)
    ]
    midnight = int((DAYS[-1] - TEST.start_ms) // MINUTE_MS)
    equal = runs[0].equity == runs[1].equity
    assert equal[:midnight].all()
    assert not equal[midnight:].all()


def lagging(market: Market, late: frozenset[tuple[int, int]]) -> Market:
    """The market as it stood when each minute was decided: of a late symbol nothing but the volumes so far; of a minute
    without bitcoin's bar nobody's features."""
    arrays = {name: np.array(getattr(market, name)) for name in market._fields}
    for s, i in late:
        t = i - FIRST
        for name in ("last", "mark"):
            arrays[name][t, :, s] = np.nan
        arrays["flags"][t, s] &= ~PRESENT & 0xFF
        arrays["qm"][t, s] = market.qm[t - 1, s]
        for other in range(len(SYMBOLS)) if s == BTC else (s,):
            arrays["flags"][t, other] |= BAD_FEATURES
            arrays["preds"][t, :, other] = np.nan
            arrays["atr"][t, other] = arrays["atr1"][t, other] = np.nan
        if s == BTC:
            arrays["regime"][t] = -1
    return Market(**arrays)


def test_a_late_bar_is_stale_in_its_minute_and_changes_nothing_else(chain: Chain) -> None:
    rng = np.random.default_rng(5)
    wanted = {(s, FIRST + 360 * k + int(rng.integers(1, 300))) for s in (ETH, SOL, PUMP) for k in range(8)}
    wanted |= {(BTC, FIRST + 777), (ETH, FIRST + 1300), (ETH, FIRST + 1301), (PUMP, FIRST + 959 // 60 * 60 + 59)}
    late = frozenset((s, i) for s, i in wanted if chain.series[s].present[i])
    assert (BTC, FIRST + 777) in late
    assert any(START_MS + (i + 1) * MINUTE_MS in chain.series[s].settled for s, i in late)  # rate known, bar not
    tables = run_desk(chain, late)
    assert_same_features(tables, chain.env.store)
    market = chain.market()
    assert_same_minutes(tables, lagging(market, late), chain.desk)
    unaware = backtest(market, chain.desk.params, chain.desk.constants, symbols=SYMBOLS, wallet=chain.desk.wallet)
    equity = np.array([row["equity"] for row in tables.rows["account_snapshots"]])
    first = min(i for _, i in late) - FIRST
    np.testing.assert_array_equal(equity[:first], unaware.equity[:first])


def test_a_late_settlement_is_paid_once_by_who_held_through_it_at_the_mark_of_the_minute_it_is_known_in(
    chain: Chain,
) -> None:
    """Three of them: of a position that is still held, of one that left meanwhile, and before one that is new."""
    market, zero = chain.market(), START_MS // MINUTE_MS
    unaware = backtest(market, chain.desk.params, chain.desk.constants, symbols=SYMBOLS, wallet=chain.desk.wallet)
    trades = [tuple(int(t[name]) for name in ("symbol", "entry_bar", "exit_bar")) for t in unaware.kept_trades]
    trades = sorted(((s, first - zero, last - zero) for s, first, last in trades), key=lambda x: x[1])
    settled = [{at // MINUTE_MS - 1 - zero for at in one.settled} for one in chain.series]
    over = [(s, i, last) for s, first, last in trades for i in sorted(settled[s]) if first <= i < last]
    held = next((s, i, i + 3) for s, i, last in over if last > i + 5)
    gone = next((s, i, last + 1) for s, i, last in over if i > held[2])
    new = next(
        (s, i, first + 2) for s, first, last in trades for i in sorted(settled[s])
        if held[2] < i < first < last - 2 and first < i + 50 and (s, i) not in {(s, i) for s, i, _ in over}
    )  # fmt: skip
    tables = run_desk(chain, unsettled={(s, i): known for s, i, known in (held, gone, new)})
    moved = {name: np.array(getattr(market, name)) for name in market._fields}
    for s, i, known in (held, gone, new):
        assert np.isnan(market.rate[known - FIRST, s])
        moved["rate"][i - FIRST, s] = np.nan
    s, i, known = held
    rate = market.rate[i - FIRST, s]
    moved["rate"][known - FIRST, s] = rate
    result = assert_same_minutes(tables, Market(**moved), chain.desk)
    told = [row for row in tables.rows["quality_events"] if row[2] == "SETTLEMENT_LATE"]
    cases = sorted((known, SYMBOLS[s], iso(START_MS + (i + 1) * MINUTE_MS), (s, i, known) == held)
                   for s, i, known in (held, gone, new))  # fmt: skip
    assert [((e[0] - START_MS) // MINUTE_MS, e[1], e[4]["settled"], e[4]["paid"]) for e in told] == cases
    entry = new[2] - 2 + zero
    assert any(t["symbol"] == new[0] and t["entry_bar"] == entry < t["exit_bar"] - 2 for t in result.kept_trades)
    # what history pays in its own minute and the account a little later differ by the mark, and by nothing else
    ours, theirs = (
        next(t for t in x.kept_trades if t["symbol"] == s and t["entry_bar"] <= i + zero < t["exit_bar"])
        for x in (result, unaware)
    )
    marks = market.mark[known - FIRST, 3, s] - market.mark[i - FIRST, 3, s]
    assert marks != 0.0
    assert ours["funding"] - theirs["funding"] == pytest.approx(ours["side"] * ours["qty"] * rate * marks, rel=1e-6)
    assert ours["net"] - theirs["net"] == pytest.approx(theirs["funding"] - ours["funding"], rel=1e-6)
