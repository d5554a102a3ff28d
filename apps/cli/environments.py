"""Environments of their own for other people's packages: pinned and hashed, made when first asked for."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import typer

from packages.common.errors import PlatformError

INSTALL_S = 900


class InstallError(PlatformError):
    """Packages could not be installed; the text is the installer's."""

    code = "client_not_installed"


def environment(wanted: Path, home: Path) -> Path:
    """The interpreter of the environment ``home`` with the requirements file ``wanted``, made once for each text of it.

    ``InstallError`` when the registry does not give them.
    """
    home = home.resolve()
    python, mark = home / "bin" / "python", home / "installed"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return python
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    typer.echo(f"installing {home.name} into {home}", err=True)
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(wanted)],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise InstallError(f"{home.name}: not installed within {INSTALL_S} s") from error
        if done.returncode:
            raise InstallError(f"{home.name}: {done.stderr.strip()[-1000:]}")
    mark.write_text(digest)
    return python
