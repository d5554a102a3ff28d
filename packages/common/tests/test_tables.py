"""The table specs equal the migrated database's catalog."""

import psycopg
import pytest

from packages.common.tables import MONTHLY, TABLES, WRITE_ORDER

pytestmark = pytest.mark.integration
SHORT = {
    "double precision": "float8", "timestamp with time zone": "timestamptz", "integer": "int4", "bigint": "int8",
    "smallint": "int2", "boolean": "bool",
}  # fmt: skip


@pytest.fixture
def conn(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def test_columns_types_nulls_and_defaults_are_those_of_the_database(conn):
    for table in TABLES.values():
        catalog = conn.execute(
            "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, atthasdef FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' ORDER BY attnum",
            (table.name,),
        ).fetchall()
        ours = [(c.name, c.pg_type, c.nullable, c.has_default) for c in table.columns]
        assert ours == [(n, SHORT.get(t, t), null, default) for n, t, null, default in catalog], table.name


def test_keys_are_unique_in_the_database_where_the_spec_says_so(conn):
    for table in TABLES.values():
        unique = {
            frozenset(row[0])
            for row in conn.execute(
                "SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
                "AND a.attnum = ANY(i.indkey) WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indexprs IS NULL "
                "GROUP BY i.indexrelid",
                (table.name,),
            )
        }
        if table.name == "risk_events":  # unique by an expression (D5)
            assert conn.execute("SELECT to_regclass('risk_events_key')").fetchone()[0]
        else:
            assert (frozenset(table.key) in unique) == table.constrained, table.name


def test_monthly_tables_are_the_partitioned_ones(conn):
    partitioned = {r[0] for r in conn.execute("SELECT relname FROM pg_class WHERE relkind = 'p'")}
    assert partitioned == set(MONTHLY)


def test_a_table_is_written_after_those_it_refers_to(conn):
    references = conn.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
    ).fetchall()
    assert references
    for table, parent in references:
        if table in WRITE_ORDER and parent in WRITE_ORDER:
            assert WRITE_ORDER[parent] < WRITE_ORDER[table], (parent, table)
