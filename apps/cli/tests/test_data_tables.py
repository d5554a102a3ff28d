"""Imported files in the tables of a desk: what they lack, once, and nothing of what they have."""

import math

import pytest
import typer.testing

from apps.cli import main
from apps.cli.data_tables import load_tables, require_known
from packages.common.db import bulk_load, connect
from packages.common.errors import InvalidInputError
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS
from services.collector.importer import import_files
from services.collector.tests.archives import KLINE_HEADER, MAY, kline, lines, put_zip

MONTH = "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05.zip"
SERIES = {("candles_1m", "BTCUSDT")}


@pytest.fixture
def imported(tmp_path):
    """A store of ninety imported minutes, one of them without its number of trades."""
    store = ResearchStore(f"file://{tmp_path}/store")
    put_zip(tmp_path / MONTH, lines([kline(m, **({"trades": ""} if m == 8 else {})) for m in range(90)], KLINE_HEADER))
    assert import_files(store, [tmp_path / "data"]).units[0].status == "imported"
    return store


@pytest.fixture
def conn(postgres_url):
    with connect(postgres_url, autocommit=True) as conn:
        conn.execute("INSERT INTO instruments (symbol, status) VALUES ('BTCUSDT', 'active')")
        yield conn


def quiet(_fraction, _stage):
    pass


def rows(conn):
    return conn.execute("SELECT ts, close, trades FROM candles_1m ORDER BY ts").fetchall()


@pytest.mark.integration
def test_tables_get_what_they_lack_and_keep_what_they_have(imported, conn):
    own = {
        "ts": [MAY + 3 * MINUTE_MS],
        **dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), 7.0),
    }
    bulk_load(conn, "candles_1m", {"symbol": "BTCUSDT", **own})
    assert load_tables(conn, imported, SERIES, keep_days=400, progress=quiet) == {"candles_1m": 89}
    found, stored = rows(conn), imported.read("candles_1m", "v1", "BTCUSDT")
    assert len(found) == 90
    assert (found[3][1], found[3][2]) == (7.0, None)
    assert [row[1] for row in found[4:]] == stored["close"][4:].tolist()
    assert [row[2] for row in found[4:]] == [None if math.isnan(n) else n for n in stored["trades"][4:]]
    assert found[8][2] is None
    assert load_tables(conn, imported, SERIES, keep_days=400, progress=quiet) == {"candles_1m": 0}


@pytest.mark.integration
def test_what_retention_would_drop_is_left_in_the_store(imported, conn):
    late = MAY + 10 * DAY_MS
    bar = imported.read("candles_1m", "v1", "BTCUSDT")
    imported.write(
        "candles_1m",
        "v1",
        "BTCUSDT",
        {name: values[:1] for name, values in bar.items()} | {"ts": bar["ts"][:1] + 10 * DAY_MS},
    )
    assert load_tables(conn, imported, SERIES, keep_days=7, progress=quiet) == {"candles_1m": 1}
    assert int(rows(conn)[0][0].timestamp() * 1000) == late


@pytest.mark.integration
def test_a_symbol_the_desk_does_not_know_is_refused(conn):
    require_known(conn, ["BTCUSDT"])
    with pytest.raises(InvalidInputError, match="XUSDT"):
        require_known(conn, ["BTCUSDT", "XUSDT"])


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--store", "x"], "no --store"), (["--dry-run"], "one of the two"), ([], "a running desk")],
)
def test_what_cannot_be_is_refused_before_anything_is_read(tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setenv("EXCHANGE", "binance")
    found = typer.testing.CliRunner().invoke(main.app, ["data", "import", str(tmp_path), "--to-tables", *options])
    assert message in str(found.exception) + found.output
    assert not (tmp_path / "store" / "objects").exists()
