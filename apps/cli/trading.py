"""The trading toggle, the kill-switch and commands for one symbol, from the command line."""

import json
import time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from packages.common.db import connect
from packages.common.errors import PlatformError, StoreUnavailableError
from packages.common.time import monotonic_ms


class RefusedError(PlatformError):
    """The desk refuses the command in this state."""

    code = "REFUSED"


def toggle(desk_url: str, mode: str, reason: str, confirm: str | None = None) -> str:
    """Ask the API, whose gates decide; returns a line for the user."""
    body = {"mode": mode, "reason": reason} | ({} if confirm is None else {"confirm": confirm})
    answer = _call(desk_url, "/api/trading/toggle", body)
    changed = "is" if answer.get("changed", True) else "was already"
    return f"trading {changed} {mode} (version {answer.get('version')})"


def gate(desk_url: str) -> list[dict[str, Any]]:
    """Every condition of live trading, the account asked anew."""
    rows: list[dict[str, Any]] = _call(desk_url, "/api/trading/gate?anew=true")["conditions"]
    return rows


def resume(desk_url: str, reason: str) -> str:
    """Clear the kill-switch's latch; what still holds latches again at once."""
    answer = _call(desk_url, "/api/trading/kill-switch", {"action": "resume", "reason": reason})
    return f"{'asked to run again' if answer['changed'] else 'was already RUNNING'} (version {answer['version']})"


def command(desk_url: str, path: str, reason: str, timeout_s: float = 5.0) -> str:
    """A command for one symbol, and what the worker answers within ``timeout_s``."""
    asked = _call(desk_url, path, {"reason": reason})
    until = monotonic_ms() + timeout_s * 1e3
    while asked["state"] == "waiting" and monotonic_ms() < until:
        time.sleep(0.2)
        rows = _call(desk_url, "/api/trading/commands?limit=50")
        asked = next((row for row in rows if row["command_id"] == asked["command_id"]), asked)
    said = asked["outcome"] or "waiting for worker_realtime"
    if asked["state"] == "refused":
        raise RefusedError(f"{asked['kind']} {asked['symbol']}: {said}")
    return f"{asked['kind']} {asked['symbol']}: {said}"


def _call(desk_url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """GET, or POST of ``body``. Raises RefusedError with every unmet condition, and StoreUnavailableError."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(  # noqa: S310 - the desk's own loopback address
        desk_url + path, data=data, headers={"Content-Type": "application/json", "Origin": desk_url}
    )
    try:
        with urlopen(request, timeout=20) as response:  # noqa: S310
            return json.load(response)
    except HTTPError as exc:
        raise _refused(exc) from exc
    except (URLError, OSError) as exc:
        raise StoreUnavailableError(f"the desk at {desk_url} does not answer: {exc}") from exc


def _refused(exc: HTTPError) -> PlatformError:
    try:
        found = json.load(exc)
    except ValueError:
        found = {}
    if exc.code >= 500:
        return StoreUnavailableError(str(found.get("detail") or exc))
    conditions = [f"  {row['message']}" for row in found.get("conditions", [])]
    detail = str(found.get("detail") or found.get("title") or exc)
    return RefusedError("\n".join([detail.split(":", maxsplit=1)[0], *conditions]) if len(conditions) > 1 else detail)


def halt(desk_url: str, database_url: str, reason: str, *, flatten: bool = False) -> str:
    """Trip the kill-switch (D24): over the API, which audits it; and by its table when the API does not answer."""
    action = "flatten" if flatten else "halt"
    try:
        answer = _call(desk_url, "/api/trading/kill-switch", {"action": action, "reason": reason})
    except StoreUnavailableError:
        return _halt_by_table(database_url, reason, flatten=flatten)
    return f"{'' if answer['changed'] else 'was already '}{answer['kill_switch']} (version {answer['version']})"


def _halt_by_table(database_url: str, reason: str, *, flatten: bool) -> str:
    """The table is what the worker obeys."""
    word, from_words = ("FLATTENING", ["RUNNING", "HALTED"]) if flatten else ("HALTED", ["RUNNING"])
    with connect(database_url, autocommit=True) as conn:
        row = conn.execute(
            "UPDATE trading_state SET kill_switch = %s, reason = %s, changed_by = 'command line', "
            "changed_at = now(), version = version + 1 WHERE kill_switch = ANY(%s) RETURNING version",
            (word, reason, from_words),
        ).fetchone()
        if row is None:
            (state,) = conn.execute("SELECT kill_switch FROM trading_state").fetchone() or ("unknown",)
            return f"was already {state}"
    return f"{word} (version {row[0]}); the api does not answer, so this is not in the audit log"
