"""What the exchange says of an account, asked over the wire, against the gate."""

import contextlib

import aiohttp
import numpy as np

from packages.common.time import ScaledClock
from packages.exchange.binance.endpoints import endpoints_for
from packages.exchange.binance.rest import BinanceRest
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading
from packages.exchange.binance.transport import RestConfig
from packages.exchange.clock_sync import sample_clock
from services.emulator.config import EmulatorConfig
from services.emulator.keys import TEST_KEY, ApiKey
from services.emulator.testing import served
from services.execution.gate import GateFacts, gather_account_facts, unmet_conditions
from tests.execution.conftest import SYMBOLS

READER = ApiKey("r" * 64, "s" * 64, account="other", trade=False, withdraw=True)


@contextlib.asynccontextmanager
async def asking(market, key=TEST_KEY):
    """The two clients of one key on a market that stands at the speed of our clock."""
    config = EmulatorConfig(speed=1.0, history_days=3, universe=SYMBOLS, keys=(TEST_KEY, READER))
    async with served(config, source=market) as exchange, aiohttp.ClientSession() as session:
        venue = BinanceRest(
            session, endpoints_for("emulator", exchange.rest_url, exchange.ws_url), ScaledClock(0),
            np.random.default_rng(1), credentials=Credentials(key.key, key.secret),
            config=RestConfig(attempts=2, backoff_s=0.01),
        )  # fmt: skip
        await sample_clock(venue, venue.transport.clock, 3)
        instruments = (await venue.exchange_info()).instruments
        yield exchange, BinanceTrading(venue.transport, instruments), venue


def facts(account, **given):
    return GateFacts(
        exchange="emulator", permitted="live", trading_enabled=True, speed=1.0, has_keys=True, symbols=SYMBOLS,
        account=account, clock_skew_ms=0.0, sync_age_ms=0.0, stop_path_proven=True, stream_up=True,
        journal_healthy=True, lease_age_ms=0.0, latch="RUNNING", model="demo", confirmation="LIVE", **given,
    )  # fmt: skip


async def test_a_fresh_account_may_trade_and_each_fault_of_it_is_found(market):
    async with asking(market) as (_, trading, venue):
        account = await gather_account_facts(trading, venue)
        assert account.errors == {}
        assert unmet_conditions(facts(account)) == []
        for path, name in (
            ("/fapi/v1/positionSide/dual", "dualSidePosition"),
            ("/fapi/v1/feeBurn", "feeBurn"),
        ):
            await trading._set(path, {name: "true"}, lambda _: None)
        account = await gather_account_facts(trading, venue)
        assert [row.code for row in unmet_conditions(facts(account))] == ["HEDGE_MODE", "FEES_IN_BNB"]


async def test_a_key_that_may_withdraw_and_not_trade_is_refused(market):
    async with asking(market, READER) as (_, trading, venue):
        account = await gather_account_facts(trading, venue)
        found = [row.code for row in unmet_conditions(facts(account))]
        assert found[:2] == ["KEY_WITHDRAWALS_ALLOWED", "KEY_FUTURES_NOT_ALLOWED"]


async def test_what_cannot_be_read_is_not_met(market):
    async with asking(market) as (exchange, trading, venue):
        await exchange.control.fault(kind="rest_503", in_ms=0, for_ms=3_600_000)
        account = await gather_account_facts(trading, venue)
        reads = [
            "algo_orders",
            "balance",
            "brackets",
            "config",
            "fees",
            "orders",
            "permissions",
            "positions",
            "symbols",
        ]
        assert list(account.errors) == reads
        [condition] = unmet_conditions(facts(account))
        assert condition.code == "ACCOUNT_UNREADABLE"
        assert all(f"{read}: " in condition.value for read in reads)
