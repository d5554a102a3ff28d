"""ml4t-engineer: triple-barrier labels of every bar, long and short, barriers in units of the bar's ATR."""

import polars as pl
from ml4t.engineer.config import LabelingConfig
from ml4t.engineer.labeling import triple_barrier_labels
from rounds import arrays, serve

data = arrays()
close, atr = data["close"], data["atr"]
frame = pl.DataFrame(
    {
        "ts": data["ts_ms"], "close": close, "high": data["high"], "low": data["low"],
        "up": float(data["k_tp"]) * atr / close, "down": float(data["k_sl"]) * atr / close,
    }
)  # fmt: skip


def work() -> dict[str, list[int]]:
    """Outcome of the first bars, both sides."""
    out = {}
    for name, side in (("long", 1), ("short", -1)):
        how = LabelingConfig.triple_barrier(
            upper_barrier="up", lower_barrier="down", max_holding_period=int(data["h_bars"]), side=side
        )
        labelled = triple_barrier_labels(
            frame, how, price_col="close", high_col="high", low_col="low", timestamp_col="ts"
        )
        out[name] = labelled["label"].head(int(data["told"])).to_list()
    return out


serve("ml4t-engineer", work)
