"""Sync UNIVERSE into ``instruments`` once: `python -m scripts.init_universe`. Needs DATABASE_URL and the exchange."""

import asyncio
import sys

from packages.common.config import load_settings
from packages.common.errors import PlatformError
from services.collector.entry import init_universe

if __name__ == "__main__":
    try:
        print(asyncio.run(init_universe(load_settings())))
    except PlatformError as exc:
        sys.exit(f"{exc.code}: {exc}")
