import json
from decimal import Decimal
from pathlib import Path

import pytest

from packages.common.config import DEFAULT_UNIVERSE
from packages.common.errors import VenueRejectedError
from packages.common.time import DAY_MS, HOUR_MS, ManualClock
from packages.exchange.binance.codec import decode_exchange_info
from packages.exchange.port import ExchangeInfo
from services.collector.tests.fakes import T0, FakeVenue, instrument
from services.collector.tests.test_bootstrap import MemorySink
from services.collector.universe_worker import UniverseWorker, plan_instruments, symbol_status, tradable

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures"
NEVER = 4_133_404_800_000


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "active"),
        ({"contract_type": "TRADIFI_PERPETUAL"}, "active"),
        ({"contract_type": "TRADIFI_PERPETUAL", "status": "TRADING_HALT"}, "halted"),
        ({"status": "PENDING_TRADING"}, "halted"),
        ({"status": "PRE_SETTLE", "delivery_ts_ms": T0 + HOUR_MS}, "settling"),
        ({"status": "SETTLING", "delivery_ts_ms": T0 + HOUR_MS}, "settling"),
        ({"status": "SETTLING", "delivery_ts_ms": T0 - HOUR_MS}, "delisted"),
        ({"status": "SETTLING", "delivery_ts_ms": 0}, "settling"),
        ({"status": "CLOSE"}, "delisted"),
        ({"status": "SOMETHING_NEW"}, "unknown"),
        ({"contract_type": "CURRENT_QUARTER"}, "unknown"),
        ({"margin_asset": "USDC"}, "unknown"),
        ({"delivery_ts_ms": T0 + DAY_MS}, "active"),  # delisting is scheduled: entries are another gate's business
    ],
)
def test_each_state_of_a_contract_has_our_word(change, status):
    assert symbol_status(instrument("XUSDT", **change), T0) == status


def test_the_universe_keeps_its_order_and_what_is_gone():
    info = ExchangeInfo({s: instrument(s) for s in ("ETHUSDT", "BTCUSDT", "OLDUSDT")}, 2400)
    rows = plan_instruments(
        info, ["BTCUSDT", "BNXUSDT", "ETHUSDT"], T0, max_leverage={"ETHUSDT": 75}, known=["OLDUSDT"]
    )
    assert [(r["symbol"], r["status"], r["universe_rank"], r["in_universe"]) for r in rows] == [
        ("BTCUSDT", "active", 0, True),
        ("BNXUSDT", "delisted", 1, True),
        ("ETHUSDT", "active", 2, True),
        ("OLDUSDT", "active", None, False),
    ]
    assert "tick_size" not in rows[1]  # what is stored of a delisted one stays
    assert (rows[2]["max_leverage"], rows[2]["tick_size"], rows[2]["price_decimals"]) == (75, 0.1, 1)
    assert "max_leverage" not in rows[0]
    assert tradable(rows) == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize(
    ("step", "decimals"), [("0.10", 1), ("0.001", 3), ("1", 0), ("10", 0), ("1E-7", 7), ("0.0000100", 5), ("0", None)]
)
def test_decimals_come_from_the_step(step, decimals):
    info = ExchangeInfo({"XUSDT": instrument("XUSDT", tick_size=Decimal(step))}, None)
    assert plan_instruments(info, ["XUSDT"], T0)[0]["price_decimals"] == decimals


def test_the_default_universe_is_planned_from_a_recorded_list():
    path = FIXTURES / "exchange_info_testnet_2025-11-26.json"
    if not path.exists():
        pytest.skip("recorded payloads are not here")
    recorded = json.loads(path.read_text())
    info = decode_exchange_info(path.read_bytes())
    universe = DEFAULT_UNIVERSE.split(",")
    rows = plan_instruments(info, universe, recorded["serverTime"])
    assert [r["symbol"] for r in rows] == universe
    listed = {r["symbol"]: r for r in recorded["symbols"]}
    for row in rows:
        theirs = listed.get(row["symbol"], {}).get("status")
        assert (row["status"] == "active") == (theirs == "TRADING")
        assert row["exchange_status"] == theirs


async def test_the_worker_writes_rules_once_a_day_and_lives_without_tiers():
    venue, sink = FakeVenue(["BTCUSDT", "ETHUSDT"], T0), MemorySink()
    worker = UniverseWorker(venue, sink, ManualClock(T0), ["BTCUSDT", "GONEUSDT"])
    rows = await worker.sync_once()
    assert [(r["symbol"], r["status"], r.get("max_leverage")) for r in rows] == [
        ("BTCUSDT", "active", 75),
        ("GONEUSDT", "delisted", None),
    ]
    await worker.sync_once()
    assert len(sink.rows["instruments"]) == 4
    assert [r["symbol"] for r in sink.rows["exchange_info_snapshots"]] == ["BTCUSDT"]
    venue.now_ms += DAY_MS

    async def refuse(symbol=None):
        raise VenueRejectedError("key needed", venue_code=-2014)

    venue.leverage_brackets = refuse
    rows = await worker.sync_once()
    assert "max_leverage" not in rows[0]
    assert len(sink.rows["exchange_info_snapshots"]) == 2
    assert len(sink.rows["leverage_brackets"]) == 1
