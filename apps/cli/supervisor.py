"""Keeps children alive: each restarts alone with backoff; all stop in order. Knows nothing of what they do."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from apps.cli.child import Child, Spec, worth_a_warning
from apps.cli.ports import is_free
from packages.common.errors import PlatformError
from packages.common.time import monotonic_ms

_TICK_S = 0.1


class Supervisor:
    """``start`` children in order, ``stop`` ends them in the reverse order of their groups.

    ``say`` gets one line for whatever a user should know; ``changed`` is called when a process came or went.
    """

    def __init__(self, logs: Path, say: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        self._logs, self._say, self._changed = logs, say, changed
        self._children: dict[str, Child] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    @property
    def children(self) -> tuple[Child, ...]:
        """In order of start."""
        with self._lock:
            return tuple(self._children.values())

    def child(self, name: str) -> Child:
        return self._children[name]

    def start(self, spec: Spec) -> Child:
        """Start a child and keep it alive from now on. Raises what its first start raises."""
        child = Child(spec, self._logs)
        child.start()
        with self._lock:
            self._children[spec.name] = child
        self._changed()
        if not self._thread.is_alive():
            self._thread.start()
        return child

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            for child in self.children:
                with self._lock:
                    if not self._stopping.is_set():
                        self._look_after(child)

    def _look_after(self, child: Child) -> None:
        child.shorten_log()
        if child.process is not None and child.process.poll() is not None:
            uptime = child.note_death()
            self._report(child, uptime)
            self._changed()
        if child.process is None and monotonic_ms() >= child.next_start_ms:
            if not all(self._children[name].ready for name in child.spec.after if name in self._children):
                child.next_start_ms = monotonic_ms() + 200
                return
            try:
                child.start()
            except (OSError, PlatformError) as exc:
                child.deaths += 1
                child.next_start_ms = monotonic_ms() + 5_000
                self._say(f"{child.spec.name} cannot be started: {exc}; trying again in 5 s")
                return
            child.restarts += 1
            self._changed()

    def _report(self, child: Child, uptime_ms: float) -> None:
        name, code = child.spec.name, child.last_code
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        if child.deaths <= 1:
            self._say(f"{name} {how} after {uptime_ms / 1e3:.0f} s; restarting it")
        if worth_a_warning(child.deaths, uptime_ms):
            advice = f"see {child.log}"
            if child.spec.port is not None and not is_free(child.spec.port):
                advice = f"port {child.spec.port} is taken by another program: end that one"
            words = child.last_words()
            self._say(
                f"{name} {how} {child.deaths} times in a row"
                + (f', last words: "{words}"' if words else "")
                + f"; {advice}; it is tried again with growing pauses"
            )

    def hurry(self) -> None:
        """Stop waiting for those who take their time."""
        self._hurry.set()

    def stop(self, groups: tuple[tuple[str, ...], ...]) -> None:
        """End the groups one after the other, the members of one together; whoever is in none ends first."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(30)
        named = {name for group in groups for name in group}
        rest = tuple(child.spec.name for child in self.children if child.spec.name not in named)
        for group in (rest, *groups):
            members = [self._children[name] for name in group if name in self._children]
            for child in members:
                child.ask_to_stop()
            until = {c.spec.name: monotonic_ms() + c.spec.stop_s * 1e3 for c in members}
            for child in members:
                while child.running and monotonic_ms() < until[child.spec.name] and not self._hurry.is_set():
                    with contextlib.suppress(Exception):
                        child.process.wait(0.1)  # type: ignore[union-attr]
                if not child.end(0.0 if child.running else 1.0):
                    self._say(f"{child.spec.name} did not end within {child.spec.stop_s:.0f} s and was killed")
            self._changed()
