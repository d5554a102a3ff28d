"""Results on standard output: JSON for scripts, aligned text for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table


def show(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one object: its parts line by line, what is not well marked in words, not by color alone."""
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2, default=str))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, value in found.items():
        if isinstance(value, Mapping) and "ok" in value:
            mark = "ok  " if value["ok"] else "FAIL"
            rest = ", ".join(_figures(value))
            console.print(f"{mark} {name:<15} {rest}", style=None if value["ok"] else "red", markup=False)
        elif not isinstance(value, Mapping):
            console.print(f"     {name:<15} {value}", markup=False)


def _figures(part: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in part.items():
        if key == "ok":
            continue
        if isinstance(value, Mapping):
            if "running" in value:
                restarts = f", {value['restarts']} restarts" if value.get("restarts") else ""
                yield f"{key} {'runs' if value['running'] else 'IS DOWN'}{restarts}"
            else:
                yield from _figures(value, f"{key}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if value:
                yield f"{prefix}{key}: {' '.join(map(str, value))}"
        elif value is not None:
            yield f"{prefix}{key} {value}"


def table(rows: Sequence[Mapping[str, Any]], *, as_json: bool, hide: Sequence[str] = ()) -> None:
    """Print rows as a table, or all of their columns as a JSON list."""
    if as_json:
        typer.echo(json.dumps(list(rows), ensure_ascii=False, indent=2, default=str))
        return
    if not rows:
        typer.echo("none")
        return
    names = [name for name in rows[0] if name not in hide]
    shown = Table(box=None, pad_edge=False)
    for name in names:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*("" if row[name] is None else str(row[name]) for name in names))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1_000)  # whoever reads a pipe wants whole words
    console.print(shown, markup=False)
