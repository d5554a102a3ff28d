"""``perpilot emulator``: the emulated exchange as a process of its own."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.conformance import conformance
from packages.common.config import load_settings
from packages.common.errors import PlatformError

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
    admin_port: Annotated[int | None, typer.Option(help="Port for faults and status; off by default.")] = None,
    wall_stamps: Annotated[
        bool, typer.Option("--wall-stamps", help="Accept requests stamped with our time, not only with the market's.")
    ] = False,
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
    try:
        asyncio_run(_serve({k: v for k, v in given.items() if v is not None}, host, port, admin_port, wall_stamps))
    except (PlatformError, OSError) as error:
        typer.echo(f"emulator: {error}", err=True)
        raise typer.Exit(1) from error


def asyncio_run(work: Any) -> None:
    """Run on the faster loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _serve(overrides: dict[str, Any], host: str, port: int, admin_port: int | None, wall_stamps: bool) -> None:
    from dataclasses import replace

    from services.emulator.config import from_settings
    from services.emulator.server import serve_emulator

    settings = load_settings(**{"exchange": "emulator", **overrides})
    config = replace(from_settings(settings), admin_port=admin_port, wall_stamps=wall_stamps)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_emulator(config, host=host, port=port) as served:
        typer.echo(served.banner() + (f", admin at {served.admin_url}" if served.admin_url else ""))
        await stop.wait()
