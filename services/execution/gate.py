"""What must hold before live trading may begin (D31, D35, D40; execution.md 17): every unmet condition at once.

Pure but for ``gather_account_facts``, which only reads. What could not be found out is not met.
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


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold and does not: a stable code, what is, and what was expected."""

    code: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """``exchange`` is the setting. ``account`` None: nobody has asked. ``symbols``: those that may be traded.

    Ages are wall milliseconds, None unknown; ``clock_skew_ms`` market ms. ``latch`` and ``latch_code`` as
    ``KillState.word`` and ``code`` have them; ``blocks``: codes of blocks of the whole account. ``shadow_ms``: of
    shadow trading on this venue, wall-clock time (D40). ``missing_evidence``: kinds, in lower case.
    ``second_factor``: the admin who asks has proven it.
    """

    exchange: Literal["emulator", "binance", "binance-demo"]
    permitted: Literal["off", "shadow", "live"]
    trading_enabled: bool
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
    model: Literal["production", "demo"] | None = None
    missing_evidence: Sequence[str] = ()
    shadow_ms: float = 0.0
    confirmation: str = ""
    second_factor: bool = False


def unmet_conditions(facts: GateFacts, limits: GateLimits | None = None) -> list[Condition]:
    """Everything that stands in the way of live trading, in the order one would see to it; empty when nothing does.

    On the emulator there is no money: model, evidence, shadow time and second factor are not asked for there.
    """
    limits = limits or GateLimits()
    need = _Needs()
    money = facts.exchange != "emulator"
    need(facts.permitted == "live", "MODE_NOT_PERMITTED", facts.permitted, "MODE=live")
    need(facts.trading_enabled, "TRADING_DISABLED", "TRADING_ENABLED=false", "true")
    need(0 < facts.speed < float("inf"), "SPEED_NOT_FINITE", facts.speed, "a market with a speed")
    need(facts.has_keys, "NO_EXCHANGE_KEYS", "none", "the key of an exchange account")
    if facts.has_keys:
        _account_needs(need, facts, limits)
    skew = facts.clock_skew_ms
    skew_ok = skew is not None and abs(skew) <= limits.skew_ms * facts.speed
    need(skew_ok, "CLOCK_SKEW", _ms(skew), f"at most {limits.skew_ms * facts.speed:.0f} ms")
    need(_young(facts.sync_age_ms, limits.sync_age_ms), "CLOCK_NOT_SYNCHRONISED", _ms(facts.sync_age_ms),
         f"within {limits.sync_age_ms:.0f} ms")  # fmt: skip
    need(facts.stream_up, "USER_STREAM_DOWN", "down", "connected")
    need(facts.stop_path_proven, "STOP_PATH_UNPROVEN", "no fresh answer", "the canary's answer as expected")
    need(facts.journal_healthy, "NO_JOURNAL", "not writable", "a journal that can be written")
    need(_young(facts.lease_age_ms, limits.lease_ms), "LEASE_STALE", _ms(facts.lease_age_ms), "the trading lease")
    need(not facts.stale, "DATA_STALE", _list(facts.stale), "fresh data of every symbol")
    need(facts.latch == "RUNNING", "KILL_SWITCH", f"{facts.latch} {facts.latch_code}".strip(), "RUNNING")
    told = {"CLOCK_SKEW", "NO_JOURNAL", "DATA_STALE", "USER_STREAM_DEAD"}
    blocks = [code for code in facts.blocks if code not in told]
    need(not blocks, "BLOCKED", _list(blocks), "no block of the account")
    if money:
        need(facts.model == "production", "NO_PRODUCTION_MODEL", facts.model, "a model in production")
        for kind in facts.missing_evidence:
            need(False, f"NO_EVIDENCE_{kind.upper()}", "missing", "fresh, passed evidence of this kind")
        need(facts.shadow_ms >= limits.shadow_ms, "SHADOW_TOO_SHORT", f"{facts.shadow_ms / DAY_MS:.1f} days",
             f"{limits.shadow_ms / DAY_MS:.1f} days of wall-clock time on this venue")  # fmt: skip
        need(facts.second_factor, "NO_SECOND_FACTOR", "none", "an admin with a second factor")
    else:
        need(facts.model is not None, "NO_MODEL", "none", "a model, be it the demo's")
    need(facts.confirmation == CONFIRMATION, "NOT_CONFIRMED", "another text", f"the word {CONFIRMATION}")
    return need.unmet


def _account_needs(need: "_Needs", facts: GateFacts, limits: GateLimits) -> None:
    """Rule 17, and what the key may do."""
    found = facts.account
    if found is None:
        need(False, "ACCOUNT_UNREADABLE", "not asked", "an answer")
        return
    for read, why in found.errors.items():
        need(False, "ACCOUNT_UNREADABLE", f"{read}: {why}", "an answer")
    # the demo venue cannot say what a key may do, and has nothing to withdraw
    unsaid = found.permissions is None and facts.exchange == "binance-demo"
    for fault in () if unsaid or "permissions" in found.errors else permission_faults(found.permissions):
        need(False, fault.value, "as found", _PERMISSIONS[fault])
    if found.config is not None:
        need(found.config.can_trade, "CANNOT_TRADE", "canTrade=false", "an account that may trade")
        need(not found.config.hedge_mode, "HEDGE_MODE", "hedge", "one-way mode")
        need(not found.config.multi_assets, "MULTI_ASSETS_MODE", "multi-assets", "single-asset mode")
    if found.fees_in_bnb is not None:
        need(not found.fees_in_bnb, "FEES_IN_BNB", "BNB", "fees in the quote asset")
    if found.account is not None:
        balance = found.account.available_balance
        need(balance > limits.balance_min, "BALANCE_TOO_LOW", balance, f"more than {limits.balance_min}")
    symbols = set(facts.symbols)
    need(bool(symbols), "NO_SYMBOLS", "none", "a symbol that may be traded")
    missing = symbols - found.brackets
    need(not missing or "brackets" in found.errors, "BRACKETS_UNKNOWN", _list(missing), "brackets of every symbol")
    if "symbols" not in found.errors:
        need(not symbols - set(found.symbols), "SYMBOL_CONFIG_UNKNOWN", _list(symbols - set(found.symbols)),
             "the settings of every symbol")  # fmt: skip
    rows = [found.symbols[symbol] for symbol in sorted(symbols & set(found.symbols))]
    adding = [row.symbol for row in rows if row.auto_add_margin]
    need(not adding, "AUTO_ADD_MARGIN", _list(adding), "no automatic margin addition")
    crossed = [row.symbol for row in rows if not row.isolated and row.symbol in found.busy]
    need(
        not crossed, "NOT_ISOLATED", _list(crossed), "isolated margin, or no position and orders so that it can be set"
    )


_PERMISSIONS = {
    PermissionFault.WITHDRAWALS_ALLOWED: "a key that may not withdraw",
    PermissionFault.WITHDRAWALS_UNSAID: "a key known not to withdraw",
    PermissionFault.FUTURES_NOT_ALLOWED: "a key that may trade futures",
    PermissionFault.READING_NOT_ALLOWED: "a key that may read",
}


class _Needs:
    """Collects what is not met."""

    def __init__(self) -> None:
        self.unmet: list[Condition] = []

    def __call__(self, met: bool, code: str, value: object, expected: str) -> None:
        if not met:
            self.unmet.append(Condition(code, str(value), expected))


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
    return ", ".join(sorted(names))
