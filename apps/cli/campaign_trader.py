"""The trader of the kill campaign as a process: enters brackets until it is killed, or told (SIGTERM) to become flat.

It says ``ready`` when it has recovered and ``flat`` when nothing is open any more. Rows go to a file that a kill cannot
lose, and what was not booked by its predecessor is read from there.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from apps.cli.campaign import Address, Entrants, flat, floor
from apps.cli.campaign_books import Kept

FLAT_S = 90.0
_MANY = 10**9


async def work(told: dict[str, Any]) -> bool:
    """One life; True when it ended flat."""
    folder, symbols = Path(told["folder"]), tuple(told["symbols"])
    kept, stop = Kept(folder / "rows.ndjson"), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin, os._exit, 2)  # nothing is ever said there: it ends with whoever started us
    at = Address(told["rest_url"], told["ws_url"])
    async with floor(at, folder / "journal.ndjson", kept, symbols, told["seed"], told["speed"]) as found:
        entrants = Entrants(found, symbols, told["seed"], _MANY, life=told["life"])
        entering = asyncio.create_task(entrants.run())
        while not found.trader.ready and not stop.is_set():  # noqa: ASYNC110 - it is a state, nobody tells of it
            await asyncio.sleep(0.02)
        print("ready", flush=True)
        await asyncio.wait({entering, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if entering.done():
            entering.result()
        entering.cancel()
        with suppress(asyncio.CancelledError):
            await entering
        done = await flat(found, FLAT_S)
    print("flat" if done else "not flat", flush=True)
    return done


def main() -> int:
    """One life, told of on stdout, logged in the campaign's folder."""
    told = json.loads(sys.argv[1])
    with (Path(told["folder"]) / "trader.log").open("a", buffering=1) as file:
        file.write(f"--- life {told['life']}\n")
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file), cache_logger_on_first_use=True)
        return 0 if asyncio.run(work(told)) else 1


if __name__ == "__main__":
    sys.exit(main())
