"""What a fold reads back must be what the minutes were decided with."""

import numpy as np
import psycopg
import pytest

from packages.common.history import read_settlements, settled_rates
from packages.common.time import HOUR_MS, MINUTE_MS, to_datetime

HOUR = 1_700_000_000_000 // HOUR_MS * HOUR_MS


@pytest.mark.parametrize(("after_ms", "expected"), [(None, np.nan), (HOUR - MINUTE_MS, 1e-4), (HOUR, np.nan)])
def test_a_settlement_in_a_gap_before_the_first_bar_belongs_to_it(after_ms, expected):
    bars = np.array([HOUR + 3 * MINUTE_MS, HOUR + 4 * MINUTE_MS])
    rates = settled_rates(bars, np.array([HOUR]), np.array([1e-4]), after_ms)
    assert np.array_equal(rates, [expected, np.nan], equal_nan=True)


@pytest.mark.integration
def test_a_settlement_that_was_given_up_stays_given_up(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("INSERT INTO instruments (symbol) VALUES ('PUMPUSDT'), ('BTCUSDT')")
        for n in range(3):
            for symbol in ("PUMPUSDT", "BTCUSDT"):
                row = (symbol, to_datetime(HOUR + n * HOUR_MS), n * 1e-4)
                conn.execute("INSERT INTO funding_rates (symbol, ts, funding_rate) VALUES (%s, %s, %s)", row)
        for n, status in ((0, "repaired"), (1, "unavailable")):
            at = to_datetime(HOUR + n * HOUR_MS)
            conn.execute(
                "INSERT INTO data_gaps (symbol, dataset, from_ts, to_ts, missing_bars, found_at, status) "
                "VALUES ('PUMPUSDT', 'funding_rates', %s, %s, 1, %s, %s)",
                (at, at, at, status),
            )
        ts, rates = read_settlements(conn, "PUMPUSDT", HOUR, HOUR + 5 * HOUR_MS)
        assert (ts.tolist(), rates.tolist()) == ([HOUR, HOUR + 2 * HOUR_MS], [0.0, 2e-4])
        assert read_settlements(conn, "BTCUSDT", HOUR, HOUR + 5 * HOUR_MS)[0].size == 3
