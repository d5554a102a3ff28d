"""What ``perpilot data`` prints: tables of results, a bar for each symbol that is being fetched."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from apps.cli import report
from apps.cli.console import out, say

_PLAIN_EVERY_S = 5.0


def show_check(found: Mapping[str, Any]) -> None:
    """A line a symbol, then what is wrong in words."""
    rows = []
    for symbol, part in found["symbols"].items():
        candles, prices, apart, interest = (part[n] for n in ("candles", "prices", "divergence", "open_interest"))
        rows.append(
            {
                "symbol": symbol,
                "ok": "ok" if part["ok"] else "FAIL",
                "first": (candles["first"] or "")[:16],
                "last": (candles["last"] or "")[:16],
                "bars %": f"{100 * candles['share']:.3f}",
                "gaps": candles["gaps"],
                "missing": candles["missing"],
                "unavailable": candles["unavailable"],
                "outliers": prices["outliers"],
                "no volume": prices["zero_volume_longest"],
                "mark %": f"{100 * part['mark']['share']:.3f}",
                "mark/last max %": f"{100 * apart['max']:.3f}" if apart else "",
                "p99 %": f"{100 * apart['p99']:.3f}" if apart else "",
                "funding missing": part["funding"]["missing"],
                "OI %": "" if interest["share"] is None else f"{100 * interest['share']:.1f}",
            }
        )
    report.table(rows, as_json=False)
    for symbol, part in found["symbols"].items():
        for problem in part["problems"]:
            typer.echo(f"{symbol}: {problem}")


def show_import(found: Mapping[str, Any], *, dry_run: bool) -> None:
    """A line a dataset, then what a person must look at."""
    if dry_run:
        typer.echo("nothing was written (--dry-run)")
    rows = [{"dataset": name} | {k: v for k, v in row.items() if k != "ok"} for name, row in found["datasets"].items()]
    report.table(rows, as_json=False)
    for refused in found["refused"]:
        typer.echo(f"refused: {refused['error']}")
    for unit in found["quarantined"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in unit["reasons"].items())
        typer.echo(f"set aside: {unit['symbol']} {unit['dataset']} {unit['unit']}: {reasons}")
    for series, gap in found["gaps"].items():
        longest = f"{gap['longest'][0]['from']} .. {gap['longest'][0]['to']}"
        typer.echo(f"gaps: {series}: {gap['gaps']}, {gap['missing_minutes']} minutes; longest {longest}")
    if found["derived"]:
        typer.echo(f"derived by D41: {sum(found['derived'].values())} mark and index bars")
    if "tables" in found:
        rows_in = ", ".join(f"{n} {name}" for name, n in sorted(found["tables"].items()) if n) or "nothing new"
        typer.echo(f"into the tables: {rows_in}")
    why: dict[str, int] = {}
    for skipped in found["skipped"]:
        why[skipped["why"]] = why.get(skipped["why"], 0) + 1
    for reason, count in why.items():
        typer.echo(f"left out: {count} files: {reason}")


class SymbolBars:
    """A bar for the whole with what remains, and one for each symbol under way; elsewhere a line now and then."""

    def __init__(self, title: str, progress: Any) -> None:
        self._title, self._progress = title, progress
        self._tasks: dict[str, Any] = {}
        self._whole = progress.add_task(title, total=1.0) if progress else None
        self._under_way: dict[str, float] = {}
        self._started = self._said = time.monotonic()

    def total(self, fraction: float, _stage: str) -> None:
        """How far the whole is."""
        if self._progress is not None:
            self._progress.update(self._whole, completed=fraction)
            return
        now = time.monotonic()
        if now - self._said < _PLAIN_EVERY_S or not fraction:
            return
        self._said = now
        left = (now - self._started) * (1 - fraction) / fraction
        symbols = ", ".join(f"{name} {share:.0%}" for name, share in self._under_way.items())
        say(f"  {self._title} {fraction:4.0%}, about {left:.0f} s left; {symbols}")

    def symbol(self, name: str, done: int, pages: int) -> None:
        """How far one symbol is."""
        if done >= pages:
            self._under_way.pop(name, None)
        else:
            self._under_way[name] = done / pages
        if self._progress is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(f"  {name}", total=pages)
        self._progress.update(self._tasks[name], completed=done, visible=done < pages)


@contextmanager
def symbol_bars(title: str) -> Iterator[SymbolBars]:
    """Bars for the time of a fetch."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    if not out.is_terminal:
        yield SymbolBars(title, None)
        return
    columns = (
        TextColumn("  {task.description:<20}"), BarColumn(bar_width=32), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out, transient=True) as progress:
        yield SymbolBars(title, progress)
