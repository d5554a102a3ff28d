"""What must hold before live trading may begin (D31, D35, D40; execution.md 17): every condition at once.

The worker, which holds the key, judges account and process; the API judges what permits and who asks. Pure but for
``gather_account_facts``, which only reads. What could not be found out is not met.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol, TypeVar

from packages.common.config import Settings
from packages.common.errors import VenueError
from packages.common.time import DAY_MS
from packages.exchange.port import Brackets
from packages.exchange.trading import (
    Account,
    AccountConfig,
    ApiPermissions,
    PermissionFault,
    SymbolConfig,
    Trading,
    permission_faults,
)

T = TypeVar("T")

CONFIRMATION = "LIVE"
EVIDENCE = {  # of the production model (D31)
    "oos": "purged out-of-sample results",
    "pbo": "the probability of backtest overfitting",
    "shadow": "two weeks of shadow trading within limits, in wall-clock time on this exchange",
    "parity": "a parity certificate of backtest, shadow and exchange",
    "drift": "acceptable drift of inputs",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold: a code named after what is wrong when it does not, what is, and what is expected."""

    code: str
    met: bool
    value: str
    expected: str


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Quote units; wall milliseconds, the skew times the speed."""

    balance_min: Decimal = Decimal(10)
    skew_ms: float = 500
    sync_age_ms: float = 60_000
    lease_ms: float = 2_000
    shadow_ms: float = 14 * DAY_MS


def gate_limits(settings: Settings) -> GateLimits:
    """The limits that the settings name."""
    balance = Decimal(repr(settings.live_balance_min_usdt))
    return GateLimits(balance_min=balance, shadow_ms=settings.live_shadow_days * DAY_MS)


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the exchange says of the account; None or absent: it could not be read, ``errors`` says why, by read.

    ``busy``: symbols with a position or orders, whose margin mode cannot be changed. ``brackets``: symbols whose
    leverage brackets are known.
    """

    permissions: ApiPermissions | None = None
    config: AccountConfig | None = None
    fees_in_bnb: bool | None = None
    account: Account | None = None
    symbols: Mapping[str, SymbolConfig] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    brackets: frozenset[str] = frozenset()
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """What only the process that trades can know. ``exchange`` is the setting. ``account`` None: nobody has asked.
    ``symbols``: those that may be traded.

    Ages are wall milliseconds, None unknown; ``clock_skew_ms`` market ms. ``latch`` and ``latch_code`` as
    ``KillState.word`` and ``code`` have them; ``blocks``: codes of blocks of the whole account.
    """

    exchange: Literal["emulator", "binance", "binance-demo"]
    speed: float
    has_keys: bool
    symbols: Sequence[str]
    account: AccountFacts | None = None
    clock_skew_ms: float | None = None
    sync_age_ms: float | None = None
    stop_path_proven: bool = False
    stream_up: bool = False
    journal_healthy: bool = False
    lease_age_ms: float | None = None
    stale: Sequence[str] = ()
    latch: str = "UNKNOWN"
    latch_code: str = ""
    blocks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class DeskFacts:
    """What settings, tables and whoever asks contribute. ``shadow_ms``: wall-clock time of shadow trading on this venue
    (D40). ``missing_evidence``: some of ``EVIDENCE``. ``admin``: a signed-in one asks; ``second_factor``: just proven.
    """

    exchange: Literal["emulator", "binance", "binance-demo"]
    permitted: Literal["off", "shadow", "live"]
    trading_enabled: bool
    model: Literal["production", "demo"] | None = None
    missing_evidence: Sequence[str] = ()
    shadow_ms: float = 0.0
    confirmation: str = ""
    admin: bool = False
    second_factor: bool = False


@dataclass(frozen=True, kw_only=True)
class GateFacts(DeskFacts, WorkerFacts):
    """All of it."""


def unmet_conditions(facts: GateFacts, limits: GateLimits | None = None) -> list[Condition]:
    """Everything that stands in the way of live trading; empty when nothing does."""
    limits = limits or GateLimits()
    return [row for row in (*desk_conditions(facts, limits), *worker_conditions(facts, limits)) if not row.met]


def desk_conditions(facts: DeskFacts, limits: GateLimits) -> list[Condition]:
    """What permits live trading at all, and who asks for it. On the emulator there is no money: production model,
    evidence, shadow time, admin and second factor are not asked for there."""
    need = _Needs()
    need(facts.permitted == "live", "MODE_NOT_PERMITTED", f"MODE={facts.permitted}", "MODE=live and a restart")
    enabled = facts.trading_enabled
    need(enabled, "TRADING_DISABLED", f"TRADING_ENABLED={str(enabled).lower()}", "TRADING_ENABLED=true and a restart")
    if facts.exchange == "emulator":
        need(facts.model is not None, "NO_MODEL", facts.model or "none", "a model, be it the demo's")
    else:
        need(facts.model == "production", "NO_PRODUCTION_MODEL", facts.model or "none", "a model in production")
        for kind, text in EVIDENCE.items():
            there = kind not in facts.missing_evidence
            need(there, f"NO_EVIDENCE_{kind.upper()}", "held" if there else "none", f"fresh, passed evidence: {text}")
        need(facts.shadow_ms >= limits.shadow_ms, "SHADOW_TOO_SHORT", f"{facts.shadow_ms / DAY_MS:.1f} days",
             f"{limits.shadow_ms / DAY_MS:.1f} days of wall-clock time on this venue")  # fmt: skip
        need(
            facts.admin, "NOT_ADMIN", "an admin asks" if facts.admin else "no signed-in admin asks", "a signed-in admin"
        )
        proven = facts.second_factor
        need(
            proven,
            "NO_SECOND_FACTOR",
            "just proven" if proven else "not just proven",
            "his second factor, proven within 5 minutes",
        )
    said = facts.confirmation == CONFIRMATION
    need(said, "NOT_CONFIRMED", facts.confirmation or "no confirmation", f"the word {CONFIRMATION}")
    return need.rows


def worker_conditions(facts: WorkerFacts, limits: GateLimits) -> list[Condition]:
    """What account, key, clock and process must be like."""
    need = _Needs()
    need(0 < facts.speed < float("inf"), "SPEED_NOT_FINITE", facts.speed, "a market with a speed")
    need(facts.has_keys, "NO_EXCHANGE_KEYS", "one" if facts.has_keys else "none", "the key of an exchange account")
    if facts.has_keys:
        need.rows += account_conditions(facts, limits)
    skew, limit = facts.clock_skew_ms, limits.skew_ms * facts.speed
    need(skew is not None and abs(skew) <= limit, "CLOCK_SKEW", _ms(skew), f"at most {limit:.0f} ms")
    need(_young(facts.sync_age_ms, limits.sync_age_ms), "CLOCK_NOT_SYNCHRONISED", _ms(facts.sync_age_ms),
         f"within {limits.sync_age_ms:.0f} ms")  # fmt: skip
    need(facts.stream_up, "USER_STREAM_DOWN", "up" if facts.stream_up else "down", "up")
    proven = "proven" if facts.stop_path_proven else "no fresh answer"
    need(facts.stop_path_proven, "STOP_PATH_UNPROVEN", proven, "the canary's answer as expected")
    written = "written" if facts.journal_healthy else "not writable"
    need(facts.journal_healthy, "NO_JOURNAL", written, "a journal that can be written")
    need(_young(facts.lease_age_ms, limits.lease_ms), "LEASE_STALE", _ms(facts.lease_age_ms),
         f"the trading lease, seen within {limits.lease_ms:.0f} ms")  # fmt: skip
    need(not facts.stale, "DATA_STALE", _list(facts.stale), "fresh data of every symbol")
    need(facts.latch == "RUNNING", "KILL_SWITCH", f"{facts.latch} {facts.latch_code}".strip(), "RUNNING")
    told = {"CLOCK_SKEW", "NO_JOURNAL", "DATA_STALE", "USER_STREAM_DEAD"}
    blocks = [code for code in facts.blocks if code not in told]
    need(not blocks, "BLOCKED", _list(blocks), "no block of the account")
    return need.rows


def account_conditions(facts: WorkerFacts, limits: GateLimits) -> list[Condition]:
    """Rule 17, and what the key may do."""
    need, found = _Needs(), facts.account
    if found is None:
        need(False, "ACCOUNT_UNREADABLE", "not asked", "an answer")
        return need.rows
    errors = "; ".join(f"{read}: {why}" for read, why in found.errors.items())
    need(not errors, "ACCOUNT_UNREADABLE", errors or "read", "an answer")
    # the demo venue cannot say what a key may do, and has nothing to withdraw
    unsaid = found.permissions is None and facts.exchange == "binance-demo"
    if not unsaid and "permissions" not in found.errors:
        faults = permission_faults(found.permissions)
        for fault, expected in _PERMISSIONS.items():
            need(fault not in faults, fault.value, "another" if fault in faults else "such a key", expected)
    if found.config is not None:
        config = found.config
        need(config.can_trade, "CANNOT_TRADE", f"canTrade={str(config.can_trade).lower()}", "an account that may trade")
        need(not config.hedge_mode, "HEDGE_MODE", "hedge" if config.hedge_mode else "one-way", "one-way mode")
        assets = "multi-assets" if config.multi_assets else "single-asset"
        need(not config.multi_assets, "MULTI_ASSETS_MODE", assets, "single-asset mode")
    if found.fees_in_bnb is not None:
        fees = "BNB" if found.fees_in_bnb else "quote asset"
        need(not found.fees_in_bnb, "FEES_IN_BNB", fees, "fees in the quote asset")
    if found.account is not None:
        balance = found.account.available_balance
        need(balance > limits.balance_min, "BALANCE_TOO_LOW", balance, f"more than {limits.balance_min}")
    symbols = set(facts.symbols)
    need(bool(symbols), "NO_SYMBOLS", len(symbols), "a symbol that may be traded")
    if "brackets" not in found.errors:
        missing = symbols - found.brackets
        need(not missing, "BRACKETS_UNKNOWN", _list(missing), "leverage brackets of every symbol")
    if "symbols" not in found.errors:
        unset = symbols - set(found.symbols)
        need(not unset, "SYMBOL_CONFIG_UNKNOWN", _list(unset), "the settings of every symbol")
    rows = [found.symbols[symbol] for symbol in sorted(symbols & set(found.symbols))]
    adding = [row.symbol for row in rows if row.auto_add_margin]
    need(not adding, "AUTO_ADD_MARGIN", _list(adding), "no automatic margin addition")
    crossed = [row.symbol for row in rows if not row.isolated and row.symbol in found.busy]
    need(
        not crossed, "NOT_ISOLATED", _list(crossed), "isolated margin, or no position and orders so that it can be set"
    )
    return need.rows


_PERMISSIONS = {
    PermissionFault.WITHDRAWALS_ALLOWED: "a key that may not withdraw",
    PermissionFault.WITHDRAWALS_UNSAID: "a key known not to withdraw",
    PermissionFault.FUTURES_NOT_ALLOWED: "a key that may trade futures",
    PermissionFault.READING_NOT_ALLOWED: "a key that may read",
}


class _Needs:
    """Collects conditions."""

    def __init__(self) -> None:
        self.rows: list[Condition] = []

    def __call__(self, met: bool, code: str, value: object, expected: str) -> None:
        self.rows.append(Condition(code, met, str(value), expected))


class BracketSource(Protocol):
    """The part of ``MarketData`` that knows leverage brackets (signed)."""

    async def leverage_brackets(self, symbol: str | None = None) -> list[Brackets]: ...


async def gather_account_facts(trading: Trading, market: BracketSource) -> AccountFacts:
    """Ask the exchange all of it, changing nothing; what fails is in ``errors`` and raises nothing."""
    errors: dict[str, str] = {}

    async def ask(name: str, read: Awaitable[T]) -> T | None:
        try:
            return await read
        except VenueError as exc:
            errors[name] = str(exc)
            return None

    async with asyncio.TaskGroup() as group:
        permissions = group.create_task(ask("permissions", trading.api_permissions()))
        config = group.create_task(ask("config", trading.account_config()))
        burn = group.create_task(ask("fees", trading.fees_in_bnb()))
        account = group.create_task(ask("balance", trading.account()))
        symbols = group.create_task(ask("symbols", trading.symbol_config()))
        positions = group.create_task(ask("positions", trading.positions()))
        orders = group.create_task(ask("orders", trading.open_orders()))
        algos = group.create_task(ask("algo_orders", trading.open_algo_orders()))
        brackets = group.create_task(ask("brackets", market.leverage_brackets()))
    busy = {row.symbol for row in positions.result() or ()}
    busy |= {row.symbol for row in orders.result() or ()} | {row.symbol for row in algos.result() or ()}
    return AccountFacts(
        permissions=permissions.result(),
        config=config.result(),
        fees_in_bnb=burn.result(),
        account=account.result(),
        symbols={row.symbol: row for row in symbols.result() or ()},
        busy=frozenset(busy),
        brackets=frozenset(row.symbol for row in brackets.result() or () if row.brackets),
        errors=dict(sorted(errors.items())),
    )


def _young(age_ms: float | None, limit_ms: float) -> bool:
    return age_ms is not None and age_ms <= limit_ms


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"


def _list(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
