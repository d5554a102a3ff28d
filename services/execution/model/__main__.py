"""Explore deeper than the tests do: ``python -m services.execution.model --faults 2 --entries 2``."""

import argparse
import sys
from collections.abc import Sequence

from services.execution.model.exchange_model import start
from services.execution.model.explore import PropertyError, explore


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was explored; 1 and the shortest path to it when a property does not hold."""
    parser = argparse.ArgumentParser(prog="python -m services.execution.model", description=__doc__)
    parser.add_argument("--faults", type=int, default=1, help="things that may go wrong on one path (default 1)")
    parser.add_argument("--only", default="", help='faults whose label holds one of these: "crash,timeout"')
    parser.add_argument("--entries", type=int, default=1, help="entries asked for on one path (default 1)")
    parser.add_argument("--qty", type=int, default=2, help="of an entry: 1 is filled at once, 2 in parts (default 2)")
    parser.add_argument("--min-qty", type=int, default=1, help="smallest MARKET order; 2 makes dust (default 1)")
    parser.add_argument("--max-qty", type=int, default=9, help="largest MARKET order (default 9)")
    parser.add_argument("--stages", type=int, default=0, help="parts of 1 on the way to the target (default 0)")
    parser.add_argument("--max-worlds", type=int, default=2_000_000, help="stop there, at about 1 kB each")
    args = parser.parse_args(argv)
    world = start(
        faults=args.faults,
        entries=args.entries,
        qty=args.qty,
        min_qty=args.min_qty,
        max_qty=args.max_qty,
        stages=args.stages,
    )
    try:
        found = explore(world, only=args.only, max_worlds=args.max_worlds)
    except PropertyError as exc:
        print(exc)
        return 1
    whole = "all of them" if found.complete else "not all: property 4 was not judged"
    print(f"{found.worlds} worlds, {found.edges} edges ({whole}); every property held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
