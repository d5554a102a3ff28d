import asyncio
import hashlib
import hmac
import json
import logging
import traceback
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from packages.common.errors import InvalidInputError, VenueRejectedError, VenueUnavailableError
from packages.common.time import ManualClock, ScaledClock, monotonic_ms
from packages.exchange.binance import codec_trading as codec
from packages.exchange.binance.errors import REACTIONS, reason_of
from packages.exchange.binance.signing import Credentials
from packages.exchange.binance.trading import BinanceTrading, TradingConfig
from packages.exchange.binance.transport import RestConfig, Transport
from packages.exchange.tests.fake_exchange import fake_exchange, instrument, rng
from packages.exchange.trading import (
    Accepted,
    AlgoStatus,
    ApiPermissions,
    OrderStatus,
    PermissionFault,
    PositionMode,
    Rejected,
    RejectReason,
    Side,
    TimeInForce,
    Unknown,
    permission_faults,
)

NOW = 1_700_000_000_000
D = Decimal
KEY, SECRET = "the-public-part-of-the-key", "the-private-part-of-the-key"
QUICK = RestConfig(backoff_s=0.001, backoff_max_s=0.005)
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures"

ORDER = {
    "orderId": 22542179, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "id-1", "price": "0",
    "origQty": "0.010", "executedQty": "0", "cumQty": "0", "reduceOnly": False, "side": "BUY",
    "positionSide": "BOTH", "type": "MARKET",
    "timeInForce": "GTC", "closePosition": False, "updateTime": NOW, "workingType": "CONTRACT_PRICE",
}  # fmt: skip
ALGO = {
    "algoId": 1000000332000001, "clientAlgoId": "id-s1", "algoType": "CONDITIONAL", "orderType": "STOP_MARKET",
    "symbol": "BTCUSDT", "side": "SELL", "positionSide": "BOTH", "timeInForce": "GTE_GTC", "quantity": "0",
    "algoStatus": "NEW", "triggerPrice": "59000.10", "price": "0", "workingType": "MARK_PRICE", "closePosition": True,
    "priceProtect": False, "reduceOnly": True, "createTime": NOW, "updateTime": NOW, "triggerTime": 0,
}  # fmt: skip


def coded(code, status=400, msg="no", **headers):
    return (status, json.dumps({"code": code, "msg": msg}).encode(), headers)


@asynccontextmanager
async def account(*, clock=None, config=QUICK, trading=None, credentials=None):
    async with fake_exchange() as (exchange, session):
        exchange.now_ms = NOW
        exchange.answers |= {
            "/fapi/v1/order": lambda _: ORDER,
            "/fapi/v1/algoOrder": lambda r: ALGO if r.method != "DELETE" else {"code": "200", "msg": "success"},
        }
        transport = Transport(
            session,
            exchange.endpoints(),
            clock or ScaledClock(NOW),
            rng(),
            credentials=credentials or Credentials(KEY, SECRET),
            config=config,
        )
        yield exchange, BinanceTrading(transport, {"BTCUSDT": instrument("BTCUSDT")}, trading)


def entry(desk, client_id="id-1"):
    return desk.place_market("BTCUSDT", Side.BUY, D("0.01"), client_id, reduce_only=False)


def leave(desk, client_id="id-x1"):
    return desk.place_market("BTCUSDT", Side.SELL, D("0.01"), client_id, reduce_only=True)


def stop(desk):
    return desk.place_stop("BTCUSDT", Side.SELL, D("59000.1"), "id-s1")


# --- what is sent ----------------------------------------------------------------------------------------------------


async def test_an_entry_is_a_signed_form_with_a_short_window():
    async with account(clock=ManualClock(NOW), config=RestConfig()) as (exchange, desk):
        exchange.answers["/fapi/v1/order"] = lambda _: {**ORDER, "status": "FILLED", "executedQty": "0.010"}
        outcome = await desk.place_market("BTCUSDT", Side.BUY, D("0.01"), "id-1", reduce_only=False)
        assert isinstance(outcome, Accepted)
        assert (outcome.record.status, outcome.record.filled) == (OrderStatus.FILLED, D("0.010"))
        assert outcome.record.avg_price is None  # left these answers in July 2026
        request, [body] = exchange.seen[0], exchange.bodies
        assert (request.method, request.path, request.query_string) == ("POST", "/fapi/v1/order", "")
        assert request.headers["X-MBX-APIKEY"] == KEY
        signed, _, signature = body.partition("&signature=")
        assert signature == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
        sent = exchange.sent()
        del sent["signature"], sent["recvWindow"]
        assert sent == {
            **{"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010", "newClientOrderId": "id-1"},
            **{"newOrderRespType": "RESULT", "timestamp": str(NOW)},
        }


async def test_windows_are_short_for_entries_wide_for_exits_and_follow_an_accelerated_market():
    async with account() as (exchange, desk):
        await entry(desk)
        assert exchange.sent()["recvWindow"] == "1500"
        await leave(desk)
        assert exchange.sent()["recvWindow"] == "7000"
        assert exchange.sent()["reduceOnly"] == "true"
    async with account(clock=ScaledClock(NOW, 5.0)) as (exchange, desk):
        await entry(desk)
        assert exchange.sent()["recvWindow"] == "7500"
        await stop(desk)
        assert exchange.sent()["recvWindow"] == "35000"


async def test_a_limit_order_carries_its_price_and_time_in_force():
    async with account() as (exchange, desk):
        await desk.place_limit(
            "BTCUSDT", Side.SELL, D("1"), D("60000"), "id-2", reduce_only=True, time_in_force=TimeInForce.IOC
        )
        sent = exchange.sent()
        assert {k: sent[k] for k in ("type", "quantity", "price", "timeInForce", "reduceOnly")} == {
            **{"type": "LIMIT", "quantity": "1.000", "price": "60000.0", "timeInForce": "IOC", "reduceOnly": "true"}
        }


@pytest.mark.parametrize(
    ("method", "kind"), [("place_stop", "STOP_MARKET"), ("place_take_profit", "TAKE_PROFIT_MARKET")]
)
async def test_a_protective_order_closes_the_position_on_the_mark_at_the_algo_endpoint(method, kind):
    async with account() as (exchange, desk):
        outcome = await getattr(desk, method)("BTCUSDT", Side.SELL, D("59000.1"), "id-s1")
        assert outcome.record.algo_id == 1000000332000001
        assert (outcome.record.status, outcome.record.close_position) == (AlgoStatus.NEW, True)
        assert outcome.record.quantity is None
        assert (exchange.seen[0].method, exchange.seen[0].path) == ("POST", "/fapi/v1/algoOrder")
        sent = exchange.sent()
        for name in ("signature", "timestamp", "recvWindow"):
            del sent[name]
        # exactly these: stopPrice, quantity or reduceOnly beside closePosition would be refused
        assert sent == {
            **{"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": kind, "clientAlgoId": "id-s1"},
            **{
                "triggerPrice": "59000.1",
                "workingType": "MARK_PRICE",
                "priceProtect": "false",
                "closePosition": "true",
            },
        }


async def test_a_staged_stop_reduces_by_a_quantity_instead():
    async with account() as (exchange, desk):
        await desk.place_stop("BTCUSDT", Side.SELL, D("59000.1"), "id-b1", quantity=D("0.5"))
        sent = exchange.sent()
        assert (sent["quantity"], sent["reduceOnly"]) == ("0.500", "true")
        assert "closePosition" not in sent


async def test_orders_are_found_and_cancelled_by_client_id_or_number_each_at_its_endpoint():
    async with account() as (exchange, desk):
        assert (await desk.query_order("BTCUSDT", "id-1")).order_id == 22542179
        await desk.query_algo(77)
        await desk.cancel_order("BTCUSDT", 22542179)
        assert await desk.cancel_algo("id-s1") == Accepted(None)
        exchange.answers["/fapi/v1/algoOpenOrders"] = exchange.answers["/fapi/v1/allOpenOrders"] = lambda _: {
            "code": 200, "msg": "The operation of cancel all open order is done."
        }  # fmt: skip
        assert await desk.cancel_all_orders("BTCUSDT") == await desk.cancel_all_algos("BTCUSDT") == Accepted(None)
        lines = [(r.method, r.path, tuple(exchange.sent(i))[0:2]) for i, r in enumerate(exchange.seen)]
        assert lines == [
            ("GET", "/fapi/v1/order", ("symbol", "origClientOrderId")),
            ("GET", "/fapi/v1/algoOrder", ("algoId", "recvWindow")),
            ("DELETE", "/fapi/v1/order", ("symbol", "orderId")),
            ("DELETE", "/fapi/v1/algoOrder", ("clientAlgoId", "recvWindow")),
            ("DELETE", "/fapi/v1/allOpenOrders", ("symbol", "recvWindow")),
            ("DELETE", "/fapi/v1/algoOpenOrders", ("symbol", "recvWindow")),
        ]


@pytest.mark.parametrize(
    ("field", "symbol", "quantity", "trigger", "client_id"),
    [
        ("quantity", "BTCUSDT", "0", "1", "a"),
        ("quantity", "BTCUSDT", "NaN", "1", "a"),
        ("quantity", "BTCUSDT", "0.0005", "1", "a"),
        ("quantity", "BTCUSDT", "121", "1", "a"),  # above the market lot
        ("symbol", "NOPEUSDT", "1", "1", "a"),
        ("trigger_price", "BTCUSDT", "1", "NaN", "a"),
        ("trigger_price", "BTCUSDT", "1", "-5", "a"),
        ("trigger_price", "BTCUSDT", "1", "1.05", "a"),
        ("client_id", "BTCUSDT", "1", "1", "a b"),
        ("client_id", "BTCUSDT", "1", "1", "a" * 37),
    ],
)
async def test_bad_input_never_reaches_the_wire(field, symbol, quantity, trigger, client_id):
    async with account() as (exchange, desk):
        if field == "trigger_price":
            request = desk.place_stop(symbol, Side.SELL, D(trigger), client_id)
        else:
            request = desk.place_market(symbol, Side.BUY, D(quantity), client_id, reduce_only=False)
        with pytest.raises(InvalidInputError) as refused:
            await request
        assert refused.value.field == field
        assert exchange.seen == []


# --- outcomes --------------------------------------------------------------------------------------------------------

UNKNOWN_503 = b"Unknown error, please check your request or try again later."


@pytest.mark.parametrize(
    "answer",
    [
        *(
            (503, UNKNOWN_503, {}),
            (503, b"Service Unavailable.", {}),
            (503, b"", {}),
            (500, b"", {}),
            (502, b"<h>", {}),
        ),
        *((504, b"", {}), (400, b"<html>", {}), (408, b"", {}), (307, b"", {"Location": "/fapi/v1/order"})),
        *(coded(-1006), coded(-1007, 408), coded(-1000), coded(-1001), coded(-1008, 503), coded(-1016)),
        *((200, b'{"orderId":', {}), (200, b"<html>", {}), (200, b'{"symbol":"BTCUSDT"}', {})),
    ],
)
@pytest.mark.parametrize("request_", [entry, leave, stop])
async def test_what_is_not_clear_is_unknown_and_never_sent_again(answer, request_):
    async with account() as (exchange, desk):
        exchange.script.append(answer)
        outcome = await request_(desk)
        assert isinstance(outcome, Unknown)
        assert len(exchange.seen) == 1
        window = 1_500 if request_ is entry else 7_000
        assert NOW + window <= outcome.dead_after_ts_ms <= NOW + window + 2_000


@pytest.mark.parametrize("request_", [entry, leave, stop])
async def test_a_broken_connection_or_a_timeout_is_unknown(request_):
    async with account(trading=TradingConfig(timeout_s=0.05)) as (exchange, desk):
        await desk.query_order("BTCUSDT", "id-1")  # the connection stands and is reused
        exchange.drop = 1
        assert isinstance(await request_(desk), Unknown)
        assert len(exchange.seen) == 2
        exchange.hold = asyncio.Event()
        outcome = await request_(desk)
        exchange.hold.set()
        assert isinstance(outcome, Unknown)
        assert "Timeout" in outcome.why
        assert len(exchange.seen) == 3


async def test_what_never_left_is_a_definite_no():
    async with account() as (exchange, desk):
        desk._transport.endpoints = exchange.endpoints("http://127.0.0.1:9")
        outcome = await entry(desk)
        assert isinstance(outcome, Rejected)
        assert (outcome.reason, outcome.code) == (RejectReason.NOT_SENT, None)
        assert exchange.seen == []
        assert isinstance(await entry(desk), Accepted)  # the other host


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *((-2021, RejectReason.WOULD_TRIGGER), (-4130, RejectReason.STOP_EXISTS), (-4509, RejectReason.NO_POSITION)),
        *((-2022, RejectReason.REDUCE_ONLY), (-4118, RejectReason.REDUCE_ONLY), (-4131, RejectReason.PRICE_BAND)),
        *((-4117, RejectReason.TRIGGERING), (-2011, RejectReason.NOT_FOUND), (-4116, RejectReason.DUPLICATE_ID)),
        *((-2019, RejectReason.MARGIN), (-4045, RejectReason.TOO_MANY_ORDERS), (-4120, RejectReason.BAD_REQUEST)),
        *((-2015, RejectReason.ACCOUNT), (-4140, RejectReason.SYMBOL), (-1111, RejectReason.OFF_GRID)),
        *((-5022, RejectReason.NOT_FILLABLE), (-99999, RejectReason.BAD_REQUEST)),
    ],
)
async def test_a_definite_no_says_what_it_means(code, reason):
    async with account() as (exchange, desk):
        exchange.script.append(coded(code, msg="because"))
        outcome = await stop(desk)
        assert isinstance(outcome, Rejected)
        assert (outcome.reason, outcome.code) == (reason, code)
        assert "because" in outcome.message


def test_every_listed_code_has_a_reason_and_unclear_ones_are_never_a_no():
    for code in REACTIONS:
        assert reason_of(VenueRejectedError("x", venue_code=code, http_status=400)) in RejectReason


async def test_a_wrong_clock_is_a_no_and_is_set_at_once():
    clock = ScaledClock(NOW - 30_000)
    async with account(clock=clock) as (exchange, desk):
        exchange.script.append(coded(-1021))
        outcome = await leave(desk)
        assert (outcome.reason, outcome.code) == (RejectReason.CLOCK, -1021)
        assert [r.path for r in exchange.seen] == ["/fapi/v1/order", "/fapi/v1/time"]
        assert abs(clock.now_ms() - NOW) < 2_000
        assert isinstance(await leave(desk, "id-x2"), Accepted)


async def test_an_order_that_is_not_found_is_none_and_other_troubles_are_errors():
    async with account() as (exchange, desk):
        exchange.script.extend([coded(-2013), coded(-2013), coded(-2015, 401)])
        assert await desk.query_order("BTCUSDT", "id-1") is None
        assert await desk.query_algo("id-s1") is None
        with pytest.raises(VenueRejectedError):
            await desk.query_order("BTCUSDT", "id-1")
        exchange.script.extend([(503, b"", {})] * QUICK.attempts)
        with pytest.raises(VenueUnavailableError):  # not None: nobody said that it does not exist
            await desk.query_order("BTCUSDT", "id-1")


# --- limits (execution.md 22) ----------------------------------------------------------------------------------------


async def test_an_entry_never_takes_the_orders_kept_for_exits_and_never_waits():
    async with account() as (exchange, desk):
        exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1", "X-MBX-ORDER-COUNT-10S": "150", "X-MBX-ORDER-COUNT-1M": "150"}
        assert isinstance(await entry(desk), Accepted)
        start = monotonic_ms()
        outcome = await entry(desk)
        assert (outcome.reason, outcome.code) == (RejectReason.NO_ROOM, None)
        assert 5_000 < outcome.retry_after_ms <= 10_000
        assert isinstance(await stop(desk), Accepted)
        assert isinstance(await leave(desk), Accepted)
        assert monotonic_ms() - start < 5_000  # the window is ten seconds
        assert len(exchange.seen) == 3


async def test_too_many_orders_stops_entries_for_the_minute_and_exits_for_ten_seconds():
    at = NOW // 60_000 * 60_000 + 5_000
    async with account(clock=ManualClock(at)) as (exchange, desk):
        clock = desk._transport.clock
        exchange.script.append(coded(-1015))
        outcome = await leave(desk)
        assert (outcome.reason, outcome.retry_after_ms) == (RejectReason.RATE_LIMITED, 5_000)
        assert (await leave(desk)).reason is RejectReason.NO_ROOM
        assert await desk.query_order("BTCUSDT", "id-1")  # reading goes on: it is not the address that is limited
        clock.advance_to(at + 5_000)
        assert isinstance(await leave(desk), Accepted)
        assert (await entry(desk)).reason is RejectReason.NO_ROOM
        clock.advance_to(at + 55_000)
        assert isinstance(await entry(desk), Accepted)


@pytest.mark.parametrize(
    "answer", [coded(-1003, 429, **{"Retry-After": "20"}), coded(-1003, 418, f"banned until {NOW + 20_000}")]
)
async def test_a_full_address_stops_everyone_for_as_long_as_it_is_told(answer):
    async with account(clock=ManualClock(NOW)) as (exchange, desk):
        exchange.script.append(answer)
        outcome = await leave(desk)
        assert (outcome.reason, outcome.retry_after_ms) == (RejectReason.RATE_LIMITED, 20_000)
        assert isinstance(await leave(desk), Rejected)
        assert isinstance(await entry(desk), Rejected)
        assert len(exchange.seen) == 1
        desk._transport.clock.advance_to(NOW + 20_000)
        assert isinstance(await leave(desk), Accepted)


async def test_an_order_costs_the_address_nothing_so_a_used_weight_does_not_hold_it():
    async with account(clock=ManualClock(NOW)) as (exchange, desk):
        exchange.headers = {"X-MBX-USED-WEIGHT-1M": "2399"}
        await desk.query_order("BTCUSDT", "id-1")
        assert isinstance(await entry(desk), Accepted)
        assert isinstance(await stop(desk), Accepted)


async def test_exits_do_not_queue_behind_data():
    async with account(config=RestConfig(concurrency=1)) as (exchange, desk):
        exchange.hold = asyncio.Event()
        exchange.hold_path = "/fapi/v3/account"
        slow = asyncio.create_task(desk.account())
        await exchange.until(lambda: exchange.seen)
        assert isinstance(await stop(desk), Accepted)
        assert not slow.done()
        slow.cancel()
        exchange.hold.set()


# --- records ---------------------------------------------------------------------------------------------------------


def recorded(name):
    path = SHARED / "binance_net_test_data.json"
    if not path.exists():
        pytest.skip("the recorded payloads are not here")
    return json.dumps(json.loads(path.read_text())["rest"][name]["response"]).encode()


def test_recorded_orders_decode():
    placed = codec.decode_order(recorded("Trading/PlaceOrder"))
    assert (placed.order_id, placed.client_id, placed.quantity) == (22542179, "testOrder", D(10))
    assert placed.avg_price is None
    assert codec.decode_order(recorded("Trading/CancelOrder")).status is OrderStatus.CANCELED
    found = codec.decode_algo(recorded("Trading/GetConditionalOrder"))
    assert (found.status, found.child_order_id, found.child_filled) == (AlgoStatus.FINISHED, 974828356187, D("0.002"))
    assert (found.reduce_only, found.trigger_price, found.quantity) == (True, D("69080.20"), D("0.002"))
    [waiting] = codec.decode_algos(recorded("Trading/GetOpenConditionalOrders"))
    assert (waiting.child_order_id, waiting.type) == (None, "TAKE_PROFIT")
    assert codec.decode_done(recorded("Trading/CancelConditionalOrder")) is None


def test_recorded_accounts_decode():
    assert codec.decode_account(recorded("Account/GetAccountInfoV3")).margin_balance == D("103.12345678")
    assert codec.decode_balances(recorded("Account/GetBalances"))[0].wallet_balance == D("122607.35137903")
    config = codec.decode_account_config(recorded("Account/GetAccountConfiguration"))
    assert (config.hedge_mode, config.multi_assets, config.can_trade) == (True, False, True)
    [symbol] = codec.decode_symbol_configs(recorded("Account/GetSymbolConfiguration"))
    assert (symbol.isolated, symbol.auto_add_margin, symbol.leverage) == (False, False, 21)
    assert codec.decode_commission(recorded("Account/GetUserCommissionRate")).taker == D("0.0004")
    assert codec.decode_fee_burn(recorded("Account/GetBnbBurnStatus")) is True
    held, flat = codec.decode_positions(recorded("Trading/GetPositions"))
    assert (held.amount, held.liquidation_price, held.side) == (D("0.001"), D("19731.45529116"), "LONG")
    assert flat.liquidation_price is None
    [trade] = codec.decode_trades(recorded("Trading/GetUserTrades"))
    assert (trade.trade_id, trade.realized_pnl) == (698759, D("-0.91539999"))
    transfer, fee = codec.decode_incomes(recorded("Account/GetIncomeHistory"))
    assert (transfer.symbol, transfer.trade_id, fee.trade_id) == (None, None, 2059192)


def test_an_amount_that_is_no_number_is_refused_and_a_new_word_is_not():
    bad = {"symbol": "B", "positionAmt": "NaN", "entryPrice": "1", "markPrice": "1", "unRealizedProfit": "0"}
    with pytest.raises(ValueError, match="position_amt"):
        codec.decode_positions(json.dumps([bad]).encode())
    assert codec.decode_order(json.dumps({**ORDER, "status": "NEW_KIND"}).encode()).status is OrderStatus.UNKNOWN


async def test_settings_that_are_so_already_are_success():
    async with account() as (exchange, desk):
        exchange.script.append(coded(-4046, msg="No need to change margin type."))
        await desk.set_isolated("BTCUSDT")
        assert exchange.sent()["marginType"] == "ISOLATED"
        exchange.script.append(coded(-4059, msg="No need to change position side."))
        await desk.set_one_way()
        exchange.script.append(coded(-4047))
        with pytest.raises(VenueRejectedError):
            await desk.set_isolated("BTCUSDT")
        exchange.answers["/fapi/v1/leverage"] = lambda _: {"leverage": 5, "maxNotionalValue": "1", "symbol": "BTCUSDT"}
        assert await desk.set_leverage("BTCUSDT", 5) == 5
        exchange.answers["/fapi/v1/positionSide/dual"] = lambda _: {"dualSidePosition": True}
        assert await desk.position_mode() is PositionMode.HEDGE


async def test_trades_and_income_are_asked_for_half_open_times_and_come_ascending():
    async with account() as (exchange, desk):
        row = {"symbol": "BTCUSDT", "orderId": 1, "side": "BUY", "price": "2", "qty": "3", "realizedPnl": "0",
               "commission": "0.1", "commissionAsset": "USDT", "time": NOW}  # fmt: skip
        exchange.answers["/fapi/v1/userTrades"] = lambda _: [{**row, "id": 9}, {**row, "id": 8}]
        trades = await desk.user_trades("BTCUSDT", start_ms=NOW, end_ms=NOW + 10)
        assert [t.trade_id for t in trades] == [8, 9]
        assert trades[0].quote_quantity == D(6)
        sent = exchange.sent()
        assert (sent["startTime"], sent["endTime"]) == (str(NOW), str(NOW + 9))
        assert "fromId" not in sent
        exchange.answers["/fapi/v1/income"] = lambda _: []
        assert await desk.income(NOW, NOW + 10, kind="FUNDING_FEE") == []
        assert exchange.sent()["incomeType"] == "FUNDING_FEE"


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "faults"),
    [
        (ApiPermissions(True, True, False, False, False, True), ()),
        (ApiPermissions(True, True, True, False, False, True), (PermissionFault.WITHDRAWALS_ALLOWED,)),
        (ApiPermissions(True, True, None, None, None, None), (PermissionFault.WITHDRAWALS_UNSAID,)),
        (
            ApiPermissions(False, None, False, False, False, True),
            (PermissionFault.FUTURES_NOT_ALLOWED, PermissionFault.READING_NOT_ALLOWED),
        ),
        (None, (PermissionFault.WITHDRAWALS_UNSAID,)),
    ],
)
def test_a_key_that_may_withdraw_or_may_not_trade_is_refused_with_every_reason(permissions, faults):
    assert permission_faults(permissions) == faults


async def test_permissions_are_asked_at_the_wallets_host_and_absent_where_there_is_none():
    async with account() as (exchange, desk):
        assert await desk.api_permissions() is None
        desk._transport.endpoints = exchange.with_wallet()
        exchange.answers["/sapi/v1/account/apiRestrictions"] = lambda _: {
            "ipRestrict": True, "createTime": 1, "enableReading": True, "enableWithdrawals": True, "enableFutures": True
        }  # fmt: skip
        found = await desk.api_permissions()
        assert permission_faults(found) == (PermissionFault.WITHDRAWALS_ALLOWED,)
        assert (found.ip_restricted, found.universal_transfer) == (True, None)
        exchange.script.append((404, b"", {}))
        assert await desk.api_permissions() is None


async def test_no_key_and_no_signature_is_in_anything_that_was_said(caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    credentials = Credentials(KEY, SECRET)
    async with account(credentials=credentials, trading=TradingConfig(timeout_s=0.05)) as (exchange, desk):
        exchange.script.extend([coded(-2015, 401, f"echo {KEY}"), (500, KEY.encode(), {}), (200, b"x", {})])
        said += [repr(await entry(desk)) for _ in range(3)]
        exchange.script.append(coded(-2015, 401, f"echo {KEY}"))
        try:
            await desk.account()
        except VenueRejectedError as exc:
            said += [repr(exc), *traceback.format_exception(exc)]
        exchange.drop = 1
        said.append(repr(await entry(desk)))
        exchange.hold = asyncio.Event()
        said.append(repr(await entry(desk)))
        exchange.hold.set()
        desk._transport.endpoints = exchange.endpoints("http://127.0.0.1:9")
        said += [repr(await leave(desk)), repr(desk._transport.config), repr(credentials), repr(desk)]
        signatures = [s for i in range(len(exchange.seen)) if (s := exchange.sent(i).get("signature"))]
    assert len(signatures) >= 5
    everything = "".join(said) + caplog.text
    for secret in (KEY, SECRET, *signatures):
        assert secret not in everything
