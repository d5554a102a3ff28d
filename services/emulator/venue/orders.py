"""Regular orders: what is accepted, what it trades with, when it rests, how it ends."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from services.emulator.params import ApiError, number
from services.emulator.venue import checks, margin
from services.emulator.venue.book import Quote, Span, levels, sweep
from services.emulator.venue.contract import MAX_ORDERS, Contract
from services.emulator.venue.ledger import Ledger
from services.emulator.venue.margin import ZERO
from services.emulator.venue.model import OPEN, Amendment, Order

CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
TIFS = ("GTC", "IOC", "FOK", "GTX", "GTD")
GTD_MS = 600_000  # at least so far ahead
CHANGES = 10_000  # of one order, at the most
SETTLES_MS = 30 * 60_000  # nothing is opened so long before a contract ends (§8.6)
# Reasons of an end, ``er`` of ORDER_TRADE_UPDATE (§5.2).
IOC_REST, PUSHED_OUT, LIQUIDATED, GONE, DELISTED, UNFILLED = 2, 4, 5, 6, 7, 9


class Orders:
    """Orders of one account. Every method that changes something leaves its events at the ledger.

    ``share(symbol, now_ms, order_id)``: the part of a market order that finds a counterparty (a fault when below 1);
    ``delay`` of the same arguments: how many milliseconds later it reaches the book (a fault when above 0).
    """

    def __init__(
        self, ledger: Ledger, share: Callable[[str, int, int], float], delay: Callable[[str, int, int], int]
    ) -> None:
        self.ledger, self.share, self.delay = ledger, share, delay
        self._latest: dict[tuple[str, str], int] = {}
        for order in ledger.account.orders.values():
            self._latest[order.symbol, order.client_id] = order.id

    # --- requests ---

    def place(self, params: Mapping[str, str], contract: Contract, now_ms: int) -> Order:
        """A new order as the client asked for it; raises with the exchange's code when it is not accepted."""
        order = self.checked(params, contract, now_ms)
        self.accept(order, now_ms)
        self.run(order, contract, now_ms, self.share(order.symbol, now_ms, order.id))
        return order

    def checked(self, params: Mapping[str, str], contract: Contract, now_ms: int) -> Order:
        """The order of ``params`` after every check that needs no book."""
        kind = params.get("type", "")
        if kind in CONDITIONAL:
            raise ApiError(
                -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            )
        side = checks.side_of(params)
        kind = checks.choice(params, "type", ("LIMIT", "MARKET"), ApiError(-1116, "Invalid orderType."))
        checks.position_side(params, dual=self.ledger.account.dual_side)
        match = checks.price_match(params, limit=kind == "LIMIT")
        tif = "GTC"
        if kind == "LIMIT":
            tif = checks.choice(params, "timeInForce", TIFS, ApiError(-1115, "Invalid timeInForce."))
        elif params.get("timeInForce"):
            raise ApiError(-1106, "Parameter 'timeInForce' sent when not required.")
        elif params.get("price"):
            raise ApiError(-1106, "Parameter 'price' sent when not required.")
        qty = checks.quantity(contract, checks.decimal(params, "quantity"), market=kind == "MARKET")
        quote = self.ledger.quote_of(contract.symbol)
        limit = ZERO
        if kind == "LIMIT":
            limit = (
                checks.price(contract, checks.decimal(params, "price"))
                if not match
                else matched(contract, quote, side, match)
            )
        order = self.make(
            contract, side, kind, tif, qty, limit, now_ms, checks.client_id(params, "newClientOrderId"),
            reduce_only=bool(checks.boolean(params, "reduceOnly")),
        )  # fmt: skip
        order.stp = params.get("selfTradePreventionMode") or self.ledger.switches.stp_mode
        order.price_match = match or "NONE"
        order.good_till_ms = checks.good_till(params, tif, now_ms + GTD_MS)
        if order.type == "LIMIT":
            checks.band(contract, quote, side, limit)
        self._client_id_free(order)
        if len(self.ledger.open.get(contract.symbol, {})) >= MAX_ORDERS:
            raise ApiError(-2025, "Reach max open order limit.")
        refuse_by_book(contract, quote, order)
        self.admit(order, contract, quote, now_ms)
        return order

    def cancel(self, params: Mapping[str, str], symbol: str, now_ms: int) -> Order:
        found = self._named(params, symbol)
        if found is None or found.status not in OPEN:
            raise ApiError(-2011, "Unknown order sent.")
        self.end(found, "CANCELED", now_ms)
        return found

    def cancel_all(self, symbol: str, now_ms: int) -> None:
        for order in self.ledger.orders_of(symbol):
            self.end(order, "CANCELED", now_ms)

    def query(self, params: Mapping[str, str], symbol: str, now_ms: int) -> Order:
        found = self._named(params, symbol)
        if found is None or now_ms - found.time_ms < self.ledger.switches.query_lag_ms:
            raise ApiError(-2013, "Order does not exist.")
        return found

    def amend(self, params: Mapping[str, str], contract: Contract, now_ms: int) -> Order:
        """Change price and quantity of a resting LIMIT order; it loses its place in the queue."""
        order = self._named(params, contract.symbol)
        if order is None or order.status not in OPEN:
            raise ApiError(-2013, "Order does not exist.")
        if order.type != "LIMIT":
            raise ApiError(-5025, "Only limit order is supported.")
        side = checks.side_of(params)
        if side != order.side:
            raise ApiError(-1117, "Invalid side.")
        match = checks.price_match(params, limit=True)
        quote = self.ledger.quote_of(contract.symbol)
        qty = checks.quantity(contract, checks.decimal(params, "quantity"), market=False)
        limit = (
            checks.price(contract, checks.decimal(params, "price"))
            if not match
            else matched(contract, quote, side, match)
        )
        checks.band(contract, quote, side, limit)
        if (qty, limit) == (order.qty, order.price):
            raise ApiError(-5027, "No need to modify the order.")
        if order.changes >= CHANGES:
            raise ApiError(-5026, "Exceed maximum modify order limit.")
        if not order.reduce_only:
            checks.notional(contract, qty * limit)
        before = order.price, order.qty
        self.ledger.open[order.symbol].pop(order.id)
        order.qty, order.price = max(qty, order.executed), limit
        try:
            if order.left:
                # what has traded is no part of what is asked for now
                rest = replace(order, qty=order.left, executed=ZERO)
                if order.tif == "GTX":
                    refuse_by_book(contract, quote, rest)
                self.admit(rest, contract, quote, now_ms)
        except ApiError as refused:
            order.price, order.qty = before
            self.ledger.open[order.symbol][order.id] = order
            if refused.code == -5022:  # post-only that would take: the amendment ends it
                self.end(order, "CANCELED", now_ms)
                return order
            raise
        self.ledger.open[order.symbol][order.id] = order
        order.changes += 1
        order.modify_id = number(params, "modifyId")
        account = self.ledger.account
        account.amendments.append(
            Amendment(
                5_000_000_000 + len(account.amendments) + 1, order.id, order.client_id, order.symbol,
                (before[0], order.price), (before[1], order.qty), order.changes, now_ms,
            )
        )  # fmt: skip
        if not order.left:
            self.end(order, "CANCELED", now_ms)
            return order
        self.ledger.tell(order, "AMENDMENT", now_ms)
        self.run(order, contract, now_ms)
        return order

    def timed(self, symbol: str, now_ms: int) -> None:
        """What time alone brings: countdowns, orders good till a date, market orders that were late."""
        if 0 < self.ledger.account.countdowns.get(symbol, 0) <= now_ms:
            del self.ledger.account.countdowns[symbol]
            self.cancel_all(symbol, now_ms)
        for order in self.ledger.orders_of(symbol):
            if 0 < order.good_till_ms <= now_ms:
                self.end(order, "EXPIRED", now_ms)
            elif 0 < order.due_ms <= now_ms:
                self.run(order, self.ledger.contracts[symbol], now_ms, self.share(symbol, now_ms, order.id))

    def due(self) -> dict[str, int]:
        """When ``timed`` has work next, by symbol."""
        found = dict(self.ledger.account.countdowns)
        for symbol, orders in self.ledger.open.items():
            for order in orders.values():
                for ms in (order.good_till_ms, order.due_ms):
                    if ms:
                        found[symbol] = min(ms, found.get(symbol, ms))
        return found

    # --- the life of an order ---

    def make(
        self, contract: Contract, side: str, kind: str, tif: str, qty: Decimal, price: Decimal, now_ms: int,
        client_id: str, *, reduce_only: bool,
    ) -> Order:  # fmt: skip
        account = self.ledger.account
        number = 40_000_000_000 + account.next_order + 1
        return Order(
            number, client_id or f"web_{number}", contract.symbol, side, kind, tif, qty, price, now_ms,
            reduce_only=reduce_only, updated_ms=now_ms, orig_type=kind, stp=self.ledger.switches.stp_mode,
        )  # fmt: skip

    def admit(self, order: Order, contract: Contract, quote: Quote, now_ms: int) -> None:
        """Reduce-only rules, notional, bracket and margin; may cut a reduce-only order down."""
        amt = self.ledger.position(order.symbol).amt
        if order.reduce_only:
            self._admit_reducing(order, amt, now_ms)
            return
        checks.notional(contract, order.qty * (order.price if order.type == "LIMIT" else quote.mark))
        opening = order.qty - max(-amt * order.sign, ZERO)
        if opening <= 0:
            return
        if now_ms >= contract.spec.delivery_ms - SETTLES_MS:
            raise ApiError(-4140, "Invalid symbol status for opening position.")
        setup = self.ledger.setup(order.symbol)
        if contract.spec.tradifi and not self.ledger.account.tradifi_signed:
            raise ApiError(-4411, "Please sign TradFi-Perps agreement contract fapi.")
        resting = sum((o.left for o in self.ledger.orders_of(order.symbol) if o.sign == order.sign), ZERO)
        after = abs(amt + order.sign * (order.qty + resting)) * quote.mark
        if after > margin.max_notional(contract.tiers, setup.leverage):
            raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")
        touch = quote.ask if order.side == "BUY" else quote.bid
        price = order.price if order.type == "LIMIT" else touch
        needed = margin.initial(opening * price, setup.leverage)
        needed += opening * max(order.sign * (price - quote.mark), ZERO)  # what the entry would lose at the mark
        if needed > self.ledger.available():
            raise ApiError(-2019, "Margin is insufficient.")

    def accept(self, order: Order, now_ms: int) -> None:
        """The order exists from here on."""
        account = self.ledger.account
        account.next_order += 1
        account.orders[order.id] = order
        self._latest[order.symbol, order.client_id] = order.id
        self.ledger.open.setdefault(order.symbol, {})[order.id] = order
        self.ledger.tell(order, "NEW", now_ms)

    def run(self, order: Order, contract: Contract, now_ms: int, share: float = 1.0) -> None:
        """Trade what can be traded at once; the rest rests or expires. ``share`` < 1 leaves a market order short."""
        quote = self.ledger.quote_of(order.symbol)
        if order.type == "MARKET":
            if not order.due_ms:
                wait = self.delay(order.symbol, now_ms, order.id)
                if wait:
                    order.due_ms = now_ms + wait
                    return
            bound = quote.mark * (1 + order.sign * contract.band)
            wanted = order.qty
            if share < 1.0:
                wanted = max(order.qty * Decimal(str(share)) // contract.step * contract.step, contract.step)
            if order.reduce_only:  # the position may have shrunk while the order was on its way
                wanted = min(wanted, max(-self.ledger.position(order.symbol).amt * order.sign, ZERO))
            self._take(order, contract, quote, wanted, bound, now_ms)
            if order.left:
                self.end(order, "EXPIRED", now_ms, UNFILLED)
        else:
            self._take(order, contract, quote, order.qty, order.price, now_ms)
            if order.left and order.tif == "IOC":
                self.end(order, "EXPIRED", now_ms, IOC_REST)
        self.settle(order.symbol, now_ms)

    def _take(
        self, order: Order, contract: Contract, quote: Quote, wanted: Decimal, bound: Decimal, now_ms: int
    ) -> None:
        for price, qty in sweep(contract, quote, order.side, wanted, bound):
            self.ledger.fill(order, price, qty, now_ms)

    def rest(self, quote: Quote, symbol: str) -> None:
        """Trade resting orders with the second of ``quote``: in full past their price, a part of its volume at it."""
        for order in sorted(self.ledger.orders_of(symbol), key=lambda o: (-o.sign * o.price, o.id)):
            if order.type != "LIMIT" or order.status not in OPEN:
                continue
            passed = (quote.last - order.price) * order.sign
            if passed > 0:
                continue
            qty = order.left
            if passed == 0:
                step = self.ledger.contracts[symbol].step
                part = quote.traded * Decimal(self.ledger.switches.touch_share) // step * step
                qty = min(qty, part)
            if order.reduce_only:
                qty = min(qty, max(-self.ledger.position(symbol).amt * order.sign, ZERO))
            if qty > 0:
                self.ledger.fill(order, order.price, qty, quote.ts_ms, maker=True)
                self.settle(symbol, quote.ts_ms)

    def quiet(self, symbol: str, span: Span) -> bool:
        """Whether no resting order can trade while prices stay within ``span``."""
        return all(
            order.price < span.last_low if order.sign > 0 else order.price > span.last_high
            for order in self.ledger.orders_of(symbol)
            if order.type == "LIMIT"
        )

    def settle(self, symbol: str, now_ms: int) -> None:
        """After the position changed: reduce-only orders that no longer fit are pushed out, oldest kept."""
        room = {sign: max(-self.ledger.position(symbol).amt * sign, ZERO) for sign in (1, -1)}
        for order in self.ledger.orders_of(symbol):
            if order.reduce_only and not order.due_ms:
                if order.left > room[order.sign]:
                    self.end(order, "EXPIRED", now_ms, PUSHED_OUT)
                else:
                    room[order.sign] -= order.left

    def end(self, order: Order, status: str, now_ms: int, reason: int = 0) -> None:
        order.status = status
        self.ledger.open.get(order.symbol, {}).pop(order.id, None)
        self.ledger.tell(order, status, now_ms, reason=reason)

    # --- rules ---

    def _admit_reducing(self, order: Order, amt: Decimal, now_ms: int) -> None:
        room = max(-amt * order.sign, ZERO)
        switches = self.ledger.switches
        if not room:
            raise ApiError(-2022, "ReduceOnly Order is rejected.")
        resting = [o for o in self.ledger.orders_of(order.symbol) if o.reduce_only and o.sign == order.sign]
        if order.qty > room:
            if switches.reduce_only_oversize == "reject":
                raise ApiError(-2022, "ReduceOnly Order is rejected.")
            order.qty = room
        excess = sum((o.left for o in resting), ZERO) + order.qty - room
        if excess > 0 and not order.close_position:
            if switches.reduce_only_excess == "reject":
                raise ApiError(-4118, "ReduceOnly Order Failed. Please check your existing position and open orders")
            for other in resting:
                if excess > 0:
                    excess -= other.left
                    self.end(other, "EXPIRED", now_ms, PUSHED_OUT)

    def _client_id_free(self, order: Order) -> None:
        before = self._latest.get((order.symbol, order.client_id))
        if before is None:
            return
        if self.ledger.account.orders[before].status in OPEN or not self.ledger.switches.client_ids_reusable:
            raise ApiError(-4116, "ClientOrderId is duplicated.")

    def _named(self, params: Mapping[str, str], symbol: str) -> Order | None:
        """The order of ``orderId`` or, failing that, the latest of ``origClientOrderId``."""
        order_id = number(params, "orderId")
        client_id = params.get("origClientOrderId", "")
        if order_id is None:
            if not client_id:
                raise ApiError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
            order_id = self._latest.get((symbol, client_id), 0)
        found = self.ledger.account.orders.get(order_id)
        return found if found is not None and found.symbol == symbol else None


def matched(contract: Contract, quote: Quote, side: str, match: str) -> Decimal:
    """The price of ``priceMatch``: the n-th level of the other side (OPPONENT) or of one's own (QUEUE)."""
    kind, _, level = match.partition("_")
    up = 1 if (side == "BUY") == (kind == "OPPONENT") else -1
    return (quote.ask if up > 0 else quote.bid) + up * (int(level or 1) - 1) * contract.tick


def crosses(contract: Contract, quote: Quote, order: Order) -> Decimal:
    """Quantity of a LIMIT order that would trade at once."""
    found = ZERO
    if not quote.live:
        return found
    for price, size in levels(contract, quote, order.side):
        if (price - order.price) * order.sign > 0 or found >= order.qty:
            break
        found += size
    return min(found, order.qty)


def refuse_by_book(contract: Contract, quote: Quote, order: Order) -> None:
    """What only the book can refuse: post-only that would take, fill-or-kill that would not fill, a far market."""
    if order.type == "MARKET":
        if not quote.live:
            raise ApiError(-1112, "No orders on book for symbol.")
        touch = quote.ask if order.side == "BUY" else quote.bid
        if (touch - quote.mark * (1 + order.sign * contract.band)) * order.sign > 0:
            raise ApiError(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
        return
    taken = crosses(contract, quote, order)
    if order.tif == "GTX" and taken:
        raise ApiError(
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected. "
            "The order will not be recorded in the order history",
        )
    if order.tif == "FOK" and taken < order.qty:
        raise ApiError(
            -5021,
            "Due to the order could not be filled immediately, the FOK order has been rejected. "
            "The order will not be recorded in the order history",
        )
