"""The trading toggle, the kill-switch and commands for one symbol, from the command line."""

import time
from typing import Any

import psycopg

from apps.api import audit
from apps.cli.api import ACTOR, Api, RefusedError
from packages.common.db import connect, first_line
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
    """The table is what the worker obeys. The audit log comes after it: a halt waits for nobody."""
    word, from_words = ("FLATTENING", ["RUNNING", "HALTED"]) if flatten else ("HALTED", ["RUNNING"])
    with connect(database_url, autocommit=True) as conn:
        row = conn.execute(
            "UPDATE trading_state t SET kill_switch = %s, reason = %s, changed_by = %s, changed_at = now(), "
            "version = t.version + 1 FROM (SELECT kill_switch FROM trading_state FOR UPDATE) before "
            "WHERE t.kill_switch = ANY(%s) RETURNING t.version, before.kill_switch",
            (word, reason, ACTOR, from_words),
        ).fetchone()
        if row is None:
            (state,) = conn.execute("SELECT kill_switch FROM trading_state").fetchone() or ("unknown",)
            return f"was already {state}"
        version, earlier = row
        before, after = {"kill_switch": earlier, "version": version - 1}, {"kill_switch": word, "version": version}
        entry = audit.Entry(ACTOR, "trading.kill_switch", "trading_state", before, after, reason)
        try:
            with conn.transaction():
                audit.append_blocking(conn, entry)
        except psycopg.Error as exc:
            return f"{word} (version {version}); it is not in the audit log: {first_line(exc)}"
    return f"{word} (version {version}), written by hand: the api could not be asked"
