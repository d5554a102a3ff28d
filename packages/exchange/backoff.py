"""How long to wait before trying again."""

import numpy as np


def backoff_s(attempt: int, first_s: float, longest_s: float, rng: np.random.Generator) -> float:
    """Wall seconds before try number ``attempt + 1``: doubling from ``first_s``, with jitter in the upper half."""
    ceiling = min(longest_s, first_s * 2.0 ** min(max(attempt - 1, 0), 20))
    return ceiling * (0.5 + 0.5 * float(rng.random()))
