"""The jobs themselves, on real stores with a small market: what they write, and that repeating them changes nothing."""

import json
import shutil

import numpy as np
import pytest

from apps.worker_batch import jobs, runner
from apps.worker_batch.history_sink import upsert_rows
from apps.worker_batch.market_store import newest_minute_ms, sync_symbol
from packages.common.config import load_settings
from packages.common.db import bulk_load, connect
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS, from_datetime
from services.features import schema
from services.inference.predictor import Predictor
from services.registry import registry
from services.training import market
from services.training.research import label_minutes, market_of, settlements_by_bar
from services.training.store_env import StoreEnv

pytestmark = pytest.mark.integration

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
START = 20_600 * DAY_MS
N = 5 * 1440
QUICK = {"random_draws": 0, "cpcv_groups": 0}
SHORT = {"train": {"max_rounds": 8, "num_threads": 1, "events": "every:5", "min_data_in_leaf": 40, **QUICK}}


def bars(seed, n=N):
    rng = np.random.default_rng(seed)
    ts = START + np.arange(n, dtype=np.int64) * MINUTE_MS
    close = 100 * np.exp(np.cumsum(0.0008 * rng.standard_normal(n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    spread = 1 + 0.0004 * rng.random(n)
    prices = {"open": open_, "high": np.maximum(open_, close) * spread, "low": np.minimum(open_, close) / spread}
    volume = rng.lognormal(3, 0.5, n)
    return {"ts": ts, **prices, "close": close}, {"volume": volume, "quote_volume": volume * close}


def fill(conn):
    upsert_rows(conn, "instruments", [{"symbol": s, "universe_rank": i} for i, s in enumerate(SYMBOLS)])
    for seed, symbol in enumerate(SYMBOLS):
        prices, volumes = bars(seed)
        bulk_load(conn, "candles_1m", {"symbol": symbol, **prices, **volumes})
        bulk_load(conn, "mark_candles_1m", {"symbol": symbol, **prices})
        bulk_load(conn, "index_candles_1m", {"symbol": symbol, **{k: v[: N // 2] for k, v in prices.items()}})
        hours = START + np.arange(1, N // 480, dtype=np.int64) * 480 * MINUTE_MS
        bulk_load(conn, "funding_rates", {"symbol": symbol, "ts": hours, "funding_rate": np.full(hours.size, 1e-4)})


@pytest.fixture
def conn(postgres_url):
    with connect(postgres_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def settings(postgres_url, redis_url, tmp_path):
    return load_settings(
        env_file=None, database_url=postgres_url, redis_url=redis_url, var_dir=tmp_path, universe=",".join(SYMBOLS),
        h_bars=240,
    )  # fmt: skip


def run(conn, settings, kind, config=None):
    job_id, _ = jobs.insert(conn, kind, config or {})
    outcome = runner.run_job(job_id, settings)
    row = conn.execute("SELECT status, result, error FROM jobs WHERE job_id = %s", (job_id,)).fetchone()
    assert outcome == row[0]
    return row


def test_postgres_and_the_research_store_hold_equal_rows(conn, settings):
    fill(conn)
    status, result, error = run(conn, settings, "sync_store")
    assert (status, error) == ("succeeded", None)
    assert result["rows"]["candles_1m"] == 3 * N
    store = ResearchStore(settings.store)
    stored = store.read("candles_1m", market.VERSION, "ETHUSDT")
    wanted, volumes = bars(1)
    for name, column in (wanted | volumes).items():
        np.testing.assert_array_equal(stored[name], column)
    assert np.isnan(stored["trades"]).all()
    hashes = market.market_hashes(store, SYMBOLS)
    assert sum(sync_symbol(conn, store, "ETHUSDT").values()) == 0
    conn.execute("DELETE FROM candles_1m WHERE symbol = 'ETHUSDT' AND ts < to_timestamp(%s)", (START / 1e3 + 86_400,))
    sync_symbol(conn, store, "ETHUSDT")
    assert market.market_hashes(store, SYMBOLS) == hashes  # retention in one store takes nothing from the other
    assert newest_minute_ms(conn) == START + N * MINUTE_MS


def test_a_repaired_bar_of_the_newest_days_reaches_the_research_store(conn, settings):
    fill(conn)
    hole = START + (N - 500) * MINUTE_MS
    conn.execute("DELETE FROM candles_1m WHERE symbol = 'SOLUSDT' AND ts = to_timestamp(%s)", (hole / 1e3,))
    store = ResearchStore(settings.store)
    assert sync_symbol(conn, store, "SOLUSDT")["candles_1m"] == N - 1
    prices, volumes = bars(2)
    bulk_load(conn, "candles_1m", {"symbol": "SOLUSDT", **{k: v[-500:-499] for k, v in (prices | volumes).items()}})
    assert sync_symbol(conn, store, "SOLUSDT")["candles_1m"] == 1
    assert store.coverage("candles_1m", market.VERSION, "SOLUSDT").rows == N


def test_minutes_join_what_belongs_together(conn, settings):
    fill(conn)
    store = ResearchStore(settings.store)
    for symbol in SYMBOLS:
        sync_symbol(conn, store, symbol)
    minutes = market.read_minutes(store, "ETHUSDT")
    assert minutes.bars.shape == (N, 12)
    assert np.isfinite(minutes.bars[: N // 2, 10]).all()
    assert np.isnan(minutes.bars[N // 2 :, 10]).all()
    rates, instants = settlements_by_bar(minutes)
    settled = np.flatnonzero(np.isfinite(rates))
    np.testing.assert_array_equal(instants[settled], minutes.settled_ts_ms)
    assert (
        (instants[settled] > minutes.ts_ms[settled]) & (instants[settled] <= minutes.ts_ms[settled] + MINUTE_MS)
    ).all()


def test_training_from_the_store_to_a_demo_model_that_predicts(conn, settings):
    fill(conn)
    assert run(conn, settings, "sync_store")[0] == "succeeded"
    status, result, error = run(conn, settings, "train_model", {"promote": "demo", **SHORT})
    assert (status, error) == ("succeeded", None)

    pointer = registry.for_mode(conn, "shadow")
    assert (pointer.kind, pointer.model_id) == ("demo", result["model_id"])
    assert "shadow only" in pointer.reason
    assert registry.for_mode(conn, "live") is None
    status, is_production, label_hash = conn.execute(
        "SELECT status, is_production, label_spec_hash FROM models"
    ).fetchone()
    assert (status, is_production) == ("demo", False)

    predictor = Predictor.load(pointer.artifact_uri, expected_hash=pointer.content_hash)
    assert predictor.label_spec.hash() == label_hash
    assert predictor.label_spec.h_bars == 240  # the setting over the preset
    store = ResearchStore(settings.store)
    labelled = label_minutes(market.read_minutes(store, "ETHUSDT"), market_of(store), predictor.label_spec)
    mark = labelled.minutes.bars[:, 9]
    got = predictor.predict(schema.model_inputs(labelled.features, mark))
    assert np.isfinite(got[-1000:]).all()
    assert (np.abs(got[-1000:, 0]) < 0.05).all()

    again = run(conn, settings, "train_model", {"promote": "demo", **SHORT, "as_of": "later"})
    assert again[1]["model_id"] == result["model_id"]
    assert again[1]["unchanged"]
    assert conn.execute("SELECT count(*) FROM models").fetchone() == (1,)
    other = run(conn, settings, "train_model", {"train": SHORT["train"] | {"seed": 8, "events": "every:6"}})
    assert other[1]["model_id"] != result["model_id"]
    assert registry.current(conn, "demo").model_id == result["model_id"]

    traded = run(conn, settings, "walkforward_backtest", {"model_id": result["model_id"]})
    assert (traded[0], traded[1]["trading"]["net"]) == ("succeeded", result["trading"]["net"])
    told = json.loads(StoreEnv.from_settings(settings).store.get_object(traded[1]["reports"]["json"]))
    assert [part for part in ("folds", "targets", "importance") if not told[part]] == []  # of its training
    about = told["notes"]
    assert "are those of now" in about[0]  # who is gone by now is not in the universe
    assert "not traded: BTCUSDT, ETHUSDT, SOLUSDT" in about[1]
    run_hash = traded[1]["run"]
    assert store.read(market.PREDICTIONS, run_hash, "ETHUSDT", ())["ts"].size
    shutil.rmtree(f"{settings.store.removeprefix('file://')}/{market.PREDICTIONS}/{run_hash}")
    lost = run(conn, settings, "walkforward_backtest", {"model_id": result["model_id"], "as_of": "later"})
    assert lost[0] == "failed"
    assert f"predictions of run {run_hash}" in lost[2]

    refused = run(conn, settings, "promote_model", {"model_id": result["model_id"], "author": "ana", "reason": "now"})
    assert refused[0] == "failed"
    assert "evidence of oos" in refused[2]


def test_drift_compares_stored_features_with_the_model_in_use(conn, settings):
    fill(conn)
    run(conn, settings, "sync_store")
    status, result, _ = run(conn, settings, "compute_drift")
    assert (status, result["note"]) == ("succeeded", "no model in use yet")
    run(conn, settings, "train_model", {"promote": "demo", **SHORT})
    store = ResearchStore(settings.store)
    rows = store.read("features_1m", "v1", "ETHUSDT", schema.KEYS)
    newest = conn.execute("SELECT max(ts) FROM candles_1m").fetchone()[0]
    stored = []
    for i in np.flatnonzero(rows["ts"] >= from_datetime(newest) - 600 * 60_000):
        values = {key: float(rows[key][i]) for key in schema.KEYS}
        values["vol_z"] = 50.0  # a jump no training row had
        stored.append(
            {
                "symbol": "ETHUSDT", "ts": int(rows["ts"][i]), "schema_version": 1,
                "features": {key: value if np.isfinite(value) else None for key, value in values.items()},
            }
        )  # fmt: skip
    upsert_rows(conn, "features_1m", stored)
    status, result, error = run(conn, settings, "compute_drift", {"hours": 9})
    assert (status, error) == ("succeeded", None)
    assert list(result["symbols"]) == ["ETHUSDT"]
    assert next(iter(result["symbols"]["ETHUSDT"]["moved_most"])) == "vol_z"
    psi, missing, outliers = conn.execute("SELECT psi, missing_rate, outlier_rate FROM drift_metrics").fetchone()
    assert psi > 0.1
    assert outliers == pytest.approx(1 / len(schema.KEYS), abs=0.02)
    assert 0 <= missing < 0.2


def test_labels_are_stored_with_their_report_and_on_request_in_tables(conn, settings):
    fill(conn)
    run(conn, settings, "sync_store")
    status, result, error = run(conn, settings, "label_recent", {"tables": True})
    assert (status, error) == ("succeeded", None)
    spec_hash = result["label_spec_hash"]
    env = StoreEnv.from_settings(settings)
    assert env.label_spec(spec_hash).hash() == spec_hash
    for side in ("long", "short"):
        stored = env.store.read(f"labels_{side}_1m", spec_hash, "ETHUSDT")
        rows = conn.execute(
            f"SELECT (extract(epoch FROM ts) * 1000)::bigint, y, ret_net, ret_gross, fees, slippage, funding, "
            f"time_to_event_min FROM labels_{side}_1m WHERE symbol = 'ETHUSDT' ORDER BY ts"
        ).fetchall()
        table = np.array(rows, np.float64)
        assert len(rows) == result["labels"]["ETHUSDT"] > 1000
        for i, name in enumerate(
            ("ts", "y", "ret_net", "ret_gross", "fees", "slippage", "funding", "time_to_event_min")
        ):
            np.testing.assert_array_equal(table[:, i], stored[name].astype(np.float64))
        np.testing.assert_array_equal(
            stored["ret_net"], stored["ret_gross"] - stored["fees"] - stored["slippage"] - stored["funding"]
        )
    reports = dict(
        conn.execute("SELECT symbol, report FROM label_reports WHERE spec_hash = %s", (spec_hash,)).fetchall()
    )
    assert set(reports) == set(SYMBOLS)
    assert run(conn, settings, "label_recent", {"tables": True, "as_of": "later"})[1] == result


def input_hash(conn, settings, kind, config):
    assert run(conn, settings, kind, config)[0] == "succeeded"
    return conn.execute("SELECT input_hash FROM jobs ORDER BY ended_at DESC LIMIT 1").fetchone()[0]


def test_what_a_result_depends_on_is_in_its_hash(conn, settings):
    fill(conn)
    run(conn, settings, "sync_store")
    first = input_hash(conn, settings, "label_recent", {"symbols": ["ETHUSDT"]})
    assert input_hash(conn, settings, "label_recent", {"symbols": ["ETHUSDT"], "as_of": "later"}) == first
    stricter = settings.model_copy(update={"mae_max": 0.7})  # the report says what this threshold blocks
    assert input_hash(conn, stricter, "label_recent", {"symbols": ["ETHUSDT"], "as_of": "2"}) != first
    store = ResearchStore(settings.store)
    bar = store.read("mark_candles_1m", market.VERSION, "BTCUSDT", to_ts_ms=START + MINUTE_MS)
    store.write("mark_candles_1m", market.VERSION, "BTCUSDT", {n: c if n == "ts" else c * 1.01 for n, c in bar.items()})
    assert input_hash(conn, settings, "label_recent", {"symbols": ["ETHUSDT"], "as_of": "3"}) != first
    few = SHORT["train"] | {"targets": ["er_long"], "max_rounds": 1}
    trained = input_hash(conn, settings, "train_model", {"symbols": ["ETHUSDT"], "train": few})
    richer = settings.model_copy(update={"shadow_equity_usdt": 5_000.0})
    assert input_hash(conn, richer, "train_model", {"symbols": ["ETHUSDT"], "train": few, "as_of": "2"}) != trained
    status, _, error = run(conn, settings, "label_recent", {"symbols": ["ETHUSDT", "TYPOUSDT"]})
    assert (status, "['TYPOUSDT']" in error) == ("failed", True)


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("train_model", {"promote": "production"}, "promote: got 'production'"),
        ("train_model", {"speed": 1}, "config: got ['speed']"),
        ("train_model", {}, "at least one symbol with stored history"),
        ("label_recent", {"preset": "moon"}, "preset: got 'moon'"),
        ("bootstrap_history", {"days": 0}, "days: got 0"),
        ("promote_model", {"kind": "live", "author": "a", "reason": "b"}, "kind: got 'live'"),
    ],
)
def test_a_malformed_request_fails_with_its_name(conn, settings, kind, config, message):
    status, _, error = run(conn, settings, kind, config)
    assert status == "failed"
    assert message in error
