"""The trading toggle, the kill-switch and commands for one symbol, from the command line."""

import time
from typing import Any

from apps.cli.api import Api, RefusedError
from packages.common.db import connect
from packages.common.errors import StoreUnavailableError
from packages.common.time import monotonic_ms


def toggle(api: Api, mode: str, reason: str, confirm: str | None = None) -> str:
    """Ask the API, whose gates decide; returns a line for the user."""
    body = {"mode": mode, "reason": reason} | ({} if confirm is None else {"confirm": confirm})
    answer = api.call("/api/trading/toggle", body)
    changed = "is" if answer.get("changed", True) else "was already"
    return f"trading {changed} {mode} (version {answer.get('version')})"


def gate(api: Api) -> list[dict[str, Any]]:
    """Every condition of live trading, the account asked anew."""
    rows: list[dict[str, Any]] = api.call("/api/trading/gate?anew=true")["conditions"]
    return rows


def resume(api: Api, reason: str) -> str:
    """Clear the kill-switch's latch; what still holds latches again at once."""
    answer = api.call("/api/trading/kill-switch", {"action": "resume", "reason": reason})
    return f"{'asked to run again' if answer['changed'] else 'was already RUNNING'} (version {answer['version']})"


def command(api: Api, path: str, reason: str, timeout_s: float = 5.0) -> str:
    """A command for one symbol, and what the worker answers within ``timeout_s``."""
    asked = api.call(path, {"reason": reason})
    until = monotonic_ms() + timeout_s * 1e3
    while asked["state"] == "waiting" and monotonic_ms() < until:
        time.sleep(0.2)
        rows = api.call("/api/trading/commands?limit=50")
        asked = next((row for row in rows if row["command_id"] == asked["command_id"]), asked)
    said = asked["outcome"] or "waiting for worker_realtime"
    if asked["state"] == "refused":
        raise RefusedError(f"{asked['kind']} {asked['symbol']}: {said}")
    return f"{asked['kind']} {asked['symbol']}: {said}"


def halt(api: Api, database_url: str, reason: str, *, flatten: bool = False) -> str:
    """Trip the kill-switch (D24): over the API, which audits it; and by its table when the API cannot be asked."""
    action = "flatten" if flatten else "halt"
    try:
        answer = api.call("/api/trading/kill-switch", {"action": action, "reason": reason})
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
    return f"{word} (version {row[0]}); the api could not be asked, so this is not in the audit log"
