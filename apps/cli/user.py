"""``perpilot user``: who may sign in, straight in the database of the desk, which may run or not.

Whoever may run this owns the machine: it asks for no password, and it is the way back in for who lost his.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import psycopg
import typer
from psycopg.rows import dict_row

from apps.api.auth import accounts, sessions
from apps.api.auth.policy import Role, Scope
from apps.api.db import Connection
from apps.cli import api, desk, report
from apps.cli.ports import free_port
from apps.cli.postgres import STOP_SIGNAL, Postgres
from packages.common import migrate
from packages.common.config import Settings, load_settings
from packages.common.db import first_line
from packages.common.errors import StoreUnavailableError

T = TypeVar("T")
app = typer.Typer(
    name="user",
    help="Who may sign in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Of the user.")]


@app.command("list")
def list_users(as_json: Json = False) -> None:
    """All users: role, what they sign in with, and how many browsers are."""
    rows = _ask(accounts.users)
    report.table([_shown(row) for row in rows], as_json=as_json)


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user is trusted with.")] = Role.VIEWER,
) -> None:
    """Add a user; prints the one-time link to sign in with."""
    with _database() as (url, base):
        token = _do(url, lambda conn: accounts.add_user(conn, name, role, actor=api.ACTOR))
        typer.echo(accounts.link(base, token))


@app.command()
def link(name: Name) -> None:
    """Print a new one-time link, good for 24 hours; an earlier one ends. It sets a new password."""
    with _database() as (url, base):
        token = _do(url, lambda conn: accounts.new_link(conn, name, actor=api.ACTOR))
        typer.echo(accounts.link(base, token))


@app.command("role")
def change_role(name: Name, role: Role) -> None:
    """Trust a user with more or less; he signs in again."""
    _ask(lambda conn: accounts.change_user(conn, name, role=role, actor=api.ACTOR))
    typer.echo(f"{name} is {role}")


@app.command()
def disable(name: Name) -> None:
    """Let a user in no more; his sessions and tokens end."""
    _ask(lambda conn: accounts.change_user(conn, name, disabled=True, actor=api.ACTOR))
    typer.echo(f"{name} is disabled")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled user in again."""
    _ask(lambda conn: accounts.change_user(conn, name, disabled=False, actor=api.ACTOR))
    typer.echo(f"{name} is enabled")


@app.command("reset-totp")
def reset_totp(name: Name) -> None:
    """Take a lost second factor away; his sessions end."""
    _ask(lambda conn: accounts.reset_totp(conn, name, actor=api.ACTOR))
    typer.echo(f"{name} has no second factor")


@app.command("sessions")
def list_sessions(name: Name, as_json: Json = False) -> None:
    """Where a user is signed in."""
    rows = _ask(_of_user(name, accounts.sessions))
    report.table([_shown(row) for row in rows], as_json=as_json)


@app.command("end-sessions")
def end_sessions(name: Name) -> None:
    """Sign a user out everywhere."""
    typer.echo(f"{_ask(lambda conn: accounts.sign_out(conn, name, actor=api.ACTOR))} ended")


@app.command("tokens")
def list_tokens(name: Name, as_json: Json = False) -> None:
    """API tokens of a user."""
    rows = _ask(_of_user(name, accounts.tokens))
    report.table([_shown(row) for row in rows], as_json=as_json)


@app.command("add-token")
def add_token(
    name: Name,
    label: Annotated[str, typer.Argument(help="What the token is for.")],
    role: Annotated[Role, typer.Option(help="At most the user's own.")] = Role.VIEWER,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="Of its role by default; may be given several times.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=accounts.TOKEN_DAYS_MAX, help="How long it counts.")] = 90,
) -> None:
    """A token for a script of the user; shown once, and sent as `Authorization: Bearer …`."""
    made = _ask(lambda conn: accounts.add_token(conn, name, label, role, scope, days, actor=api.ACTOR))
    typer.echo(made[1])


@app.command("end-token")
def end_token(name: Name, token_id: Annotated[int, typer.Argument(min=1)]) -> None:
    """Let a token count no more."""

    async def end(conn: Connection) -> None:
        await accounts.end_token(conn, (await accounts.user(conn, name))["user_id"], token_id, actor=api.ACTOR)

    _ask(end)
    typer.echo("ended")


# --- for `up` ---------------------------------------------------------------------------------------------------------


def prepare(url: str, var_dir: Path, base: str, *, demo: bool) -> str | None:
    """Before the API starts: a new token for the command line, the first admin where there is nobody, and the one-time
    link to open: on a demo each time, elsewhere while nobody could sign in with a password.
    """

    async def made(conn: Connection) -> tuple[str, str | None]:
        token = await accounts.local_token(conn)
        admin = await accounts.first_admin(conn)
        if admin is None or not (demo or not await accounts.password_held(conn)):
            return token, None
        return token, accounts.link(base, await accounts.new_link(conn, admin, actor="system"))

    token, found = _do(url, made)
    api.write_token(var_dir, token)
    return found


def unused(url: str, found: str) -> bool:
    """Whether nobody has used the link yet."""
    key = sessions.digest(found.partition("#link=")[2])

    async def look(conn: Connection) -> bool:
        query = "SELECT 1 FROM login_links WHERE token_hash = %s"
        return await (await conn.execute(query, (key,))).fetchone() is not None

    return _do(url, look)


# --- the database -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _database() -> Iterator[tuple[str, str]]:
    """(its URL, the desk's address). Of a stopped desk the server is started for as long as this takes."""
    settings = load_settings()
    var_dir = settings.var_dir.resolve()
    running = desk.read(var_dir)
    if running is not None and running.alive():
        yield running.database_url, running.url
    elif settings.database_url:
        yield settings.database_url, _base(settings)
    elif (var_dir / "postgres" / "data" / "PG_VERSION").exists():
        with desk.lock(var_dir):
            if running is not None:
                desk.end_orphans(running)
            with _started(Postgres(var_dir / "postgres", free_port())) as url:
                migrate.upgrade(url)
                yield url, _base(settings)
    else:
        raise desk.NoDeskError(f"there is no desk in {var_dir}: `perpilot up` makes one")


@contextlib.contextmanager
def _started(server: Postgres) -> Iterator[str]:
    server.prepare()
    process = server.popen(subprocess.DEVNULL)
    try:
        server.wait_ready(process)
        yield server.url
    finally:
        process.send_signal(STOP_SIGNAL)
        process.wait(30)


def _base(settings: Settings) -> str:
    host = settings.api_host if settings.api_host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"


def _ask(work: Callable[[Connection], Awaitable[T]]) -> T:
    with _database() as (url, _):
        return _do(url, work)


def _do(url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        options = "-c timezone=UTC -c statement_timeout=10000"
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, row_factory=dict_row, options=options, connect_timeout=10
        ) as conn:
            return await work(conn)

    try:
        return asyncio.run(run())
    except psycopg.errors.UndefinedTable as exc:
        raise StoreUnavailableError("the database is not migrated to this version: `perpilot up` does that") from exc
    except psycopg.OperationalError as exc:
        raise StoreUnavailableError(f"the database does not answer: {first_line(exc)}") from exc


def _of_user(
    name: str, read: Callable[[Connection, Any], Awaitable[list[dict[str, Any]]]]
) -> Callable[[Connection], Awaitable[list[dict[str, Any]]]]:
    async def work(conn: Connection) -> list[dict[str, Any]]:
        return await read(conn, (await accounts.user(conn, name))["user_id"])

    return work


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """As a table shows it: times to the second, no internal id."""
    return {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "user_id"
    }
