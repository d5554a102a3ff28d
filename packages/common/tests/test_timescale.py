"""The TimescaleDB schema is a reviewed snapshot, derived from the plain one. It is run nowhere in these tests: the
extension is in no package this repository installs (docs/claims.md)."""

import re

import psycopg
import pytest

from infra.timescale import SQL, derive, monthly_tables
from packages.common.tables import MONTHLY

PLAIN = (SQL / "0001_initial.sql").read_text()


def test_the_snapshot_is_what_the_plain_schema_derives():
    assert (SQL / "0001_timescale.sql").read_text() == derive(PLAIN), (
        "run python -m infra.timescale and review the diff"
    )


def test_every_monthly_table_becomes_a_hypertable_with_compression_and_retention():
    text = derive(PLAIN)
    assert set(monthly_tables(PLAIN)) == set(MONTHLY)
    assert "PARTITION BY" not in text
    for table in MONTHLY:
        for call in (
            f"create_hypertable('{table}', 'ts'",
            f"add_compression_policy('{table}'",
            f"add_retention_policy('{table}'",
        ):
            assert text.count(call) == 1, call


@pytest.mark.integration
def test_all_but_the_extensions_own_calls_runs_on_plain_postgresql(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA public CASCADE")
        conn.execute("CREATE SCHEMA public")
        own = re.compile(r"SELECT (create_hypertable|add_\w+_policy)\([^;]*;|ALTER TABLE \w+ SET \(timescaledb[^;]*;")
        text, removed = own.subn("", derive(PLAIN))
        assert removed == 4 * len(MONTHLY)
        conn.execute(text)
        conn.execute("SELECT ensure_month('candles_1m', '2026-01-01')")
        conn.execute("INSERT INTO instruments (symbol) VALUES ('BTCUSDT')")
        conn.execute("INSERT INTO candles_1m VALUES ('BTCUSDT', now(), 1, 1, 1, 1, 1, 1)")
        # a hypertable's unique constraints must hold its time column
        for (columns,) in conn.execute(
            "SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
            "AND a.attnum = ANY(i.indkey) WHERE i.indisunique AND i.indrelid = ANY(%s::regclass[]) "
            "GROUP BY i.indexrelid",
            (list(MONTHLY),),
        ):
            assert "ts" in columns
