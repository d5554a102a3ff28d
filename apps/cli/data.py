"""``perpilot data``: history in (from the exchange, from files), what it is worth, and mending its gaps.

Everything here works on the research store and needs no desk; with a desk running its exchange and its tables are used.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.data_show import show_check, show_import, symbol_bars

app = typer.Typer(
    help="History: load it, bring it in, look at it, mend it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Symbols = Annotated[str | None, typer.Option("--symbols", metavar="A,B", help="Symbols, comma-separated.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="Begin, such as 2025-05-01 (UTC).")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="End, exclusive; now when left out.")]
Store = Annotated[str | None, typer.Option("--store", metavar="URL", help="Research store; that of the settings.")]


@app.command()
def bootstrap(
    symbols: Symbols = None,
    days: Annotated[int | None, typer.Option(help="Days of history; HISTORY_DAYS when left out.", min=1)] = None,
    from_: From = None,
    to: To = None,
    to_tables: Annotated[
        bool, typer.Option("--to-tables", help="Also into the tables of the running desk, as a job of it.")
    ] = False,
    parallel: Annotated[int, typer.Option(help="Symbols fetched at once.", min=1, max=16)] = 4,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="With --to-tables: follow the job.")] = True,
    store_url: Store = None,
    as_json: Json = False,
) -> None:
    """Load history from the exchange into the research store, then check it. Goes on where it stopped."""
    from packages.common.config import load_settings
    from services.collector.bootstrap import parse_span

    parse_span(days, from_, to, _FAR, 1)  # bad input is refused before anything is opened
    if to_tables:
        _as_job({"days": days, "from": from_, "to": to, "symbols": _split(symbols)}, wait=wait)
        return
    settings, database_url = _with_desk(load_settings())
    store = _open_store(settings, store_url, settings.identity)
    chosen = _split(symbols) or list(settings.universe)

    async def load() -> tuple[Any, int, int]:
        from services.collector.entry import open_venue
        from services.collector.refill import load_into_store

        async with open_venue(settings) as (venue, _):
            now_ms = await venue.server_time_ms()
            start_ms, end_ms = parse_span(days, from_, to, now_ms - now_ms % 60_000 - 60_000, settings.history_days)
            with symbol_bars("Loading history") as shown:
                found = await load_into_store(
                    venue, store, chosen, start_ms, end_ms, progress=shown.total, on_symbol=shown.symbol,
                    parallel=parallel,
                )  # fmt: skip
            return found, start_ms, end_ms

    loaded, start_ms, end_ms = asyncio.run(load())
    refused = {f"{symbol} {dataset}": why for (dataset, symbol), why in loaded.refused.items()}
    there = [symbol for symbol in chosen if (_CANDLES, symbol) not in loaded.refused]
    found = _check(store, there, _gaps_of_tables(database_url, there), start_ms, end_ms)
    result = {"ok": found["ok"], "rows": loaded.rows, "gaps": len(loaded.gaps), "refused": refused, "check": found}
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        rows = ", ".join(f"{n} {name}" for name, n in sorted(loaded.rows.items())) or "nothing new"
        typer.echo(f"{len(there)} symbols: {rows}; {len(loaded.gaps)} gaps the exchange has no bars for")
        for what, why in refused.items():
            typer.echo(f"not to be had: {what}: {why}")
        show_check(found)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders that are walked.")],
    dataset: Annotated[
        str | None, typer.Option(help="What files are that do not say it: candles_1m, mark_candles_1m, …")
    ] = None,
    last_wins: Annotated[
        bool, typer.Option("--last-wins", help="Of unequal rows of one time the later stays, also over a stored one.")
    ] = False,
    derive_mark: Annotated[
        bool, typer.Option("--derive-mark", help="Mark and index bars out of the last price where there are none.")
    ] = False,
    to_tables: Annotated[
        bool, typer.Option("--to-tables", help="Then into the tables of the running desk what they lack of it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all of it but the writing.")] = False,
    store_url: Store = None,
    as_json: Json = False,
) -> None:
    """Bring files in: the exchange's public archive (zip, CSV), Parquet, CSV; docs/data.md has the columns.

    Exit status 0: all is in; 1: a file was refused, nothing of it is in; 3: all files are in, but rows were set aside.
    """
    from apps.cli.console import bar
    from packages.common.config import load_settings
    from services.collector.importer import import_files, summary
    from services.collector.importer_derive import derive_missing

    settings = load_settings()
    if to_tables:
        _refuse_for_tables(store_url, dry_run=dry_run)
    store = _open_store(settings, store_url, _recorded_identity(settings, store_url), dry_run=dry_run)
    database_url = _database_of_desk(settings) if to_tables else None
    with bar("Importing") as shown:
        report = import_files(
            store, paths, dataset=dataset, last_wins=last_wins, dry_run=dry_run, progress=shown.show
        )  # fmt: skip
    if derive_mark:
        names = sorted({unit.symbol for unit in report.units if unit.dataset == _CANDLES and unit.status != "refused"})
        with bar("Deriving mark and index") as shown:
            for number, symbol in enumerate(names):
                shown.show(number / len(names), symbol)
                report.derived[symbol] = derive_missing(store, symbol, dry_run=dry_run)
    found = summary(report)
    if database_url is not None:
        found["tables"] = _into_tables(settings, database_url, store, report)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_import(found, dry_run=dry_run)
    raise typer.Exit(1 if found["refused"] else 0 if found["ok"] else 3)


@app.command()
def check(
    symbols: Symbols = None,
    from_: From = None,
    to: To = None,
    store_url: Store = None,
    as_json: Json = False,
) -> None:
    """Coverage, gaps, outliers, mark against last, funding of what is stored. Exit status 1 when a symbol is not ok.

    The result is kept in the store as checks/latest.json, gaps in its gap book and in the tables of a running desk.
    """
    from packages.common.config import load_settings

    start_ms, end_ms = _between(from_, to)
    settings, database_url = _with_desk(load_settings())
    store = _open_store(settings, store_url, None)
    database_url = database_url if store_url is None else None
    chosen = _stored_symbols(store, symbols)
    found = _check(store, chosen, _gaps_of_tables(database_url, chosen), start_ms, end_ms)
    _note_gaps(store, found, database_url)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_check(found)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command()
def repair(
    symbols: Symbols = None,
    from_: From = None,
    to: To = None,
    store_url: Store = None,
    as_json: Json = False,
) -> None:
    """Fill gaps inside the stored history from the exchange; what it has not is noted as unavailable (data_gaps)."""
    from packages.common.config import load_settings

    start_ms, end_ms = _between(from_, to)
    settings, database_url = _with_desk(load_settings())
    store = _open_store(settings, store_url, settings.identity)
    chosen = _stored_symbols(store, symbols)

    async def mend() -> dict[str, Any]:
        from services.collector.entry import open_venue
        from services.collector.refill import repair_store

        url = database_url if store_url is None else None
        async with open_venue(settings) as (venue, _), _tables(settings, url) as also:
            with symbol_bars("Repairing") as shown:
                return await repair_store(
                    venue, store, chosen, start_ms or 0, end_ms or _FAR, progress=shown.total, on_symbol=shown.symbol,
                    also=also,
                )  # fmt: skip

    found = asyncio.run(mend())
    left = found["missing_minutes"] - found["repaired_minutes"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(
            f"{found['gaps']} gaps of {found['missing_minutes']} minutes: {found['repaired_minutes']} repaired, "
            f"{left} the exchange has not; {found['settlements']} settlements fetched"
        )
        for symbol, datasets in found["unavailable"].items():
            typer.echo(f"  {symbol}: " + ", ".join(f"{n} {name}" for name, n in datasets.items()))
    raise typer.Exit(0 if left == 0 else 1)


# --- stores and desks -----------------------------------------------------------------------------------------------

_CANDLES = "candles_1m"
_FAR = 4_102_444_800_000  # 2100


def _between(from_: str | None, to: str | None) -> tuple[int | None, int | None]:
    """``--from`` and ``--to`` in epoch milliseconds, the end exclusive; None where nothing was said."""
    from packages.common.errors import InvalidInputError
    from services.collector.bootstrap import parse_instant

    start_ms, end_ms = parse_instant("from", from_) if from_ else None, parse_instant("to", to) if to else None
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise InvalidInputError("to", to, f"later than --from {from_}")
    return start_ms, end_ms


def _split(symbols: str | None) -> list[str]:
    from packages.common.symbol_map import validate_internal

    chosen = [symbol.strip() for symbol in (symbols or "").split(",") if symbol.strip()]
    for symbol in chosen:
        validate_internal(symbol)
    return list(dict.fromkeys(chosen))


def _refuse_for_tables(store_url: str | None, *, dry_run: bool) -> None:
    from packages.common.errors import InvalidInputError

    if store_url is not None:
        raise InvalidInputError("--to-tables", store_url, "no --store: a desk's tables hold what its own store holds")
    if dry_run:
        raise InvalidInputError("--to-tables", "--dry-run", "one of the two")


def _database_of_desk(settings: Any) -> str:
    from packages.common.errors import InvalidInputError

    _, database_url = _with_desk(settings)
    if database_url is None:
        raise InvalidInputError("--to-tables", str(settings.var_dir), f"a running desk of {settings.identity} in it")
    return database_url


def _into_tables(settings: Any, database_url: str, store: Any, report: Any) -> dict[str, int]:
    """New rows by table; series of symbols the desk does not know are refused before any row of them is loaded."""
    from apps.cli.console import bar
    from apps.cli.data_tables import load_tables, require_known
    from packages.common.db import connect

    series = {(unit.dataset, unit.symbol) for unit in report.units if unit.status != "refused"}
    series |= {(dataset, symbol) for symbol in report.derived for dataset in ("mark_candles_1m", "index_candles_1m")}
    with connect(database_url, autocommit=True) as conn, bar("Into the tables") as shown:
        require_known(conn, {symbol for _, symbol in series})
        return load_tables(conn, store, series, keep_days=settings.retention_days, progress=shown.show)


def _with_desk(settings: Any) -> tuple[Any, str | None]:
    """Settings with the addresses of the desk that runs in VAR_DIR, if one does, and its database."""
    from apps.cli import desk

    running = desk.read(settings.var_dir.resolve())
    if running is None or not running.alive() or running.identity != settings.identity:
        return settings, None
    urls = {"exchange_rest_url": running.exchange_rest_url, "exchange_ws_url": running.exchange_ws_url}
    return settings.model_copy(update={name: url for name, url in urls.items() if url}), running.database_url


def _open_store(settings: Any, url: str | None, identity: str | None, *, dry_run: bool = False) -> Any:
    from packages.common.store import ResearchStore

    address = url or settings.store
    store = ResearchStore(address if "://" in address else f"file://{Path(address).resolve()}")
    if identity is not None and not dry_run:
        store.ensure_identity(identity)
    return store


def _recorded_identity(settings: Any, store_url: str | None) -> str:
    """Whose history files of the archive are: never a generated market's (D40)."""
    from packages.common.errors import InvalidInputError

    if settings.exchange != "emulator" or settings.market != "generated":
        return str(settings.identity)
    if store_url is None:
        raise InvalidInputError(
            "EXCHANGE", "emulator",
            "EXCHANGE=binance, or --store URL for a store of its own: this one is of a generated market (D40)",
        )  # fmt: skip
    return "binance:public"


def _stored_symbols(store: Any, symbols: str | None) -> list[str]:
    from packages.common.errors import InvalidInputError
    from services.training.market import VERSION

    there = sorted({*store.symbols(_CANDLES, VERSION), *store.symbols("mark_candles_1m", VERSION)})
    chosen = _split(symbols)
    for symbol in chosen:
        if symbol not in there:
            raise InvalidInputError("--symbols", symbol, f"symbols of the store: {', '.join(there) or 'it has none'}")
    if not there:
        raise InvalidInputError("store", "no bars", "history: `perpilot data bootstrap` or `perpilot data import`")
    return chosen or there


def _as_job(config: Mapping[str, Any], *, wait: bool) -> None:
    from apps.cli import desk
    from apps.cli.follow import follow
    from apps.cli.jobs import enqueue
    from packages.common.config import load_settings

    settings = load_settings()
    running = desk.require_running(settings.var_dir.resolve())
    addresses = {name: getattr(running, name) for name in ("database_url", "redis_url", "api_port")}
    given = {name: value for name, value in config.items() if value}
    job_id = enqueue(
        "bootstrap_history",
        given if "days" in given or "from" in given or "to" in given else given | {"days": settings.history_days},
        settings=settings.model_copy(update=addresses),
    )
    typer.echo(job_id)
    if wait:
        follow(running.database_url, job_id, "Loading history")


@asynccontextmanager
async def _tables(settings: Any, database_url: str | None) -> AsyncIterator[Any]:
    """The desk's tables as a sink, None without a desk."""
    if database_url is None:
        yield None
        return
    from packages.common.writer import BatchWriter
    from services.collector.adapters.postgres import PostgresSink

    writer = BatchWriter(database_url, settings.var_dir / "spill" / "data", flush_interval_ms=50)
    async with writer, PostgresSink(database_url, writer) as sink:
        yield sink


# --- checking -------------------------------------------------------------------------------------------------------

Known = Mapping[str, Mapping[str, Sequence[tuple[int, int]]]]


def _check(
    store: Any, symbols: Sequence[str], known: Known, start_ms: int | None, end_ms: int | None
) -> dict[str, Any]:
    from apps.cli.console import bar
    from services.collector.adapters.store import read_gaps
    from services.collector.check import check as check_all
    from services.training.market import FUNDING, VERSION

    def read(dataset: str, symbol: str, columns: Sequence[str]) -> Any:
        # a settlement at the end belongs to the last bar, which closes with it
        stop_ms = end_ms + 1 if end_ms is not None and dataset == FUNDING else end_ms
        return store.read(dataset, VERSION, symbol, columns, from_ts_ms=start_ms, to_ts_ms=stop_ms)

    def unavailable(symbol: str) -> dict[str, list[tuple[int, int]]]:
        spans = {dataset: list(found) for dataset, found in known.get(symbol, {}).items()}
        for gap in read_gaps(store, symbol):
            span = (gap["from_ts"], gap["to_ts"])
            if gap["status"] == "unavailable" and span not in spans.setdefault(gap["dataset"], []):
                spans[gap["dataset"]].append(span)
        return spans

    with bar("Checking") as shown:
        found = check_all(read, symbols, unavailable=unavailable, progress=shown.show)
    store.put_object("checks/latest.json", json.dumps(found, indent=1).encode())
    return found


def _gaps_of_tables(database_url: str | None, symbols: Sequence[str]) -> Known:
    """Unavailable minutes by symbol and dataset, as the desk's tables know them."""
    if database_url is None:
        return {}
    from packages.common.db import connect
    from packages.common.time import from_datetime

    found: dict[str, dict[str, list[tuple[int, int]]]] = {}
    with connect(database_url, autocommit=True) as conn:
        query = (
            "SELECT symbol, dataset, from_ts, to_ts FROM data_gaps WHERE status = 'unavailable' AND symbol = ANY(%s)"
        )
        for symbol, dataset, first, last in conn.execute(query, (list(symbols),)):
            spans = found.setdefault(symbol, {}).setdefault(dataset, [])
            spans.append((from_datetime(first), from_datetime(last)))
    return found


def _note_gaps(store: Any, found: Mapping[str, Any], database_url: str | None) -> None:
    """Gaps nobody knew into the gap book, and into ``data_gaps`` of the desk."""
    from packages.common.db import connect
    from packages.common.time import MINUTE_MS, to_datetime
    from services.collector.adapters.store import add_gaps, read_gaps
    from services.collector.bootstrap import parse_instant

    rows = []
    for symbol, part in found["symbols"].items():
        known = {(gap["dataset"], gap["from_ts"]) for gap in read_gaps(store, symbol)}
        for name, dataset in (("candles", _CANDLES), ("mark", "mark_candles_1m")):
            if not part[name]["bars"]:
                continue
            for gap in part[name]["gap_list"]:
                first, last = parse_instant("from", gap["from"]), parse_instant("to", gap["to"])
                if (dataset, first) not in known:
                    # Market time is the newest that is known here: there is no other clock.
                    found_at = parse_instant("last", part["candles"]["last"]) + MINUTE_MS
                    rows.append(
                        {
                            "symbol": symbol, "dataset": dataset, "from_ts": first, "to_ts": last,
                            "missing_bars": gap["minutes"], "found_at": found_at, "repaired_at": None,
                            "repaired_bars": 0, "source": "check", "status": "open",
                        }
                    )  # fmt: skip
    add_gaps(store, rows)
    if database_url is None or not rows:
        return
    times = [row | {name: to_datetime(row[name]) for name in ("from_ts", "to_ts", "found_at")} for row in rows]
    with connect(database_url, autocommit=True) as conn, conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO data_gaps (symbol, dataset, from_ts, to_ts, missing_bars, found_at, source, status) "
            "SELECT %(symbol)s, %(dataset)s, %(from_ts)s, %(to_ts)s, %(missing_bars)s, %(found_at)s, %(source)s, "
            "%(status)s WHERE EXISTS (SELECT FROM instruments WHERE symbol = %(symbol)s) ON CONFLICT DO NOTHING",
            times,
        )
