"""ccxt (asyncio, with its stream part ``ccxt.pro``), unmodified: base URLs are entries of ``urls['api']``."""

import asyncio
import re
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro
from scenario import Driver, Order, Target, main

STATES = {"open": "NEW", "closed": "FILLED", "canceled": "CANCELED", "rejected": "REJECTED", "expired": "EXPIRED"}


class Ccxt(Driver):
    package = "ccxt"
    every_push = False  # watch_orders hands out the latest state of each order, not each push
    keeps_places = False  # it sorts the answers of a batch by their time

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        # fetchCurrencies asks the wallet service, which is another exchange's
        options = {"fetchCurrencies": False}
        self._exchange = ccxt.pro.binanceusdm(
            {"apiKey": self.target.key, "secret": self.target.secret, "options": options}
        )
        urls = self._exchange.urls["api"]
        for name, version in (("", 1), ("V2", 2), ("V3", 3)):
            urls["fapiPublic" + name] = urls["fapiPrivate" + name] = f"{self.target.rest}/fapi/v{version}"
        urls["fapiData"] = f"{self.target.rest}/futures/data"
        urls["sapi"] = f"{self.target.rest}/sapi/v1"
        urls["ws"]["linear"] = f"{self.target.ws}/ws"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exchange.close()

    def version(self) -> str:
        return str(ccxt.__version__)

    def code_of(self, error: Exception) -> int | None:
        found = re.search(r'"code":\s*(-\d+)', str(error)) if isinstance(error, ccxt.BaseError) else None
        return int(found.group(1)) if found else None

    async def raw(self, method: str, path: str, **params: str) -> Any:
        _, _, number, name = path.split("/", 3)
        kind = "fapiPrivate" + ("" if number == "v1" else number.upper())
        return await self._exchange.request(name, [kind], method, params)

    def _symbol(self, symbol: str) -> str:
        return f"{symbol.removesuffix('USDT')}/USDT:USDT"

    async def markets(self) -> dict[str, tuple[Decimal, Decimal]]:
        found = await self._exchange.load_markets()
        return {
            market["id"]: (Decimal(str(market["precision"]["price"])), Decimal(str(market["precision"]["amount"])))
            for market in found.values()
        }

    async def server_time(self) -> int:
        return int(await self._exchange.fetch_time())

    async def candle_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]:
        candles = await self._exchange.watch_ohlcv(self._symbol(symbol), "1m")
        marked = await self._exchange.watch_mark_price(self._symbol(symbol))
        return Decimal(str(candles[-1][4])), Decimal(str(marked["markPrice"]))

    async def open_stream(self) -> None:
        self._tasks = [asyncio.create_task(self._watch_orders()), asyncio.create_task(self._watch_balance())]

    async def _watch_orders(self) -> None:
        while True:
            for order in await self._exchange.watch_orders():
                body = order["info"]
                (self.heard_algo if "aid" in body else self.heard_order)(body)

    async def _watch_balance(self) -> None:
        while True:
            told = (await self._exchange.watch_balance())["info"]
            if isinstance(told, dict) and told.get("e") == "ACCOUNT_UPDATE":
                self.heard_account(told["a"])

    async def leverage(self, symbol: str, value: int) -> int:
        return int((await self._exchange.set_leverage(value, self._symbol(symbol)))["leverage"])

    async def isolate(self, symbol: str) -> None:
        await self._exchange.set_margin_mode("isolated", self._symbol(symbol))

    async def balance(self) -> Decimal:
        return Decimal(str((await self._exchange.fetch_balance())["USDT"]["total"]))

    async def market(self, symbol: str, side: str, quantity: str, *, reduce_only: bool = False) -> Order:
        params = {"reduceOnly": True} if reduce_only else {}
        order = await self._exchange.create_order(
            self._symbol(symbol), "market", side.lower(), float(quantity), None, params
        )
        return order_of(order)

    async def limit(self, symbol: str, side: str, quantity: str, price: str, client_id: str) -> Order:
        return order_of(await self._exchange.create_order(
            self._symbol(symbol), "limit", side.lower(), float(quantity), float(price), {"newClientOrderId": client_id}
        ))  # fmt: skip

    async def order(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._exchange.fetch_order(order_id, self._symbol(symbol)))

    async def open_orders(self, symbol: str) -> list[Order]:
        return [order_of(order) for order in await self._exchange.fetch_open_orders(self._symbol(symbol))]

    async def change(self, symbol: str, order_id: str, side: str, quantity: str, price: str) -> Order:
        return order_of(await self._exchange.edit_order(
            order_id, self._symbol(symbol), "limit", side.lower(), float(quantity), float(price)
        ))  # fmt: skip

    async def cancel(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._exchange.cancel_order(order_id, self._symbol(symbol)))

    async def trades(self, symbol: str) -> list[tuple[str, Decimal]]:
        rows = await self._exchange.fetch_my_trades(self._symbol(symbol))
        return [(row["order"], Decimal(str(row["amount"]))) for row in rows]

    async def batch(self, symbol: str, orders: list[dict[str, str]]) -> list[Order | int]:
        rows = await self._exchange.create_orders([
            {
                "symbol": self._symbol(symbol), "type": order["type"].lower(), "side": order["side"].lower(),
                "amount": float(order["quantity"]), "price": float(order["price"]),
            }
            for order in orders
        ])  # fmt: skip
        return [item_of(row) for row in rows]

    async def cancel_batch(self, symbol: str, order_ids: list[str]) -> list[Order | int]:
        return [item_of(row) for row in await self._exchange.cancel_orders(order_ids, self._symbol(symbol))]

    async def bracket_leg(self, symbol: str, side: str, kind: str, trigger: str, client_id: str) -> Order:
        name = "stopLossPrice" if kind == "STOP_MARKET" else "takeProfitPrice"
        params = {
            name: float(trigger), "closePosition": True, "workingType": "MARK_PRICE", "clientOrderId": client_id,
        }  # fmt: skip
        return order_of(await self._exchange.create_order(
            self._symbol(symbol), "market", side.lower(), None, None, params
        ))  # fmt: skip

    async def algo(self, symbol: str, algo_id: str) -> Order:
        return order_of(await self._exchange.fetch_order(algo_id, self._symbol(symbol), {"trigger": True}))

    async def open_algos(self, symbol: str) -> list[Order]:
        rows = await self._exchange.fetch_open_orders(self._symbol(symbol), params={"trigger": True})
        return [order_of(row) for row in rows]

    async def cancel_algo(self, symbol: str, algo_id: str) -> None:
        await self._exchange.cancel_order(algo_id, self._symbol(symbol), {"trigger": True})

    async def cancel_all_algos(self, symbol: str) -> None:
        await self._exchange.cancel_all_orders(self._symbol(symbol), {"trigger": True})

    async def position(self, symbol: str) -> tuple[Decimal, Decimal]:
        for row in await self._exchange.fetch_positions([self._symbol(symbol)]):
            sign = 1 if row["side"] == "long" else -1
            return sign * Decimal(str(row["contracts"])), Decimal(str(row["entryPrice"]))
        return Decimal(0), Decimal(0)

    async def income(self, symbol: str, kind: str) -> list[Decimal]:
        if kind == "FUNDING_FEE":
            rows = await self._exchange.fetch_funding_history(self._symbol(symbol))
            return [Decimal(str(row["amount"])) for row in rows]
        return [
            Decimal(row["income"]) for row in await self.raw("GET", "/fapi/v1/income", symbol=symbol, incomeType=kind)
        ]


def order_of(order: dict[str, Any]) -> Order:
    """ccxt's own order in the exchange's words."""
    return Order(
        order["id"], order["clientOrderId"], STATES.get(order["status"], str(order["status"])),
        Decimal(str(order["filled"] or 0)), Decimal(str(order["triggerPrice"] or 0)),
        bool(order["info"].get("closePosition", False)),
    )  # fmt: skip


def item_of(order: dict[str, Any]) -> Order | int:
    """One item of a batch; ccxt leaves a refused one without an id."""
    return order_of(order) if order["id"] else int(order["info"]["code"])


if __name__ == "__main__":
    main(Ccxt)
