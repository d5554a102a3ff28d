"""Files as the public archive lays them out, small and made up."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from packages.common.time import HOUR_MS, MINUTE_MS

MAY = 1_746_057_600_000  # 2025-05-01
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def kline(minute: int, start: int = MAY, scale: int = 1, **change) -> list:
    """One row; its prices follow from its minute, so equal minutes are equal rows."""
    ts = start + minute * MINUTE_MS
    base = 100.0 + minute % 17
    row = {
        "ts": ts * scale, "open": base, "high": base + 2.5, "low": base - 1.5, "close": base + 1.0, "volume": 3.0,
        "close_time": (ts + MINUTE_MS) * scale - 1, "quote_volume": 3.0 * base, "trades": 7, "taker": 1.0,
        "taker_quote": base, "ignore": 0,
    }  # fmt: skip
    return list((row | change).values())


def lines(rows: list[list], header: str | None = None, end: str = "\n") -> str:
    text = [header] if header else []
    return end.join([*text, *(",".join(map(str, row)) for row in rows)]) + end


def put_zip(path: Path, text: str | bytes, *, checksum: bool | str = True) -> Path:
    """A zip of one CSV, and the ``.CHECKSUM`` beside it (a string stands for a wrong one)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.stem + ".csv", text)
    if checksum:
        digest = checksum if isinstance(checksum, str) else hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return path


def funding_rows(intervals_h: list[int], jitter: int = 7, start: int = MAY) -> list[list]:
    """Settlements after the given intervals, a few milliseconds late."""
    times = start + np.cumsum([0, *intervals_h]) * HOUR_MS
    hours = [*intervals_h, intervals_h[-1]]
    return [[int(ts) + jitter * (i % 3), hours[i], 0.0001 * (i + 1)] for i, ts in enumerate(times)]
