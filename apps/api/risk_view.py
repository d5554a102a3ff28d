"""Guards as value, limit and distance, from the account and its positions. Pure; the kernel decides, this shows."""

from collections.abc import Mapping, Sequence

from apps.api.dto import GuardDTO
from packages.common.config import Settings
from packages.common.types import AccountDTO, PositionDTO


def guards(
    settings: Settings, account: AccountDTO | None, positions: Sequence[PositionDTO], betas: Mapping[str, float]
) -> list[GuardDTO]:
    """Every account guard of kernel.md that the newest rows tell of; values are None before the first snapshot.

    Exposure is at the mark, as fractions of the equity; ``betas`` without a symbol counts as 1.
    """
    equity = account.equity if account is not None and account.equity > 0 else None
    sides = {p.symbol: (p.notional or 0.0) * (1 if p.amt >= 0 else -1) for p in positions}
    signed = {symbol: abs(value) * (1 if value >= 0 else -1) for symbol, value in sides.items()}
    long = sum(value for value in signed.values() if value > 0)
    short = -sum(value for value in signed.values() if value < 0)
    beta = sum(betas.get(symbol, 1.0) * value for symbol, value in signed.items())

    def share(amount: float) -> float | None:
        return None if equity is None else amount / equity

    used = None if account is None else share(account.used_margin)
    loss = None
    if account is not None and account.day_start_equity:
        loss = max(0.0, 1.0 - account.equity / account.day_start_equity)
    count = None if account is None else float(len(positions))
    return [
        _guard("MAX_POSITIONS", count, float(settings.max_positions), "positions"),
        _guard("MAX_TOTAL_NOTIONAL", share(long + short), settings.max_total_notional_pct, "equity"),
        _guard("MAX_DIRECTIONAL_NOTIONAL", share(max(long, short)), settings.max_directional_notional_pct, "equity"),
        _guard("BETA_CAP", share(abs(beta)), settings.beta_cap, "equity"),
        _guard("MAX_USED_MARGIN", used, settings.max_used_margin_pct, "equity"),
        _guard("DAILY_LOSS_LIMIT", loss, settings.daily_loss_limit_pct, "day_start_equity"),
    ]


def _guard(code: str, value: float | None, limit: float, unit: str) -> GuardDTO:
    return GuardDTO(
        code=code,
        value=value,
        limit=limit,
        distance=None if value is None else limit - value,
        used=None if value is None else value / limit,
        unit=unit,
    )
