"""Every condition of live trading by its name, all of them at once (D31, D35, D40, execution.md 17)."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from packages.common.config import load_settings
from packages.common.time import DAY_MS
from packages.exchange.trading import Account, AccountConfig, ApiPermissions, SymbolConfig
from services.execution.gate import (
    AccountFacts,
    GateFacts,
    GateLimits,
    desk_conditions,
    gate_limits,
    unmet_conditions,
    worker_conditions,
)

D = Decimal
RIGHTS = ApiPermissions(True, True, False, False, False, True)
CONFIG = AccountConfig(True, False, False, 0)
MONEY = Account(D(1000), D(0), D(1000), D(900), D(0), D(0))
ISOLATED = SymbolConfig("BTCUSDT", True, False, 5, D(1_000_000))
CROSSED = SymbolConfig("ETHUSDT", False, False, 5, D(1_000_000))
ACCOUNT = AccountFacts(
    RIGHTS, CONFIG, False, MONEY, {"BTCUSDT": ISOLATED, "ETHUSDT": CROSSED}, frozenset({"BTCUSDT"}),
    frozenset({"BTCUSDT", "ETHUSDT"}),
)  # fmt: skip
READY = GateFacts(
    exchange="binance", permitted="live", trading_enabled=True, speed=1.0, has_keys=True,
    symbols=("BTCUSDT", "ETHUSDT"), account=ACCOUNT, clock_skew_ms=-499.0, sync_age_ms=9_000.0, stop_path_proven=True,
    stream_up=True, journal_healthy=True, lease_age_ms=500.0, latch="RUNNING", model="production",
    shadow_ms=14.0 * DAY_MS, confirmation="LIVE", admin=True, second_factor=True,
)  # fmt: skip
BARE = GateFacts(
    exchange="binance", permitted="shadow", trading_enabled=False, speed=float("inf"), has_keys=False, symbols=()
)


def account(**given):
    return {"account": replace(ACCOUNT, **given)}


def config(**given):
    return account(config=msgspec.structs.replace(CONFIG, **given))


def rights(**given):
    return account(permissions=msgspec.structs.replace(RIGHTS, **given))


def codes(facts):
    return [condition.code for condition in unmet_conditions(facts)]


CONDITIONS = {
    "mode": ({"permitted": "shadow"}, "MODE_NOT_PERMITTED"),
    "trading disabled": ({"trading_enabled": False}, "TRADING_DISABLED"),
    "no speed": ({"speed": float("inf")}, "SPEED_NOT_FINITE"),
    "no keys": ({"has_keys": False, "account": None}, "NO_EXCHANGE_KEYS"),
    "account not asked": ({"account": None}, "ACCOUNT_UNREADABLE"),
    "a read failed": (account(config=None, errors={"config": "HTTP 503"}), "ACCOUNT_UNREADABLE"),
    "permissions unreadable": (account(permissions=None, errors={"permissions": "x"}), "ACCOUNT_UNREADABLE"),
    "brackets unreadable": (account(brackets=frozenset(), errors={"brackets": "HTTP 503"}), "ACCOUNT_UNREADABLE"),
    "withdrawals": (rights(withdrawals=True), "KEY_WITHDRAWALS_ALLOWED"),
    "withdrawals unsaid": (rights(withdrawals=None), "KEY_WITHDRAWALS_UNSAID"),
    "no futures": (rights(futures=False), "KEY_FUTURES_NOT_ALLOWED"),
    "no reading": (rights(reading=False), "KEY_READING_NOT_ALLOWED"),
    "cannot trade": (config(can_trade=False), "CANNOT_TRADE"),
    "hedge mode": (config(hedge_mode=True), "HEDGE_MODE"),
    "multi-assets": (config(multi_assets=True), "MULTI_ASSETS_MODE"),
    "fees in BNB": (account(fees_in_bnb=True), "FEES_IN_BNB"),
    "no balance": (account(account=msgspec.structs.replace(MONEY, available_balance=D(10))), "BALANCE_TOO_LOW"),
    "brackets unknown": (account(brackets=frozenset({"BTCUSDT"})), "BRACKETS_UNKNOWN"),
    "symbol settings unknown": (account(symbols={"BTCUSDT": ISOLATED}), "SYMBOL_CONFIG_UNKNOWN"),
    "margin added by itself": (
        account(symbols={**ACCOUNT.symbols, "BTCUSDT": msgspec.structs.replace(ISOLATED, auto_add_margin=True)}),
        "AUTO_ADD_MARGIN",
    ),
    "crossed and busy": (account(busy=frozenset({"ETHUSDT"})), "NOT_ISOLATED"),
    "nothing to trade": ({"symbols": ()}, "NO_SYMBOLS"),
    "skew": ({"clock_skew_ms": 501.0}, "CLOCK_SKEW"),
    "skew unknown": ({"clock_skew_ms": None}, "CLOCK_SKEW"),
    "never synchronised": ({"sync_age_ms": None}, "CLOCK_NOT_SYNCHRONISED"),
    "synchronised long ago": ({"sync_age_ms": 60_001.0}, "CLOCK_NOT_SYNCHRONISED"),
    "stream down": ({"stream_up": False}, "USER_STREAM_DOWN"),
    "canary": ({"stop_path_proven": False}, "STOP_PATH_UNPROVEN"),
    "journal": ({"journal_healthy": False}, "NO_JOURNAL"),
    "lease": ({"lease_age_ms": 2_001.0}, "LEASE_STALE"),
    "data": ({"stale": ("ETHUSDT",)}, "DATA_STALE"),
    "latch": ({"latch": "HALTED", "latch_code": "MANUAL"}, "KILL_SWITCH"),
    "block": ({"blocks": ("STORES_LOST",)}, "BLOCKED"),
    "demo model": ({"model": "demo"}, "NO_PRODUCTION_MODEL"),
    "evidence": ({"missing_evidence": ("pbo",)}, "NO_EVIDENCE_PBO"),
    "shadow time": ({"shadow_ms": 13.9 * DAY_MS}, "SHADOW_TOO_SHORT"),
    "nobody signed in": ({"admin": False}, "NOT_ADMIN"),
    "second factor": ({"second_factor": False}, "NO_SECOND_FACTOR"),
    "confirmation": ({"confirmation": "live"}, "NOT_CONFIRMED"),
}


def test_nothing_stands_in_the_way_of_a_ready_account():
    assert unmet_conditions(READY) == []


@pytest.mark.parametrize("row", CONDITIONS)
def test_condition(row):
    given, code = CONDITIONS[row]
    [condition] = unmet_conditions(replace(READY, **given))
    assert condition.code == code
    assert condition.expected
    assert condition.value


def test_conditions_that_are_met_are_listed_with_what_is():
    rows = [*desk_conditions(READY, GateLimits()), *worker_conditions(READY, GateLimits())]
    assert {code for _, code in CONDITIONS.values()} - {"NO_MODEL"} <= {row.code for row in rows}
    assert all(row.met and row.value and row.expected for row in rows)


def test_all_are_told_at_once():
    found = codes(BARE)
    assert len(found) == len(set(found)) == 16
    assert {"MODE_NOT_PERMITTED", "NO_EXCHANGE_KEYS", "NOT_CONFIRMED", "KILL_SWITCH"} <= set(found)
    assert len(codes(replace(BARE, has_keys=True, account=replace(ACCOUNT, config=None, errors={"config": "x"})))) > 13


def test_the_emulator_holds_no_money():
    kind = replace(READY, exchange="emulator", model="demo", shadow_ms=0.0, admin=False, second_factor=False)
    assert codes(kind) == []
    assert codes(replace(kind, model=None)) == ["NO_MODEL"]
    assert codes(replace(kind, speed=60.0, clock_skew_ms=30_000.0)) == []
    assert codes(replace(kind, speed=60.0, clock_skew_ms=30_001.0)) == ["CLOCK_SKEW"]


def test_the_demo_venue_cannot_say_what_a_key_may_do():
    unsaid = account(permissions=None)
    assert codes(replace(READY, **unsaid)) == ["KEY_WITHDRAWALS_UNSAID"]
    assert codes(replace(READY, exchange="binance-demo", **unsaid)) == []
    assert codes(replace(READY, exchange="binance-demo", model="demo")) == ["NO_PRODUCTION_MODEL"]


def test_limits_are_settings():
    assert unmet_conditions(READY, GateLimits(balance_min=D(900)))[0].code == "BALANCE_TOO_LOW"
    assert unmet_conditions(replace(READY, shadow_ms=5.0), GateLimits(shadow_ms=5)) == []
    assert gate_limits(load_settings(None)) == GateLimits()
    assert gate_limits(load_settings(None, live_shadow_days=0.5)).shadow_ms == DAY_MS / 2
