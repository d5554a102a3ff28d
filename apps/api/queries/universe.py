"""Instruments of the universe."""

from typing import Any

from apps.api.db import Connection
from apps.api.errors import NotFoundError
from apps.api.queries.rows import iso_at, number
from packages.common.types import InstrumentDTO, SymbolStatus

_SQL = """
SELECT i.symbol, i.status, i.liquidity_tier, i.exchange_status, i.contract_type, i.tick_size, i.step_size,
       i.price_decimals, i.qty_decimals, i.max_leverage, i.in_universe, c.ts AS latest_candle_ts
FROM instruments i
LEFT JOIN LATERAL (SELECT ts FROM candles_1m c WHERE c.symbol = i.symbol ORDER BY ts DESC LIMIT 1) c ON TRUE
WHERE i.in_universe
ORDER BY i.universe_rank NULLS LAST, i.symbol
"""


async def instruments(conn: Connection) -> list[InstrumentDTO]:
    """All of the universe in its order, delisted ones included (D8)."""
    rows = await (await conn.execute(_SQL)).fetchall()
    return [_dto(row) for row in rows]


async def require_symbol(conn: Connection, symbol: str) -> None:
    """Raise ``NotFoundError`` unless the instrument is known."""
    cursor = await conn.execute("SELECT 1 FROM instruments WHERE symbol = %s", (symbol,))
    if await cursor.fetchone() is None:
        raise NotFoundError(f"symbol: got {symbol!r}, expected one of /api/universe")


def _dto(row: dict[str, Any]) -> InstrumentDTO:
    return InstrumentDTO(
        symbol=row["symbol"],
        status=row["status"],
        liquidity_tier=row["liquidity_tier"],
        tradable=row["status"] == SymbolStatus.ACTIVE and row["in_universe"],
        exchange_status=row["exchange_status"],
        contract_type=row["contract_type"],
        tick_size=number(row["tick_size"]),
        step_size=number(row["step_size"]),
        price_decimals=row["price_decimals"],
        qty_decimals=row["qty_decimals"],
        max_leverage=row["max_leverage"],
        latest_candle_ts=iso_at(row["latest_candle_ts"]),
    )
