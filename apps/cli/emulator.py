"""``perpilot emulator``: the emulated exchange as a process of its own."""

import asyncio
import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.conformance import conformance
from packages.common.config import load_settings
from packages.common.errors import InvalidInputError, PlatformError

app = typer.Typer(help="The emulated exchange.", no_args_is_help=True)


app.command()(conformance)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8070,
    market: Annotated[str | None, typer.Option(help='"generated", or a folder of recorded 1m bars.')] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated market.")] = None,
    speed: Annotated[str | None, typer.Option(help='Market time per wall time, or "max".')] = None,
    mark_updates: Annotated[int | None, typer.Option(help="Mark prices a minute, 4 to 60.")] = None,
    kline_updates: Annotated[int | None, typer.Option(help="Candle pushes a minute, 1 to 240.")] = None,
    planted_alpha: Annotated[float | None, typer.Option(help="Predictable share of variance, 0 to 1.")] = None,
    history_days: Annotated[int | None, typer.Option(help="Days of history before the first live minute.")] = None,
    market_start: Annotated[datetime | None, typer.Option(help="Start of the market (UTC).")] = None,
    universe: Annotated[str | None, typer.Option(help="Symbols, comma-separated.")] = None,
    var_dir: Annotated[Path | None, typer.Option(help="Folder that keeps the market's position.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Keep no state: a restart begins anew.")] = False,
    weight: Annotated[int | None, typer.Option(help="Request weight of an address in a minute.", min=1)] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port for faults and status; off by default.")] = None,
    wall_stamps: Annotated[
        bool, typer.Option("--wall-stamps", help="Accept requests stamped with our time, not only with the market's.")
    ] = False,
    api_key: Annotated[
        str | None, typer.Option(envvar="EMULATOR_API_KEY", help="The account's key, instead of the test key.")
    ] = None,
    api_secret: Annotated[
        str | None, typer.Option(envvar="EMULATOR_API_SECRET", help="Its secret, for HMAC-SHA256.")
    ] = None,
    public_key: Annotated[Path | None, typer.Option(help="Its Ed25519 public key, a PEM file.")] = None,
    balance: Annotated[str, typer.Option(help="USDT the account starts with.")] = "10000",
    switch: Annotated[
        list[str] | None, typer.Option(help='Behaviour of the exchange, "name=value"; may be repeated.')
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="JSON file: a list of faults to start with.")] = None,
) -> None:
    """Serve the exchange until interrupted. Options override the settings of the environment."""
    given = {
        "market": market,
        "seed": seed,
        "speed": speed,
        "mark_updates": mark_updates,
        "kline_updates": kline_updates,
        "planted_alpha": planted_alpha,
        "history_days": history_days,
        "market_start": market_start,
        "universe": universe,
        "var_dir": var_dir,
    }
    overrides = {name: value for name, value in given.items() if value is not None}
    try:
        trading: dict[str, Any] = {"state_dir": None} if forget else {}
        trading |= {"weight_per_minute": weight} if weight is not None else {}
        trading |= {
            "admin_port": admin_port, "wall_stamps": wall_stamps, "switches": _switches(switch or []),
            "keys": (_key(api_key, api_secret, public_key, balance),),
        }  # fmt: skip
        asyncio_run(_serve(overrides, trading, host, port, _plan(faults)))
    except (PlatformError, OSError) as error:
        typer.echo(f"emulator: {error}", err=True)
        raise typer.Exit(1) from error


def _key(key: str | None, secret: str | None, public_key: Path | None, balance: str) -> Any:
    """The one key of the account ``main``."""
    from decimal import Decimal, InvalidOperation

    from services.emulator.keys import TEST_KEY, ApiKey

    try:
        deposit = Decimal(balance)
    except InvalidOperation:
        deposit = Decimal(-1)
    if not (deposit.is_finite() and deposit >= 0):
        raise InvalidInputError("balance", balance, "an amount of USDT")
    if key is None and secret is None and public_key is None:
        return ApiKey(TEST_KEY.key, TEST_KEY.secret, deposit=deposit)
    if key is None or (secret is None) == (public_key is None):
        raise InvalidInputError("api-key", None, "a key with either --api-secret or --public-key")
    return ApiKey(key, secret or (public_key.read_text().strip() if public_key else ""), deposit=deposit)


def _switches(given: list[str]) -> Any:
    """Switches by ``name=value``, each value read as the type of its default."""
    from dataclasses import asdict

    from services.emulator.venue.switches import Switches

    defaults = asdict(Switches())
    found: dict[str, object] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in defaults:
            raise InvalidInputError("switch", text, "name=value, the name one of " + ", ".join(defaults))
        match defaults[name]:
            case bool():
                found[name] = {"true": True, "false": False}.get(value, value)
            case int():
                found[name] = int(value) if value.isdigit() else value
            case _:
                found[name] = value
    return Switches().changed(found)


def _plan(path: Path | None) -> list[dict[str, Any]]:
    """The faults of a file; their times may count from the start."""
    if path is None:
        return []
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InvalidInputError("faults", str(path), "a JSON list of faults")
    return found


def asyncio_run(work: Any) -> None:
    """Run on the faster loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _serve(
    overrides: dict[str, Any], trading: dict[str, Any], host: str, port: int, plan: list[dict[str, Any]]
) -> None:
    from dataclasses import replace

    from services.emulator.config import from_settings
    from services.emulator.faults import Fault
    from services.emulator.server import serve_emulator

    settings = load_settings(**{"exchange": "emulator", **overrides})
    config = replace(from_settings(settings), **trading)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_emulator(config, host=host, port=port) as served:
        if plan and not served.faults.plan:  # one that was saved goes on, with its counts
            for row in [Fault.from_json(row, served.clock.now_ms()) for row in plan]:
                served.faults.add(row)
            served.trading.changed()
        typer.echo(served.banner() + (f", admin at {served.admin_url}" if served.admin_url else ""))
        await stop.wait()
