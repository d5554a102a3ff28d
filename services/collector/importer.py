"""Files of history into the research store (D11): judged row by row, nothing invented, nothing half done.

One step is one unit of one series: all files of a symbol's month in the archive, one file elsewhere; so memory is
bounded by a unit. Whatever is wrong with a file as a whole leaves the store as it was and the next unit is taken;
a bad row is set aside (``quarantine/…`` in the store) and the rest goes in. The same files again change nothing.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError, PlatformError, StoreUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import MINUTE_MS, iso
from services.collector import archive
from services.collector.archive import INTEREST, STORED_COLUMNS, SourceFile, Table
from services.collector.core.columns import holes
from services.collector.importer_derive import DERIVED, derived_minutes, forget_derived
from services.training.market import CANDLES, FUNDING, VERSION

Progress = Callable[[float, str], None]
Bars = dict[str, NDArray[Any]]
_FIRST_MS, _LAST_MS = 1_483_228_800_000, 4_102_444_800_000  # 2017 (before the exchange), 2100
_PRICES = ("open", "high", "low", "close")
_SHOWN = 5
_BARS = (CANDLES, *DERIVED)


@dataclass(slots=True)
class UnitReport:
    """What became of one unit. ``status``: imported | unchanged | refused (then ``error`` says why)."""

    dataset: str
    symbol: str
    unit: str
    files: tuple[str, ...]
    status: str = "imported"
    error: str | None = None
    rows: int = 0
    new_rows: int = 0
    duplicates: int = 0
    unsorted: int = 0
    replaced: int = 0
    verified: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ImportReport:
    """All units, files left out, and per series the minutes missing between its first and last stored bar."""

    units: list[UnitReport] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    derived: dict[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> list[UnitReport]:
        return [unit for unit in self.units if unit.status == "refused"]

    @property
    def quarantined(self) -> int:
        return sum(sum(unit.quarantined.values()) for unit in self.units)


def import_files(
    store: ResearchStore,
    paths: Sequence[Path],
    *,
    dataset: str | None = None,
    last_wins: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Bring the files under ``paths`` into ``store``; ``dry_run`` does all of it but the writing.

    ``last_wins``: of two rows of one time with unequal values the later file's stays (and a file's row goes over a
    stored one); without it such a unit is refused. Raises InvalidInputError for a path or dataset that is not there.
    """
    files, skipped = archive.discover(paths, dataset)
    report = ImportReport(skipped=[(path.name, why) for path, why in skipped])
    total = sum(file.path.stat().st_size for file in files) or 1
    done = 0
    for key, group in itertools.groupby(files, key=lambda f: (f.dataset or "", f.symbol or "", f.unit)):
        unit = list(group)
        if progress is not None:
            progress(done / total, f"{key[1] or unit[0].path.name} {key[2]}")
        named = any(file.path in paths for file in unit)
        try:
            report.units += _Unit(store, unit, last_wins=last_wins, dry_run=dry_run, named=named).take()
        except archive.NotMarketDataError as exc:  # such as a list of the files, found among them
            report.skipped += [(file.path.name, f"no market data in its columns {exc.value}") for file in unit]
        done += sum(file.path.stat().st_size for file in unit)
    for series in sorted({(u.dataset, u.symbol) for u in report.units if u.status != "refused" and u.dataset in _BARS}):
        found = _gaps(store, *series)
        if found:
            report.gaps["/".join(series)] = found
    if progress is not None:
        progress(1.0, "done")
    return report


class _Judged(NamedTuple):
    """The good rows of a unit, ascending, one a time; ``source``: index of the file each is from."""

    columns: Bars
    rows: NDArray[np.int64]
    source: NDArray[np.int64]


class _Unit:
    def __init__(
        self, store: ResearchStore, files: list[SourceFile], *, last_wins: bool, dry_run: bool, named: bool
    ) -> None:
        self._store, self._files, self._named = store, files, named
        self._last_wins, self._dry_run = last_wins, dry_run
        self._names = tuple(file.path.name for file in files)
        self._aside: list[dict[str, Any]] = []

    def take(self) -> list[UnitReport]:
        """Read, judge and store; one report a symbol, in which an error stands as a value; of a file that was named
        by nobody and holds no market data, ``NotMarketDataError`` is raised."""
        first = self._files[0]
        reports: list[UnitReport] = []
        try:
            digests = [archive.sha256_of(file.path) for file in self._files]
            verified = sum(archive.verify_checksum(f.path, d) for f, d in zip(self._files, digests, strict=True))
            ledger = _Ledger(self._store, first)
            known = None if self._last_wins else ledger.known(digests)
            if known is not None:
                return [UnitReport(**{**entry, "files": self._names, "status": "unchanged"}) for entry in known]
            plan = []
            for (dataset, symbol), tables in self._tables().items():
                report = UnitReport(dataset, symbol, first.unit, self._names, verified=verified)
                reports.append(report)
                judged = self._judge(tables, report)
                plan.append((report, self._against_store(judged, report)))
            for report, columns in plan:  # everything is judged: from here on only the disk can fail
                self._write(report, columns)
            if not self._dry_run:
                self._set_aside()
                ledger.add(digests, reports)
        except PlatformError as exc:
            if isinstance(exc, archive.NotMarketDataError) and not self._named:
                raise
            dataset, symbol = first.dataset or "?", first.symbol or "?"
            where = reports[-1] if reports else UnitReport(dataset, symbol, first.unit, self._names)
            return [UnitReport(where.dataset, where.symbol, first.unit, self._names, "refused", f"{exc.code}: {exc}")]
        return reports

    def _tables(self) -> dict[tuple[str, str], list[tuple[int, Table]]]:
        found: dict[tuple[str, str], list[tuple[int, Table]]] = {}
        for number, file in enumerate(self._files):
            for table in archive.read(file):
                found.setdefault((table.dataset, table.symbol), []).append((number, table))
        return found

    def _judge(self, tables: list[tuple[int, Table]], report: UnitReport) -> _Judged:
        names = ("ts", *STORED_COLUMNS[report.dataset])
        whole: Bars = {}
        for name in names:
            parts = [table.columns.get(name, np.full(table.rows.size, np.nan)) for _, table in tables]
            whole[name] = np.concatenate(parts)
        rows = np.concatenate([table.rows for _, table in tables])
        source = np.concatenate([np.full(table.rows.size, number) for number, table in tables])
        broken = sum(len(table.broken) for _, table in tables)
        report.rows = rows.size + broken
        counts: Counter[str] = Counter()
        if broken:
            counts["CELLS"] = broken
            self._aside += [
                {"file": self._names[n], "row": row, "reason": "CELLS"} for n, table in tables for row in table.broken
            ]
        if report.dataset == FUNDING:  # settlement times carry some milliseconds of jitter
            whole["ts"] = (whole["ts"] + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
        if report.dataset == CANDLES:
            lacking = np.isnan(whole["quote_volume"]) & np.isfinite(whole["volume"])
            whole["quote_volume"] = np.where(lacking, whole["volume"] * whole["close"], whole["quote_volume"])
        bad = np.zeros(rows.size, bool)
        for reason, mask in _faults(report.dataset, whole):
            new = mask & ~bad
            if new.any():
                counts[reason] += int(new.sum())
                self._aside += [
                    {
                        "file": self._names[source[i]], "row": int(rows[i]), "reason": reason,
                        "values": {n: float(whole[n][i]) for n in names},
                    }
                    for i in np.flatnonzero(new)
                ]  # fmt: skip
                bad |= mask
        report.quarantined = dict(counts)
        judged = _Judged(_keep(whole, ~bad), rows[~bad], source[~bad])
        self._check_spacing(judged, report)
        return self._ordered(judged, report)

    def _check_spacing(self, judged: _Judged, report: UnitReport) -> None:
        steps = np.diff(np.unique(judged.columns["ts"]))
        if report.dataset in _BARS and steps.size >= 3 and (spacing := int(np.gcd.reduce(steps))) != MINUTE_MS:
            raise InvalidInputError(
                f"spacing of {self._names[0]}", f"{spacing / MINUTE_MS:g} minutes", "bars of one minute"
            )

    def _ordered(self, judged: _Judged, report: UnitReport) -> _Judged:
        """Ascending, equal repetitions collapsed. Unequal ones raise, or the last stays."""
        ts = judged.columns["ts"]
        report.unsorted = int((np.diff(ts) < 0).sum())
        order = np.argsort(ts, kind="stable")
        columns = {name: values[order] for name, values in judged.columns.items()}
        rows, source = judged.rows[order], judged.source[order]
        again = np.flatnonzero(np.diff(columns["ts"]) == 0)
        report.duplicates = again.size
        if again.size:
            for name, values in columns.items():
                differs = again[~_same(values[again], values[again + 1])]
                if differs.size and not self._last_wins:
                    at = int(differs[0])
                    raise InvalidInputError(
                        f"{name} at {iso(int(columns['ts'][at]))}, row {rows[at + 1]} of {self._names[source[at + 1]]}",
                        float(values[at + 1]),
                        f"{float(values[at])!r} as in row {rows[at]} of {self._names[source[at]]} (--last-wins)",
                    )
            last = np.append(np.diff(columns["ts"]) != 0, True)
            columns, rows, source = _keep(columns, last), rows[last], source[last]
        return _Judged(columns, rows, source)

    def _against_store(self, judged: _Judged, report: UnitReport) -> Bars:
        """The rows as they shall be stored: a stored value is final unless --last-wins; NaN gives way to a value."""
        new = dict(judged.columns)
        if not new["ts"].size:
            return new
        span = {"from_ts_ms": int(new["ts"][0]), "to_ts_ms": int(new["ts"][-1]) + 1}
        old = self._store.read(report.dataset, VERSION, report.symbol, STORED_COLUMNS[report.dataset], **span)
        _, here, there = np.intersect1d(new["ts"], old["ts"], assume_unique=True, return_indices=True)
        report.new_rows = new["ts"].size - here.size
        if not here.size:
            return new
        free = np.isin(new["ts"][here], derived_minutes(self._store, report.symbol, report.dataset))
        if report.dataset == CANDLES:
            made_up = old["quote_volume"][there] == old["volume"][there] * old["close"][there]
        for name in STORED_COLUMNS[report.dataset]:
            given, stored = new[name][here], old[name][there]
            lost = np.isnan(given)
            same = _same(given, stored) | np.isnan(stored) | lost | free
            if name == "quote_volume":  # volume·close stands in where a source had none (D5)
                filled = given == new["volume"][here] * new["close"][here]
                same |= made_up | filled
                lost = lost | (filled & ~made_up)
            differs = np.flatnonzero(~same)
            if differs.size and not self._last_wins:
                at = int(here[differs[0]])
                raise InvalidInputError(
                    f"{name} at {iso(int(new['ts'][at]))}, row {judged.rows[at]} of {self._names[judged.source[at]]}",
                    float(given[differs[0]]), f"{float(stored[differs[0]])!r} as stored (--last-wins)",
                )  # fmt: skip
            report.replaced = max(report.replaced, differs.size)
            new[name] = new[name].copy()
            new[name][here] = np.where(lost, stored, given)
        return new

    def _write(self, report: UnitReport, columns: Bars) -> None:
        if self._dry_run or not columns["ts"].size:
            return
        self._store.write(report.dataset, VERSION, report.symbol, columns)
        forget_derived(self._store, report.symbol, report.dataset, columns["ts"])

    def _set_aside(self) -> None:
        if self._aside:
            first = self._files[0]
            name = "".join(c if c.isalnum() or c in "._-=" else "_" for c in f"{first.unit}_{first.path.stem}")
            lines = "".join(json.dumps(row) + "\n" for row in self._aside)
            self._store.put_object(f"quarantine/{first.dataset or 'own'}/{name}.jsonl", lines.encode())


class _Ledger:
    """Which files are in, by content: ``imports/<dataset>/<symbol>.json``. It keeps the checksums that were used."""

    def __init__(self, store: ResearchStore, first: SourceFile) -> None:
        self._store = store
        self._key = f"imports/{first.dataset or 'own'}/{first.symbol or 'many'}.json"
        try:
            self._entries: dict[str, Any] = json.loads(store.get_object(self._key))
        except StoreUnavailableError:
            self._entries = {}

    def known(self, digests: list[str]) -> list[dict[str, Any]] | None:
        """The reports of an import of just these files, if what they brought is still there."""
        entry: list[dict[str, Any]] | None = self._entries.get(_together(digests))
        for report in entry or ():
            brought = report["rows"] - report["duplicates"] - sum(report["quarantined"].values())
            if brought and self._store.coverage(report["dataset"], VERSION, report["symbol"]) is None:
                return None
        return entry

    def add(self, digests: list[str], reports: list[UnitReport]) -> None:
        entry = []
        for report in reports:
            values = {name: getattr(report, name) for name in UnitReport.__dataclass_fields__}
            sources = dict(zip(report.files, digests, strict=True))
            entry.append({**values, "new_rows": 0, "replaced": 0, "error": None, "files": sources})
        self._entries[_together(digests)] = entry
        self._store.put_object(self._key, json.dumps(self._entries, indent=1).encode())


def _together(digests: list[str]) -> str:
    return digests[0] if len(digests) == 1 else "+".join(sorted(digest[:16] for digest in digests))


def _faults(dataset: str, columns: Bars) -> list[tuple[str, NDArray[np.bool_]]]:
    """Reasons in order with masks (n,); a row is counted under its first. The words of ``services.normalizer``."""
    ts = columns["ts"]
    faults: list[tuple[str, NDArray[np.bool_]]] = [("BAD_TIME", (ts < _FIRST_MS) | (ts >= _LAST_MS))]
    if dataset == FUNDING:
        rate = columns["funding_rate"]
        faults += [("NAN_RATE", ~np.isfinite(rate)), ("BAD_RATE", ~(np.abs(rate) < 1))]
        return faults
    if dataset == INTEREST:
        held = columns["open_interest"]
        faults += [("NAN_INTEREST", ~np.isfinite(held)), ("NEGATIVE_INTEREST", held < 0)]
        return faults
    open_, high, low, close = (columns[name] for name in _PRICES)
    prices = np.stack([open_, high, low, close])
    faults += [
        ("MISALIGNED_BAR", ts % MINUTE_MS != 0),
        ("NAN_PRICE", np.logical_or.reduce(np.isnan(prices))),
        ("BAD_PRICE", ~np.logical_and.reduce(np.isfinite(prices) & (prices > 0))),
        ("HIGH_BELOW_LOW", high < low),
        ("OUTSIDE_RANGE", (np.minimum(open_, close) < low) | (np.maximum(open_, close) > high)),
    ]
    if dataset == CANDLES:
        volumes = np.stack([columns["volume"], columns["quote_volume"]])
        faults += [
            ("NAN_VOLUME", ~np.logical_and.reduce(np.isfinite(volumes))),
            ("NEGATIVE_VOLUME", np.logical_or.reduce(volumes < 0)),
        ]
    return faults


def _gaps(store: ResearchStore, dataset: str, symbol: str) -> dict[str, Any]:
    ts = store.read(dataset, VERSION, symbol, ()).get("ts", np.empty(0, np.int64))
    if not ts.size:
        return {}
    runs = holes(ts, int(ts[0]), int(ts[-1]) + MINUTE_MS)
    missing = sum((last - first) // MINUTE_MS + 1 for first, last in runs)
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:_SHOWN]
    shown = [{"from": iso(first), "to": iso(last)} for first, last in longest]
    return {"gaps": len(runs), "missing_minutes": missing, "longest": shown} if runs else {}


def _keep(columns: Bars, mask: NDArray[np.bool_]) -> Bars:
    return columns if mask.all() else {name: values[mask] for name, values in columns.items()}


def _same(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (a == b) | ((a != a) & (b != b))  # noqa: PLR0124 - NaN equals NaN
    return same


def summary(report: ImportReport) -> dict[str, Any]:
    """Totals per dataset and what a person must look at, as plain values."""
    totals: dict[str, dict[str, Any]] = {}
    for unit in report.units:
        row = totals.setdefault(
            unit.dataset,
            {"ok": True, "symbols": set(), "units": 0, "unchanged": 0, "refused": 0}
            | dict.fromkeys(("rows", "new_rows", "duplicates", "unsorted", "replaced", "quarantined", "verified"), 0),
        )
        row["symbols"].add(unit.symbol)
        row["units"] += 1
        row["unchanged"] += unit.status == "unchanged"
        row["refused"] += unit.status == "refused"
        for name in ("rows", "new_rows", "duplicates", "unsorted", "replaced", "verified"):
            row[name] += getattr(unit, name)
        row["quarantined"] += sum(unit.quarantined.values())
        row["ok"] = not row["refused"] and not row["quarantined"]
    for row in totals.values():
        row["symbols"] = len(row["symbols"])
    return {
        "ok": not report.refused and not report.quarantined,
        "datasets": totals,
        "refused": [{"files": list(unit.files), "error": unit.error} for unit in report.refused],
        "quarantined": [
            {"symbol": u.symbol, "dataset": u.dataset, "unit": u.unit, "reasons": u.quarantined}
            for u in report.units
            if u.quarantined
        ],
        "gaps": report.gaps,
        "derived": report.derived,
        "skipped": [{"file": name, "why": why} for name, why in report.skipped],
    }
