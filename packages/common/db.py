"""PostgreSQL through psycopg 3: connections, the pool, bulk loading, monthly partitions, the store's identity."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import ArrayLike
from psycopg import sql
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from packages.common.errors import SchemaMismatchError, StoreUnavailableError
from packages.common.pgcopy import binary_copy, row_count
from packages.common.tables import Table, table_spec

set_json_loads(orjson.loads)
set_json_dumps(lambda value: orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))  # NaN becomes null

_OPTIONS = "-c timezone=UTC"


def where(url: str) -> str:
    """``host:port/database`` of a URL, for messages: never its password."""
    info = psycopg.conninfo.conninfo_to_dict(url)
    return f"{info.get('host', 'localhost')}:{info.get('port', 5432)}/{info.get('dbname', '')}"


def connect(url: str, *, autocommit: bool = False, timeout_s: int = 10) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection for scripts and jobs. Raises StoreUnavailableError when the server cannot be reached."""
    try:
        return psycopg.connect(url, autocommit=autocommit, connect_timeout=timeout_s, options=_OPTIONS)
    except psycopg.OperationalError as exc:
        raise StoreUnavailableError(f"PostgreSQL at {where(url)}: {first_line(exc)}") from exc


async def connect_async(
    url: str, *, autocommit: bool = False, timeout_s: int = 10
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """As ``connect``, for the loops."""
    try:
        return await psycopg.AsyncConnection.connect(
            url, autocommit=autocommit, connect_timeout=timeout_s, options=_OPTIONS
        )
    except psycopg.OperationalError as exc:
        raise StoreUnavailableError(f"PostgreSQL at {where(url)}: {first_line(exc)}") from exc


@asynccontextmanager
async def open_pool(
    url: str, *, min_size: int = 1, max_size: int = 8, timeout_s: float = 10.0
) -> AsyncIterator[AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]]:
    """A pool of async connections in UTC. Connections lost to a restart of the server are replaced on next use."""
    pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=timeout_s,
        kwargs={"options": _OPTIONS, "connect_timeout": 5},
        check=AsyncConnectionPool.check_connection,
        reconnect_timeout=30,
        open=False,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def first_line(exc: BaseException) -> str:
    """First line of a driver's message: the part a person needs."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


# --- bulk loading -------------------------------------------------------------------------------------------------


def bulk_load(
    conn: psycopg.Connection[Any], table: str, columns: Mapping[str, ArrayLike], *, assume_empty: bool = False
) -> int:
    """Load numpy columns into ``table``; returns the rows that were new (or updated). Repeating it changes nothing.

    ``columns``: arrays of one length or scalars (a symbol); times are int64 epoch milliseconds; NaN in a nullable
    column is NULL. ``assume_empty``: COPY straight into the table, which is the fastest way; should a row turn out to
    be there already, the load falls back to a staging table with the table's conflict rule. Partitions are made as
    needed. Commits by itself, unless the caller has a transaction open.
    Raises InvalidInputError for columns that do not fit and psycopg errors for rows the database refuses.
    """
    spec = table_spec(table)
    total = row_count(spec, columns)
    if total == 0:
        return 0
    if spec.monthly:
        with conn.transaction():  # on its own: a new partition locks out readers of the table until it is committed
            ensure_months(conn, spec, months_of(columns["ts"]))
    names = tuple(columns)
    if assume_empty:
        try:
            with conn.transaction(), conn.cursor() as cursor:
                _copy(cursor, spec, sql.Identifier(table), columns)
            return total
        except psycopg.errors.UniqueViolation:
            pass
    with conn.transaction(), conn.cursor() as cursor:
        stage = sql.Identifier(stage_name(spec, names))
        cursor.execute(stage_sql(spec, names))
        _copy(cursor, spec, stage, columns)
        cursor.execute(merge_sql(spec, names))
        changed = cursor.rowcount
        cursor.execute(sql.SQL("TRUNCATE {}").format(stage))
    return changed


def _copy(cursor: psycopg.Cursor[Any], spec: Table, target: sql.Identifier, columns: Mapping[str, ArrayLike]) -> None:
    with cursor.copy(copy_sql(target, tuple(columns))) as copy:
        for block in binary_copy(spec, columns):
            copy.write(block)


def copy_sql(target: sql.Identifier, names: tuple[str, ...]) -> sql.Composed:
    """``COPY target (names) FROM STDIN`` in binary form."""
    fields = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, fields)


def stage_name(spec: Table, names: tuple[str, ...]) -> str:
    """Name of the staging table for these columns of ``spec``."""
    return f"stage_{spec.name}_{hashlib.sha256(' '.join(names).encode()).hexdigest()[:8]}"


def stage_sql(spec: Table, names: tuple[str, ...]) -> sql.Composed:
    """Make the staging table: a temporary one of this connection; whoever fills it empties it in the same transaction.

    Not ON COMMIT DELETE ROWS, which begins new files for every such table of the connection at each commit: 12 ms for
    seven empty ones.
    """
    return sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} AS SELECT {} FROM {} WITH NO DATA").format(
        sql.Identifier(stage_name(spec, names)),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(spec.name),
    )


def merge_sql(spec: Table, names: tuple[str, ...]) -> sql.Composed:
    """One INSERT from the staging table under the table's conflict rule; of rows with one key the last wins."""
    return _upsert(spec, names, sql.SQL("{} s").format(sql.Identifier(stage_name(spec, names))), deduplicate=True)


def insert_sql(spec: Table, names: tuple[str, ...]) -> sql.Composed:
    """One INSERT of ``rows.arrays``, a parameter a column, under the conflict rule; an update rule needs distinct keys.

    For rows by the thousand. A staging table costs less a row by the hundred thousand, but three statements a load.
    """
    types = ("text" if spec.column(name).pg_type == "text[]" else spec.column(name).pg_type for name in names)
    source = sql.SQL("unnest({}) s ({})").format(
        sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(pg_type)) for pg_type in types),
        sql.SQL(", ").join(map(sql.Identifier, names)),
    )
    return _upsert(spec, names, source, deduplicate=False)


def _upsert(spec: Table, names: tuple[str, ...], rows: sql.Composable, *, deduplicate: bool) -> sql.Composed:
    fields = sql.SQL(", ").join(map(sql.Identifier, names))
    values = sql.SQL(", ").join(
        sql.SQL("{}::text[]" if spec.column(name).pg_type == "text[]" else "{}").format(sql.Identifier(name))
        for name in names
    )
    key = sql.SQL(", ").join(map(sql.Identifier, spec.key))
    source = sql.SQL("SELECT {} FROM {}").format(values, rows)
    if not spec.constrained:
        same = sql.SQL(" AND ").join(
            sql.SQL("t.{0} IS NOT DISTINCT FROM s.{0}").format(sql.Identifier(name)) for name in spec.key
        )
        source = sql.SQL("SELECT DISTINCT ON ({}) {} FROM {} WHERE NOT EXISTS (SELECT FROM {} t WHERE {})").format(
            key, values, rows, sql.Identifier(spec.name), same
        )
        return sql.SQL("INSERT INTO {} ({}) {}").format(sql.Identifier(spec.name), fields, source)
    rest = [name for name in names if name not in spec.key]
    if spec.on_conflict == "nothing" or not rest:
        action: sql.Composable = sql.SQL("ON CONFLICT DO NOTHING")
    else:
        if deduplicate:
            source = sql.SQL("SELECT DISTINCT ON ({}) {} FROM {} ORDER BY {}, ctid DESC").format(key, values, rows, key)
        sets = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in rest)
        action = sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(key, sets)
    return sql.SQL("INSERT INTO {} ({}) {} {}").format(sql.Identifier(spec.name), fields, source, action)


# --- partitions -----------------------------------------------------------------------------------------------------


def months_of(ts: ArrayLike) -> tuple[date, ...]:
    """First days of the UTC months that ``ts`` (int64 epoch milliseconds or datetime64) touches."""
    values = np.atleast_1d(np.asarray(ts))
    when = values if values.dtype.kind == "M" else values.astype("datetime64[ms]")
    return tuple(np.unique(when.astype("datetime64[M]")).astype("datetime64[D]").tolist())


def ensure_months(conn: psycopg.Connection[Any], spec: Table, months: Iterable[date]) -> None:
    """Make the partitions of ``months``; nothing on a hypertable."""
    for month in months:
        conn.execute("SELECT ensure_month(%s, %s)", (spec.name, month))


def drop_months_before(conn: psycopg.Connection[Any], before_ts_ms: int) -> list[str]:
    """Retention: drop every monthly partition that ends at or before ``before_ts_ms``; returns their names.

    On TimescaleDB the chunks that end before it. Whole partitions only, so a month is kept until all of it is old.
    """
    before = datetime.fromtimestamp(before_ts_ms / 1e3, tz=UTC)
    if has_timescale(conn):
        found = conn.execute(
            "SELECT drop_chunks(format('%%I.%%I', hypertable_schema, hypertable_name)::regclass, %s) "
            "FROM timescaledb_information.hypertables",
            (before,),
        ).fetchall()
        return [row[0] for row in found]
    dropped = []
    for parent, child in conn.execute(
        "SELECT p.relname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "JOIN pg_class p ON p.oid = i.inhparent WHERE p.relkind = 'p' ORDER BY 2"
    ).fetchall():
        year, month = int(child[-6:-2]), int(child[-2:])
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if child == f"{parent}_{year:04d}{month:02d}" and end <= before:
            conn.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(child)))
            dropped.append(child)
    return dropped


def has_timescale(conn: psycopg.Connection[Any]) -> bool:
    """True when the TimescaleDB extension is installed in this database."""
    return conn.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None


# --- identity -------------------------------------------------------------------------------------------------------


def ensure_identity(conn: psycopg.Connection[Any], identity: str) -> None:
    """Bind a new database to ``identity``, or refuse one of another exchange with SchemaMismatchError (D40)."""
    conn.execute("INSERT INTO store_identity (exchange) VALUES (%s) ON CONFLICT DO NOTHING", (identity,))
    row = conn.execute("SELECT exchange FROM store_identity").fetchone()
    if row is None or row[0] != identity:
        have = row[0] if row else "nothing"
        raise SchemaMismatchError(
            f"the database belongs to the exchange {have!r}, this start is for {identity!r}: set another VAR_DIR"
        )
