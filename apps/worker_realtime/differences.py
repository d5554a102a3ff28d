"""Attributes what live and shadow earned apart on the same decision, once both trades are closed (D33).

A live trade's intent (``order_intents``) names the trade by its first fill, and the shadow account entered with the
minute the decision was made for. The parts stand in the intent's payload under ``attribution``.
"""

import asyncio
from decimal import Decimal

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from packages.common.db import connect
from packages.common.errors import InvalidInputError, PlatformError
from services.execution.attribution import attribute, booked_of

log = structlog.get_logger(__name__)

_PAIRS = """
SELECT i.intent_id, i.payload->>'sent_price' AS sent_price, to_jsonb(l) AS live, to_jsonb(s) AS shadow
FROM order_intents i
JOIN trades l ON l.mode = 'live' AND l.symbol = i.symbol
  AND l.entry_ts = 'epoch'::timestamptz + (i.payload->>'entry_ts_ms')::bigint * interval '1 millisecond'
JOIN trades s ON s.mode = 'shadow' AND s.symbol = i.symbol AND s.entry_ts = i.created_at
WHERE i.mode = 'live' AND i.state = 'booked' AND NOT jsonb_exists(i.payload, 'attribution')
LIMIT 500
"""
_KEEP = (
    "UPDATE order_intents SET payload = payload || jsonb_build_object('attribution', %s::jsonb) WHERE intent_id = %s"
)


def attribute_new(database_url: str) -> int:
    """Attribute every pair that is not yet; returns how many. Blocks; raises ``PlatformError``, ``psycopg.Error``."""
    with connect(database_url, autocommit=True, timeout_s=5) as conn:
        with conn.cursor(row_factory=dict_row) as cursor:
            pairs = cursor.execute(_PAIRS).fetchall()
        for row in pairs:
            sent = row["sent_price"]
            try:
                parts = attribute(
                    booked_of(row["live"]), booked_of(row["shadow"]), None if sent is None else Decimal(sent)
                ).as_json()
            except InvalidInputError as exc:  # sides may differ when a decision was carried out by one of them alone
                parts = {"refused": str(exc)}
            conn.execute(_KEEP, (Jsonb(parts), row["intent_id"]))
    return len(pairs)


async def follow(database_url: str, every_s: float = 60.0) -> None:
    """Keep attributing, for ever; a database that is away is asked again."""
    while True:
        try:
            found = await asyncio.to_thread(attribute_new, database_url)
            if found:
                log.info("differences_attributed", trades=found)
        except (PlatformError, psycopg.Error) as exc:
            log.info("differences_not_attributed", error=type(exc).__name__)
        await asyncio.sleep(every_s)
