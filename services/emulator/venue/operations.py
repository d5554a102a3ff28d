"""Every request of an account: method and path to what it does. The shell has checked key, signature and limits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson

from packages.common.time import DAY_MS
from services.emulator.params import ApiError, limit, missing, number, symbol_text, text, times
from services.emulator.venue import checks, liquidation, margin, settings, views
from services.emulator.venue.contract import Contract
from services.emulator.venue.model import OPEN
from services.emulator.venue.venue import Desk, Venue

Params = Mapping[str, str]
Item = TypeVar("Item")
ALL_CANCELLED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class Call(NamedTuple):
    """A request on its way through the venue."""

    venue: Venue
    desk: Desk
    params: Params
    now_ms: int

    def contract(self, *, trading: bool = False) -> Contract:
        """Of the mandatory ``symbol``; with ``trading`` it must be open for orders."""
        found = self.venue.contracts.get(symbol_text(self.params))
        if found is None or not found.spec.listed(self.now_ms):
            raise ApiError(-1121, "Invalid symbol.")
        status = found.spec.status(self.now_ms)
        if trading and status != "TRADING":
            if status == "TRADING_HALT":
                raise ApiError(-1122, "Invalid symbol status.")
            raise ApiError(-4141, "Symbol is closed.")
        return found

    def optional(self) -> str | None:
        return self.contract().symbol if self.params.get("symbol") else None


class Operation(NamedTuple):
    """``changes``: whether it may change state, so that it must survive a restart. ``orders``: its cost on the counter
    of ten seconds; on that of a minute every request costs one (§6.1)."""

    do: Callable[[Call], Any]
    weight: int = 1
    weight_all: int = 0  # without ``symbol``, when that costs more
    orders: int = 0
    changes: bool = False
    security: str = "read"  # read | trade (signed), key (header only)


def perform(venue: Venue, account: str, method: str, path: str, params: Params, now_ms: int, *, lag_ms: int = 0) -> Any:
    """Answer as plain values; ``ApiError`` when it is refused. Time is brought up to ``now_ms`` first.

    With ``lag_ms`` a query sees the account of that long ago, as far as the venue remembers it.
    """
    venue.advance(now_ms)
    desk = venue.past(account, now_ms - lag_ms) if lag_ms else venue.desks[account]
    return OPERATIONS[method, path].do(Call(venue, desk, params, now_ms))


# --- orders ---


def _new_order(call: Call) -> Any:
    order = call.desk.orders.place(call.params, call.contract(trading=True), call.now_ms)
    call.desk.settle(order.symbol, call.now_ms)
    first = call.params.get("newOrderRespType", "ACK") != "RESULT"
    return views.order_answer(call.desk.ledger, order, first=first)


def _test_order(call: Call) -> Any:
    order = call.desk.orders.checked(call.params, call.contract(trading=True), call.now_ms)
    return views.order_answer(call.desk.ledger, order, first=True) | {"orderId": 0}


def _amend_order(call: Call) -> Any:
    order = call.desk.orders.amend(call.params, call.contract(trading=True), call.now_ms)
    call.desk.settle(order.symbol, call.now_ms)
    named = {} if order.modify_id is None else {"modifyId": order.modify_id}
    return views.order_answer(call.desk.ledger, order) | {"pair": order.symbol} | named


def _each(call: Call, do: Callable[[Call], Any], items: Sequence[Params]) -> Any:
    """A batch: every item is answered by itself, a refused one with its code."""
    answers = []
    for item in items:
        try:
            answers.append(do(call._replace(params=item)))
        except ApiError as refused:
            answers.append({"code": refused.code, "msg": refused.message})
    return answers


def _items(call: Call, name: str, most: int) -> list[Any]:
    """A JSON array of a parameter, with at most ``most`` items."""
    try:
        found = orjson.loads(text(call.params, name))
    except orjson.JSONDecodeError as error:
        raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.") from error
    if not isinstance(found, list):
        raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    if not 0 < len(found) <= most:
        raise ApiError(-4082, "Invalid number of batch place orders.")
    return found


def _batch(do: Callable[[Call], Any]) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        rows = _items(call, "batchOrders", 5)
        if not all(isinstance(row, dict) for row in rows):
            raise ApiError(-1130, "Data sent for parameter 'batchOrders' is not valid.")
        return _each(call, do, [{name: word(value) for name, value in row.items()} for row in rows])

    return answer


def word(value: object) -> str:
    """A value of JSON as the parameter it would have been."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# ccxt and python-binance still send the spelling of the older documents
_LISTS = {
    "orderIdList": "orderId",
    "orderidlist": "orderId",
    "origClientOrderIdList": "origClientOrderId",
    "origclientorderidlist": "origClientOrderId",
}


def _cancel_batch(call: Call) -> Any:
    name = next((name for name in _LISTS if call.params.get(name)), "orderIdList")
    symbol = call.contract().symbol
    rows = [{"symbol": symbol, _LISTS[name]: word(item)} for item in _items(call, name, 10)]
    return _each(call, _cancel_order, rows)


def _countdown(call: Call) -> Any:
    symbol, ms = call.contract().symbol, number(call.params, "countdownTime")
    if ms is None:
        raise missing("countdownTime")
    if ms < 0:
        raise ApiError(-1130, "Data sent for parameter 'countdownTime' is not valid.")
    countdowns = call.desk.ledger.account.countdowns
    countdowns.pop(symbol, None)
    if ms:
        countdowns[symbol] = call.now_ms + ms
    return {"symbol": symbol, "countdownTime": str(ms)}


def _amendments(call: Call) -> Any:
    symbol, order_id = call.contract().symbol, number(call.params, "orderId")
    client_id = call.params.get("origClientOrderId")
    rows = [
        row
        for row in call.desk.ledger.account.amendments
        if row.symbol == symbol and order_id in (None, row.order_id) and client_id in (None, row.client_id)
    ]
    rows = _window(call, rows, lambda a: a.id, lambda a: a.time_ms, "fromId", 50)
    return [views.amendment_row(row) for row in reversed(rows)]


def _force_orders(call: Call) -> Any:
    """Orders that the exchange itself gave for the account."""
    wanted, kind = call.optional(), call.params.get("autoCloseType")
    leads = {"LIQUIDATION": ("autoclose-",), "ADL": ("adl_autoclose",), None: ("autoclose-", "adl_autoclose")}
    if kind not in leads:
        raise ApiError(-1130, "Data sent for parameter 'autoCloseType' is not valid.")
    ledger = call.desk.ledger
    rows = [o for o in ledger.account.orders.values() if wanted in (None, o.symbol)]
    rows = [o for o in rows if o.client_id.startswith(leads[kind])]
    rows = _window(call, rows, lambda o: o.id, lambda o: o.time_ms, "orderId", 50)
    return [views.order_row(ledger, order) for order in rows]


def _order_limits(_: Call) -> Any:
    return [
        {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": count, "limit": limit}
        for interval, count, limit in (("SECOND", 10, 300), ("MINUTE", 1, 1200))
    ]


def _cancel_order(call: Call) -> Any:
    order = call.desk.orders.cancel(call.params, call.contract().symbol, call.now_ms)
    call.desk.settle(order.symbol, call.now_ms)
    return views.order_answer(call.desk.ledger, order, cancelled=True)


def _cancel_all(call: Call) -> Any:
    symbol = call.contract().symbol
    call.desk.orders.cancel_all(symbol, call.now_ms)
    call.desk.settle(symbol, call.now_ms)
    return ALL_CANCELLED


def _get_order(call: Call) -> Any:
    order = call.desk.orders.query(call.params, call.contract().symbol, call.now_ms)
    return views.order_row(call.desk.ledger, order)


def _open_order(call: Call) -> Any:
    order = call.desk.orders.query(call.params, call.contract().symbol, call.now_ms)
    if order.status not in OPEN:
        raise ApiError(-2013, "Order does not exist.")
    return views.order_row(call.desk.ledger, order)


def _open_orders(call: Call) -> Any:
    wanted, ledger = call.optional(), call.desk.ledger
    found = [o for symbol, orders in ledger.open.items() if wanted in (None, symbol) for o in orders.values()]
    return [views.order_row(ledger, order) for order in sorted(found, key=lambda o: o.id)]


def _all_orders(call: Call) -> Any:
    wanted, ledger = call.optional(), call.desk.ledger
    rows = [o for o in ledger.account.orders.values() if wanted in (None, o.symbol)]
    rows = _window(call, rows, lambda o: o.id, lambda o: o.time_ms, "orderId", 500)
    return [views.order_row(ledger, order, pair=True) for order in rows]


# --- algo orders ---


def _new_algo(call: Call) -> Any:
    algo = call.desk.algos.place(call.params, call.contract(trading=True), call.now_ms)
    return views.algo_row(call.desk.ledger, algo, None, "post")


def _cancel_algo(call: Call) -> Any:
    algo = call.desk.algos.cancel(call.params, call.now_ms)
    return {"algoId": algo.id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}


def _cancel_algos(call: Call) -> Any:
    call.desk.algos.cancel_all(call.contract().symbol, call.now_ms)
    return ALL_CANCELLED


def _get_algo(call: Call) -> Any:
    algo = call.desk.algos.query(call.params, call.now_ms)
    return views.algo_row(call.desk.ledger, algo, call.desk.algos.child(algo), "get")


def _open_algos(call: Call) -> Any:
    wanted, algos, one = call.optional(), call.desk.algos, number(call.params, "algoId")
    found = [a for symbol, rows in algos.open.items() if wanted in (None, symbol) for a in rows.values()]
    return [
        views.algo_row(call.desk.ledger, algo, algos.child(algo), "list")
        for algo in sorted(found, key=lambda a: a.id)
        if one in (None, algo.id)
    ]


def _all_algos(call: Call) -> Any:
    symbol, algos = call.contract().symbol, call.desk.algos
    rows = [a for a in call.desk.ledger.account.algos.values() if a.symbol == symbol]
    rows = _window(call, rows, lambda a: a.id, lambda a: a.time_ms, "algoId", 500)
    return [views.algo_row(call.desk.ledger, algo, algos.child(algo), "list") for algo in rows]


# --- account ---


def _risk(call: Call) -> Any:
    wanted, ledger = call.optional(), call.desk.ledger
    return [views.position_risk(ledger, p) for p in views.shown_positions(ledger) if wanted in (None, p.symbol)]


def _risk_v2(call: Call) -> Any:
    wanted = call.optional()
    return [
        views.position_risk_v2(call.desk.ledger, call.desk.ledger.position(symbol))
        for symbol in _tradable(call)
        if wanted in (None, symbol)
    ]


def _account_v2(call: Call) -> Any:
    return views.account_v2(call.desk.ledger, call.now_ms, _tradable(call), can_trade=True)


def _symbol_config(call: Call) -> Any:
    wanted = call.optional()
    listed = [c.symbol for c in call.venue.contracts.values() if c.spec.listed(call.now_ms)]
    return [views.symbol_config(call.desk.ledger, symbol) for symbol in listed if wanted in (None, symbol)]


def _leverage(call: Call) -> Any:
    return settings.leverage(call.desk.ledger, call.params, call.contract(), call.now_ms)


def _margin_type(call: Call) -> Any:
    contract = call.contract()
    return settings.margin_type(call.desk.ledger, call.params, contract, call.desk.pending_algos(contract.symbol))


def _position_margin(call: Call) -> Any:
    return settings.position_margin(call.desk.ledger, call.params, call.contract(), call.now_ms)


def _set_mode(call: Call) -> Any:
    return settings.position_mode(call.desk.ledger, call.params, call.desk.pending_algos())


def _set_multi(call: Call) -> Any:
    return settings.multi_assets(call.desk.ledger, call.params, call.now_ms)


def _sign_tradifi(call: Call) -> Any:
    call.desk.ledger.account.tradifi_signed = True
    return settings.SUCCESS


def _user_trades(call: Call) -> Any:
    symbol, ledger = call.contract().symbol, call.desk.ledger
    order_id = number(call.params, "orderId")
    rows = [t for t in ledger.account.trades if t.symbol == symbol and order_id in (None, t.order_id)]
    rows = _window(call, rows, lambda t: t.id, lambda t: t.time_ms, "fromId", 500)
    return [views.trade_row(ledger, trade) for trade in rows]


def _income(call: Call) -> Any:
    wanted, kind = call.optional(), call.params.get("incomeType", "")
    start, end = times(call.params)
    page, most = number(call.params, "page") or 1, limit(call.params, 100, 1000)
    if page < 1:
        raise ApiError(-1130, "Data sent for parameter 'page' is not valid.")
    if start is None and end is None:
        start = call.now_ms - 7 * DAY_MS
    rows = [
        i
        for i in call.desk.ledger.account.incomes
        if wanted in (None, i.symbol)
        and kind in ("", i.kind)
        and (start is None or i.time_ms >= start)
        and (end is None or i.time_ms <= end)
    ]
    if start is None and "page" not in call.params:
        rows = rows[-most:]
    return [views.income_row(income) for income in rows[(page - 1) * most : page * most]]


def _adl(call: Call) -> Any:
    wanted = call.optional()
    ledger, rows = call.desk.ledger, []
    for position in ledger.held():
        if wanted in (None, position.symbol):
            rank = views.adl_rank(ledger, position)
            rows.append({"symbol": position.symbol, "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": rank}})
    return rows


def _trading_status(call: Call) -> Any:
    symbol = call.optional()
    return {"indicators": {}, "updateTime": call.now_ms} | ({"symbol": symbol} if symbol else {})


def _fee_burn(call: Call) -> Any:
    return {"feeBurn": call.desk.ledger.account.fee_burn}


def _set_fee_burn(call: Call) -> Any:
    """The setting is kept and told; fees stay in USDT, for the account holds nothing else."""
    wanted = checks.boolean(call.params, "feeBurn")
    if wanted is None:
        raise missing("feeBurn")
    call.desk.ledger.account.fee_burn = wanted
    return settings.SUCCESS


# --- listen key ---


def _start_stream(call: Call) -> Any:
    account = call.desk.ledger.account
    if not account.listen_open:
        account.listen_serial += 1
        account.listen_open = True
    return {"listenKey": call.venue.listen_key(account.name)}


def _keep_stream(call: Call) -> Any:
    account = call.desk.ledger.account
    if not account.listen_open:
        raise ApiError(-1125, "This listenKey does not exist.")
    return {"listenKey": call.venue.listen_key(account.name)}


def _close_stream(call: Call) -> Any:
    account = call.desk.ledger.account
    if not account.listen_open:
        raise ApiError(-1125, "This listenKey does not exist.")
    account.listen_open = False
    return {}


# --- what no request can name: the clock's, the exchange's and the operator's hand ---


def _transfer(call: Call) -> Any:
    """Pay ``amount`` in, or out when it is below zero; out at most what is free."""
    value = checks.signed(call.params, "amount")
    ledger = call.desk.ledger
    value = max(margin.amount(value), -max(ledger.available(), margin.ZERO))
    ledger.book("TRANSFER", "", value, call.now_ms)
    reason = "DEPOSIT" if value > 0 else "WITHDRAW"
    ledger.emit(ledger.account_event(reason, [], call.now_ms, value))
    return {"amount": f"{value:f}"}


def _deleverage(call: Call) -> Any:
    """Take ``part`` of the position of ``symbol``."""
    part, desk = checks.signed(call.params, "part"), call.desk
    done = liquidation.deleverage(desk.ledger, desk.orders, desk.algos, call.contract().symbol, part, call.now_ms)
    return {"done": done}


# --- helpers ---


def _tradable(call: Call) -> list[str]:
    return [c.symbol for c in call.venue.contracts.values() if c.spec.status(call.now_ms) == "TRADING"]


def _window(
    call: Call,
    rows: list[Item],
    id_of: Callable[[Item], int],
    time_of: Callable[[Item], int],
    id_name: str,
    default: int,
) -> list[Item]:
    """``rows`` from an id upward, or of a window of at most seven days; the latest when neither is given."""
    start, end = times(call.params)
    most, first = limit(call.params, default, 1000), number(call.params, id_name)
    if start is not None and end is not None and end - start > 7 * DAY_MS:
        raise ApiError(-4165, "Invalid time interval. Maximum time interval is 7 days.")
    kept = [
        row
        for row in sorted(rows, key=id_of)
        if (first is None or id_of(row) >= first)
        and (start is None or time_of(row) >= start)
        and (end is None or time_of(row) <= end)
    ]
    return kept[:most] if first is not None or start is not None else kept[-most:]


def _ledger(view: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: view(call.desk.ledger, call.now_ms)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/fapi/v1/order"): Operation(_new_order, 0, orders=1, changes=True, security="trade"),
    ("POST", "/fapi/v1/order/test"): Operation(_test_order, 0, security="trade"),
    ("PUT", "/fapi/v1/order"): Operation(_amend_order, 0, orders=1, changes=True, security="trade"),
    ("POST", "/fapi/v1/batchOrders"): Operation(_batch(_new_order), 5, orders=5, changes=True, security="trade"),
    ("PUT", "/fapi/v1/batchOrders"): Operation(_batch(_amend_order), 5, orders=5, changes=True, security="trade"),
    ("DELETE", "/fapi/v1/batchOrders"): Operation(_cancel_batch, changes=True, security="trade"),
    ("GET", "/fapi/v1/orderAmendment"): Operation(_amendments),
    ("POST", "/fapi/v1/countdownCancelAll"): Operation(_countdown, 10, changes=True, security="trade"),
    ("DELETE", "/fapi/v1/order"): Operation(_cancel_order, changes=True, security="trade"),
    ("GET", "/fapi/v1/order"): Operation(_get_order),
    ("GET", "/fapi/v1/openOrder"): Operation(_open_order),
    ("GET", "/fapi/v1/openOrders"): Operation(_open_orders, 1, 40),
    ("GET", "/fapi/v1/allOrders"): Operation(_all_orders, 5),
    ("DELETE", "/fapi/v1/allOpenOrders"): Operation(_cancel_all, changes=True, security="trade"),
    ("POST", "/fapi/v1/algoOrder"): Operation(_new_algo, 0, orders=1, changes=True, security="trade"),
    ("DELETE", "/fapi/v1/algoOrder"): Operation(_cancel_algo, changes=True, security="trade"),
    ("GET", "/fapi/v1/algoOrder"): Operation(_get_algo),
    ("GET", "/fapi/v1/openAlgoOrders"): Operation(_open_algos, 1, 40),
    ("GET", "/fapi/v1/allAlgoOrders"): Operation(_all_algos, 5),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Operation(_cancel_algos, changes=True, security="trade"),
    ("GET", "/fapi/v3/account"): Operation(_ledger(views.account), 5),
    ("GET", "/fapi/v2/account"): Operation(_account_v2, 5),
    ("GET", "/fapi/v3/balance"): Operation(_ledger(views.balance), 5),
    ("GET", "/fapi/v2/balance"): Operation(_ledger(views.balance), 5),
    ("GET", "/fapi/v3/positionRisk"): Operation(_risk, 5),
    ("GET", "/fapi/v2/positionRisk"): Operation(_risk_v2, 5),
    ("GET", "/fapi/v1/symbolConfig"): Operation(_symbol_config, 5),
    ("GET", "/fapi/v1/accountConfig"): Operation(
        lambda call: views.account_config(call.desk.ledger, can_trade=True), 5
    ),
    ("POST", "/fapi/v1/leverage"): Operation(_leverage, changes=True, security="trade"),
    ("POST", "/fapi/v1/marginType"): Operation(_margin_type, changes=True, security="trade"),
    ("POST", "/fapi/v1/positionMargin"): Operation(_position_margin, changes=True, security="trade"),
    ("POST", "/fapi/v1/positionSide/dual"): Operation(_set_mode, changes=True, security="trade"),
    ("GET", "/fapi/v1/positionSide/dual"): Operation(
        lambda call: {"dualSidePosition": call.desk.ledger.account.dual_side}, 30
    ),
    ("POST", "/fapi/v1/multiAssetsMargin"): Operation(_set_multi, changes=True, security="trade"),
    ("GET", "/fapi/v1/multiAssetsMargin"): Operation(
        lambda call: {"multiAssetsMargin": call.desk.ledger.account.multi_assets}, 30
    ),
    ("POST", "/fapi/v1/stock/contract"): Operation(_sign_tradifi, 50, changes=True, security="trade"),
    ("GET", "/fapi/v1/userTrades"): Operation(_user_trades, 5),
    ("GET", "/fapi/v1/income"): Operation(_income, 30),
    ("GET", "/fapi/v1/commissionRate"): Operation(lambda call: views.commission(call.contract().symbol), 20),
    ("GET", "/fapi/v1/adlQuantile"): Operation(_adl, 5),
    ("GET", "/fapi/v1/apiTradingStatus"): Operation(_trading_status, 1, 10),
    ("GET", "/fapi/v1/feeBurn"): Operation(_fee_burn, 30),
    ("POST", "/fapi/v1/feeBurn"): Operation(_set_fee_burn, changes=True, security="trade"),
    ("GET", "/fapi/v1/rateLimit/order"): Operation(_order_limits),
    ("GET", "/fapi/v1/forceOrders"): Operation(_force_orders, 20, 50),
    ("POST", "/fapi/v1/listenKey"): Operation(_start_stream, changes=True, security="key"),
    ("PUT", "/fapi/v1/listenKey"): Operation(_keep_stream, security="key"),
    ("EXPIRE", "listenKey"): Operation(_close_stream, changes=True),
    ("HAND", "transfer"): Operation(_transfer, changes=True),
    ("HAND", "adl"): Operation(_deleverage, changes=True),
    ("DELETE", "/fapi/v1/listenKey"): Operation(_close_stream, changes=True, security="key"),
}
