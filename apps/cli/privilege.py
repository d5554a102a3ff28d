"""How a server that refuses to run as root is run by us.

PostgreSQL refuses uid 0. As root we first try a user namespace in which we are ``nobody`` (files stay reachable, since
outside it we are still their owner), then the real ``nobody``. Which way was taken is said to the user.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packages.common.errors import PlatformError

_UNSHARE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


class PrivilegeError(PlatformError):
    """No way was found to run a server that refuses root."""

    code = "PRIVILEGE"


@dataclass(frozen=True, slots=True)
class Privilege:
    """``prefix`` goes before the command; ``uid``/``gid`` are dropped to when set; ``way`` is for the user."""

    way: str
    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def own(self, folder: Path) -> None:
        """Make ``folder`` writable for the server's user."""
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


@cache
def unprivileged(binary: Path) -> Privilege:
    """The way to run ``binary`` without root rights. Raises PrivilegeError when there is none."""
    if os.geteuid() != 0:
        return Privilege("as the current user")
    if shutil.which(_UNSHARE[0]) and _runs((*_UNSHARE, str(binary), "--version")):
        return Privilege("as root, inside a user namespace", prefix=_UNSHARE)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        nobody = None
    if nobody is not None and _runs((str(binary), "--version"), uid=nobody.pw_uid, gid=nobody.pw_gid):
        return Privilege("as the user nobody", uid=nobody.pw_uid, gid=nobody.pw_gid)
    raise PrivilegeError(
        f"{binary.name} does not run as root, user namespaces are forbidden here and the user nobody cannot reach "
        f"{binary}: start Perpilot as an ordinary user, or set DATABASE_URL to a running PostgreSQL"
    )


def _runs(command: tuple[str, ...], *, uid: int | None = None, gid: int | None = None) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, user=uid, group=gid)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
