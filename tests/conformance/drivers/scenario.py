"""The steps that every client is driven through, and what must come of each. Standard library only: it runs in the
environment of each client, beside a driver that makes the calls with that client's own faces.

A driver prints one JSON line a step: ``{"step", "status": "pass" | "fail" | "not supported", "detail"}``.
"""

import asyncio
import json
import sys
import time
import traceback
import urllib.request
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

BTC, ETH, HOURLY = "BTCUSDT", "ETHUSDT", "PUMPUSDT"  # the last one settles its funding every hour
SIZE = {BTC: "0.010", ETH: "0.500", HOURLY: "20000"}
OPEN_WAIT_S, EVENT_WAIT_S, MARKET_WAIT_S = 20.0, 10.0, 150.0  # of wall time: connect, be told, wait for the market


class NotSupportedError(Exception):
    """The client has no face for a step; its text says what is missing."""


@dataclass(frozen=True)
class Target:
    """Where the exchange is. ``quick``: leave out the steps that wait for the market."""

    rest: str
    ws: str
    admin: str
    key: str
    secret: str
    quick: bool = False


@dataclass(frozen=True)
class Order:
    """A regular or a conditional order as the client tells of it, in the exchange's words."""

    id: str
    client_id: str
    status: str
    executed: Decimal = Decimal(0)
    trigger: Decimal = Decimal(0)
    close_position: bool = False


class Driver:
    """What a client must be able to do; drivers override it with calls of their client.

    Numbers go in and come out as text or ``Decimal``; sides, types and states are the exchange's words.
    """

    package = ""
    typed = False  # True where answers and events go through models that complain
    keeps_places = True  # False where the answers of a batch come in another order than the orders
    every_push = True  # False where the client keeps only the latest state of an order

    def __init__(self, target: Target) -> None:
        self.target = target
        self.orders: dict[str, list[str]] = defaultdict(list)  # states by order id, as the stream told them
        self.client_ids: dict[str, str] = {}
        self.executions: dict[str, list[str]] = defaultdict(list)
        self.algos: dict[str, list[str]] = defaultdict(list)
        self.children: dict[str, str] = {}  # order id by algo id
        self.account: list[tuple[str, tuple[str, ...]]] = []  # (reason, symbols of positions)
        self.unread: list[str] = []  # what the client said about answers and events that it could not read

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def version(self) -> str: ...
    def code_of(self, error: Exception) -> int | None: ...
    async def raw(self, method: str, path: str, **params: str) -> Any: ...
    async def markets(self) -> dict[str, tuple[Decimal, Decimal]]: ...
    async def server_time(self) -> int: ...
    async def candle_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]: ...
    async def open_stream(self) -> None: ...
    async def leverage(self, symbol: str, value: int) -> int: ...
    async def isolate(self, symbol: str) -> None: ...
    async def balance(self) -> Decimal: ...
    async def market(self, symbol: str, side: str, quantity: str, *, reduce_only: bool = False) -> Order: ...
    async def limit(self, symbol: str, side: str, quantity: str, price: str, client_id: str) -> Order: ...
    async def order(self, symbol: str, order_id: str) -> Order: ...
    async def open_orders(self, symbol: str) -> list[Order]: ...
    async def change(self, symbol: str, order_id: str, side: str, quantity: str, price: str) -> Order: ...
    async def cancel(self, symbol: str, order_id: str) -> Order: ...
    async def trades(self, symbol: str) -> list[tuple[str, Decimal]]: ...
    async def batch(self, symbol: str, orders: list[dict[str, str]]) -> list[Order | int]: ...
    async def cancel_batch(self, symbol: str, order_ids: list[str]) -> list[Order | int]: ...
    async def bracket_leg(self, symbol: str, side: str, kind: str, trigger: str, client_id: str) -> Order: ...
    async def algo(self, symbol: str, algo_id: str) -> Order: ...
    async def open_algos(self, symbol: str) -> list[Order]: ...
    async def cancel_algo(self, symbol: str, algo_id: str) -> None: ...
    async def cancel_all_algos(self, symbol: str) -> None: ...
    async def position(self, symbol: str) -> tuple[Decimal, Decimal]: ...
    async def income(self, symbol: str, kind: str) -> list[Decimal]: ...

    async def survey(self) -> list[str]:
        """What was wrong with the form of answers and events, as far as the client judges it."""
        return self.unread

    def heard(self, event: dict[str, Any]) -> None:
        """Keep an event of the user stream, as the exchange sent it."""
        body = event.get("o", {})
        match event["e"]:
            case "ORDER_TRADE_UPDATE":
                self.heard_order(body)
            case "ALGO_UPDATE":
                self.heard_algo(body)
            case "ACCOUNT_UPDATE":
                self.heard_account(event["a"])

    def heard_order(self, body: dict[str, Any]) -> None:
        number = str(body["i"])
        self.orders[number].append(body["X"])
        self.executions[number].append(body["x"])
        self.client_ids[number] = body["c"]

    def heard_algo(self, body: dict[str, Any]) -> None:
        number = str(body["aid"])
        self.algos[number].append(body["X"])
        if body.get("ai"):
            self.children[number] = str(body["ai"])

    def heard_account(self, body: dict[str, Any]) -> None:
        self.account.append((body["m"], tuple(item["s"] for item in body.get("P", []))))

    async def code(self, call: Awaitable[Any]) -> int:
        """The exchange's code in the client's exception; 0 when nothing was refused."""
        try:
            await call
        except Exception as error:
            found = self.code_of(error)
            if found is None:
                raise
            return found
        return 0


# --- the exchange's own JSON, for clients that hand it on as it is ---


def steps_of(info: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    """Tick and step by symbol, of exchangeInfo."""
    found = {}
    for item in info["symbols"]:
        filters = {row["filterType"]: row for row in item["filters"]}
        found[item["symbol"]] = (
            Decimal(filters["PRICE_FILTER"]["tickSize"]), Decimal(filters["LOT_SIZE"]["stepSize"]),
        )  # fmt: skip
    return found


def order_of(row: dict[str, Any]) -> Order:
    """A regular order."""
    return Order(str(row["orderId"]), row["clientOrderId"], row["status"], Decimal(row["executedQty"]))


def item_of(row: dict[str, Any]) -> Order | int:
    """One item of a batch: an order, or the code of its refusal."""
    return order_of(row) if "orderId" in row else int(row["code"])


def algo_of(row: dict[str, Any]) -> Order:
    """A conditional order."""
    return Order(
        str(row["algoId"]), row["clientAlgoId"], row["algoStatus"],
        trigger=Decimal(row["triggerPrice"]), close_position=row["closePosition"],
    )  # fmt: skip


# --- what the scenario itself asks the exchange, beside the client ---


def get(target: Target, path: str) -> Any:
    with urllib.request.urlopen(target.rest + path, timeout=10) as answer:
        return json.load(answer)


def connections(target: Target) -> dict[str, int]:
    """Open sockets by the path they came on, as the exchange counts them."""
    with urllib.request.urlopen(target.admin + "/status", timeout=10) as answer:
        return dict(json.load(answer)["connections"])


def mark(target: Target, symbol: str) -> Decimal:
    return Decimal(get(target, f"/fapi/v1/premiumIndex?symbol={symbol}")["markPrice"])


def near(target: Target, symbol: str, factor: str) -> str:
    """A price at ``factor`` times the mark, on the tick."""
    tick = ticks(target)[symbol][0]
    return f"{(mark(target, symbol) * Decimal(factor) / tick).quantize(Decimal(1), ROUND_HALF_UP) * tick:f}"


def ticks(target: Target) -> dict[str, tuple[Decimal, Decimal]]:
    return steps_of(get(target, "/fapi/v1/exchangeInfo"))


async def until(condition: Callable[[], Any], what: str, within_s: float = EVENT_WAIT_S) -> None:
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(0.02)


def expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, expected {wanted!r}")


async def flat(d: Driver, symbol: str) -> None:
    amount, _ = await d.position(symbol)
    if amount:
        await d.market(symbol, "SELL" if amount > 0 else "BUY", f"{abs(amount):f}", reduce_only=True)


# --- the steps ---


async def load_markets(d: Driver) -> str:
    found, wanted = await d.markets(), ticks(d.target)
    for symbol in (BTC, ETH, HOURLY):
        expect(f"tick and step of {symbol}", found[symbol], wanted[symbol])
    return f"{len(found)} symbols"


async def server_time(d: Driver) -> str:
    before = get(d.target, "/fapi/v1/time")["serverTime"]
    now = await d.server_time()
    after = get(d.target, "/fapi/v1/time")["serverTime"]
    if not before <= now <= after:
        raise AssertionError(f"time: got {now}, expected {before} to {after}")
    return ""


async def market_streams(d: Driver) -> str:
    candle, marked = await asyncio.wait_for(d.candle_and_mark(BTC), OPEN_WAIT_S)
    now = mark(d.target, BTC)
    for name, value in (("candle", candle), ("mark", marked)):
        if abs(value / now - 1) > Decimal("0.03"):
            raise AssertionError(f"{name}: got {value}, expected a price near {now}")
    return ""


async def user_stream(d: Driver) -> str:
    await asyncio.wait_for(d.open_stream(), OPEN_WAIT_S)
    await until(lambda: connections(d.target)["private"] == 1, "one connection on /private")
    expect("connections on the retired paths", connections(d.target)["legacy"], 0)
    return "on /private; nothing on the retired /ws"


async def leverage(d: Driver) -> str:
    for symbol in (BTC, ETH, HOURLY):
        expect(f"leverage of {symbol}", await d.leverage(symbol, 20), 20)
    return ""


async def isolated_margin(d: Driver) -> str:
    for symbol in (BTC, ETH, HOURLY):
        await d.isolate(symbol)
    again = await d.code(d.raw("POST", "/fapi/v1/marginType", symbol=BTC, marginType="ISOLATED"))
    expect("the same margin type again", again, -4046)
    return "again: -4046"


async def balance(d: Driver) -> str:
    expect("wallet", await d.balance(), Decimal(10_000))
    return ""


async def market_entry(d: Driver) -> str:
    order = await d.market(BTC, "BUY", SIZE[BTC])
    expect("answer of RESULT", (order.status, order.executed), ("FILLED", Decimal(SIZE[BTC])))
    amount, entry = await d.position(BTC)
    expect("position", amount, Decimal(SIZE[BTC]))
    if abs(entry / mark(d.target, BTC) - 1) > Decimal("0.03"):
        raise AssertionError(f"entry price: got {entry}, expected one near the mark")
    bought = sum((size for number, size in await d.trades(BTC) if number == order.id), Decimal(0))
    expect("trades of the order", bought, Decimal(SIZE[BTC]))
    expect("order by its id", (await d.order(BTC, order.id)).status, "FILLED")
    return ""


async def old_stop_path(d: Driver) -> str:
    code = await d.code(d.raw(
        "POST", "/fapi/v1/order", symbol=BTC, side="SELL", type="STOP_MARKET", closePosition="true",
        stopPrice=near(d.target, BTC, "0.95"), workingType="MARK_PRICE",
    ))  # fmt: skip
    expect("STOP_MARKET at /order", code, -4120)
    return "-4120"


async def stop_loss(d: Driver) -> str:
    price = near(d.target, BTC, "0.95")
    stop = await d.bracket_leg(BTC, "SELL", "STOP_MARKET", price, "conform-sl-1")
    expect("stop", (stop.status, stop.client_id, stop.close_position), ("NEW", "conform-sl-1", True))
    expect("its trigger", stop.trigger, Decimal(price))
    second = await d.code(d.bracket_leg(BTC, "SELL", "STOP_MARKET", near(d.target, BTC, "0.94"), "conform-sl-2"))
    expect("a second stop of the same direction", second, -4130)
    return "a second one: -4130"


async def take_profit(d: Driver) -> str:
    target = await d.bracket_leg(BTC, "SELL", "TAKE_PROFIT_MARKET", near(d.target, BTC, "1.05"), "conform-tp-1")
    expect("target", (target.status, target.client_id, target.close_position), ("NEW", "conform-tp-1", True))
    return ""


async def query(d: Driver) -> str:
    algos = await d.open_algos(BTC)
    expect("open conditional orders", sorted(a.client_id for a in algos), ["conform-sl-1", "conform-tp-1"])
    for algo in algos:
        expect("one of them by its id", (await d.algo(BTC, algo.id)).client_id, algo.client_id)
    expect("open regular orders", await d.open_orders(BTC), [])
    return ""


async def cancel(d: Driver) -> str:
    order = await d.limit(BTC, "BUY", SIZE[BTC], near(d.target, BTC, "0.90"), "conform-limit-1")
    expect("resting order", (order.status, order.client_id), ("NEW", "conform-limit-1"))
    expect("open orders", [o.id for o in await d.open_orders(BTC)], [order.id])
    expect("answer to the cancel", (await d.cancel(BTC, order.id)).status, "CANCELED")
    expect("afterwards", (await d.order(BTC, order.id)).status, "CANCELED")
    expect("the conditional ones stay", len(await d.open_algos(BTC)), 2)
    return ""


async def change(d: Driver) -> str:
    order = await d.limit(BTC, "BUY", SIZE[BTC], near(d.target, BTC, "0.90"), "conform-limit-3")
    price = near(d.target, BTC, "0.91")
    changed = await d.change(BTC, order.id, "BUY", "0.020", price)
    expect("id and state", (changed.id, changed.status), (order.id, "NEW"))
    rows = await d.raw("GET", "/fapi/v1/openOrders", symbol=BTC)
    row = next(row for row in rows if str(row["orderId"]) == order.id)
    expect("as it stands now", (Decimal(row["price"]), Decimal(row["origQty"])), (Decimal(price), Decimal("0.020")))
    await until(lambda: order.id in d.orders, "events of it")
    if d.every_push:
        await until(lambda: "AMENDMENT" in d.executions[order.id], "AMENDMENT")
    await d.cancel(BTC, order.id)
    return ""


async def cancel_conditional(d: Driver) -> str:
    by_name = {a.client_id: a.id for a in await d.open_algos(BTC)}
    await d.cancel_algo(BTC, by_name["conform-sl-1"])
    expect("left", [a.client_id for a in await d.open_algos(BTC)], ["conform-tp-1"])
    await d.cancel_all_algos(BTC)
    expect("left", await d.open_algos(BTC), [])
    if d.every_push:
        await until(lambda: "CANCELED" in d.algos[by_name["conform-tp-1"]], "CANCELED on the stream")
    return "one, then all"


async def batch(d: Driver) -> str:
    price = near(d.target, BTC, "0.90")
    fixed = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": price}
    wanted = [fixed | {"quantity": quantity} for quantity in (SIZE[BTC], "0.001", "0.020")]
    placed = await d.batch(BTC, wanted)
    answers = [str(item) if isinstance(item, int) else item.status for item in placed]
    if d.keeps_places:
        expect("answers", answers, ["NEW", "-4164", "NEW"])
    expect("answers in any order", sorted(answers), ["-4164", "NEW", "NEW"])
    numbers = [item.id for item in placed if isinstance(item, Order)]
    expect("open orders", sorted(o.id for o in await d.open_orders(BTC)), sorted(numbers))
    cancelled = await d.cancel_batch(BTC, numbers)
    expect("cancels", [o if isinstance(o, int) else o.status for o in cancelled], ["CANCELED", "CANCELED"])
    expect("left", await d.open_orders(BTC), [])
    return "three placed in one call, one of them refused with -4164; two cancelled in one"


async def order_events(d: Driver) -> str:
    order = await d.limit(BTC, "BUY", SIZE[BTC], near(d.target, BTC, "0.90"), "conform-limit-2")
    await until(lambda: "NEW" in d.orders[order.id], "NEW")
    await d.cancel(BTC, order.id)
    await until(lambda: "CANCELED" in d.orders[order.id], "CANCELED")
    filled = await d.market(BTC, "SELL", SIZE[BTC], reduce_only=True)
    await until(lambda: "FILLED" in d.orders[filled.id], "FILLED")
    expect("client id on the stream", d.client_ids[order.id], "conform-limit-2")
    if d.every_push:
        expect("states of the market order", (d.orders[filled.id][0], d.orders[filled.id][-1]), ("NEW", "FILLED"))
    expect("position", (await d.position(BTC))[0], Decimal(0))
    return ""


async def account_events(d: Driver) -> str:
    await d.market(ETH, "BUY", SIZE[ETH])
    await until(lambda: ("ORDER", (ETH,)) in d.account, "ACCOUNT_UPDATE of the entry")
    await flat(d, ETH)
    return ""


async def algo_events(d: Driver) -> str:
    """A bracket close to the market: one leg triggers, the other expires with the position."""
    await d.market(ETH, "BUY", SIZE[ETH])
    legs = [
        await d.bracket_leg(ETH, "SELL", kind, near(d.target, ETH, factor), name)
        for kind, factor, name in (
            ("STOP_MARKET", "0.996", "conform-sl-3"),
            ("TAKE_PROFIT_MARKET", "1.004", "conform-tp-3"),
        )
    ]
    await until(lambda: any("FINISHED" in d.algos[leg.id] for leg in legs), "a leg FINISHED", MARKET_WAIT_S)
    done, other = sorted(legs, key=lambda leg: "FINISHED" not in d.algos[leg.id])
    await until(lambda: "EXPIRED" in d.algos[other.id], "the other leg EXPIRED")
    child = d.children[done.id]
    await until(lambda: "FILLED" in d.orders[child], "the child order FILLED")
    if d.every_push:
        expect("life of the leg", d.algos[done.id], ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"])
        expect("client id of the child", d.client_ids[child], done.client_id)
    expect("position", (await d.position(ETH))[0], Decimal(0))
    return f"{done.client_id.split('-')[1].upper()} triggered, the other expired"


async def error_codes(d: Driver) -> str:
    order, algo = "/fapi/v1/order", "/fapi/v1/algoOrder"
    buy = {"symbol": BTC, "side": "BUY", "type": "MARKET", "quantity": SIZE[BTC]}
    resting = buy | {"type": "LIMIT", "timeInForce": "GTC", "price": near(d.target, BTC, "0.90")}
    stop = {"algoType": "CONDITIONAL", "symbol": BTC, "side": "SELL", "type": "STOP_MARKET"}
    above = near(d.target, BTC, "1.02")
    wanted: list[tuple[int, str, str, dict[str, str]]] = [
        (-1121, "POST", order, buy | {"symbol": "NOPEUSDT"}),
        (-1116, "POST", order, buy | {"type": "NONSENSE"}),
        (-1117, "POST", order, buy | {"side": "HOLD"}),
        (-1102, "POST", order, {k: v for k, v in buy.items() if k != "quantity"}),
        (-1111, "POST", order, buy | {"quantity": "0.01001"}),
        (-4003, "POST", order, buy | {"quantity": "0"}),
        (-4164, "POST", order, resting | {"quantity": "0.001"}),
        (-4014, "POST", order, resting | {"price": "70000.05"}),
        (-4016, "POST", order, resting | {"price": near(d.target, BTC, "1.50")}),
        (-4015, "POST", order, resting | {"newClientOrderId": "x" * 37}),
        (-2019, "POST", order, buy | {"quantity": "100"}),
        (-2022, "POST", order, buy | {"side": "SELL", "reduceOnly": "true"}),
        (-4061, "POST", order, buy | {"positionSide": "LONG"}),
        (-2013, "GET", order, {"symbol": BTC, "orderId": "1"}),
        (-2011, "DELETE", order, {"symbol": BTC, "orderId": "1"}),
        (-4509, "POST", algo, stop | {"closePosition": "true", "triggerPrice": near(d.target, BTC, "0.95")}),
        (-2021, "POST", algo, stop | {"quantity": SIZE[BTC], "triggerPrice": above}),
        (-4137, "POST", algo, stop | {"closePosition": "true", "quantity": SIZE[BTC], "triggerPrice": above}),
        (-1106, "POST", algo, stop | {"closePosition": "true", "reduceOnly": "true", "triggerPrice": above}),
        (-2013, "GET", algo, {"algoId": "1"}),
        (-2011, "DELETE", algo, {"algoId": "1"}),
        (-4028, "POST", "/fapi/v1/leverage", {"symbol": BTC, "leverage": "1000"}),
        (-4059, "POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "false"}),
        (-5000, "GET", "/fapi/v1/algoOrders", {"symbol": BTC}),
    ]
    wrong = []
    for code, method, path, params in wanted:
        got = await d.code(d.raw(method, path, **params))
        if got != code:
            wrong.append(f"{method} {path} {params}: got {got}, expected {code}")
    for name, code in (("secret", -1022), ("key", -2015)):
        stranger = type(d)(Target(**(vars(d.target) | {name: "0" * 64})))
        await stranger.open()
        try:
            got = await stranger.code(stranger.raw("GET", "/fapi/v3/balance"))
        finally:
            await stranger.close()
        if got != code:
            wrong.append(f"a wrong {name}: got {got}, expected {code}")
    if wrong:
        raise AssertionError("; ".join(wrong))
    return f"{len(wanted) + 2} refusals, each by its code"


async def funding(d: Driver) -> str:
    def left_ms() -> int:
        told = get(d.target, f"/fapi/v1/premiumIndex?symbol={HOURLY}")
        return int(told["nextFundingTime"] - told["time"])

    await until(lambda: left_ms() > 600_000, "a settlement that is not due at once", MARKET_WAIT_S)
    due = get(d.target, f"/fapi/v1/premiumIndex?symbol={HOURLY}")["nextFundingTime"]
    await d.market(HOURLY, "BUY", SIZE[HOURLY])
    expect("paid before", await d.income(HOURLY, "FUNDING_FEE"), [])
    await until(lambda: get(d.target, "/fapi/v1/time")["serverTime"] > due + 1_000, "the settlement", MARKET_WAIT_S)
    await until(lambda: any(m == "FUNDING_FEE" for m, _ in d.account), "ACCOUNT_UPDATE FUNDING_FEE")
    paid = await d.income(HOURLY, "FUNDING_FEE")
    row = get(d.target, f"/fapi/v1/fundingRate?symbol={HOURLY}&startTime={due - 1000}&endTime={due + 1000}")[0]
    amount = -Decimal(SIZE[HOURLY]) * Decimal(row["markPrice"]) * Decimal(row["fundingRate"])
    if abs(paid[0] - amount) > Decimal("0.00000002"):
        raise AssertionError(f"paid: got {paid[0]}, expected {amount:.8f}")
    await flat(d, HOURLY)
    return "the income is amount × mark × rate of fundingRate"


async def liquidation(d: Driver) -> str:
    """A long and a short of two contracts that move together, at the greatest leverage: one of them must go."""
    for symbol, side in ((BTC, "BUY"), (ETH, "SELL")):
        # the contract allows 150, ccxt no more than 125
        expect(f"leverage of {symbol}", await d.leverage(symbol, 125), 125)
        await d.market(symbol, side, SIZE[symbol])
    await until(
        lambda: any(name.startswith("autoclose-") for name in d.client_ids.values()), "a liquidation", MARKET_WAIT_S
    )
    number = next(number for number, name in d.client_ids.items() if name.startswith("autoclose-"))
    await until(lambda: "FILLED" in d.orders[number], "its fill")
    if "CALCULATED" not in d.executions[number]:
        raise AssertionError(f"executions: got {d.executions[number]}, expected CALCULATED")
    gone = [symbol for symbol in (BTC, ETH) if not (await d.position(symbol))[0]]
    cleared = [symbol for symbol in (BTC, ETH) if await d.income(symbol, "INSURANCE_CLEAR")]
    if not gone or not set(cleared) <= set(gone) or not cleared:
        raise AssertionError(f"INSURANCE_CLEAR of {cleared}, flat in {gone}")
    for symbol in (BTC, ETH):
        await flat(d, symbol)
    return f"{gone[0]}: autoclose-…, CALCULATED, INSURANCE_CLEAR"


async def retired_stream_path(d: Driver) -> str:
    watch = getattr(d, "retired", None)
    if watch is None:
        raise NotSupportedError(
            "connects to the routed paths only (see user stream); the raw client tries the old ones"
        )
    return await watch()


async def field_types(d: Driver) -> str:
    """Of everything before, so the last step."""
    expect("what the client could not read", list(dict.fromkeys(text[:300] for text in await d.survey())), [])
    if not d.typed:
        raise NotSupportedError("hands on plain JSON")
    return "no answer and no event strayed from the client's models or lacked a field of theirs"


Step = Callable[[Driver], Awaitable[str]]
STEPS: tuple[tuple[str, Step, bool], ...] = (  # name, step, whether it waits for the market
    ("load markets", load_markets, False),
    ("server time", server_time, False),
    ("market streams: candle, mark", market_streams, False),
    ("user stream opens", user_stream, False),
    ("leverage", leverage, False),
    ("isolated margin", isolated_margin, False),
    ("balance", balance, False),
    ("market entry", market_entry, False),
    ("stop at the old endpoint", old_stop_path, False),
    ("stop loss", stop_loss, False),
    ("take profit", take_profit, False),
    ("query", query, False),
    ("cancel", cancel, False),
    ("change", change, False),
    ("cancel conditional", cancel_conditional, False),
    ("batch", batch, False),
    ("user stream: orders", order_events, False),
    ("user stream: account", account_events, False),
    ("error codes", error_codes, False),
    ("retired stream path", retired_stream_path, False),
    ("user stream: conditional orders", algo_events, True),
    ("funding", funding, True),
    ("liquidation", liquidation, True),
    ("fields and their types", field_types, False),
)


def tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


async def drive(driver: Driver) -> None:
    steps = [(name, step) for name, step, waits in STEPS if not (waits and driver.target.quick)]
    tell(package=driver.package, version=driver.version(), steps=[name for name, _ in steps])
    await driver.open()
    try:
        for name, step in steps:
            try:
                detail, status = await step(driver), "pass"
            except NotSupportedError as error:
                detail, status = str(error), "not supported"
            except Exception as error:
                traceback.print_exc()
                detail, status = f"{type(error).__name__}: {error}", "fail"
            tell(step=name, status=status, detail=detail)
    finally:
        await driver.close()


def main(kind: type[Driver]) -> None:
    """Run the scenario against the exchange that the first argument describes, as JSON."""
    asyncio.run(drive(kind(Target(**json.loads(sys.argv[1])))))
