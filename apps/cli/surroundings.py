"""What a start needs of the machine: a port, room on the disk, a browser."""

import os
import shutil
import sys
import webbrowser
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from apps.cli.console import say
from apps.cli.ports import free_port, is_free
from packages.common.config import Settings
from packages.common.errors import PlatformError, SettingsError

DISK_NEEDED_MB, DISK_LOW_MB = 500, 200


class DiskFullError(PlatformError):
    """Not enough room to run."""

    code = "DISK_FULL"


def choose_api_port(settings: Settings) -> int:
    """The desk's port. A busy default moves to a free one and says so; a busy chosen one is a SettingsError."""
    wanted = settings.api_port
    if wanted == 0:
        return free_port()
    if is_free(wanted, settings.api_host):
        return wanted
    if "api_port" in settings.model_fields_set:
        raise SettingsError(f"API_PORT: {wanted} is taken by another program; choose another or end that one")
    port = free_port()
    say(f"Port {wanted} is taken; the desk moves to {port}")
    return port


def disk_free_mb(folder: Path) -> float:
    return shutil.disk_usage(folder).free / 2**20


def check_disk(folder: Path) -> None:
    """Make ``folder``; raises DiskFullError when there is no room to start in."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(f"VAR_DIR: {folder} cannot be made: {exc.strerror}") from exc
    free_mb = disk_free_mb(folder)
    if free_mb < DISK_NEEDED_MB:
        raise DiskFullError(
            f"{folder} has {free_mb:.0f} MB left, {DISK_NEEDED_MB} MB are needed: free some, or set another VAR_DIR"
        )


def open_browser(url: str) -> None:
    """Show the desk where there is a display."""
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


def answers(url: str) -> bool:
    """True when an HTTP server answers ``url`` with success."""
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)
    except (URLError, OSError, ValueError):
        return False
