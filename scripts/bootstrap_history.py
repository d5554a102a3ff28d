"""Load history into the tables: `python -m scripts.bootstrap_history [--days N | --from D --to D] [--symbols A,B]`.

Goes on where it stopped. `perpilot data bootstrap` does the same for the research store.
"""

import argparse
import asyncio
import sys

from packages.common.config import load_settings
from packages.common.errors import PlatformError
from services.collector.entry import load_history

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, help="days of history; HISTORY_DAYS by default")
    parser.add_argument("--from", dest="from_", metavar="DATE", help="first day, such as 2025-05-01 (UTC)")
    parser.add_argument("--to", metavar="DATE", help="end, exclusive; now by default")
    parser.add_argument("--symbols", default="", help="symbols, comma-separated; UNIVERSE by default")
    given = parser.parse_args()
    chosen = [symbol.strip() for symbol in given.symbols.split(",") if symbol.strip()]
    try:
        work = load_history(load_settings(), given.days, from_=given.from_, to=given.to, symbols=chosen)
        print(asyncio.run(work))
    except PlatformError as exc:
        sys.exit(f"{exc.code}: {exc}")
