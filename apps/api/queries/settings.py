"""The trading settings in force."""

from typing import Any

from apps.api.db import Connection
from apps.api.dto import SettingsDTO
from apps.api.queries.rows import iso_at
from packages.common.config import Settings

NAMES = (
    "mode", "trading_enabled", "universe", "flush_interval_ms",
    "label_preset", "k_tp", "k_sl", "h_bars", "risk_mae_atr", "fee_rate", "slippage_k",
    "ev_min", "q05_min", "mae_max", "max_positions",
    "max_used_margin_pct", "max_total_notional_pct", "max_directional_notional_pct", "daily_loss_limit_pct",
    "max_symbol_notional_pct", "risk_per_trade", "beta_cap", "taker_fee_rate", "shadow_equity_usdt",
    "capital_limit_usdt",
)  # fmt: skip
_NEWEST = "SELECT version, created_at FROM settings ORDER BY version DESC LIMIT 1"


def values(settings: Settings) -> dict[str, Any]:
    """Trading settings by their names of §21 and D43. Addresses and folders are none of a screen's business."""
    shown = settings.model_dump(mode="json", include=set(NAMES))
    return {name.upper(): shown[name] for name in NAMES}


async def current(conn: Connection, settings: Settings) -> SettingsDTO:
    """What the environment set; ``version`` is of the newest stored change, None while there is none."""
    row = await (await conn.execute(_NEWEST)).fetchone()
    return SettingsDTO(
        version=None if row is None else row["version"],
        changed_at=None if row is None else iso_at(row["created_at"]),
        values=values(settings),
    )
