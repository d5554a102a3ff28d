"""The exchange's official SDK for USDS-M futures, unmodified: base URLs are fields of its configurations.

Its REST part is synchronous (called on a thread here), its streams are asynchronous. Every answer and event goes
through its generated, typed models, so a field of a wrong type is noticed here.
"""

import asyncio
import logging
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.errors import Error
from binance_common.utils import send_request
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from binance_sdk_derivatives_trading_usds_futures.rest_api import models
from binance_sdk_derivatives_trading_usds_futures.websocket_streams.models import (
    user_data_stream_events_response as events,
)
from pydantic import BaseModel
from scenario import BTC, Driver, Order, Target, algo_of, item_of, main, order_of, steps_of

PACKAGE = "binance-sdk-derivatives-trading-usds-futures"
# its models leave out the name of the event
NAMES = {kind: name for name, kind in events.USERDATASTREAMEVENTSRESPONSE_EVENT_SCHEMA_MAP.items()}


# Fields that the models declare and that rightly do not come here, or may not: null in every answer of the exchange's
# own documents, of trailing stops, of amendments, of refusals, of funding, of several assets, of cross margin.
ABSENT = {
    "CurrentAllAlgoOpenOrdersResponse.icebergQuantity", "NewAlgoOrderResponse.icebergQuantity",
    "QueryAlgoOrderResponse.icebergQuantity", "QueryAllAlgoOrdersResponse.icebergQuantity",
    "OrderTradeUpdateO.AP", "OrderTradeUpdateO.cr", "AlgoUpdateO.rm",
    "CancelMultipleOrdersResponse.code", "CancelMultipleOrdersResponse.msg", "AccountUpdateA.S",
    "AccountConfigUpdate.ai", "MarginCall.cw",
}  # fmt: skip
# what the generator of the models leaves in them
ARTEFACTS = ("additional_properties", "one_of_schemas", "oneof_schema_")
READS = (  # what the scenario itself has no need of
    "account_information_v2", "account_information_v3", "futures_account_balance_v2", "futures_account_configuration",
    "symbol_configuration", "notional_and_leverage_brackets", "get_current_position_mode",
    "get_current_multi_assets_mode", "position_information_v2", "position_adl_quantile_estimation",
    "get_funding_rate_info", "mark_price", "symbol_order_book_ticker", "symbol_price_ticker_v2",
    "ticker24hr_price_change_statistics",
)  # fmt: skip
READS_OF_SYMBOL = (
    "all_orders", "query_all_algo_orders", "user_commission_rate", "open_interest", "get_funding_rate_history",
    "order_book",
)  # fmt: skip


class Complaints(logging.Handler):
    """What the SDK logs when an answer or event does not fit its generated types; it goes on without a word else."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


class OfficialSdk(Driver):
    package, typed = PACKAGE, True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._streams: Any = None
        self._absent: dict[str, set[str]] = {}  # by model: declared, and in no instance so far

    async def open(self) -> None:
        logging.getLogger().addHandler(Complaints(self.unread))
        self._client = sdk.DerivativesTradingUsdsFutures(
            config_rest_api=ConfigurationRestAPI(
                api_key=self.target.key, api_secret=self.target.secret, base_path=self.target.rest
            ),
            config_ws_streams=ConfigurationWebSocketStreams(stream_url=self.target.ws),
        )
        self._rest = self._client.rest_api

    async def close(self) -> None:
        if self._streams is not None:
            await self._streams.close_connection(close_session=True)

    def version(self) -> str:
        return version(PACKAGE)

    def code_of(self, error: Exception) -> int | None:
        return getattr(error, "status_code", None) if isinstance(error, Error) else None

    async def _ask(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """The exchange's JSON, after it has gone through the SDK's typed model."""
        answer = (await asyncio.to_thread(call, *args, **kwargs)).data()
        self._look(answer)
        return plain(answer)

    def _look(self, value: Any) -> None:
        """Note the declared fields that are not there, through all nested models."""
        if isinstance(value, list):
            for item in value:
                self._look(item)
        elif isinstance(value, BaseModel):
            fields = {name: field.alias or name for name, field in type(value).model_fields.items()}
            inner = {name: alias for name, alias in fields.items() if not name.startswith(ARTEFACTS)}
            kind = type(value).__name__
            absent = {f"{kind}.{alias}" for name, alias in inner.items() if getattr(value, name) is None} - ABSENT
            self._absent[kind] = self._absent.get(kind, absent) & absent
            for field in inner:
                self._look(getattr(value, field))

    async def survey(self) -> list[str]:
        for name in READS:
            await self._ask(getattr(self._rest, name))
        for name in READS_OF_SYMBOL:
            await self._ask(getattr(self._rest, name), symbol=BTC)
        return self.unread + [f"{field} never came" for absent in self._absent.values() for field in sorted(absent)]

    async def raw(self, method: str, path: str, **params: str) -> Any:
        # what rest_api.send_signed_request() means to call; 18.0.1 itself raises TypeError there
        config, session = self._rest.configuration, self._rest._session
        answer = await asyncio.to_thread(send_request, session, config, method, path, params, is_signed=True)
        return answer.data()

    async def markets(self) -> dict[str, tuple[Decimal, Decimal]]:
        return steps_of(await self._ask(self._rest.exchange_information))

    async def server_time(self) -> int:
        return int((await self._ask(self._rest.check_server_time))["serverTime"])

    async def _connected(self) -> Any:
        if self._streams is None:
            self._streams = await self._client.websocket_streams.create_connection()
        return self._streams

    async def candle_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]:
        streams, found = await self._connected(), {}
        candles = await streams.kline_candlestick_streams(symbol=symbol.lower(), interval="1m")
        candles.on("message", lambda event: found.__setitem__("candle", event.k.c))
        marks = await streams.mark_price_stream(symbol=symbol.lower(), update_speed="1s")
        marks.on("message", lambda event: found.__setitem__("mark", event.p))
        while len(found) < 2:  # noqa: ASYNC110 - the SDK calls back, it has nothing to wait for
            await asyncio.sleep(0.02)
        await candles.unsubscribe()
        await marks.unsubscribe()
        return Decimal(found["candle"]), Decimal(found["mark"])

    async def open_stream(self) -> None:
        streams = await self._connected()
        key = (await self._ask(self._rest.start_user_data_stream))["listenKey"]
        stream = await streams.user_data(key)
        stream.on("message", self._told)

    def _told(self, event: Any) -> None:
        inner = event.actual_instance
        self._look(inner)
        self.heard(inner if isinstance(inner, dict) else plain(inner) | {"e": NAMES[type(inner)]})

    async def leverage(self, symbol: str, value: int) -> int:
        answer = await self._ask(self._rest.change_initial_leverage, symbol=symbol, leverage=value)
        return int(answer["leverage"])

    async def isolate(self, symbol: str) -> None:
        await self._ask(self._rest.change_margin_type, symbol=symbol, margin_type="ISOLATED")

    async def balance(self) -> Decimal:
        rows = await self._ask(self._rest.futures_account_balance_v3)
        return next(Decimal(row["balance"]) for row in rows if row["asset"] == "USDT")

    async def market(self, symbol: str, side: str, quantity: str, *, reduce_only: bool = False) -> Order:
        return order_of(await self._ask(
            self._rest.new_order, symbol=symbol, side=side, type="MARKET", quantity=float(quantity),
            new_order_resp_type="RESULT", reduce_only="true" if reduce_only else None,
        ))  # fmt: skip

    async def limit(self, symbol: str, side: str, quantity: str, price: str, client_id: str) -> Order:
        return order_of(await self._ask(
            self._rest.new_order, symbol=symbol, side=side, type="LIMIT", time_in_force="GTC",
            quantity=float(quantity), price=float(price), new_client_order_id=client_id,
        ))  # fmt: skip

    async def order(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._ask(self._rest.query_order, symbol=symbol, order_id=int(order_id)))

    async def open_orders(self, symbol: str) -> list[Order]:
        return [order_of(row) for row in await self._ask(self._rest.current_all_open_orders, symbol=symbol)]

    async def change(self, symbol: str, order_id: str, side: str, quantity: str, price: str) -> Order:
        return order_of(await self._ask(
            self._rest.modify_order, symbol=symbol, order_id=int(order_id), side=side, quantity=float(quantity),
            price=float(price), modify_id=7,
        ))  # fmt: skip

    async def cancel(self, symbol: str, order_id: str) -> Order:
        return order_of(await self._ask(self._rest.cancel_order, symbol=symbol, order_id=int(order_id)))

    async def trades(self, symbol: str) -> list[tuple[str, Decimal]]:
        rows = await self._ask(self._rest.account_trade_list, symbol=symbol)
        return [(str(row["orderId"]), Decimal(row["qty"])) for row in rows]

    async def batch(self, symbol: str, orders: list[dict[str, str]]) -> list[Order | int]:
        items = [
            models.PlaceMultipleOrdersBatchOrdersParameterInner(
                symbol=symbol, side=order["side"], type=order["type"], timeInForce=order["timeInForce"],
                quantity=float(order["quantity"]), price=float(order["price"]),
            )
            for order in orders
        ]  # fmt: skip
        return [item_of(row) for row in await self._ask(self._rest.place_multiple_orders, batch_orders=items)]

    async def cancel_batch(self, symbol: str, order_ids: list[str]) -> list[Order | int]:
        numbers = [int(number) for number in order_ids]
        rows = await self._ask(self._rest.cancel_multiple_orders, symbol=symbol, order_id_list=numbers)
        return [item_of(row) for row in rows]

    async def bracket_leg(self, symbol: str, side: str, kind: str, trigger: str, client_id: str) -> Order:
        return algo_of(await self._ask(
            self._rest.new_algo_order, algo_type="CONDITIONAL", symbol=symbol, side=side, type=kind,
            trigger_price=float(trigger), working_type="MARK_PRICE", close_position="true", client_algo_id=client_id,
        ))  # fmt: skip

    async def algo(self, symbol: str, algo_id: str) -> Order:
        return algo_of(await self._ask(self._rest.query_algo_order, algo_id=int(algo_id)))

    async def open_algos(self, symbol: str) -> list[Order]:
        return [algo_of(row) for row in await self._ask(self._rest.current_all_algo_open_orders, symbol=symbol)]

    async def cancel_algo(self, symbol: str, algo_id: str) -> None:
        await self._ask(self._rest.cancel_algo_order, algo_id=int(algo_id))

    async def cancel_all_algos(self, symbol: str) -> None:
        await self._ask(self._rest.cancel_all_algo_open_orders, symbol=symbol)

    async def position(self, symbol: str) -> tuple[Decimal, Decimal]:
        for row in await self._ask(self._rest.position_information_v3, symbol=symbol):
            return Decimal(row["positionAmt"]), Decimal(row["entryPrice"])
        return Decimal(0), Decimal(0)

    async def income(self, symbol: str, kind: str) -> list[Decimal]:
        rows = await self._ask(self._rest.get_income_history, symbol=symbol, income_type=kind)
        return [Decimal(row["income"]) for row in rows]


def plain(value: Any) -> Any:
    """A typed model of the SDK as the exchange's JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


if __name__ == "__main__":
    main(OfficialSdk)
