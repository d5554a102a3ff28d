"""The three canaries of D19 on the whole chain: bars → features → labels → folds → every minute predicted → traded.

Martingale: nothing is earned. Planted alpha: most of what perfect knowledge of it earns is earned. Planted leak: the
check that names it stops the job.

How sure they are: the martingale makes 1,076 trades in four days; the 95 % interval of their expectancy, by days, is
-1.8 to 1.6 bp of the entry (mean 0.6), so an edge of more than about 2 bp a trade would show. The planted drift earns
8.8 bp (7.1 to 10.0) in 1,527 trades; its oracle knows the means of thirty other days, not this draw. Seeds are fixed.
"""

import dataclasses

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, iso
from packages.common.types import TARGETS
from services.backtest.portfolio import backtest
from services.features import schema
from services.training import leakage, market
from services.training.replay import replay_market
from services.training.research import label_minutes, market_of
from services.training.splits import Span
from services.training.targets import SideLabels, learned_values, resolve, scale_column
from services.training.tests.stores import FREE, SPEC, START_MS, desk_of, market_env
from services.training.train import TrainConfig, run_training_job

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
DAYS = 9


def config(spec, **changes):
    def at(day):
        return iso(START_MS + int(day * DAY_MS))

    base = TrainConfig(
        spec.hash(), schema.SCHEMA_VERSION, at(1.5), at(4.5), at(4.5), at(5), test_start=at(5), test_end=at(DAYS),
        symbols=SYMBOLS, events="every:3", num_threads=1, max_rounds=40, learning_rate=0.1, num_leaves=15,
        min_data_in_leaf=200, early_stopping_rounds=10, random_draws=0, cpcv_groups=0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module", autouse=True)
def without_pages():
    """Everything of a job but its HTML page, which is two thirds of its time and says nothing about an edge: pages and
    their place in a package are held by test_walkforward and the tests of services/backtest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.backtest.render.render_html", lambda _report: "")
        yield


TEST = Span(START_MS + 5 * DAY_MS, START_MS + DAYS * DAY_MS)


def test_a_martingale_yields_nothing_without_costs(tmp_path):
    env = market_env(tmp_path, SYMBOLS, days=DAYS, spec=FREE)
    report = run_training_job(config(FREE), env=env)
    trading = report["metrics"]["trading"]
    assert trading["kind"] == "portfolio_backtest"
    assert trading["trades"] >= 100  # without costs it does trade on noise
    low, high = trading["expectancy_95"]
    assert low <= 0.0 <= high
    assert trading["verdict"]["code"] not in ("EDGE", "UNCONFIRMED")
    assert all(check["passed"] for check in report["manifest"]["leak_checks"])


def test_a_martingale_with_costs_is_not_worth_trading(tmp_path):
    env = market_env(tmp_path, SYMBOLS, days=DAYS, spec=SPEC)
    trading = run_training_job(config(SPEC), env=env)["metrics"]["trading"]
    assert trading["net"] <= 0.0  # most often there is no trade at all
    assert trading["verdict"]["code"] not in ("EDGE", "UNCONFIRMED")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    env = market_env(folder, SYMBOLS, days=DAYS, spec=SPEC, drift=0.2)
    return env, run_training_job(config(SPEC), env=env)


def oracle_net(env):
    """What trading the true conditional expectations earns: means of the labels in each planted state, taken from
    another, longer draw of the same market, in place of predictions."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        other = market_env(folder, SYMBOLS, days=30, spec=SPEC, drift=0.2, seed=99)
        means = conditional_means(other)
    version = "oracle"
    for symbol in SYMBOLS:
        rows = env.store.read("features_1m", "v1", symbol, ("funding_rate", "atr"))
        mark = env.store.read(market.MARK, market.VERSION, symbol, ("close",))
        state = np.sign(rows["funding_rate"])
        scale = rows["atr"] / mark["close"]
        columns = {"ts": rows["ts"]}
        for target in resolve(TARGETS):
            value = np.where(state > 0, means[target.name][1], means[target.name][-1])
            columns[target.name] = value * scale if target.scaled else value
        env.store.write(market.PREDICTIONS, version, symbol, columns)
    desk = desk_of(SPEC.fee_rate)(SPEC, SYMBOLS, TEST)
    minutes = replay_market(env.store, desk, SPEC, version, TEST)
    return backtest(minutes, desk.params, desk.constants, symbols=SYMBOLS, wallet=desk.wallet).metrics["net"]


def sides(labels):
    """Labels of one side as the targets read them; unlabelled rows are masked by the caller."""
    columns = (labels.y.astype(float), labels.ret_net, labels.mae, labels.bars.astype(float), labels.fees)
    return SideLabels(*columns, labels.slippage, labels.funding)


def conditional_means(env):
    """Target → state → mean (5 % quantile for q05) of what the boosters are fitted to."""
    shared = market_of(env.store)
    values = {name: {-1: [], 1: []} for name in TARGETS}
    for symbol in SYMBOLS:
        labelled = label_minutes(market.read_minutes(env.store, symbol), shared, SPEC)
        inputs = schema.model_inputs(labelled.features, labelled.minutes.bars[:, 9])
        state, scale = np.sign(inputs[:, schema.FUNDING_RATE]), inputs[:, scale_column(SPEC.atr_interval_min)]
        for target in resolve(TARGETS):
            one = getattr(labelled.labels, target.side)
            learned = learned_values(target, sides(one), scale)
            for sign in (-1, 1):
                values[target.name][sign].append(learned[one.labelled & (state == sign)])
    out = {}
    for target in resolve(TARGETS):
        joined = {sign: np.concatenate(parts) for sign, parts in values[target.name].items()}
        out[target.name] = {
            sign: float(np.quantile(v, target.alpha) if target.alpha else v.mean()) for sign, v in joined.items()
        }
    return out


def test_a_planted_alpha_is_found_and_most_of_it_kept(planted):
    env, report = planted
    trading = report["metrics"]["trading"]
    oracle = oracle_net(env)
    assert oracle > 500.0  # of 10,000: there is an edge to keep
    assert trading["net"] >= 0.6 * oracle
    assert trading["expectancy_95"][0] > 0
    explained = report["metrics"]["explain"]["er_long"]
    assert max(explained, key=lambda key: explained[key]["shap"]) == "funding_rate"
    assert explained["funding_rate"]["direction"] > 0.5  # a higher rate announces a rise
    assert report["metrics"]["explain"]["er_short"]["funding_rate"]["direction"] < -0.5


def test_features_of_the_next_bar_are_caught_by_name(tmp_path):
    env = market_env(tmp_path, SYMBOLS, days=DAYS, spec=SPEC)
    for symbol in SYMBOLS:
        rows = env.store.read("features_1m", "v1", symbol)
        ahead = {name: np.append(column[1:], column[-1:]) for name, column in rows.items() if name != "ts"}
        env.store.write("features_1m", "v1", symbol, {"ts": rows["ts"], **ahead})
    with pytest.raises(InvalidInputError, match="future_truncation"):
        run_training_job(config(SPEC, max_rounds=5), env=env)
    assert not (tmp_path / "models").exists()  # nothing was stored


def test_each_check_says_what_it_saw(planted):
    env, report = planted
    checks = {check["name"]: check for check in report["manifest"]["leak_checks"]}
    assert checks["future_truncation"]["passed"]
    assert checks["next_bar_rank"]["passed"]
    assert not checks["oos_rank"]["passed"]  # a planted drift is better than any market, and the report says so
    btc = market.read_minutes(env.store, "BTCUSDT")
    rows = env.store.read("features_1m", "v1", "ETHUSDT")
    values = np.column_stack([rows[key] for key in schema.KEYS])
    whole = leakage.StoredFeatures(market.read_minutes(env.store, "ETHUSDT"), rows["ts"], values)
    one = np.array(values)
    one[:-1, schema.RET_1] = values[1:, schema.RET_1]  # a single feature, one bar early
    leaky = dataclasses.replace(whole, features=one)
    cut = int(rows["ts"][-1000])
    assert leakage.rows_that_know_more(whole, btc, cut) == ""
    assert "ret_1 at" in leakage.rows_that_know_more(leaky, btc, cut)
    ranked = leakage.check_no_leak([leaky], btc, rank_correlations={"er_long": 0.01}, seed=1)
    assert {check.name: check.passed for check in ranked} == {
        "future_truncation": False, "next_bar_rank": False, "oos_rank": True,
    }  # fmt: skip
    assert "ret_1" in ranked[1].detail
