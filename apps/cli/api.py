"""Asking the desk's API from its own machine, with the token that ``up`` leaves for us in ``VAR_DIR/run/cli.token``."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from apps.cli import desk
from packages.common.errors import PlatformError, StoreUnavailableError

ACTOR = "command line"  # who we are in the audit log; as the API calls the token's bearer
_opener = build_opener(ProxyHandler({}))  # loopback: a proxy of the environment is none of its business


class RefusedError(PlatformError):
    """The desk refuses the command in this state."""

    code = "REFUSED"


class StepUpNeededError(PlatformError):
    """Money is at stake: an admin's second factor is needed."""

    code = "STEP_UP_NEEDED"


def token_path(var_dir: Path) -> Path:
    """Where the token is."""
    return var_dir / "run" / "cli.token"


def write_token(var_dir: Path, token: str) -> None:
    """For us alone."""
    path = token_path(var_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    draft.replace(path)


@dataclass(frozen=True, slots=True)
class Api:
    """The API of the desk at ``url``."""

    url: str
    var_dir: Path

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST of ``body``. Raises ``RefusedError`` with every unmet condition,
        and ``StoreUnavailableError`` when it cannot be asked.

        Where an admin's second factor is needed he is asked for it, at a terminal; elsewhere ``StepUpNeededError``.
        """
        try:
            return self._call(path, body)
        except StepUpNeededError:
            if not sys.stdin.isatty():
                raise
        self._call("/api/auth/step-up", _second_factor())
        return self._call(path, body)

    def _call(self, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Origin": self.url, "Authorization": f"Bearer {self._token()}"}
        request = Request(self.url + path, data=data, headers=headers)  # noqa: S310 - the desk's own loopback address
        try:
            with _opener.open(request, timeout=20) as response:
                return json.load(response)
        except HTTPError as exc:
            raise _refused(exc) from exc
        except (URLError, OSError) as exc:
            raise StoreUnavailableError(f"the desk at {self.url} does not answer: {exc}") from exc

    def _token(self) -> str:
        try:
            return token_path(self.var_dir).read_text()
        except FileNotFoundError:
            return ""  # the API says what it thinks of that
        except OSError as exc:
            raise StoreUnavailableError(f"{token_path(self.var_dir)} cannot be read: {exc.strerror}") from exc


def running_api(var_dir: Path) -> Api:
    """The API of the desk that runs in this folder. Raises NoDeskError."""
    return Api(desk.require_running(var_dir).url, var_dir)


def _second_factor() -> dict[str, str]:
    import typer

    name = typer.prompt("Money is at stake. Name of an admin", err=True)
    return {"name": name, "code": typer.prompt("Code of his second factor", err=True)}


def _refused(exc: HTTPError) -> PlatformError:
    try:
        found = json.load(exc)
    except ValueError:
        found = {}
    if exc.code >= 500:
        return StoreUnavailableError(str(found.get("detail") or exc))
    if found.get("code") == "STEP_UP_NEEDED":
        return StepUpNeededError("an admin's second factor is needed: ask at a terminal, or in the desk")
    if found.get("code") == "SIGN_IN_NEEDED":
        return StoreUnavailableError("the desk does not know this command line: only `perpilot up` writes its token")
    conditions = [f"  {row['message']}" for row in found.get("conditions", [])]
    detail = str(found.get("detail") or found.get("title") or exc)
    return RefusedError("\n".join([detail.split(":", maxsplit=1)[0], *conditions]) if len(conditions) > 1 else detail)
