"""What stored history is worth: coverage, gaps, repetitions, outliers, mark against last, funding, open interest.

Pure arithmetic over columns; where they come from is the caller's ``Reader``. Nothing is mended here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.time import MINUTE_MS, iso
from services.collector.archive import INTEREST
from services.collector.core.columns import holes
from services.training.market import CANDLES, FUNDING, INDEX, MARK

I64 = NDArray[np.int64]
Bars = Mapping[str, NDArray[Any]]
Reader = Callable[[str, str, Sequence[str]], Bars]  # dataset, symbol, columns → ``ts`` and those, in file order
_SHOWN = 10
_LISTED = 1_000  # gaps named, the longest first
_NEIGHBOURS = 5  # settlements to each side that say what the interval is there
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a symbol is not ok. Shares are of its minutes between first and last bar."""

    missing_share_max: float = 0.001
    outlier_mads: float = 60.0  # |log return| beyond so many (scaled) MADs is an outlier; a minute after a gap is not
    outlier_share_max: float = 0.0005
    zero_volume_run_max: int = 1440
    divergence_frac: float = 0.02  # |mark / last − 1| beyond it counts as divergent
    divergent_share_max: float = 0.001
    funding_missing_max: int = 0


def check_symbol(
    read: Reader, symbol: str, limits: Limits, unavailable: Mapping[str, Sequence[tuple[int, int]]] | None = None
) -> dict[str, Any]:
    """Figures of one symbol as plain JSON values, ``ok`` and ``problems`` (one line each).

    ``unavailable``: by dataset, spans (first, last) of minutes the exchange has not: they are counted, and excused.
    """
    excused = unavailable or {}
    last = read(CANDLES, symbol, ("open", "high", "low", "close", "volume"))
    mark = read(MARK, symbol, ("open", "high", "low", "close"))
    index = read(INDEX, symbol, ())
    funding = read(FUNDING, symbol, ("funding_rate",))
    interest = read(INTEREST, symbol, ())
    out: dict[str, Any] = {
        "candles": bars_of(last["ts"], excused.get(CANDLES, ())),
        "prices": prices_of(last, limits),
        "mark": bars_of(mark["ts"], excused.get(MARK, ()), within=last["ts"]) | {"inconsistent": _inconsistent(mark)},
        "index": bars_of(index["ts"], excused.get(INDEX, ()), within=last["ts"]),
        "divergence": divergence_of(last, mark, limits.divergence_frac),
        "funding": funding_of(funding["ts"], last["ts"]),
        "open_interest": interest_of(interest["ts"]),
    }
    problems = _problems(out, limits)
    return {"ok": not problems, "problems": problems, **out}


def check(
    read: Reader,
    symbols: Sequence[str],
    limits: Limits | None = None,
    *,
    unavailable: Callable[[str], Mapping[str, Sequence[tuple[int, int]]]] = lambda _symbol: {},
    progress: Callable[[float, str], None] = lambda _fraction, _stage: None,
) -> dict[str, Any]:
    """``check_symbol`` of each; ``ok`` when there are symbols and all are."""
    limits = limits or Limits()
    found: dict[str, Any] = {}
    for number, symbol in enumerate(symbols):
        progress(number / len(symbols), symbol)
        found[symbol] = check_symbol(read, symbol, limits, unavailable(symbol))
    progress(1.0, "done")
    ok = bool(found) and all(part["ok"] for part in found.values())
    return {"ok": ok, "limits": asdict(limits), "symbols": found}


def bars_of(ts: I64, unavailable: Sequence[tuple[int, int]] = (), *, within: I64 | None = None) -> dict[str, Any]:
    """Coverage and gaps of a series of bars; ``within``: other bars whose span this series should cover."""
    ascending = _ascending(ts)
    out: dict[str, Any] = {
        "bars": int(ascending.size),
        "first": None,
        "last": None,
        "duplicates": int(ts.size - ascending.size),
        "misaligned": int((ts % MINUTE_MS != 0).sum()),
    }
    edges = ascending if within is None or not within.size else within
    if not edges.size:
        return out | {"share": 0.0, "missing": 0, "unavailable": 0, "gaps": 0, "gap_list": []}
    start, end = int(edges.min()), int(edges.max()) + MINUTE_MS
    inside = ascending[np.searchsorted(ascending, start) : np.searchsorted(ascending, end)]
    runs = holes(inside[inside % MINUTE_MS == 0] if out["misaligned"] else inside, start, end)
    missing = sum(b - a for a, b in runs) // MINUTE_MS + len(runs)
    known = sum(_overlap(run, span) for run in runs for span in unavailable)
    if ascending.size:
        out |= {"first": iso(int(ascending[0])), "last": iso(int(ascending[-1]))}
    minutes = (end - start) // MINUTE_MS
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:_LISTED]
    return out | {
        "share": 1.0 - missing / minutes,
        "missing": missing - known,
        "unavailable": known,
        "gaps": len(runs),
        "gap_list": [{"from": iso(a), "to": iso(b), "minutes": (b - a) // MINUTE_MS + 1} for a, b in longest],
    }


def prices_of(bars: Bars, limits: Limits) -> dict[str, Any]:
    """Outliers of the one-minute log return, minutes without volume, bars that contradict themselves."""
    ts, close, volume = bars["ts"], bars["close"], bars["volume"]
    out: dict[str, Any] = {"inconsistent": _inconsistent(bars), "negative_volume": int((volume < 0).sum())}
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(close))
    returns[np.diff(ts) != MINUTE_MS] = np.nan
    known = returns[np.isfinite(returns)]
    mad = _mad(known)
    far = np.flatnonzero(np.abs(returns) > limits.outlier_mads * mad) if mad > 0 else np.empty(0, np.int64)
    worst = far[np.argsort(-np.abs(returns[far]), kind="stable")][:_SHOWN]
    runs = _true_runs(volume == 0)
    longest = max(runs, key=lambda run: run[1] - run[0], default=None)
    return out | {
        "return_mad": float(mad),
        "outliers": int(far.size),
        "worst": [{"ts": iso(int(ts[i + 1])), "return": float(np.expm1(returns[i]))} for i in worst],
        "zero_volume_bars": int((volume == 0).sum()),
        "zero_volume_longest": longest[1] - longest[0] if longest else 0,
        "zero_volume_from": iso(int(ts[longest[0]])) if longest else None,
    }


def divergence_of(last: Bars, mark: Bars, beyond: float) -> dict[str, Any] | None:
    """Of |mark close / last close − 1| the greatest, the 99th percentile and the minutes beyond; None without marks."""
    ts, marks, closes = last["ts"], mark["close"], last["close"]
    if not np.array_equal(ts, mark["ts"]):
        ts, here, there = np.intersect1d(ts, mark["ts"], return_indices=True)
        marks, closes = marks[there], closes[here]
    if not ts.size:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(marks / closes - 1.0)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    at = int(np.argmax(apart))
    return {
        "max": float(apart[at]),
        "max_at": iso(int(ts[at])),
        "p99": float(np.partition(apart, int(0.99 * (apart.size - 1)))[int(0.99 * (apart.size - 1))]),
        "minutes_beyond": int((apart > beyond).sum()),
        "minutes": int(ts.size),
    }


def funding_of(ts: I64, bars: I64) -> dict[str, Any]:
    """Settlements missing by the interval seen around them (D10), and at both ends against the bars. Where there are no
    bars none are missed: the rates often reach years further back."""
    ts = _ascending(ts)
    found = [(a, b, n) for a, b, count in funding_holes(ts) if (n := _settled_beside(a, b, count, bars))]
    out: dict[str, Any] = {
        "settlements": int(ts.size),
        "first": iso(int(ts[0])) if ts.size else None,
        "last": iso(int(ts[-1])) if ts.size else None,
        "intervals_h": sorted({round(float(step), 2) for step in _intervals(ts) / 3_600_000}),
        "missing": sum(count for _, _, count in found),
        "gaps": [{"after": iso(a), "before": iso(b), "missing": count} for a, b, count in found[:_SHOWN]],
        "missing_before": 0,
        "missing_after": 0,
    }
    if ts.size > 1 and bars.size:
        local = _intervals(ts)
        out["missing_before"] = max(0, int((ts[0] - bars.min()) // local[0]))
        out["missing_after"] = max(0, int((bars.max() + MINUTE_MS - ts[-1]) // local[-1]))
    return out


def funding_holes(ts: I64) -> list[tuple[int, int, int]]:
    """(settlement before, settlement after, how many are missing between), ``ts`` ascending."""
    steps = np.diff(ts)
    local = _intervals(ts)
    counts = np.rint(steps / local).astype(np.int64) - 1 if steps.size else np.empty(0, np.int64)
    return [(int(ts[i]), int(ts[i + 1]), int(counts[i])) for i in np.flatnonzero(counts > 0)]


def _settled_beside(after: int, before: int, missing: int, bars: I64) -> int:
    """How many of the ``missing`` settlements between two fell while there were bars."""
    if not bars.size:
        return missing
    lost = after + np.arange(1, missing + 1) * ((before - after) / (missing + 1))
    return int(((lost >= bars.min()) & (lost <= bars.max() + MINUTE_MS)).sum())


def interest_of(ts: I64) -> dict[str, Any]:
    """Coverage of open interest by its own usual spacing; nothing depends on it, so nothing is judged."""
    ts = _ascending(ts)
    if ts.size < 2:
        return {"rows": int(ts.size), "first": iso(int(ts[0])) if ts.size else None, "last": None, "share": None}
    step = float(np.median(np.diff(ts)))
    expected = (ts[-1] - ts[0]) / step + 1
    return {
        "rows": int(ts.size), "first": iso(int(ts[0])), "last": iso(int(ts[-1])),
        "spacing_min": step / MINUTE_MS, "share": float(min(1.0, ts.size / expected)),
    }  # fmt: skip


def _problems(found: Mapping[str, Any], limits: Limits) -> list[str]:
    candles, prices, mark, funding = (found[name] for name in ("candles", "prices", "mark", "funding"))
    if not candles["bars"]:
        return ["no candles"]
    problems = []
    minutes = candles["bars"] + candles["missing"] + candles["unavailable"]
    for name, part in (("candles", candles), ("mark bars", mark)):
        if not part["bars"]:
            problems.append(f"no {name}")
        elif part["missing"] / minutes > limits.missing_share_max:
            problems.append(f"{part['missing']} {name} missing in {part['gaps']} gaps")
        if part["duplicates"] or part["misaligned"]:
            problems.append(f"{part['duplicates']} {name} twice, {part['misaligned']} off the minute")
    for name, part in (("candles", prices), ("mark bars", mark)):
        if part["inconsistent"]:
            problems.append(f"{part['inconsistent']} {name} contradict themselves")
    if prices["negative_volume"]:
        problems.append(f"{prices['negative_volume']} candles with a negative volume")
    if prices["outliers"] / minutes > limits.outlier_share_max:
        problems.append(f"{prices['outliers']} returns beyond {limits.outlier_mads:g} MAD")
    if prices["zero_volume_longest"] > limits.zero_volume_run_max:
        problems.append(f"{prices['zero_volume_longest']} minutes without volume from {prices['zero_volume_from']}")
    apart = found["divergence"]
    if apart and apart["minutes_beyond"] / apart["minutes"] > limits.divergent_share_max:
        problems.append(f"mark beyond {limits.divergence_frac:.1%} of last in {apart['minutes_beyond']} minutes")
    lacking = funding["missing"] + funding["missing_before"] + funding["missing_after"]
    if not funding["settlements"]:
        problems.append("no funding")
    elif lacking > limits.funding_missing_max:
        problems.append(f"{lacking} settlements missing")
    return problems


def _ascending(ts: I64) -> I64:
    """Distinct times in order; stored ones are so already, and sorting a year of them is most of the work."""
    return ts if (np.diff(ts) > 0).all() else np.unique(ts)


def _inconsistent(bars: Bars) -> int:
    open_, high, low, close = (bars[name] for name in ("open", "high", "low", "close"))
    with np.errstate(invalid="ignore"):
        sound = (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close)) & (high < np.inf)
    return int((~sound).sum())


def _mad(values: NDArray[np.float64]) -> float:
    if not values.size:
        return 0.0
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def _intervals(ts: I64) -> NDArray[np.float64]:
    """Usual step around each step, (n − 1,): the median of the steps beside it."""
    steps = np.diff(ts).astype(np.float64)
    if not steps.size:
        return steps
    padded = np.pad(steps, _NEIGHBOURS, mode="constant", constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    # Of an even number of steps the lower middle one: an interval that is seen, not a mean of two.
    ranked = np.sort(windows, axis=1)
    middle = (np.isfinite(windows).sum(axis=1) - 1) // 2
    return np.asarray(ranked[np.arange(steps.size), middle], np.float64)


def _true_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _overlap(run: tuple[int, int], span: tuple[int, int]) -> int:
    return max(0, (min(run[1], span[1]) - max(run[0], span[0])) // MINUTE_MS + 1)
