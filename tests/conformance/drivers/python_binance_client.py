"""python-binance (async), unmodified: base URLs are the class attributes that it documents."""

import asyncio
import contextlib
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException
from scenario import Driver, Order, Target, algo_of, item_of, main, order_of, steps_of


class PythonBinance(Driver):
    package = "python-binance"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        AsyncClient.API_URL = f"{self.target.rest}/api"
        AsyncClient.FUTURES_URL = f"{self.target.rest}/fapi"
        AsyncClient.FUTURES_DATA_URL = f"{self.target.rest}/futures/data"
        BinanceSocketManager.FSTREAM_URL = f"{self.target.ws}/"
        self._client = await AsyncClient.create(self.target.key, self.target.secret)
        # what create() measured is wrong a moment later, since the market's time runs much faster here than ours
        self._client.timestamp_offset = 0
        self._sockets = BinanceSocketManager(self._client)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._client.close_connection()

    def version(self) -> str:
        return version("python-binance")

    def code_of(self, error: Exception) -> int | None:
        return error.code if isinstance(error, BinanceAPIException) else None

    async def raw(self, method: str, path: str, **params: str) -> Any:
        _, _, number, name = path.split("/", 3)
        return await self._client._request_futures_api(method.lower(), name, True, int(number[1:]), data=params)

    async def markets(self) -> dict[str, tuple[Decimal, Decimal]]:
        return steps_of(await self._client.futures_exchange_info())

    async def server_time(self) -> int:
        return int((await self._client.futures_time())["serverTime"])

    async def candle_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]:
        async with self._sockets.kline_futures_socket(symbol) as candles:
            candle = await candles.recv()
        async with self._sockets.futures_multiplex_socket([f"{symbol.lower()}@markPrice@1s"]) as marks:
            marked = await marks.recv()
        return Decimal(candle["k"]["c"]), Decimal(marked["data"]["p"])

    async def open_stream(self) -> None:
        connected = asyncio.Event()
        self._reading = asyncio.create_task(self._read(connected))
        await connected.wait()

    async def _read(self, connected: asyncio.Event) -> None:
        async with self._sockets.futures_user_socket() as stream:
            connected.set()
            while True:
                event = await stream.recv()
                if event.get("e") == "error":
                    self.unread.append(str(event))
                else:
                    self.heard(event)

    async def leverage(self, symbol: str, value: int) -> int:
        return int((await self._client.futures_change_leverage(symbol=symbol, leverage=value))["leverage"])

    async def isolate(self, symbol: str) -> None:
        await self._client.futures_change_margin_type(symbol=symbol, marginType="ISOLATED")

    async def balance(self) -> Decimal:
        rows = await self._client.futures_account_balance()
        return next(Decimal(row["balance"]) for row in rows if row["asset"] == "USDT")

    async def market(self, symbol: str, side: str, quantity: str, *, reduce_only: bool = False) -> Order:
        more = {"reduceOnly": "true"} if reduce_only else {}
        return order_of(await self._client.futures_create_order(
            symbol=symbol, side=side, type="MARKET", quantity=quantity, newOrderRespType="RESULT", **more
        ))  # fmt: skip

    async def limit(self, symbol: str, side: str, quantity: str, price: str, client_id: str) -> Order:
        return order_of(await self._client.futures_create_order(
            symbol=symbol, side=side, type="LIMIT", timeInForce="GTC", quantity=quantity, price=price,
            newClientOrderId=client_id,
        ))  # fmt: skip

    async def order(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._client.futures_get_order(symbol=symbol, orderId=order_id))

    async def open_orders(self, symbol: str) -> list[Order]:
        return [order_of(row) for row in await self._client.futures_get_open_orders(symbol=symbol)]

    async def change(self, symbol: str, order_id: str, side: str, quantity: str, price: str) -> Order:
        return order_of(await self._client.futures_modify_order(
            symbol=symbol, orderId=order_id, side=side, quantity=quantity, price=price
        ))  # fmt: skip

    async def cancel(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._client.futures_cancel_order(symbol=symbol, orderId=order_id))

    async def trades(self, symbol: str) -> list[tuple[str, Decimal]]:
        rows = await self._client.futures_account_trades(symbol=symbol)
        return [(str(row["orderId"]), Decimal(row["qty"])) for row in rows]

    async def batch(self, symbol: str, orders: list[dict[str, str]]) -> list[Order | int]:
        rows = await self._client.futures_place_batch_order(batchOrders=orders)
        return [item_of(row) for row in rows]

    async def cancel_batch(self, symbol: str, order_ids: list[str]) -> list[Order | int]:
        numbers = [int(number) for number in order_ids]
        rows = await self._client.futures_cancel_orders(symbol=symbol, orderidlist=numbers)
        return [item_of(row) for row in rows]

    async def bracket_leg(self, symbol: str, side: str, kind: str, trigger: str, client_id: str) -> Order:
        return algo_of(await self._client.futures_create_order(  # it takes these to the algo endpoint by itself
            symbol=symbol, side=side, type=kind, stopPrice=trigger, closePosition="true", workingType="MARK_PRICE",
            clientAlgoId=client_id,
        ))  # fmt: skip

    async def algo(self, symbol: str, algo_id: str) -> Order:
        return algo_of(await self._client.futures_get_algo_order(algoId=algo_id))

    async def open_algos(self, symbol: str) -> list[Order]:
        return [algo_of(row) for row in await self._client.futures_get_open_algo_orders(symbol=symbol)]

    async def cancel_algo(self, symbol: str, algo_id: str) -> None:
        await self._client.futures_cancel_algo_order(algoId=algo_id)

    async def cancel_all_algos(self, symbol: str) -> None:
        await self._client.futures_cancel_all_algo_open_orders(symbol=symbol)

    async def position(self, symbol: str) -> tuple[Decimal, Decimal]:
        for row in await self._client.futures_position_information(symbol=symbol):
            return Decimal(row["positionAmt"]), Decimal(row["entryPrice"])
        return Decimal(0), Decimal(0)

    async def income(self, symbol: str, kind: str) -> list[Decimal]:
        rows = await self._client.futures_income_history(symbol=symbol, incomeType=kind)
        return [Decimal(row["income"]) for row in rows]


if __name__ == "__main__":
    main(PythonBinance)
