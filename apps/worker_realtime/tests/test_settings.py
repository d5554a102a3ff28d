"""Settings changed at the desk, from the row an operator's command writes to the decisions that carry it."""

import asyncio
import json
from datetime import date

import numpy as np
import psycopg
import pytest

from apps.worker_realtime import recovery
from apps.worker_realtime.engine import Engine, Permission
from apps.worker_realtime.feature_book import FeatureBook
from apps.worker_realtime.loop import LoopConfig, MinuteLoop
from apps.worker_realtime.settings_source import SettingsSource
from apps.worker_realtime.totals import Totals
from packages.common.config import load_settings
from packages.common.errors import InvalidInputError, SettingsError
from packages.common.settings_versions import as_used, overlay
from packages.common.time import MINUTE_MS, ManualClock
from packages.common.types import TARGETS, Bar, MinuteRecord, OhlcBar
from packages.common.writer import BatchWriter
from services.collector.batch import CollectorBatch
from services.labeling.triple_barrier import LabelSpec
from services.registry.instruments import DayFacts
from services.simulator.build import SymbolRules, make_constants, params_from_settings
from services.simulator.codec import pack_rows, pack_state, unpack_inputs, unpack_state
from services.simulator.step import step
from services.simulator.tables import new_out, new_state
from services.simulator.volume import new_window

START_MS = 1_767_225_600_000  # 2026-01-01
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MODEL_ID = "00000000-0000-0000-0000-000000000001"
SPEC = LabelSpec(9.0, 6.0, 360, 6.0, fee_rate=0.0004, slippage_k=0.15)
CONSTANTS = make_constants([SymbolRules(0.01, 0.001, 0.001, 1e4, 5.0, 0.0125, 50)] * 2, 0.0005)


DAYS = {date(2026, 1, 1): DayFacts(np.zeros(2, np.int64), np.array([0.1, 0.1]))}


class Optimist:
    """A model that sees the same good trade in every row."""

    model_id, label_spec = MODEL_ID, SPEC

    def predict(self, inputs):
        one = dict.fromkeys(TARGETS, 0.0) | {"er_long": 0.01, "er_short": -0.01, "q05_long": -1e-4, "q05_short": -0.1}
        one |= {"e_mae_long": 1e-4, "e_mae_short": 0.1, "e_hold_long": 30, "e_hold_short": 30, "p_tp_long": 0.9}
        return np.tile([one[name] for name in TARGETS], (len(inputs), 1))


class Desk:
    """The worker's loop over its real writer, source and database; the market is made here."""

    def __init__(self, url, base, writer):
        self.url, self.writer, self.clock = url, writer, ManualClock()
        self.source = SettingsSource(url, base)
        settings = self.source.start()
        with psycopg.connect(url, autocommit=True) as conn:
            state = recovery.restore_account(conn, SYMBOLS, settings.shadow_equity_usdt)
        self.loop = MinuteLoop(
            FeatureBook(SYMBOLS), new_window(2), np.full(2, np.nan), DAYS, self.clock, writer, lambda *_: None,
            lambda: Permission(trading_on=True, kill_switch=False), Totals(1e4), LoopConfig(90_000),
        )  # fmt: skip
        self.engine = Engine(
            SYMBOLS, np.ones(2, np.bool_), CONSTANTS, settings, Optimist(), state, self.source.current.version
        )

    def push(self, first, last, *, decide):
        """Minutes ``first`` to ``last`` of the market."""
        self.loop.engine = self.engine if decide else None
        for i in range(first, last + 1):
            ts = START_MS + i * MINUTE_MS
            records = []
            for s, symbol in enumerate(SYMBOLS):
                o, c = (100.0 * (1 + s) * (1 + 0.003 * np.sin(j / 7 + s) + 0.0005 * (j % 3)) for j in (i - 1, i))
                bar = Bar(symbol, ts, o, max(o, c) * 1.0002, min(o, c) * 0.9998, c, 1e4, 1e4 * c)
                mark = OhlcBar(symbol, ts, o, bar.high, bar.low, c, 10)
                rate = np.nan if (i + 1) % 480 else 1e-4
                records.append(MinuteRecord(bar, mark, mark, rate, 1e-4, 0, ts + MINUTE_MS))
            self.clock.advance_to(ts + MINUTE_MS + 500)
            self.loop.take(CollectorBatch(ts, tuple(records)))

    def take_over(self):
        """One look of the task that follows the table."""
        self.loop.settings = self.source.look()


def change(url, **values):
    """What ``POST /api/settings`` writes; returns the version."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            "INSERT INTO settings (author, reason, value, diff) VALUES ('a', 'r', %s, '[]') RETURNING version",
            (json.dumps(values),),
        ).fetchone()
    return row[0]


def rows(url, query, *values):
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as conn:
        return conn.execute(query, values).fetchall()


@pytest.fixture
def url(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        for symbol in SYMBOLS:
            conn.execute("INSERT INTO instruments (symbol) VALUES (%s)", (symbol,))
        conn.execute(
            "INSERT INTO models VALUES (%s, now(), 'lgbm', 1, 'h', now(), now(), '{}', 'u', false, 'demo', 'c', '{}')",
            (MODEL_ID,),
        )
    return postgres_url


@pytest.fixture
def base():
    return load_settings(env_file=None, universe=SYMBOLS, ev_min=0.5, q05_min=-5.0, mae_max=3.0)


WARM = 1700  # minutes until every feature is known


@pytest.mark.integration
def test_the_next_minute_is_decided_with_a_new_version_which_a_restart_keeps(url, base, tmp_path):
    async def run():
        async with BatchWriter(url, tmp_path / "spill", flush_interval_ms=50) as writer:
            desk = Desk(url, base, writer)
            desk.push(0, WARM, decide=False)
            desk.push(WARM + 1, WARM + 1, decide=True)
            strict = change(url, EV_MIN=0.25)
            desk.take_over()
            assert desk.engine.settings_version == 0  # nothing changes within a minute
            desk.push(WARM + 2, WARM + 2, decide=True)
            await writer.flush(timeout_s=30)
            again = Desk(url, base, writer)  # a restart
            again.push(0, WARM + 2, decide=False)
            again.push(WARM + 3, WARM + 3, decide=True)
            mild = change(url, EV_MIN=0.0)
            again.take_over()
            again.push(WARM + 4, WARM + 4, decide=True)
            await writer.flush(timeout_s=30)
            return strict, mild

    strict, mild = asyncio.run(run())
    found = rows(url, "SELECT settings_version, settings_hash, inputs, outputs, state FROM decisions ORDER BY ts")
    assert [row[0] for row in found] == [0, strict, strict, mild]
    assert len({row[1] for row in found}) == 3
    signals = rows(url, "SELECT ts, decision, block_reason_codes FROM signals ORDER BY ts, symbol")
    for i, ev_min in enumerate((0.5, 0.25, 0.25)):
        for _, decision, codes in signals[2 * i : 2 * i + 2]:
            assert (decision, [(code["code"], code["limit"]) for code in codes]) == ("FLAT", [("EV_BELOW_MIN", ev_min)])
    assert [row[1] for row in signals[6:]] == ["LONG", "LONG"]
    used = rows(url, "SELECT version, hash, values FROM settings_used ORDER BY version")
    assert [(one[0], one[2]["EV_MIN"]) for one in used] == [(0, 0.5), (strict, 0.25), (mild, 0.0)]

    # a replay takes the settings that the row names, and comes to the same bytes
    with psycopg.connect(url, autocommit=True) as conn:
        state, out = new_state(2, base.shadow_equity_usdt), new_out(2)
        for number, digest, inputs, outputs, after in found:
            params = params_from_settings(SPEC, as_used(conn, base, number, digest))
            step(state, unpack_inputs(bytes(inputs)), params, CONSTANTS, out)
            assert pack_rows(out.rows) == bytes(outputs)
            assert pack_state(state) == bytes(after)
        with pytest.raises(InvalidInputError, match="settings_hash"):
            as_used(conn, base, strict, "0" * 64)


@pytest.mark.integration
def test_a_version_this_release_does_not_accept_stops_a_start_and_leaves_a_running_worker_as_it_is(url, base):
    source = SettingsSource(url, base)
    source.start()
    change(url, EV_MIN="much")
    assert (source.look().version, source.look().settings) == (0, base)
    with pytest.raises(SettingsError, match="EV_MIN"):
        SettingsSource(url, base).start()
    good = change(url, EV_MIN=0.25)
    assert (source.look().version, source.current.settings.ev_min) == (good, 0.25)


@pytest.mark.integration
def test_a_symbol_that_leaves_gets_no_entries_and_stays_until_it_is_flat(url, base, tmp_path):
    async def run():
        async with BatchWriter(url, tmp_path / "spill", flush_interval_ms=50) as writer:
            desk = Desk(url, base, writer)
            change(url, EV_MIN=0.0)
            desk.take_over()
            desk.push(0, WARM, decide=False)
            desk.push(WARM + 1, WARM + 2, decide=True)
            change(url, EV_MIN=0.0, UNIVERSE=["BTCUSDT"])
            desk.take_over()
            desk.push(WARM + 3, WARM + 3, decide=True)
            await writer.flush(timeout_s=30)
            return desk.engine

    engine = asyncio.run(run())
    assert engine.tradable.tolist() == [True, False]
    newest = rows(url, "SELECT symbol, block_reason_codes->0->>'code' FROM signals ORDER BY ts DESC, symbol LIMIT 2")
    assert dict(newest)["ETHUSDT"] == "SYMBOL_NOT_TRADABLE"
    held = unpack_state(bytes(rows(url, "SELECT state FROM decisions ORDER BY ts DESC LIMIT 1")[0][0]))
    assert held.positions["side"].tolist() == [1, 1]
    with psycopg.connect(url, autocommit=True) as conn:
        assert recovery.with_held(conn, ("BTCUSDT",)) == ("BTCUSDT", "ETHUSDT")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"EV_MIN": "much"}, "changes.EV_MIN"),
        ({"EV_MIN": float("nan")}, "changes.EV_MIN"),
        ({"EV_MIN": "inf"}, "changes.EV_MIN"),
        ({"MAX_POSITIONS": 0}, "changes.MAX_POSITIONS"),
        ({"MAX_POSITIONS": 10**30}, "changes.MAX_POSITIONS"),
        ({"UNIVERSE": ["ETHUSDT"]}, "changes.UNIVERSE"),
        ({"DATABASE_URL": "x"}, "changes.DATABASE_URL"),
        ({"MODE": "live"}, "changes.MODE"),
        ({"ev_min": 0.1}, "changes.ev_min"),
        ({"MAX_USED_MARGIN_PCT": None}, "changes.MAX_USED_MARGIN_PCT"),
    ],
)
def test_what_may_not_be_is_refused_by_name(base, changed, field):
    with pytest.raises(InvalidInputError) as refused:
        overlay(base, changed)
    assert refused.value.field == field


def test_what_the_environment_set_stays_below(base):
    over = overlay(base, {"EV_MIN": 0.1, "CAPITAL_LIMIT_USDT": None, "UNIVERSE": ["BTCUSDT"]})
    assert (over.ev_min, over.universe, over.mae_max) == (0.1, ("BTCUSDT",), base.mae_max)


@pytest.mark.integration
def test_looks_share_a_connection_and_take_up_a_new_one_when_it_breaks(url, base):
    source = SettingsSource(url, base)
    source.start()
    try:
        source.look()
        kept = source._connection
        source.look()
        assert kept is not None
        assert source._connection is kept
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", (kept.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            source.look()
        assert source.look() == source.current
        assert source._connection not in (None, kept)
    finally:
        source.close()
    assert source._connection is None
