"""What every driver does: read the bench's arrays, warm up, then one round for each line it is sent."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np


def arrays() -> Mapping[str, Any]:
    """The material that the bench wrote for this run."""
    return np.load(sys.argv[1])


def serve(package: str, work: Callable[[], object]) -> None:
    """Answer with the package's version and what the warm-up gave, then with the CPU seconds of each round."""
    answer = work()
    print(json.dumps({"name": f"{package} {version(package)}", "answer": answer}), flush=True)
    for _ in sys.stdin:
        begin = time.process_time()
        work()
        print(json.dumps(time.process_time() - begin), flush=True)
