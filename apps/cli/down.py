"""``perpilot down``: ask the supervisor to stop, or stop what a killed one left."""

import signal
from pathlib import Path

from apps.cli import desk, watchdog
from apps.cli.console import say, wait_until
from packages.common.errors import PlatformError


class StillRunningError(PlatformError):
    """The desk did not stop in time."""

    code = "STILL_RUNNING"


def stop_desk(var_dir: Path, timeout_s: float, *, leave_positions: bool = False) -> None:
    """Return when nothing of the desk runs any more. Raises NoDeskError when none did.

    The watchdog stays while positions are open, unless ``leave_positions`` says that their stops are enough.
    """
    found = desk.read(var_dir)
    supervisor = None if found is None else desk.find_process(found.pid, found.create_time)
    if found is None or supervisor is None:
        ended = [] if found is None else desk.end_orphans(found)
        desk.remove(var_dir)
        watched = _end_watchdog(var_dir, found, leave_positions)
        if ended:
            say(f"The supervisor was gone; ended what it left: {', '.join(ended)}")
        elif not watched:
            raise desk.NoDeskError(f"no desk runs in {var_dir}")
        return
    supervisor.send_signal(signal.SIGTERM)
    if not wait_until("Stopping", lambda: not found.alive(), timeout_s=timeout_s):
        raise StillRunningError(f"process {found.pid} has not stopped after {timeout_s:.0f} s; ask again to hurry it")
    say("Stopped.")
    _end_watchdog(var_dir, found, leave_positions)


def _end_watchdog(var_dir: Path, found: desk.DeskInfo | None, leave_positions: bool) -> bool:
    gone = found is not None and found.own_exchange
    told = watchdog.end_if_idle(var_dir, exchange_gone=gone, leave_positions=leave_positions)
    if told is not None:
        say(told)
    return told is not None
