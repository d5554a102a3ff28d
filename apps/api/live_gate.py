"""What must hold before anybody may even ask for real orders (§16.2, D31, D35, D40). Pure."""

from dataclasses import dataclass

from apps.api.errors import Condition

EVIDENCE_KINDS = ("oos", "pbo", "shadow", "parity", "drift")
_EVIDENCE_TEXT = {
    "oos": "purged out-of-sample results",
    "pbo": "the probability of backtest overfitting",
    "shadow": "two weeks of shadow trading within limits, in wall-clock time on this exchange",
    "parity": "a parity certificate of backtest, shadow and exchange",
    "drift": "acceptable drift of inputs",
}
_RANK = {"off": 0, "shadow": 1, "live": 2}


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """Everything the gate looks at. ``signed_in_role`` is None while nobody can sign in."""

    permitted: str
    trading_enabled: bool
    kill_switch: str
    production_model: bool
    missing_evidence: tuple[str, ...]
    worker_alive: bool
    second_factor_admin: bool
    signed_in_role: str | None
    exchange_keys: bool
    confirmed: bool


def mode_conditions(asked: str, permitted: str, trading_enabled: bool) -> list[Condition]:
    """What the settings forbid; off is always allowed."""
    found = []
    if _RANK[asked] > _RANK[permitted]:
        found.append(Condition(code="MODE_NOT_PERMITTED", message=f"MODE is {permitted}: set MODE={asked} and restart"))
    if asked != "off" and not trading_enabled:
        found.append(Condition(code="TRADING_DISABLED", message="TRADING_ENABLED is false: set it to true and restart"))
    return found


def live_conditions(facts: LiveFacts) -> list[Condition]:
    """Every condition of live trading that is not met, in the order one would see to them."""
    found = mode_conditions("live", facts.permitted, facts.trading_enabled)

    def need(met: bool, code: str, message: str) -> None:
        if not met:
            found.append(Condition(code=code, message=message))

    need(facts.exchange_keys, "NO_EXCHANGE_KEYS", "no key of an exchange account is configured")
    need(facts.second_factor_admin, "NO_SECOND_FACTOR", "no admin with a second factor exists")
    need(facts.signed_in_role == "admin", "NOT_ADMIN", "only a signed-in admin may ask for live trading")
    need(facts.worker_alive, "WORKER_SILENT", "worker_realtime gives no sign of life")
    need(facts.kill_switch == "RUNNING", "KILL_SWITCH", f"the kill switch is {facts.kill_switch}, expected RUNNING")
    need(facts.production_model, "NO_PRODUCTION_MODEL", "no model is in production; a demo model serves shadow only")
    for kind in facts.missing_evidence:
        code = f"NO_EVIDENCE_{kind.upper()}"
        need(False, code, f"the production model lacks fresh, passed evidence: {_EVIDENCE_TEXT[kind]}")
    need(facts.confirmed, "NOT_CONFIRMED", "confirm must repeat the word LIVE")
    return found
