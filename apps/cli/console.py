"""What the command line says: steps, progress bars, one clear line on an error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from packages.common.errors import PlatformError

out = Console(stderr=True, highlight=False, soft_wrap=True)
_PLAIN_EVERY_S = 5.0


class StoppedError(PlatformError):
    """The user asked to stop while something was under way."""

    code = "STOPPED"


def say(text: str) -> None:
    """One line to the user; standard output stays for results."""
    out.print(text, markup=False)


def fail(exc: BaseException) -> int:
    """Print the one clear line of an error; returns the exit status."""
    code = exc.code if isinstance(exc, PlatformError) else type(exc).__name__
    out.print(f"{code}: {exc}", style="bold red" if out.is_terminal else None, markup=False)
    return 1


class Bar:
    """A progress bar on a terminal, a line now and then elsewhere."""

    def __init__(self, title: str, progress: Progress | None) -> None:
        self._title, self._progress = title, progress
        self._task: TaskID | None = progress.add_task(title, total=1.0, note="") if progress else None
        self._said = ("", 0.0)

    def show(self, fraction: float | None, note: str = "") -> None:
        """``fraction`` in 0..1, None when it is not known."""
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, completed=fraction or 0.0, total=None if fraction is None else 1.0, note=note
            )
            return
        share = "" if fraction is None else f" {fraction:4.0%}"
        line = f"  {self._title}{share} {note}".rstrip()
        if line != self._said[0] and time.monotonic() - self._said[1] >= _PLAIN_EVERY_S:
            say(line)
            self._said = (line, time.monotonic())


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """A bar for work that may take longer than two seconds."""
    if not out.is_terminal:
        yield Bar(title, None)
        return
    columns = (
        TextColumn("  {task.description}"), BarColumn(bar_width=32), TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(), TextColumn("{task.fields[note]}", style="dim"),
    )  # fmt: skip
    with Progress(*columns, console=out, transient=True) as progress:
        yield Bar(title, progress)


def wait_until(
    title: str,
    done: Callable[[], bool],
    *,
    stopped: Callable[[], bool] = lambda: False,
    timeout_s: float | None = None,
    note: Callable[[], str] = str,
    every_s: float = 0.1,
) -> bool:
    """Poll ``done``; a bar appears when it takes longer than two seconds. False after ``timeout_s``."""
    started = time.monotonic()

    def over() -> bool:
        if stopped():
            raise StoppedError("stopped")
        return timeout_s is not None and time.monotonic() - started > timeout_s

    while not done():
        if over():
            return False
        if time.monotonic() - started > 2.0:
            with bar(title) as shown:
                while not done():
                    if over():
                        return False
                    shown.show(None, note())
                    time.sleep(every_s)
            break
        time.sleep(every_s)
    return True


def results_to_terminal() -> bool:
    """True when standard output is a terminal."""
    return sys.stdout.isatty()
