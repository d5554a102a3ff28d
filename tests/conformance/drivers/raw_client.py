"""A client of nothing but the standard library, written from the exchange's documents: the suite's own yardstick."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import platform
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from typing import Any

from scenario import BTC, Driver, Order, Target, algo_of, item_of, main, near, order_of, steps_of


class RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Socket:
    """A WebSocket (RFC 6455) that reads text and answers pings."""

    async def open(self, url: str) -> "Socket":
        parts = urllib.parse.urlsplit(url)
        self._reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "",
        ]  # fmt: skip
        self._writer.write("\r\n".join(lines).encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise ConnectionError(answer.decode())
        return self

    async def receive(self) -> Any:
        while True:
            first, second = await self._reader.readexactly(2)
            length = second & 127
            if length > 125:
                size = 2 if length == 126 else 8
                length = int.from_bytes(await self._reader.readexactly(size), "big")
            data = await self._reader.readexactly(length)
            match first & 15:
                case 1:
                    return json.loads(data)
                case 8:
                    raise ConnectionError("closed")
                case 9:
                    self._send(10, data)

    def send(self, value: object) -> None:
        self._send(1, json.dumps(value).encode())

    def _send(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        size = bytes([128 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._writer.write(bytes([128 | kind]) + size + mask + masked)

    def close(self) -> None:
        self._writer.close()


class Raw(Driver):
    package = "raw, Python"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._reading: asyncio.Task[None] | None = None
        self._socket: Socket | None = None

    async def close(self) -> None:
        if self._reading is not None and self._socket is not None:
            self._reading.cancel()
            self._socket.close()

    def version(self) -> str:
        return platform.python_version()

    def code_of(self, error: Exception) -> int | None:
        return error.code if isinstance(error, RefusedError) else None

    async def raw(self, method: str, path: str, *, signed: bool = True, **params: str) -> Any:
        return await asyncio.to_thread(self._ask, method, path, params, signed)

    def _ask(self, method: str, path: str, params: dict[str, str], signed: bool) -> Any:
        text = urllib.parse.urlencode(params)
        if signed:
            stamp = time.time_ns() // 1_000_000  # our own clock, as every client: the market's runs much faster here
            text = urllib.parse.urlencode(params | {"timestamp": stamp})
            text += "&signature=" + hmac.new(self.target.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        body = text.encode() if method in ("POST", "PUT") else None
        url = self.target.rest + path + ("" if body is not None or not text else "?" + text)
        request = urllib.request.Request(url, body, {"X-MBX-APIKEY": self.target.key}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = json.load(error)
            raise RefusedError(told["code"], told["msg"]) from error

    async def markets(self) -> dict[str, tuple[Decimal, Decimal]]:
        return steps_of(await self.raw("GET", "/fapi/v1/exchangeInfo", signed=False))

    async def server_time(self) -> int:
        return int((await self.raw("GET", "/fapi/v1/time", signed=False))["serverTime"])

    async def candle_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]:
        names = [f"{symbol.lower()}@kline_1m", f"{symbol.lower()}@markPrice@1s"]
        socket = await Socket().open(f"{self.target.ws}/market/stream?streams={'/'.join(names)}")
        found: dict[str, Decimal] = {}
        while len(found) < 2:
            frame = await socket.receive()
            data = frame["data"]
            found[frame["stream"]] = Decimal(data["k"]["c"] if data["e"] == "kline" else data["p"])
        socket.close()
        return found[names[0]], found[names[1]]

    async def _listen_key(self) -> str:
        return str((await self.raw("POST", "/fapi/v1/listenKey", signed=False))["listenKey"])

    async def open_stream(self) -> None:
        self._socket = await Socket().open(f"{self.target.ws}/private/ws?listenKey={await self._listen_key()}")
        self._reading = asyncio.create_task(self._read(self._socket))

    async def _read(self, socket: Socket) -> None:
        while True:
            self.heard(await socket.receive())

    async def retired(self) -> str:
        """The unrouted URL takes the listen key, acknowledges, and carries public streams only."""
        socket = await Socket().open(f"{self.target.ws}/ws/{await self._listen_key()}")
        socket.send({"method": "SUBSCRIBE", "params": [f"{BTC.lower()}@markPrice@1s"], "id": "old"})
        told = await asyncio.wait_for(socket.receive(), 5)
        if told != {"result": None, "id": "old"}:
            raise AssertionError(f"answer: got {told}")
        order = await self.limit(BTC, "BUY", "0.010", near(self.target, BTC, "0.90"), "conform-old-path")
        await self.cancel(BTC, order.id)
        with contextlib.suppress(TimeoutError):
            raise AssertionError(f"got {await asyncio.wait_for(socket.receive(), 1.5)}, expected silence")
        socket.send({"method": "SUBSCRIBE", "params": [f"{BTC.lower()}@bookTicker"], "id": 2})
        while (await asyncio.wait_for(socket.receive(), 5)).get("e") != "bookTicker":
            pass
        socket.close()
        return "connects and acknowledges; silent but for public data"

    async def leverage(self, symbol: str, value: int) -> int:
        return int((await self.raw("POST", "/fapi/v1/leverage", symbol=symbol, leverage=str(value)))["leverage"])

    async def isolate(self, symbol: str) -> None:
        await self.raw("POST", "/fapi/v1/marginType", symbol=symbol, marginType="ISOLATED")

    async def balance(self) -> Decimal:
        rows = await self.raw("GET", "/fapi/v3/balance")
        return next(Decimal(row["balance"]) for row in rows if row["asset"] == "USDT")

    async def market(self, symbol: str, side: str, quantity: str, *, reduce_only: bool = False) -> Order:
        more = {"reduceOnly": "true"} if reduce_only else {}
        return order_of(await self.raw(
            "POST", "/fapi/v1/order", symbol=symbol, side=side, type="MARKET", quantity=quantity,
            newOrderRespType="RESULT", **more,
        ))  # fmt: skip

    async def limit(self, symbol: str, side: str, quantity: str, price: str, client_id: str) -> Order:
        return order_of(await self.raw(
            "POST", "/fapi/v1/order", symbol=symbol, side=side, type="LIMIT", quantity=quantity, price=price,
            timeInForce="GTC", newClientOrderId=client_id,
        ))  # fmt: skip

    async def order(self, symbol: str, order_id: str) -> Order:
        return order_of(await self.raw("GET", "/fapi/v1/order", symbol=symbol, orderId=order_id))

    async def open_orders(self, symbol: str) -> list[Order]:
        return [order_of(row) for row in await self.raw("GET", "/fapi/v1/openOrders", symbol=symbol)]

    async def change(self, symbol: str, order_id: str, side: str, quantity: str, price: str) -> Order:
        return order_of(await self.raw(
            "PUT", "/fapi/v1/order", symbol=symbol, orderId=order_id, side=side, quantity=quantity, price=price
        ))  # fmt: skip

    async def cancel(self, symbol: str, order_id: str) -> Order:
        return order_of(await self.raw("DELETE", "/fapi/v1/order", symbol=symbol, orderId=order_id))

    async def trades(self, symbol: str) -> list[tuple[str, Decimal]]:
        rows = await self.raw("GET", "/fapi/v1/userTrades", symbol=symbol)
        return [(str(row["orderId"]), Decimal(row["qty"])) for row in rows]

    async def batch(self, symbol: str, orders: list[dict[str, str]]) -> list[Order | int]:
        rows = await self.raw("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))
        return [item_of(row) for row in rows]

    async def cancel_batch(self, symbol: str, order_ids: list[str]) -> list[Order | int]:
        numbers = json.dumps([int(number) for number in order_ids])
        rows = await self.raw("DELETE", "/fapi/v1/batchOrders", symbol=symbol, orderIdList=numbers)
        return [item_of(row) for row in rows]

    async def bracket_leg(self, symbol: str, side: str, kind: str, trigger: str, client_id: str) -> Order:
        return algo_of(await self.raw(
            "POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol=symbol, side=side, type=kind,
            triggerPrice=trigger, closePosition="true", workingType="MARK_PRICE", clientAlgoId=client_id,
        ))  # fmt: skip

    async def algo(self, symbol: str, algo_id: str) -> Order:
        return algo_of(await self.raw("GET", "/fapi/v1/algoOrder", algoId=algo_id))

    async def open_algos(self, symbol: str) -> list[Order]:
        return [algo_of(row) for row in await self.raw("GET", "/fapi/v1/openAlgoOrders", symbol=symbol)]

    async def cancel_algo(self, symbol: str, algo_id: str) -> None:
        await self.raw("DELETE", "/fapi/v1/algoOrder", algoId=algo_id)

    async def cancel_all_algos(self, symbol: str) -> None:
        await self.raw("DELETE", "/fapi/v1/algoOpenOrders", symbol=symbol)

    async def position(self, symbol: str) -> tuple[Decimal, Decimal]:
        for row in await self.raw("GET", "/fapi/v3/positionRisk", symbol=symbol):
            return Decimal(row["positionAmt"]), Decimal(row["entryPrice"])
        return Decimal(0), Decimal(0)

    async def income(self, symbol: str, kind: str) -> list[Decimal]:
        rows = await self.raw("GET", "/fapi/v1/income", symbol=symbol, incomeType=kind)
        return [Decimal(row["income"]) for row in rows]


if __name__ == "__main__":
    main(Raw)
