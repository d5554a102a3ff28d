"""The trading toggle and the halt, from the command line."""

import json
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from packages.common.db import connect
from packages.common.errors import PlatformError, StoreUnavailableError


class RefusedError(PlatformError):
    """The desk refuses the command in this state."""

    code = "REFUSED"


def toggle(desk_url: str, mode: str, reason: str) -> str:
    """Ask the API, whose gates decide; returns a line for the user."""
    request = Request(  # noqa: S310 - the desk's own loopback address
        f"{desk_url}/api/trading/toggle",
        data=json.dumps({"mode": mode, "reason": reason}).encode(),
        headers={"Content-Type": "application/json", "Origin": desk_url},
        method="POST",
    )
    try:
        with urlopen(request, timeout=10) as response:  # noqa: S310
            answer = json.load(response)
    except HTTPError as exc:
        detail = json.load(exc)
        raise RefusedError(str(detail.get("detail") or detail.get("title") or exc)) from exc
    except (URLError, OSError) as exc:
        raise StoreUnavailableError(f"the desk at {desk_url} does not answer: {exc}") from exc
    changed = "is" if answer.get("changed", True) else "was already"
    return f"trading {changed} {mode} (version {answer.get('version')})"


def halt(database_url: str, reason: str) -> str:
    """Trip the kill-switch (D24). The table is what the worker obeys; the API tells the worker of the new version."""
    with connect(database_url, autocommit=True) as conn:
        row = conn.execute(
            "UPDATE trading_state SET kill_switch = 'HALTED', reason = %s, changed_by = 'command line', "
            "changed_at = now(), version = version + 1 WHERE kill_switch = 'RUNNING' RETURNING version",
            (reason,),
        ).fetchone()
        if row is None:
            (state,) = conn.execute("SELECT kill_switch FROM trading_state").fetchone() or ("unknown",)
            return f"already {state}"
    return f"halted: no new entries (version {row[0]})"
