"""Mark and index bars of recorded markets that have none, out of the last price, by the one documented rule (D41).

With ``fast`` and ``slow`` the exponential means of the close (half-lives 3 and 240 bars, from the first close on):

- premium = clamp(0.02·(fast/slow − 1), ±0.002); index close = close / (1 + premium);
  mark close = index close·(1 + the exponential mean of the premium, half-life 3, from 0);
- both open at their last close, after a gap at their own close; their wicks are 0.7 (mark) and 0.6 (index) of the last
  price's, as fractions of the close; everything is rounded to 1e-8.

Derived bars stand in for what is not known: ``derived/<SYMBOL>.json`` in the store names every span of them, and a real
bar that comes later takes the place of a derived one.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from packages.common.errors import StoreUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS, iso
from services.training.market import CANDLES, INDEX, MARK, VERSION

RULE = "D41: mark and index from the last price"
DERIVED = (MARK, INDEX)
_WICKS = {MARK: 0.7, INDEX: 0.6}
_UNIT = 1e8
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def derive_bars(candles: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Mark and index bars for candles (``ts`` ascending, open, high, low, close), both as long as they are."""
    ts, open_, high, low, close = (np.asarray(candles[n]) for n in ("ts", "open", "high", "low", "close"))
    if not ts.size:
        return {dataset: {n: candles[n] for n in ("ts", "open", "high", "low", "close")} for dataset in DERIVED}
    premium = np.clip(0.02 * (_mean(close, 3.0, close[0]) / _mean(close, 240.0, close[0]) - 1.0), -0.002, 0.002)
    index_close = _rounded(close / (1.0 + premium))
    closes = {MARK: _rounded(index_close * (1.0 + _mean(premium, 3.0, 0.0))), INDEX: index_close}
    up = (high - np.maximum(open_, close)) / close
    down = (np.minimum(open_, close) - low) / close
    after_gap = np.append(True, np.diff(ts) != MINUTE_MS)
    out: dict[str, dict[str, NDArray[Any]]] = {}
    for dataset, own in closes.items():
        opened = np.where(after_gap, own, np.roll(own, 1))
        top = np.maximum(opened, own) + _rounded(own * up * _WICKS[dataset])
        bottom = np.minimum(opened, own) - _rounded(own * down * _WICKS[dataset])
        out[dataset] = {"ts": ts, "open": opened, "high": _rounded(top), "low": _rounded(bottom), "close": own}
    return out


def derive_missing(store: ResearchStore, symbol: str, *, dry_run: bool = False) -> int:
    """Write derived bars for every stored candle without a mark or an index bar; returns how many were written."""
    candles = store.read(CANDLES, VERSION, symbol, ("open", "high", "low", "close"))
    if not candles["ts"].size:
        return 0
    written = 0
    for dataset, bars in derive_bars(candles).items():
        have = store.read(dataset, VERSION, symbol, ())["ts"]
        lacking = ~np.isin(bars["ts"], have)
        count = int(lacking.sum())
        written += count
        if count and not dry_run:
            ts = bars["ts"][lacking]
            # The manifest first: a bar that is not known to be derived would pass for a real one.
            _note(store, symbol, dataset, np.union1d(derived_minutes(store, symbol, dataset), ts))
            store.write(dataset, VERSION, symbol, {name: values[lacking] for name, values in bars.items()})
    return written


def derived_minutes(store: ResearchStore, symbol: str, dataset: str) -> I64:
    """Opens of the derived bars of a series, ascending, (n,)."""
    spans = _manifest(store, symbol).get(dataset, {}).get("spans", []) if dataset in DERIVED else []
    parts = [np.arange(first, last + 1, MINUTE_MS, dtype=np.int64) for first, last in spans]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def forget_derived(store: ResearchStore, symbol: str, dataset: str, ts: I64) -> None:
    """Real bars of ``ts`` were written."""
    before = derived_minutes(store, symbol, dataset)
    after = np.setdiff1d(before, ts)
    if after.size != before.size:
        _note(store, symbol, dataset, after)


def _note(store: ResearchStore, symbol: str, dataset: str, ts: I64) -> None:
    edges = np.flatnonzero(np.diff(ts) != MINUTE_MS)
    firsts, lasts = np.append(ts[:1], ts[edges + 1]), np.append(ts[edges], ts[-1:])
    spans = [[int(first), int(last)] for first, last in zip(firsts, lasts, strict=True)]
    entry: dict[str, Any] = {"source": RULE, "bars": int(ts.size), "spans": spans}
    if ts.size:
        entry |= {"from": iso(int(ts[0])), "to": iso(int(ts[-1]))}
    manifest = _manifest(store, symbol) | {dataset: entry}
    store.put_object(_key(symbol), json.dumps(manifest, indent=1).encode())


def _manifest(store: ResearchStore, symbol: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(store.get_object(_key(symbol)))
    except StoreUnavailableError:
        return {}
    return found


def _key(symbol: str) -> str:
    return f"derived/{symbol}.json"


def _mean(values: F64, half_life: float, start: float) -> F64:
    """Exponential mean that was ``start`` before the first value."""
    kept = 0.5 ** (1.0 / half_life)
    out, _ = lfilter([1.0 - kept], [1.0, -kept], values, zi=[kept * start])
    return np.asarray(out, np.float64)


def _rounded(values: F64) -> F64:
    return np.asarray(np.rint(values * _UNIT) / _UNIT, np.float64)
