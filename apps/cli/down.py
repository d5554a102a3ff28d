"""``perpilot down``: ask the supervisor to stop, or stop what a killed one left."""

import signal
from pathlib import Path

from apps.cli import desk
from apps.cli.console import say, wait_until
from packages.common.errors import PlatformError


class StillRunningError(PlatformError):
    """The desk did not stop in time."""

    code = "STILL_RUNNING"


def stop_desk(var_dir: Path, timeout_s: float) -> None:
    """Return when nothing of the desk runs any more. Raises NoDeskError when none did."""
    found = desk.read(var_dir)
    if found is None:
        raise desk.NoDeskError(f"no desk runs in {var_dir}")
    supervisor = desk.find_process(found.pid, found.create_time)
    if supervisor is None:
        ended = desk.end_orphans(found)
        desk.remove(var_dir)
        if not ended:
            raise desk.NoDeskError(f"no desk runs in {var_dir}")
        say(f"The supervisor was gone; ended what it left: {', '.join(ended)}")
        return
    supervisor.send_signal(signal.SIGTERM)
    if not wait_until("Stopping", lambda: not found.alive(), timeout_s=timeout_s):
        raise StillRunningError(f"process {found.pid} has not stopped after {timeout_s:.0f} s; ask again to hurry it")
    say("Stopped.")
