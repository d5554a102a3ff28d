"""What a campaign keeps of the trader's rows, and the judgement: the exchange's audit (``services.emulator.audit``)
against them.

Claims, each with what was found: nobody is naked at the end; no entry was made twice or on top of another; nothing
stands without a position; nothing but an entry ever opened a position, and that to the side it was meant for; our fills
are the exchange's, and our closed trades add up to its ledger, digit by digit.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from packages.common.ids import Leg, decision_digest, parse_order_id
from services.execution import books

LONG_MS = 1_000.0
_DIGITS = Decimal("1e-8")
_SHOWN = 20


class Kept:
    """Where the trader's rows go: tables by their keys, as the database has them, and a file that a kill cannot lose.

    A fill that came twice with different figures is in ``conflicts``.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.fills: dict[tuple[str, int], dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.risk: list[dict[str, Any]] = []
        self.conflicts: list[dict[str, Any]] = []
        self._file: IO[str] | None = None
        if path is not None:
            if path.exists():
                for line in path.read_text().splitlines():
                    with suppress(ValueError):  # a line that a kill cut short
                        table, row = json.loads(line)
                        self._take(table, row)
            self._file = path.open("a", buffering=1)

    def put(self, table: str, rows: Sequence[Any]) -> None:
        for row in rows:
            if self._file is not None and table in ("fills", "order_intents", "trades", "risk_events"):
                self._file.write(json.dumps([table, row]) + "\n")
            self._take(table, row)

    def publish(self, channel: str, message: Any) -> None:
        """Nobody listens."""

    def state(self, intent_id: str) -> str:
        """How far an intent has come; empty while nothing is known of it."""
        return str(self.intents[intent_id]["state"]) if intent_id in self.intents else ""

    def unbooked(self) -> list[books.Plan | books.Adopted]:
        """Of intents whose trade may not have been booked: as the worker reads them from its database at start."""
        return [
            books.unbooked_of(row["kind"], row["symbol"], row["created_at"], row["payload"])
            for row in self.intents.values()
            if row["state"] not in books.DONE
        ]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _take(self, table: str, row: Any) -> None:
        match table:
            case "fills":
                old = self.fills.setdefault((row["symbol"], row["trade_id"]), row)
                figures = ("price", "qty", "fee", "realized_pnl", "order_id")
                if any(old[name] != row[name] for name in figures):
                    self.conflicts.append(row)
            case "order_intents":
                self.intents[row["intent_id"]] = row
            case "trades":
                self.trades.append(row)
            case "risk_events":
                self.risk.append(row)


def judge(account: Mapping[str, Any], kept: Kept, blows: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """``account``: one of the audit's. ``ok`` is whether every claim holds; ``broken`` names those that do not.

    ``blows``: faults of the whole exchange that lasted for a while; long intervals say which of them fell into them.
    """
    summary, faults = account["summary"], dict[str, Any]()
    faults["left_naked"] = summary["naked_now"]
    faults["left_open"] = summary["open"]
    faults["duplicate_entries"] = _named(account["duplicates"])
    faults["stacked_entries"] = _named(account["stacked"])
    faults["orphan_orders"] = [f"{row['symbol']} {row['client_id']}" for row in account["orphans"]]
    faults["reversed_positions"] = _reversed(account["entries"], kept)
    faults["exchange_ledger"] = summary["differences"]
    faults["fills"] = _fills(account["trades"], kept)
    faults["closed_trades"] = _closed(account, kept)
    broken = {name: found[:_SHOWN] for name, found in faults.items() if found}
    lasted = [row for row in account["naked"] if row["end"]]
    intervals = sorted((_interval(row, blows) for row in lasted), key=lambda row: -row["ms"])
    return {
        "ok": not broken,
        "positions": summary["episodes"],
        "naked_ms": summary["naked_wall_ms"],
        "naked_over_1s": [row for row in intervals if row["ms"] > LONG_MS],
        "counts": {name: len(found) for name, found in faults.items()},
        "broken": broken,
        "booked": {"trades": len(kept.trades), "fills": len(kept.fills), "net": str(_net(kept))},
        "halts": dict(Counter(row["event_type"] for row in kept.risk)),
        "exits": dict(Counter(row["exit_reason"] for row in kept.trades)),
    }


def _named(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"{row['symbol']} {row['client_id']}" for row in rows]


def _interval(row: Mapping[str, Any], blows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    meanwhile = {
        blow["kind"]
        for blow in blows
        if blow["from_ms"] < row["to_ms"]
        and row["from_ms"] < blow["to_ms"]
        and (not blow["symbols"] or row["symbol"] in blow["symbols"])
    }
    return {
        "symbol": row["symbol"], "ms": round(row["to_wall_ms"] - row["from_wall_ms"]), "cause": row["cause"],
        "end": row["end"], "meanwhile": sorted(meanwhile), "market_ms": row["from_ms"],
    }  # fmt: skip


def _reversed(entries: Iterable[Mapping[str, Any]], kept: Kept) -> list[str]:
    """Orders that opened a position and are no entries, or of the other side than was decided."""
    sides = {
        decision_digest(row["payload"]["decision_id"]): row["payload"]["side"]
        for row in kept.intents.values()
        if "side" in row["payload"]
    }
    found = []
    for row in entries:
        parsed = parse_order_id(row["client_id"])
        side = {"BUY": "LONG", "SELL": "SHORT"}[row["side"]]
        if parsed is None or parsed.leg is not Leg.ENTRY or sides.get(parsed.decision, side) != side:
            found.append(f"{row['symbol']} {row['client_id']} opened {side}")
    return found


def _fills(trades: Iterable[Mapping[str, Any]], kept: Kept) -> list[str]:
    """Fills that the exchange has and we do not, or the other way round, or with other figures."""
    theirs = {(row["symbol"], row["id"]): row for row in trades}
    found = [f"{key} is only ours" for key in kept.fills.keys() - theirs.keys()]
    found += [f"{key} came with two figures" for key in (f"{r['symbol']} {r['trade_id']}" for r in kept.conflicts)]
    for key, row in theirs.items():
        ours = kept.fills.get(key)
        if ours is None:
            found.append(f"{key} is only the exchange's")
            continue
        pairs = (("price", "price"), ("qty", "qty"), ("fee", "fee"), ("realized_pnl", "pnl"))
        found += [
            f"{key} {mine}: {ours[mine]} is {row[yours]}"
            for mine, yours in pairs
            if _exact(ours[mine]) != Decimal(row[yours]).quantize(_DIGITS)
        ]
    return found


def _closed(account: Mapping[str, Any], kept: Kept) -> list[str]:
    """Each position is one row of trades, and the rows add up to what the wallet gained."""
    found = []
    theirs, ours = Counter(row["symbol"] for row in account["episodes"]), Counter(row["symbol"] for row in kept.trades)
    if theirs != ours:
        found.append(f"positions not booked {dict(theirs - ours)}, booked too often {dict(ours - theirs)}")
    gained = sum((Decimal(row["amount"]) for row in account["incomes"] if row["kind"] != "TRANSFER"), Decimal(0))
    if _net(kept) != gained:
        found.append(f"our net {_net(kept)}, the wallet's {gained}")
    return found


def _net(kept: Kept) -> Decimal:
    return sum((_exact(row["net"]) for row in kept.trades), Decimal(0))


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(_DIGITS)
