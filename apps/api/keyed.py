"""The newest row of each symbol, kept from messages that may hold only some of them.

Symbols that come late are decided alone, after the message of their minute. A screen that skipped that message must
still get every symbol, so what goes out is always the whole.
"""

from datetime import datetime, timedelta
from typing import Any

import orjson

_FORGET_AFTER = timedelta(hours=1)  # market time: a symbol that left the universe


class NewestRows:
    """Rows by symbol; a row never replaces a newer one."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def merge(self, message: bytes) -> bytes:
        """Take a message over; JSON of all rows, which is ``message`` itself when it is complete.

        ``message``: a DTO or a list of them with ``symbol`` and ``ts``. Raises ``ValueError`` when it is anything else.
        """
        value = orjson.loads(message)
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("symbol"), str):
                raise ValueError(f"rows: got {str(row)[:80]!r}, expected objects with symbol and ts")
            _instant(row)
        for row in rows:
            held = self._rows.get(row["symbol"])
            if held is None or _instant(row) >= _instant(held):
                self._rows[row["symbol"]] = row
        if self._rows:
            oldest = max(map(_instant, self._rows.values())) - _FORGET_AFTER
            self._rows = {symbol: row for symbol, row in self._rows.items() if _instant(row) >= oldest}
        complete = isinstance(value, list) and len(rows) == len(self._rows)
        if complete and all(self._rows.get(row["symbol"]) is row for row in rows):
            return message
        return orjson.dumps(list(self._rows.values()))


def _instant(row: dict[str, Any]) -> datetime:
    when = datetime.fromisoformat(str(row.get("ts")))
    if when.tzinfo is None:
        raise ValueError(f"ts: got {row.get('ts')!r}, expected a time zone")
    return when
