"""Every code that answers carry, by where it stands, for those who have a text for each. In the document: ``x-codes``.

A test looks for them in the sources of who emits them, so that none is missing here and none is left over.
"""

from apps.api.errors import STATUS
from packages.common.reasons import ExitReason, Reason
from packages.exchange.trading import PermissionFault
from services.execution.gate import EVIDENCE
from services.execution.guards import Refusal
from services.execution.kill_switch import Trigger
from services.execution.translate import NOT_TAKEN

# What halts or flattens (``RiskStateDTO.live.trips``, ``latch_code``); each is told as a risk event too.
_LEGS = ("STOP", "TARGET")
HALTS: tuple[str, ...] = (
    *(Trigger.DATA_STALE_WIDELY, Trigger.USER_STREAM_DEAD, Trigger.ORDER_FAILURES, Trigger.CLOCK_SKEW),
    *(Trigger.STORES_LOST, Trigger.DAILY_LOSS, Trigger.WEEKLY_LOSS, Trigger.DRAWDOWN, Trigger.RUNAWAY),
    *(Trigger.OPERATOR, "MANUAL", "FOREIGN_ORDER", "UNPLANNED_POSITION", "UNKNOWN_SYMBOL", "LEDGER_MISMATCH"),
    *("WATCHDOG_ACTED", "LIQUIDATION", "ADL", "NAKED", "JOURNAL", "JOURNAL_DAMAGED"),
    *(
        f"{leg}_{end}"
        for leg in _LEGS
        for end in ("REFUSED", "EXPIRED", "REJECTED", "MISMATCHED", "SPENT", "NOT_LISTED")
    ),
)
CODES: dict[str, tuple[str, ...]] = {
    "block_reasons": tuple(Reason),  # of signals: why a symbol was not traded
    "exit_reasons": tuple(ExitReason),  # of trades
    "halts": HALTS,
    "latch_ends": ("RESUMED", "CLEARED"),  # ``latch_code`` of a kill-switch that is running again
    "risk_events": (
        *HALTS,
        *("DAILY_LOSS_LIMIT", "STOP_PATH_BROKEN", "MARGIN_CALL", "NAKED_TOO_LONG", "NOT_BOOKED", "BOOKED_IN_PART"),
        *("ENTRY_UNKNOWN", "ENTRY_STILL_UNKNOWN", "ENTRY_REJECTED", "STOP_WOULD_TRIGGER", "EXIT_REFUSED"),
        "STAGE_REFUSED",
        *("CANNOT_EXIT", "MISMATCHED_STOP", "MISMATCHED_TARGET", "NOT_LISTED", "SETTLEMENT"),
    ),
    # of ``RiskStateDTO.live.blocks``: no entries while it lasts
    "entry_blocks": (
        *(Trigger.DATA_STALE, Trigger.USER_STREAM_DEAD, Trigger.CLOCK_SKEW, Trigger.NO_JOURNAL, Trigger.STORES_LOST),
    ),
    # in the payload of an intent that lapsed
    "entry_refusals": (
        *Refusal,
        *(Trigger.DATA_STALE, Trigger.USER_STREAM_DEAD, Trigger.CLOCK_SKEW, Trigger.NO_JOURNAL, Trigger.STORES_LOST),
        *("KILL_SWITCH", "SYMBOL_LOCKED", "RECOVERING", "SETUP_FAILED", "ORDER_INVALID", "CLOSED"),
        *sorted(NOT_TAKEN),
    ),
    "gate_conditions": (
        *("MODE_NOT_PERMITTED", "TRADING_DISABLED", "NO_MODEL", "NO_PRODUCTION_MODEL", "SHADOW_TOO_SHORT", "NOT_ADMIN"),
        *("NO_SECOND_FACTOR", "NOT_CONFIRMED", "WORKER_SILENT", "LIVE_NOT_RUNNING", "ACCOUNT_NOT_CHECKED"),
        *("GATE_UNREADABLE", "SPEED_NOT_FINITE", "NO_EXCHANGE_KEYS", "CLOCK_SKEW", "CLOCK_NOT_SYNCHRONISED"),
        *("USER_STREAM_DOWN", "STOP_PATH_UNPROVEN", "NO_JOURNAL", "LEASE_STALE", "DATA_STALE", "KILL_SWITCH"),
        *("ACCOUNT_UNREADABLE", "CANNOT_TRADE", "HEDGE_MODE", "MULTI_ASSETS_MODE", "FEES_IN_BNB", "BALANCE_TOO_LOW"),
        *("BLOCKED", "NO_SYMBOLS", "BRACKETS_UNKNOWN", "SYMBOL_CONFIG_UNKNOWN", "AUTO_ADD_MARGIN", "NOT_ISOLATED"),
        *PermissionFault,
        *(f"NO_EVIDENCE_{kind.upper()}" for kind in EVIDENCE),
    ),
    "problems": tuple(STATUS),  # of refusals (``Problem.code``), and
    # what is unmet where the state of the system does not allow it (``Problem.conditions``)
    "conditions": (
        *("LAST_ADMIN", "USER_DISABLED", "TOO_MANY_TOKENS", "NO_SECOND_FACTOR", "HAS_SECOND_FACTOR"),
        *("LIVE_NOT_RUNNING", "MODE_NOT_PERMITTED", "TRADING_DISABLED", "WORKER_SILENT", "POSITION_OPEN"),
        *("JOB_ENDED", "JOB_NOT_ENDED", "NO_PREDECESSOR", "POINTER_MOVED", "NOT_RETIRED"),
        *("RL_SHADOW_TOO_SHORT", "RL_PROFIT_FACTOR", "RL_DRAWDOWN", "RL_ONLY_HOLDS"),
        *(f"EVIDENCE_{kind.upper()}" for kind in EVIDENCE),
    ),
    # of the watchdog, in ``run/watchdog.json`` and its log
    "alarms": (
        *("WORKER_SILENT", "EXCHANGE_UNREACHABLE", "JOURNAL_DAMAGED", "JOURNAL_GONE", "STOP_MISSING", "STOP_REFUSED"),
        *("STOP_ELSEWHERE", "UNPLANNED_POSITION", "EXIT_LATE", "ENTRY_RESTS"),
    ),
}
