"""The newest decision of each symbol (D46)."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from apps.api.db import Connection
from apps.api.dto import SignalList
from apps.api.queries.rows import iso_of, number, whole
from packages.common.types import BlockReason, SignalDTO

Sort = Literal["ev", "symbol", "funding", "volatility", "universe"]

# One index probe a symbol; a challenger that runs beside the champion is left out (D5).
_SQL = """
SELECT s.*, c.close, coalesce(p.mark_price, m.close) AS mark_price, f.features, f.atr, old.close AS close_60,
       i.universe_rank
FROM instruments i
CROSS JOIN LATERAL (
  SELECT * FROM signals s
  WHERE s.symbol = i.symbol AND s.mode = %(mode)s AND s.model_id IS DISTINCT FROM %(challenger)s
  ORDER BY s.ts DESC LIMIT 1) s
LEFT JOIN candles_1m c ON c.symbol = s.symbol AND c.ts = s.ts
LEFT JOIN candles_1m old ON old.symbol = s.symbol AND old.ts = s.ts - interval '60 min'
LEFT JOIN premium_index p ON p.symbol = s.symbol AND p.ts = s.ts
LEFT JOIN mark_candles_1m m ON m.symbol = s.symbol AND m.ts = s.ts
LEFT JOIN features_1m f ON f.symbol = s.symbol AND f.ts = s.ts
WHERE i.in_universe
"""
_CHALLENGER = "SELECT model_id FROM model_pointers WHERE kind = 'challenger'"


async def latest(conn: Connection, mode: str, *, sort: Sort, limit: int, blocked: bool | None) -> SignalList:
    """Newest row of each symbol of the universe, sorted; ``blocked`` keeps only rows with (or without) reasons."""
    pointer = await (await conn.execute(_CHALLENGER)).fetchone()
    challenger = None if pointer is None else pointer["model_id"]
    rows = await (await conn.execute(_SQL, {"mode": mode, "challenger": challenger})).fetchall()
    newest: datetime | None = max((row["ts"] for row in rows), default=None)
    if blocked is not None:
        rows = [row for row in rows if bool(row["block_reason_codes"]) == blocked]
    rows.sort(key=_KEYS[sort])
    return SignalList(ts=None if newest is None else iso_of(newest), items=[dto(row) for row in rows[:limit]])


def best_ev(row: dict[str, Any]) -> float:
    """The larger EV of the two sides; −inf when neither is known."""
    return max(-_down(number(row["ev_long"])), -_down(number(row["ev_short"])))


def _down(value: float | None) -> float:
    return math.inf if value is None else -value


def _feature(row: dict[str, Any], name: str) -> float | None:
    return number((row["features"] or {}).get(name))


def _volatility(row: dict[str, Any]) -> float | None:
    atr, price = number(row["atr"]), number(row["mark_price"])
    return atr / price if atr is not None and price else None


def _funding(row: dict[str, Any]) -> float | None:
    rate = _feature(row, "funding_rate")
    return None if rate is None else abs(rate)


_KEYS: dict[Sort, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "ev": lambda row: (-best_ev(row), row["symbol"]),
    "symbol": lambda row: (row["symbol"],),
    "funding": lambda row: (_down(_funding(row)), row["symbol"]),
    "volatility": lambda row: (_down(_volatility(row)), row["symbol"]),
    "universe": lambda row: (math.inf if row["universe_rank"] is None else row["universe_rank"], row["symbol"]),
}


def block_details(codes: Any) -> list[BlockReason]:
    """The reasons of a row, primary first."""
    return [
        BlockReason(
            code=str(entry["code"]),
            value=number(entry.get("value")),
            limit=number(entry.get("limit")),
            distance=number(entry.get("distance")),
        )
        for entry in codes or ()
    ]


def dto(row: dict[str, Any]) -> SignalDTO:
    """A row of ``signals`` with the prices and features beside it."""
    reasons = block_details(row["block_reason_codes"])
    close, old = number(row["close"]), number(row["close_60"])
    floats = ("ev", "er", "q05", "e_mae", "p_tp")
    return SignalDTO(
        **{f"{name}_{side}": number(row[f"{name}_{side}"]) for name in floats for side in ("long", "short")},
        symbol=row["symbol"],
        ts=iso_of(row["ts"]),
        decision=row["decision"],
        size_notional=number(row["size_notional"]),
        leverage=whole(row["leverage"]),
        sl_price=number(row["sl_price"]),
        tp_price=number(row["tp_price"]),
        block_reasons=[reason.code for reason in reasons],
        explain=row["explain"] or {},
        e_hold_long_min=whole(row["e_hold_long_min"]),
        e_hold_short_min=whole(row["e_hold_short_min"]),
        block_details=reasons,
        model_id=str(row["model_id"]),
        mode=row["mode"],
        late_ms=whole(row["late_ms"]),
        close=close,
        mark_price=number(row["mark_price"]),
        ret_60=close / old - 1.0 if close is not None and old else None,
        funding_rate=_feature(row, "funding_rate"),
    )
