"""The research store against pyarrow on the same files: fifty symbols of OHLCV into arrays."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from apps.cli.bench import material
from apps.cli.bench.measure import Figure, Plan, at_most, interleave
from packages.common.store import ResearchStore

COLUMNS = ("open", "high", "low", "close", "volume")


def measure(plan: Plan) -> Iterator[Figure]:
    """Prices on ticks, as an exchange has them; the files are in the page cache for both."""
    n, symbols = plan.size(material.YEAR, material.MONTH), material.names(plan.size(50, 10))
    rows = material.bars(n, 1)
    columns = {name: np.round(rows[:, i], 3) for i, name in enumerate(COLUMNS, start=1)}
    with tempfile.TemporaryDirectory() as folder:
        store = ResearchStore(f"file://{folder}")
        for symbol in symbols:
            store.write("candles_1m", "v1", symbol, {"ts": material.times(n), **columns})
        files = sorted(Path(folder).rglob("*.parquet"))

        def product() -> int:
            return sum(store.read("candles_1m", "v1", symbol, COLUMNS)["ts"].size for symbol in symbols)

        def reference() -> int:
            names = ["ts", *COLUMNS]
            return sum(pq.read_table(file, columns=names, use_threads=False).num_rows for file in files)

        assert product() == reference() == n * len(symbols)
        took = interleave(plan.rounds, {"product": product, "reference": reference})
    yield at_most(
        *("store", f"read {len(symbols)} symbols x {n:,} bars of OHLCV into arrays", took["product"], "s"),
        limit=2.0, reference=f"pyarrow.parquet.read_table, {took['reference']:.2f} s",
        ratio=took["product"] / took["reference"],
    )  # fmt: skip
