"""Load HISTORY_DAYS of history: `python -m scripts.bootstrap_history [--days N]`. Goes on where it stopped."""

import argparse
import asyncio
import sys

from packages.common.config import load_settings
from packages.common.errors import PlatformError
from services.collector.entry import load_history

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, help="days of history; HISTORY_DAYS by default")
    arguments = parser.parse_args()
    try:
        print(asyncio.run(load_history(load_settings(), arguments.days)))
    except PlatformError as exc:
        sys.exit(f"{exc.code}: {exc}")
