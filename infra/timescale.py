"""Derives ``sql/0001_timescale.sql`` from ``sql/0001_initial.sql``: hypertables instead of native partitions (D4).

``python -m infra.timescale`` rewrites the file; a test holds the file to what this derives, so that every change of
it is reviewed.
"""

import re
from pathlib import Path

SQL = Path(__file__).resolve().parent / "migrations" / "sql"
_CHUNK = "7 days"
_COMPRESS_AFTER = "14 days"
_RETAIN = "400 days"  # RETENTION_DAYS; the retention job follows the setting

_HEADER = """\
-- Derived from 0001_initial.sql by infra/timescale.py: do not edit. Run where the timescaledb extension is available.
"""


def monthly_tables(plain: str) -> list[str]:
    """Tables that 0001_initial.sql partitions by month, in its order."""
    return re.findall(r"CREATE TABLE (\w+) \([^;]*?\) PARTITION BY RANGE \(ts\);", _without_comments(plain))


def _without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


def derive(plain: str) -> str:
    """The schema for TimescaleDB."""
    tables = monthly_tables(plain)
    body, function = plain.split("-- Monthly partitions are made on demand", 1)
    assert "CREATE FUNCTION ensure_month" in function
    body = body.replace(") PARTITION BY RANGE (ts);", ");")
    parts = [_HEADER, body.rstrip(), "\n\n"]
    for table in tables:
        columns = _without_comments(plain).split(f"CREATE TABLE {table} (", 1)[1].split(";", 1)[0]
        by_symbol = "symbol TEXT" in columns or "LIKE labels_long_1m" in columns
        parts.append(f"SELECT create_hypertable('{table}', 'ts', chunk_time_interval => INTERVAL '{_CHUNK}');\n")
        segment = ", timescaledb.compress_segmentby = 'symbol'" if by_symbol else ""
        parts.append(
            f"ALTER TABLE {table} SET (timescaledb.compress{segment}, timescaledb.compress_orderby = 'ts DESC');\n"
        )
        parts.append(f"SELECT add_compression_policy('{table}', INTERVAL '{_COMPRESS_AFTER}');\n")
        parts.append(f"SELECT add_retention_policy('{table}', INTERVAL '{_RETAIN}');\n\n")
    parts.append(
        "-- Chunks are made by TimescaleDB; writers call this all the same.\n"
        "CREATE FUNCTION ensure_month(parent TEXT, month DATE) RETURNS VOID LANGUAGE sql AS $$ SELECT $$;\n"
    )
    return "".join(parts)


def main() -> None:
    """Write the derived file."""
    (SQL / "0001_timescale.sql").write_text(derive((SQL / "0001_initial.sql").read_text()))


if __name__ == "__main__":
    main()
