"""``python -m apps.worker_batch worker|scheduler``: the two batch processes."""

import logging
import os
import sys
from collections.abc import Sequence

# Before anything that brings a thread pool: a training child uses two cores at most, a data child one.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from packages.common.config import load_settings
from packages.common.errors import PlatformError

POOL_SIZE = 2


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; returns the exit status."""
    if list(arguments) not in (["worker"], ["scheduler"]):
        print("usage: python -m apps.worker_batch worker|scheduler", file=sys.stderr)
        return 2
    try:
        settings = load_settings()
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
        if arguments[0] == "scheduler":
            from apps.worker_batch.scheduler import run

            return run(settings)
        from apps.worker_batch.worker import run_worker

        return run_worker(settings, POOL_SIZE)
    except PlatformError as exc:
        print(f"{exc.code}: {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
