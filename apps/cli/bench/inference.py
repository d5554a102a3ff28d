"""The compiled forest against ``Booster.predict`` on one thread: ten boosters, the fifty rows of a minute."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.cli.bench.measure import Figure, Plan, at_most, interleave
from packages.common.types import TARGETS
from services.features import schema
from services.inference import forest
from services.inference.predictor import Predictor
from services.labeling.triple_barrier import PRESETS
from services.training.targets import ALL

F64 = NDArray[np.float64]
ROWS = 50
LEAVES = 63
MODEL_ID = "00000000-0000-5000-8000-000000000000"


@functools.cache  # the minute's bench takes the same ones
def boosters(trees: int, rows: int) -> list[str]:
    """LightGBM's texts of the ten targets, learned from noise with some structure; one feature in ten is missing."""
    import lightgbm as lgb

    rng = np.random.default_rng(1)
    x = inputs(rows, rng)
    texts = []
    for name in TARGETS:
        target = ALL[name]
        y = np.nan_to_num(x[:, 0]) + 0.5 * np.abs(np.nan_to_num(x[:, 5])) + rng.standard_normal(rows)
        if target.objective == "binary":
            y = (y > 0).astype(np.float64)
        params: dict[str, Any] = {
            "objective": target.objective,
            "num_leaves": LEAVES,
            "verbosity": -1,
            "num_threads": 1,
        }
        params |= {"min_data_in_leaf": 20, **({"alpha": target.alpha} if target.alpha is not None else {})}
        texts.append(lgb.train(params, lgb.Dataset(x, y), trees).model_to_string())
    return texts


def inputs(n: int, rng: np.random.Generator) -> F64:
    """Model inputs (n, 17), some of the optional ones missing."""
    x = rng.standard_normal((n, len(schema.KEYS)))
    for key in schema.OPTIONAL:
        x[rng.random(n) < 0.1, schema.INDEX[key]] = np.nan
    return x


def predictor(texts: list[str]) -> Predictor:
    """The desk's predictor on these boosters."""
    scaled = np.array([ALL[name].scaled for name in TARGETS])
    return Predictor(MODEL_ID, PRESETS["spec"], forest.parse(texts, len(schema.KEYS)), schema.ATR, scaled)


def measure(plan: Plan) -> Iterator[Figure]:
    """Refuses to rank predictions that differ in a bit."""
    import lightgbm as lgb

    trees = plan.size(500, 60)
    texts = boosters(trees, plan.size(20_000, 3_000))
    product, plain = predictor(texts), [lgb.Booster(model_str=text) for text in texts]
    x = inputs(ROWS, np.random.default_rng(2))

    def reference() -> F64:
        return np.column_stack([np.asarray(b.predict(x, num_threads=1), np.float64) for b in plain])

    assert np.array_equal(product.raw(x), reference()), "the forest is not bit-equal to LightGBM"
    repeat = 10
    took = interleave(
        plan.rounds,
        {
            "product": lambda: [product.predict(x) for _ in range(repeat)],
            "reference": lambda: [reference() for _ in range(repeat)],
        },
    )
    yield at_most(
        *("inference", f"10 models x {trees} trees x {LEAVES} leaves, {ROWS} rows, bit-equal"),
        *(took["product"] / repeat * 1e3, "ms"),
        limit=1.1, ratio=took["product"] / took["reference"],
        reference=f"Booster.predict, one thread, {took['reference'] / repeat * 1e3:.2f} ms",
    )  # fmt: skip
