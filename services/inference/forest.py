"""A compiled forest that gives LightGBM's predictions to the last bit, faster on the few rows of a minute.

Rows walk a tree in lock step, eight at a time, without a branch that depends on data: the next node is
``child[2·node + not (x <= threshold)]`` and a leaf leads to itself. All rows of a minute take a tree before the next
one is fetched: the trees of ten models are larger than the caches near a core, and have left them since the minute
before. Leaf values are added tree by tree from zero, the order of LightGBM (``GBDT::PredictRaw``), so sums round alike.
A missing value takes LightGBM's way (``Tree::NumericalDecision``): read as 0 where the node knows no missing values,
else sent to the node's default side: left by a copy of the column in which NaN is −inf, right because NaN fails the
comparison, also against the threshold +inf that LightGBM writes where a split only tells missing values from the rest.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import SchemaMismatchError
from packages.common.jit import kernel

_AS_ZERO, _LEFT, _RIGHT = 0, 1, 2  # the three copies of every input column, one per way of a missing value
_LANES = 8
_BLOCK = 64  # rows that a tree sees in one go, while it lies in the nearest cache


class Forest(NamedTuple):
    """All boosters of a package, flattened. Node arrays hold inner nodes and leaves of all trees."""

    threshold: NDArray[np.float64]  # (nodes,); at a leaf its value
    column: NDArray[np.int32]  # (nodes,) of the tripled inputs
    child: NDArray[np.int32]  # (2·nodes,) left, right; a leaf's children are itself
    root: NDArray[np.int32]  # (trees,)
    depth: NDArray[np.int32]  # (trees,) steps that bring any row to a leaf
    first_tree: NDArray[np.int32]  # (boosters + 1,)
    sigmoid: NDArray[np.float64]  # (boosters,); 0 where the output is the raw sum


def parse(texts: list[str], n_inputs: int) -> Forest:
    """Read LightGBM's text models. ``SchemaMismatchError`` on what this release does not train: other widths,
    categorical or linear splits, zero as missing, several outputs, unknown objectives."""
    nodes: list[tuple[float, int, int, int]] = []
    roots: list[int] = []
    depths: list[int] = []
    first = [0]
    sigmoids = []
    for text in texts:
        header, *blocks = text.split("\nTree=")
        head = _fields(header)
        if int(head["max_feature_idx"]) + 1 != n_inputs or head["num_tree_per_iteration"] != "1":
            raise SchemaMismatchError(
                f"booster: {int(head['max_feature_idx']) + 1} inputs, expected {n_inputs}, one output"
            )
        sigmoids.append(_sigmoid(head["objective"]))
        for block in blocks:
            roots.append(len(nodes))
            depths.append(_append_tree(nodes, _fields(block.split("\nend of trees")[0]), n_inputs))
        first.append(len(roots))
    table = np.array(nodes, np.float64).reshape(-1, 4)
    return Forest(
        np.ascontiguousarray(table[:, 0]),
        table[:, 1].astype(np.int32),
        np.ascontiguousarray(table[:, 2:]).astype(np.int32).ravel(),
        np.array(roots, np.int32),
        np.array(depths, np.int32),
        np.array(first, np.int32),
        np.array(sigmoids),
    )


@kernel
def predict(forest: Forest, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outputs of all boosters, shape (n, boosters), for ``inputs`` (n, inputs). NaN is a missing value."""
    n, width = inputs.shape
    padded = (n + _LANES - 1) // _LANES * _LANES
    x = np.zeros((padded, 3 * width))
    for i in range(n):
        for f in range(width):
            value = inputs[i, f]
            missing = math.isnan(value)
            x[i, f] = 0.0 if missing else value
            x[i, width + f] = -math.inf if missing else value
            x[i, 2 * width + f] = value
    n_boosters = forest.first_tree.size - 1
    out = np.zeros((padded, n_boosters))
    for block in range(0, padded, _BLOCK):
        for b in range(n_boosters):
            for t in range(forest.first_tree[b], forest.first_tree[b + 1]):
                for start in range(block, min(block + _BLOCK, padded), _LANES):
                    _add_tree(forest, t, x, start, out[:, b])
            k = forest.sigmoid[b]
            if k != 0.0:
                for i in range(block, min(block + _BLOCK, padded)):
                    out[i, b] = 1.0 / (1.0 + math.exp(-k * out[i, b]))
    return out[:n].copy()


@kernel
def _add_tree(forest: Forest, tree: int, x: NDArray[np.float64], start: int, sums: NDArray[np.float64]) -> None:
    """Add what ``tree`` says of the rows from ``start`` on to their sums."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = forest.root[tree]
    for _ in range(forest.depth[tree]):
        a0 = _next(forest, x, start, a0)
        a1 = _next(forest, x, start + 1, a1)
        a2 = _next(forest, x, start + 2, a2)
        a3 = _next(forest, x, start + 3, a3)
        a4 = _next(forest, x, start + 4, a4)
        a5 = _next(forest, x, start + 5, a5)
        a6 = _next(forest, x, start + 6, a6)
        a7 = _next(forest, x, start + 7, a7)
    value = forest.threshold
    sums[start] += value[a0]
    sums[start + 1] += value[a1]
    sums[start + 2] += value[a2]
    sums[start + 3] += value[a3]
    sums[start + 4] += value[a4]
    sums[start + 5] += value[a5]
    sums[start + 6] += value[a6]
    sums[start + 7] += value[a7]


@kernel
def _next(forest: Forest, x: NDArray[np.float64], row: int, node: int) -> int:
    right = not (x[row, forest.column[node]] <= forest.threshold[node])
    return int(forest.child[2 * node + right])


def _append_tree(nodes: list[tuple[float, int, int, int]], tree: dict[str, str], width: int) -> int:
    """Add one tree's nodes, return the longest way from its root to a leaf."""
    if tree["num_cat"] != "0" or tree.get("is_linear", "0") != "0":
        raise SchemaMismatchError("booster: categorical or linear trees, expected plain numerical ones")
    base, leaves = len(nodes), [float(v) for v in tree["leaf_value"].split()]
    inner = int(tree["num_leaves"]) - 1
    left, right = ([int(v) for v in tree.get(f"{side}_child", "").split()] for side in ("left", "right"))

    def place(child: int) -> int:
        return base + (child if child >= 0 else inner + ~child)

    if inner:
        features, kinds = ([int(v) for v in tree[name].split()] for name in ("split_feature", "decision_type"))
        thresholds = [float(v) for v in tree["threshold"].split()]
        for i in range(inner):
            nodes.append((thresholds[i], features[i] + width * _copy(kinds[i]), place(left[i]), place(right[i])))
    for i, value in enumerate(leaves):
        nodes.append((value, 0, base + inner + i, base + inner + i))
    depth = [0] * max(inner, 1)
    deepest = 0
    for i in range(inner):  # children come after their parents in LightGBM's numbering
        for child in (left[i], right[i]):
            deepest = max(deepest, depth[i] + 1)
            if child >= 0:
                depth[child] = depth[i] + 1
    return deepest


def _copy(decision_type: int) -> int:
    """Which copy of the column a node reads, from LightGBM's bits: 1 categorical, 2 default left, 4·kind of missing."""
    missing = decision_type >> 2 & 3
    if decision_type & 1 or missing == 1:
        raise SchemaMismatchError(f"booster: decision type {decision_type}, expected numerical with NaN as missing")
    if missing == 0:
        return _AS_ZERO
    return _LEFT if decision_type & 2 else _RIGHT


def _sigmoid(objective: str) -> float:
    name, *options = objective.split()
    if name in ("regression", "quantile"):
        return 0.0
    if name == "binary":
        return float(next((o.split(":")[1] for o in options if o.startswith("sigmoid:")), "1"))
    raise SchemaMismatchError(f"booster: objective {objective!r}, expected regression, quantile or binary")


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def warm() -> None:
    """Compile, or load from disk, what a minute needs."""
    i32 = np.int32
    stump = Forest(
        np.zeros(1), np.zeros(1, i32), np.zeros(2, i32), np.zeros(1, i32), np.zeros(1, i32),
        np.array([0, 1], i32), np.zeros(1),
    )  # fmt: skip
    predict(stump, np.zeros((1, 1)))
