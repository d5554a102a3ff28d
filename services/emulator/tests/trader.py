"""A client that signs, as an independent one would."""

import asyncio
import hashlib
import hmac
from urllib.parse import urlencode

import orjson
from yarl import URL

from services.emulator.keys import MOST_RECV_WINDOW_MS, TEST_KEY
from services.emulator.tests.conftest import Client


class Trader:
    """Signed requests to the emulator of ``client`` with the test key; ``status`` and ``headers`` of the last."""

    def __init__(self, client: Client, key=TEST_KEY) -> None:
        self.client, self.key = client, key

    async def send(self, method, path, *, form=False, signed=True, raw=None, skew_ms=0, **params):
        """``form`` sends the parameters in the body; ``raw`` sends exactly that query. On a market that runs a request
        has a minute of it, and is sent anew when even that was over before it was looked at (-1021)."""
        clock = self.client.emulator.clock
        if clock.free or not signed or raw is not None:
            return await self._send(method, path, form, signed, raw, skew_ms, params)
        params = {"recvWindow": MOST_RECV_WINDOW_MS, **params}
        while True:
            answer = await self._send(method, path, form, signed, raw, skew_ms, params)
            if not isinstance(answer, dict) or answer.get("code") != -1021:
                return answer

    async def is_flat(self):
        return not await self.get("positionRisk", 3)

    async def _send(self, method, path, form, signed, raw, skew_ms, params):
        params = {k: ("true" if v is True else "false" if v is False else v) for k, v in params.items()}
        text = raw
        if text is None:
            stamp = {"timestamp": self.client.emulator.clock.now_ms() + skew_ms} if signed else {}
            text = urlencode(params | stamp)
            if signed:
                text += "&signature=" + self.sign(text.encode())
        url = self.client.emulator.rest_url + path
        headers = {"X-MBX-APIKEY": self.key.key} if self.key else {}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif text:
            url += "?" + text
        data = text.encode() if form else None
        async with self.client.session.request(method, URL(url, encoded=True), data=data, headers=headers) as response:
            self.status, self.headers = response.status, response.headers
            return orjson.loads(await response.read())

    def sign(self, payload: bytes) -> str:
        return hmac.new(self.key.secret.encode(), payload, hashlib.sha256).hexdigest()

    async def post(self, path, **params):
        return await self.send("POST", f"/fapi/v1/{path}", **params)

    async def get(self, path, version=1, **params):
        return await self.send("GET", f"/fapi/v{version}/{path}", **params)

    async def delete(self, path, **params):
        return await self.send("DELETE", f"/fapi/v1/{path}", **params)

    async def order(self, side, quantity, type="MARKET", symbol="BTCUSDT", **params):
        return await self.post("order", symbol=symbol, side=side, type=type, quantity=quantity,
                               newOrderRespType="RESULT", **params)  # fmt: skip

    async def stop(self, trigger, side="SELL", type="STOP_MARKET", symbol="BTCUSDT", **params):
        fixed = {"algoType": "CONDITIONAL", "workingType": "MARK_PRICE", "closePosition": True}
        asked = {"symbol": symbol, "side": side, "type": type, "triggerPrice": trigger}
        return await self.post("algoOrder", **(fixed | asked | params))

    async def mark(self, symbol="BTCUSDT"):
        return float((await self.client.get("/fapi/v1/premiumIndex", symbol=symbol))["markPrice"])

    async def key_of_stream(self):
        return (await self.post("listenKey", signed=False))["listenKey"]


async def gather(socket, within_s=0.3):
    """What arrives until it is silent for ``within_s``."""
    found = []
    while True:
        try:
            found.append(orjson.loads(await socket.receive_str(timeout=within_s)))
        except asyncio.TimeoutError:  # noqa: UP041 - the client raises this one
            return found
