"""``Trading`` over the exchange's REST: builds each request strictly, sends it once, says what is certain.

Conditional orders go to the algo endpoints, which have their own parameters, ids and codes (D25, reference §2).
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from packages.common.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    VenueError,
    VenueRejectedError,
    VenueUnavailableError,
)
from packages.common.ids import check_client_id
from packages.common.symbol_map import to_rest
from packages.exchange.binance import codec_trading as codec
from packages.exchange.binance.budget import Purpose
from packages.exchange.binance.errors import Reaction, reaction_to, reason_of
from packages.exchange.binance.transport import Params, Request, Transport
from packages.exchange.filters import price_text, quantity_text
from packages.exchange.port import InstrumentInfo
from packages.exchange.trading import (
    Accepted,
    Account,
    AccountConfig,
    AlgoOrder,
    ApiPermissions,
    Balance,
    Commission,
    Income,
    Order,
    OrderRef,
    Outcome,
    Position,
    PositionMode,
    Rejected,
    RejectReason,
    Side,
    SymbolConfig,
    TimeInForce,
    Trade,
    Unknown,
)

T = TypeVar("T")

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
LISTEN_KEY = "/fapi/v1/listenKey"


@dataclass(frozen=True, slots=True)
class TradingConfig:
    """Windows and waits are market milliseconds at 1x, ``timeout_s`` wall seconds.

    An entry is worth little when it is late, so its window is short and it never waits for its turn (execution.md 2,
    23); what reduces a position waits up to ``exit_wait_ms``.
    """

    entry_recv_window_ms: int = 1_500
    exit_recv_window_ms: int = 7_000
    exit_wait_ms: int = 1_000
    timeout_s: float = 3.0


class BinanceTrading:
    """``Trading`` of the account whose key the transport holds. ``instruments`` is read anew for every order."""

    def __init__(
        self, transport: Transport, instruments: Mapping[str, InstrumentInfo], config: TradingConfig | None = None
    ) -> None:
        self._transport, self._instruments = transport, instruments
        self._config = config or TradingConfig()

    # --- orders -------------------------------------------------------------------------------------------------

    async def place_market(
        self, symbol: str, side: Side, quantity: Decimal, client_id: str, *, reduce_only: bool
    ) -> Outcome[Order]:
        """See ``Trading.place_market``."""
        text = quantity_text(self._instrument(symbol), quantity, market=True)
        params = {"symbol": to_rest(symbol), "side": side.value, "type": "MARKET", "quantity": text}
        return await self._place_order(params, client_id, reduce_only)

    async def place_limit(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        client_id: str,
        *,
        reduce_only: bool,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> Outcome[Order]:
        """See ``Trading.place_limit``."""
        instrument = self._instrument(symbol)
        params = {
            "symbol": to_rest(symbol),
            "side": side.value,
            "type": "LIMIT",
            "timeInForce": time_in_force.value,
            "quantity": quantity_text(instrument, quantity, market=False),
            "price": price_text(instrument, price),
        }
        return await self._place_order(params, client_id, reduce_only)

    async def place_stop(
        self, symbol: str, side: Side, trigger_price: Decimal, client_id: str, *, quantity: Decimal | None = None
    ) -> Outcome[AlgoOrder]:
        """See ``Trading.place_stop``."""
        return await self._place_algo("STOP_MARKET", symbol, side, trigger_price, client_id, quantity)

    async def place_take_profit(
        self, symbol: str, side: Side, trigger_price: Decimal, client_id: str, *, quantity: Decimal | None = None
    ) -> Outcome[AlgoOrder]:
        """See ``Trading.place_take_profit``."""
        return await self._place_algo("TAKE_PROFIT_MARKET", symbol, side, trigger_price, client_id, quantity)

    def _exit_wait_ms(self) -> float:
        """The same wall time at any speed; a market without one has no wall time."""
        speed = self._transport.clock.speed
        return self._config.exit_wait_ms * (max(1.0, speed) if math.isfinite(speed) else 1.0)

    async def cancel_order(self, symbol: str, ref: OrderRef) -> Outcome[Order]:
        """See ``Trading.cancel_order``."""
        params = {"symbol": to_rest(symbol), **_ref(ref, "orderId", "origClientOrderId")}
        return await self._protect("DELETE", ORDER, params, codec.decode_order)

    async def cancel_algo(self, ref: OrderRef) -> Outcome[None]:
        """See ``Trading.cancel_algo``."""
        return await self._protect("DELETE", ALGO, _ref(ref, "algoId", "clientAlgoId"), codec.decode_done)

    async def cancel_all_orders(self, symbol: str) -> Outcome[None]:
        """See ``Trading.cancel_all_orders``."""
        params = {"symbol": to_rest(symbol)}
        return await self._protect("DELETE", "/fapi/v1/allOpenOrders", params, codec.decode_done)

    async def cancel_all_algos(self, symbol: str) -> Outcome[None]:
        """See ``Trading.cancel_all_algos``."""
        params = {"symbol": to_rest(symbol)}
        return await self._protect("DELETE", "/fapi/v1/algoOpenOrders", params, codec.decode_done)

    # --- what protection depends on: reads ahead of others ------------------------------------------------------

    async def query_order(self, symbol: str, ref: OrderRef) -> Order | None:
        """See ``Trading.query_order``."""
        params = {"symbol": to_rest(symbol), **_ref(ref, "orderId", "origClientOrderId")}
        return await self._find(ORDER, params, codec.decode_order)

    async def query_algo(self, ref: OrderRef) -> AlgoOrder | None:
        """See ``Trading.query_algo``."""
        return await self._find(ALGO, _ref(ref, "algoId", "clientAlgoId"), codec.decode_algo)

    async def open_orders(self, symbol: str | None = None) -> list[Order]:
        """See ``Trading.open_orders``."""
        weight = 1 if symbol else 40
        return await self._read("/fapi/v1/openOrders", _of(symbol), codec.decode_orders, weight, Purpose.EXIT)

    async def open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]:
        """See ``Trading.open_algo_orders``."""
        weight = 1 if symbol else 40
        return await self._read("/fapi/v1/openAlgoOrders", _of(symbol), codec.decode_algos, weight, Purpose.EXIT)

    async def algo_history(self, symbol: str, *, from_algo_id: int | None = None, limit: int = 100) -> list[AlgoOrder]:
        """See ``Trading.algo_history``."""
        params = {**_of(symbol), **_given(algoId=from_algo_id), "limit": limit}
        return await self._read("/fapi/v1/allAlgoOrders", params, codec.decode_algos, 5, Purpose.EXIT)

    async def positions(self, symbol: str | None = None) -> list[Position]:
        """See ``Trading.positions``."""
        return await self._read("/fapi/v3/positionRisk", _of(symbol), codec.decode_positions, 5, Purpose.EXIT)

    # --- account ------------------------------------------------------------------------------------------------

    async def account(self) -> Account:
        """See ``Trading.account``."""
        return await self._read("/fapi/v3/account", {}, codec.decode_account, 5)

    async def balances(self) -> list[Balance]:
        """See ``Trading.balances``."""
        return await self._read("/fapi/v3/balance", {}, codec.decode_balances, 5)

    async def account_config(self) -> AccountConfig:
        """See ``Trading.account_config``."""
        return await self._read("/fapi/v1/accountConfig", {}, codec.decode_account_config, 5)

    async def symbol_config(self, symbol: str | None = None) -> list[SymbolConfig]:
        """See ``Trading.symbol_config``."""
        return await self._read("/fapi/v1/symbolConfig", _of(symbol), codec.decode_symbol_configs, 5)

    async def fees_in_bnb(self) -> bool:
        """See ``Trading.fees_in_bnb``."""
        return await self._read("/fapi/v1/feeBurn", {}, codec.decode_fee_burn, 30)

    async def position_mode(self) -> PositionMode:
        """See ``Trading.position_mode``."""
        return await self._read("/fapi/v1/positionSide/dual", {}, codec.decode_position_mode, 30)

    async def commission_rate(self, symbol: str) -> Commission:
        """See ``Trading.commission_rate``."""
        return await self._read("/fapi/v1/commissionRate", _of(symbol), codec.decode_commission, 20)

    async def user_trades(
        self,
        symbol: str,
        *,
        order_id: int | None = None,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 1000,
    ) -> list[Trade]:
        """See ``Trading.user_trades``."""
        until = None if end_ms is None else end_ms - 1
        given = _given(orderId=order_id, fromId=from_id, startTime=start_ms, endTime=until)
        rows = await self._read("/fapi/v1/userTrades", {**_of(symbol), **given, "limit": limit}, codec.decode_trades, 5)
        return sorted(rows, key=lambda row: row.trade_id)

    async def income(
        self, start_ms: int, end_ms: int, *, kind: str | None = None, page: int = 1, limit: int = 1000
    ) -> list[Income]:
        """See ``Trading.income``."""
        params: dict[str, str | int] = {"startTime": start_ms, "endTime": end_ms - 1, "page": page, "limit": limit}
        if kind is not None:
            params["incomeType"] = kind
        rows = await self._read("/fapi/v1/income", params, codec.decode_incomes, 30)
        return sorted(rows, key=lambda row: row.ts_ms)

    async def api_permissions(self) -> ApiPermissions | None:
        """See ``Trading.api_permissions``; the wallet's host has a weight of its own."""
        wallet = self._transport.endpoints.wallet
        if wallet is None:
            return None
        request = Request("GET", "/sapi/v1/account/apiRestrictions", {}, weight=0, signed=True, base=wallet)
        try:
            return await self._transport.get(request, codec.decode_permissions)
        except VenueRejectedError as exc:
            if exc.http_status == 404:
                return None
            raise

    # --- settings -----------------------------------------------------------------------------------------------

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        """See ``Trading.set_leverage``."""
        if not 1 <= leverage <= 150:
            raise InvalidInputError("leverage", leverage, "1 to 150")
        params: Params = {"symbol": to_rest(symbol), "leverage": leverage}
        return await self._set("/fapi/v1/leverage", params, codec.decode_leverage)

    async def set_isolated(self, symbol: str) -> None:
        """See ``Trading.set_isolated``."""
        await self._set_once("/fapi/v1/marginType", {"symbol": to_rest(symbol), "marginType": "ISOLATED"})

    async def set_one_way(self) -> None:
        """See ``Trading.set_one_way``."""
        await self._set_once("/fapi/v1/positionSide/dual", {"dualSidePosition": "false"})

    # --- listenKey ----------------------------------------------------------------------------------------------

    async def create_listen_key(self) -> str:
        """See ``Trading.create_listen_key``."""
        key = await self._listen_key("POST")
        if not key:
            raise VenueUnavailableError("POST listenKey: the answer holds no key")
        return key

    async def keep_listen_key(self) -> str:
        """See ``Trading.keep_listen_key``."""
        return await self._listen_key("PUT")

    async def close_listen_key(self) -> None:
        """See ``Trading.close_listen_key``."""
        await self._transport.send(Request("DELETE", LISTEN_KEY, {}, purpose=Purpose.EXIT))

    # --- how ----------------------------------------------------------------------------------------------------

    async def _place_order(self, params: dict[str, str], client_id: str, reduce_only: bool) -> Outcome[Order]:
        params["newClientOrderId"] = check_client_id(client_id)
        params["newOrderRespType"] = "RESULT"  # a fill in the answer is the first sign of a position
        if reduce_only:
            params["reduceOnly"] = "true"
            return await self._protect("POST", ORDER, params, codec.decode_order, order=True)
        window = self._config.entry_recv_window_ms
        request = Request(
            *("POST", ORDER, params),
            weight=0,
            purpose=Purpose.ENTRY,
            signed=True,
            order=True,
            recv_window_ms=window,
            timeout_s=self._config.timeout_s,
            wait_max_ms=0,
        )
        return await self._submit(request, codec.decode_order)

    async def _place_algo(
        self, kind: str, symbol: str, side: Side, trigger: Decimal, client_id: str, quantity: Decimal | None
    ) -> Outcome[AlgoOrder]:
        instrument = self._instrument(symbol)
        params = {
            "algoType": "CONDITIONAL",
            "symbol": to_rest(symbol),
            "side": side.value,
            "type": kind,
            "triggerPrice": price_text(instrument, trigger, "trigger_price"),
            "workingType": "MARK_PRICE",
            "priceProtect": "false",
            "clientAlgoId": check_client_id(client_id),
        }
        if quantity is None:
            # Refused together with reduceOnly (-1106), which it implies, and with a quantity (-4137).
            params["closePosition"] = "true"
        else:
            params |= {"quantity": quantity_text(instrument, quantity, market=True), "reduceOnly": "true"}
        return await self._protect("POST", ALGO, params, codec.decode_algo, order=True)

    async def _protect(
        self, method: str, path: str, params: Params, decode: Callable[[bytes], T], *, order: bool = False
    ) -> Outcome[T]:
        """What can only reduce a position, or cancels: with the reserve, a wide window and a little patience."""
        request = Request(
            *(method, path, params),
            weight=0 if order else 1,
            purpose=Purpose.EXIT,
            signed=True,
            order=order,
            recv_window_ms=self._config.exit_recv_window_ms,
            timeout_s=self._config.timeout_s,
            wait_max_ms=self._exit_wait_ms(),
        )
        return await self._submit(request, decode)

    async def _submit(self, request: Request, decode: Callable[[bytes], T]) -> Outcome[T]:
        window = self._transport.recv_window_ms(request.recv_window_ms)
        try:
            return Accepted(_decoded(request, await self._transport.send(request), decode))
        except OutcomeUnknownError as exc:
            # From now rather than from the timestamp: that can only wait longer.
            return Unknown(str(exc), exc.venue_code, self._transport.clock.now_ms() + window)
        except VenueError as exc:
            if reaction_to(exc) is Reaction.RESYNC:
                with contextlib.suppress(VenueError):
                    await self._transport.resync()
            wait = getattr(exc, "retry_after_ms", None)
            return Rejected(reason_of(exc), exc.venue_code, str(exc), wait)

    async def _read(
        self,
        path: str,
        params: Params,
        decode: Callable[[bytes], T],
        weight: int = 1,
        purpose: Purpose = Purpose.DATA,
    ) -> T:
        request = Request(
            *("GET", path, params),
            weight=weight,
            purpose=purpose,
            signed=True,
            timeout_s=self._config.timeout_s if purpose is Purpose.EXIT else None,
            wait_max_ms=math.inf,
        )
        return await self._transport.get(request, decode)

    async def _find(self, path: str, params: Params, decode: Callable[[bytes], T]) -> T | None:
        try:
            return await self._read(path, params, decode, 1, Purpose.EXIT)
        except VenueRejectedError as exc:
            if reason_of(exc) is RejectReason.NOT_FOUND:
                return None
            raise

    async def _set(self, path: str, params: Params, decode: Callable[[bytes], T]) -> T:
        request = Request("POST", path, params, purpose=Purpose.ENTRY, signed=True)
        return _decoded(request, await self._transport.send(request), decode)

    async def _set_once(self, path: str, params: Params) -> None:
        try:
            await self._set(path, params, codec.decode_done)
        except VenueRejectedError as exc:
            if reason_of(exc) is not RejectReason.UNCHANGED:
                raise

    async def _listen_key(self, method: str) -> str:
        request = Request(method, LISTEN_KEY, {}, purpose=Purpose.EXIT)
        return _decoded(request, await self._transport.send(request), codec.decode_listen_key)

    def _instrument(self, symbol: str) -> InstrumentInfo:
        found = self._instruments.get(symbol)
        if found is None:
            raise InvalidInputError("symbol", symbol, "a symbol the exchange lists")
        return found


def _decoded(request: Request, body: bytes, decode: Callable[[bytes], T]) -> T:
    """Of a request that was taken: what its answer says, or ``OutcomeUnknownError``."""
    try:
        return decode(body)
    except ValueError as exc:  # all of msgspec's and of Unicode's are
        raise OutcomeUnknownError(f"{request.method} {request.path}: taken, but its answer is broken: {exc}") from exc


def _ref(ref: OrderRef, number: str, text: str) -> dict[str, str | int]:
    return {number: ref} if isinstance(ref, int) else {text: check_client_id(ref)}


def _of(symbol: str | None) -> dict[str, str | int]:
    return {} if symbol is None else {"symbol": to_rest(symbol)}


def _given(**params: int | None) -> dict[str, str | int]:
    return {name: value for name, value in params.items() if value is not None}
