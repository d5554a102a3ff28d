"""Trading settings that change while the desk runs: which ones, when a change counts, and the version in force.

What the environment says is the base; a row of ``settings`` holds every value that was ever changed at the desk, and
those win. The worker writes what it has taken over into ``settings_used`` before it decides with it, so that the hash
in a row of ``decisions`` always leads to the values behind it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import psycopg
from pydantic import ValidationError

from packages.common.config import Settings
from packages.common.errors import InvalidInputError, SettingsError

_NUMBER_MAX = 1e9  # kernels count in int64, and an infinity is no limit


class Effect(StrEnum):
    """When a change counts."""

    NEXT_MINUTE = "next_minute"
    NEXT_JOB = "next_job"  # labels and models that are made from now on
    RESTART = "restart"  # of the realtime worker


_POLICY = ("ev_min", "q05_min", "mae_max", "max_positions", "risk_per_trade", "max_symbol_notional_pct")
_RISK = (
    *("max_used_margin_pct", "max_total_notional_pct", "max_directional_notional_pct", "daily_loss_limit_pct"),
    *("beta_cap", "capital_limit_usdt"),
)
_LABELS = ("label_preset", "k_tp", "k_sl", "h_bars", "risk_mae_atr", "fee_rate", "slippage_k")
_AT_START = (
    *("universe", "taker_fee_rate", "weekly_loss_limit_pct", "drawdown_limit_pct", "capital_stage_pct"),
    *("max_order_notional_pct", "entries_per_minute", "entries_per_hour", "entries_per_day", "max_spread_bps"),
    *("max_mark_gap_bps", "model_max_age_days"),
)
# Where an account is traded, these are also limits of the kill-switch and of the sizing, which are set at the start.
_LIVE_AT_START = frozenset({"capital_limit_usdt", "daily_loss_limit_pct"})
EFFECTS: Mapping[str, Effect] = {
    **dict.fromkeys((*_POLICY, *_RISK), Effect.NEXT_MINUTE),
    **dict.fromkeys(_LABELS, Effect.NEXT_JOB),
    **dict.fromkeys(_AT_START, Effect.RESTART),
}


def effect_of(name: str, mode: str) -> Effect:
    """When a change of ``name`` counts in full, on a desk whose MODE is ``mode``."""
    return Effect.RESTART if mode == "live" and name in _LIVE_AT_START else EFFECTS[name]


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """Settings in force and the version that made them so; 0: the environment alone."""

    version: int
    settings: Settings

    @property
    def values(self) -> dict[str, Any]:
        """Every setting that may change, by its upper-case name, as JSON."""
        return values_of(self.settings)

    @property
    def hash(self) -> str:
        """SHA-256 of ``values`` in canonical JSON."""
        return hash_of(self.values)


def values_of(settings: Settings) -> dict[str, Any]:
    """Every setting that may change, by its upper-case name, as JSON."""
    shown = settings.model_dump(mode="json", include=set(EFFECTS))
    return {name.upper(): shown[name] for name in EFFECTS}


def hash_of(values: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of ``values``."""
    return hashlib.sha256(orjson.dumps(dict(values), option=orjson.OPT_SORT_KEYS)).hexdigest()


def overlay(base: Settings, changed: Mapping[str, Any]) -> Settings:
    """``base`` with ``changed`` (upper-case names) over it, validated as at a start. ``InvalidInputError`` names the
    setting, the value and what was expected."""
    for name in changed:
        if name != name.upper() or name.lower() not in EFFECTS:
            expected = "a setting that may change while the desk runs: " + ", ".join(n.upper() for n in EFFECTS)
            raise InvalidInputError(f"changes.{name}", changed[name], expected)
    if not changed:
        return base
    asked = {name.lower(): value for name, value in changed.items()}
    try:
        found = Settings(_env_file=None, **(base.model_dump(exclude_unset=True) | asked))
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        name = str(error["loc"][0]) if error["loc"] else "settings"
        expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        raise InvalidInputError(f"changes.{name.upper()}", asked.get(name), expected) from exc
    for name, value in asked.items():
        read = getattr(found, name)
        if isinstance(read, int | float) and not abs(read) <= _NUMBER_MAX:
            raise InvalidInputError(f"changes.{name.upper()}", value, f"a number of at most {_NUMBER_MAX:g}")
    return found


def newest(conn: psycopg.Connection[Any], base: Settings) -> SettingsVersion:
    """The newest version over ``base``. ``SettingsError`` when this release does not accept what is stored."""
    row = conn.execute("SELECT version, value FROM settings ORDER BY version DESC LIMIT 1").fetchone()
    return SettingsVersion(0, base) if row is None else stored(base, row[0], row[1])


def stored(base: Settings, version: int, changed: Mapping[str, Any]) -> SettingsVersion:
    """A stored version over ``base``; raises as ``newest``."""
    try:
        return SettingsVersion(version, overlay(base, changed))
    except InvalidInputError as exc:
        raise SettingsError(f"settings version {version}: {exc}; change it at the desk, or delete the row") from exc


def note_taken(conn: psycopg.Connection[Any], taken: SettingsVersion) -> None:
    """Write down that ``taken`` is decided with from now on; again changes nothing."""
    conn.execute(
        "INSERT INTO settings_used (version, hash, values) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (taken.version, taken.hash, orjson.dumps(taken.values).decode()),
    )


def as_used(conn: psycopg.Connection[Any], base: Settings, version: int, digest: str) -> Settings:
    """The settings behind a row of ``decisions``, for its replay."""
    row = conn.execute(
        "SELECT values FROM settings_used WHERE version = %s AND hash = %s", (version, digest)
    ).fetchone()
    if row is None:
        raise InvalidInputError("settings_hash", digest, f"one that version {version} was used with")
    return overlay(base, row[0])
