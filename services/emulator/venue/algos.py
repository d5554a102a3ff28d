"""Conditional orders: the algo service beside the book, its triggers and the regular orders that they make (§2)."""

from collections.abc import Mapping
from decimal import Decimal

from services.emulator.params import ApiError, missing, number
from services.emulator.venue import checks, payloads
from services.emulator.venue.book import Quote, Span
from services.emulator.venue.contract import MAX_ALGO_ORDERS, Contract
from services.emulator.venue.ledger import Ledger
from services.emulator.venue.margin import ZERO
from services.emulator.venue.model import OPEN, Algo, Order
from services.emulator.venue.orders import TIFS, Orders, matched, refuse_by_book

TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
LEAST_CALLBACK, MOST_CALLBACK = Decimal("0.1"), Decimal(20)  # percent
PENDING = ("NEW", "TRIGGERING")


class Algos:
    """Algo orders of one account. ``stuck(symbol, now_ms)`` says whether a trigger hangs (a fault)."""

    def __init__(self, ledger: Ledger, orders: Orders) -> None:
        self.ledger, self.orders = ledger, orders
        self.open: dict[str, dict[int, Algo]] = {}
        self.parents: dict[int, Algo] = {}  # triggered, by their child, until that is done
        self._latest: dict[str, int] = {}
        for algo in ledger.account.algos.values():
            self._latest[algo.client_id] = algo.id
            if algo.status in PENDING:
                self.open.setdefault(algo.symbol, {})[algo.id] = algo
            elif algo.status == "TRIGGERED":
                self.parents[algo.child_id] = algo

    # --- requests ---

    def place(self, params: Mapping[str, str], contract: Contract, now_ms: int) -> Algo:
        algo = self._checked(params, contract, now_ms)
        account = self.ledger.account
        account.next_algo += 1
        account.algos[algo.id] = algo
        self._latest[algo.client_id] = algo.id
        self.open.setdefault(algo.symbol, {})[algo.id] = algo
        self._tell(algo, now_ms)
        return algo

    def cancel(self, params: Mapping[str, str], now_ms: int) -> Algo:
        found = self._named(params)
        if found is None or found.status not in PENDING:
            raise ApiError(-2011, "Unknown order sent.")
        if found.status == "TRIGGERING":
            raise ApiError(-2011, "Unknown order sent.")
        self._end(found, "CANCELED", now_ms)
        return found

    def cancel_all(self, symbol: str, now_ms: int) -> None:
        for algo in list(self.open.get(symbol, {}).values()):
            if algo.status == "NEW":
                self._end(algo, "CANCELED", now_ms)

    def query(self, params: Mapping[str, str], now_ms: int) -> Algo:
        found = self._named(params)
        if found is None or now_ms - found.time_ms < self.ledger.switches.query_lag_ms:
            raise ApiError(-2013, "Order does not exist.")
        return found

    # --- time ---

    def tick(self, quote: Quote, symbol: str, *, stuck: bool) -> None:
        """Trigger what the prices of ``quote`` have reached, oldest first."""
        for algo in list(self.open.get(symbol, {}).values()):
            if algo.trailing and algo.status == "NEW":
                self._trail(algo, quote)
            if algo.status == "NEW" and self._reached(algo, quote):
                algo.status, algo.trigger_ms = "TRIGGERING", quote.ts_ms
                self._tell(algo, quote.ts_ms)
            due = algo.trigger_ms + self.ledger.switches.trigger_delay_ms
            if algo.status == "TRIGGERING" and quote.ts_ms >= due and not stuck:
                self._send(algo, quote.ts_ms)
        self.settle(symbol, quote.ts_ms)

    def quiet(self, symbol: str, span: Span) -> bool:
        """Whether nothing can trigger while prices stay within ``span``."""
        for algo in self.open.get(symbol, {}).values():
            mark = algo.working_type == "MARK_PRICE"
            low, high = (span.mark_low, span.mark_high) if mark else (span.last_low, span.last_high)
            if algo.trailing:
                if algo.activated or algo.status != "NEW" or low <= algo.activate <= high:
                    return False
                continue
            if algo.status != "NEW" or (high >= algo.trigger if _upward(algo) else low <= algo.trigger):
                return False
        return True

    def settle(self, symbol: str, now_ms: int) -> None:
        """After orders or the position changed: parents of finished children end, orphaned close-all orders expire."""
        for child_id, algo in list(self.parents.items()):
            child = self.ledger.account.orders[child_id]
            if child.status not in OPEN:
                del self.parents[child_id]
                algo.status = "FINISHED"
                self._tell(algo, now_ms)
        amt = self.ledger.position(symbol).amt
        for algo in list(self.open.get(symbol, {}).values()):
            if algo.close_position and amt * algo.sign >= 0 and not self._waits_for_position(algo):
                self._end(algo, "EXPIRED", now_ms)

    def drop(self, symbol: str, now_ms: int) -> None:
        """The contract has ended: nothing can trigger any more."""
        for algo in list(self.open.get(symbol, {}).values()):
            self._end(algo, "EXPIRED", now_ms)

    # --- inside ---

    def _waits_for_position(self, algo: Algo) -> bool:
        """With the switch ``flat_close_position`` a close-all order may stand before there is anything to close."""
        accepted = self.ledger.switches.flat_close_position == "accept"
        return accepted and self.ledger.position(algo.symbol).updated_ms < algo.time_ms

    def _checked(self, params: Mapping[str, str], contract: Contract, now_ms: int) -> Algo:
        checks.choice(
            params, "algoType", ("CONDITIONAL",), ApiError(-1130, "Data sent for parameter 'algoType' is not valid.")
        )
        side = checks.side_of(params)
        kind = checks.choice(params, "type", TYPES, ApiError(-1116, "Invalid orderType."))
        checks.position_side(params, dual=self.ledger.account.dual_side)
        working = checks.choice(
            params, "workingType", ("MARK_PRICE", "CONTRACT_PRICE"),
            ApiError(-1130, "Data sent for parameter 'workingType' is not valid."), "CONTRACT_PRICE",
        )  # fmt: skip
        trailing = kind == "TRAILING_STOP_MARKET"
        match = checks.price_match(params, limit=not kind.endswith("_MARKET"))
        close = bool(checks.boolean(params, "closePosition"))
        reduce_only = checks.boolean(params, "reduceOnly")
        market = kind.endswith("_MARKET")
        if close and (trailing or not market):
            raise ApiError(-4136, "Target strategy invalid for orderType and closePosition.")
        if close and params.get("quantity"):
            raise ApiError(-4137, "Quantity must be zero with closePosition equals true.")
        if close and reduce_only is not None:
            raise ApiError(-1106, "Parameter 'reduceonly' sent when not required.")
        if market and params.get("price"):
            raise ApiError(-1106, "Parameter 'price' sent when not required.")
        qty = ZERO if close else checks.quantity(contract, checks.decimal(params, "quantity"), market=market)
        limit = ZERO if market or match else checks.price(contract, checks.decimal(params, "price"))
        trigger = activate = callback = ZERO
        if trailing:
            activate, callback = self._callback(params, contract)
        else:
            trigger = checks.price(contract, checks.decimal(params, "triggerPrice"), "triggerPrice")
        algo_id = 1_000_000_033_200_001 + self.ledger.account.next_algo
        algo = Algo(
            algo_id, checks.client_id(params, "clientAlgoId") or f"algo_{algo_id}", contract.symbol, side, kind,
            checks.choice(params, "timeInForce", TIFS[:-1], ApiError(-1115, "Invalid timeInForce."), "GTC"),
            qty, limit, trigger, working, now_ms, bool(reduce_only), close,
            bool(checks.boolean(params, "priceProtect")), updated_ms=now_ms, stp=self.ledger.switches.stp_mode,
            price_match=match or "NONE", activate=activate, callback=callback,
        )  # fmt: skip
        self._allowed(algo, contract)
        return algo

    def _callback(self, params: Mapping[str, str], contract: Contract) -> tuple[Decimal, Decimal]:
        """Activation price (0: none) and callback rate of a trailing stop."""
        if params.get("triggerPrice"):
            raise ApiError(-1106, "Parameter 'triggerPrice' sent when not required.")
        callback = checks.decimal(params, "callbackRate")
        if callback is None:
            raise missing("callbackRate")
        if not LEAST_CALLBACK <= callback <= MOST_CALLBACK:
            raise ApiError(-1130, "Data sent for parameter 'callbackRate' is not valid.")
        activate = checks.decimal(params, "activatePrice")
        return (checks.price(contract, activate, "activatePrice") if activate else ZERO), callback

    def _trail(self, algo: Algo, quote: Quote) -> None:
        """Follow the working price: the extreme counts from the activation on (§2.3)."""
        price = working(algo, quote)
        if not algo.activated:
            if algo.activate and (price > algo.activate if algo.side == "BUY" else price < algo.activate):
                return
            algo.activated, algo.extreme = True, price
            self._tell(algo, quote.ts_ms)
        better = min if algo.side == "BUY" else max
        algo.extreme = better(algo.extreme, price)

    def _allowed(self, algo: Algo, contract: Contract) -> None:
        """Rules that look at the account and the market; margin is not among them (§2.1)."""
        ledger = self.ledger
        quote = ledger.quote_of(algo.symbol)
        before = self._latest.get(algo.client_id)
        if before is not None and (
            ledger.account.algos[before].status in PENDING or not ledger.switches.client_ids_reusable
        ):
            raise ApiError(-4116, "ClientOrderId is duplicated.")
        pending = self.open.get(algo.symbol, {}).values()
        closes = ledger.position(algo.symbol).amt * algo.sign < 0
        if algo.close_position:
            stop = algo.type.startswith("STOP")
            if any(a.close_position and a.side == algo.side and a.type.startswith("STOP") == stop for a in pending):
                raise ApiError(
                    -4130, "An open stop or take profit order with GTE and closePosition in the direction is existing."
                )
            if not closes and ledger.switches.flat_close_position == "reject":
                raise ApiError(
                    -4509,
                    "Time in Force (TIF) GTE can only be used with open positions. "
                    "Please ensure that positions are available.",
                )
        elif algo.reduce_only:
            if not closes and ledger.switches.flat_reduce_only_stop == "reject":
                raise ApiError(-2022, "ReduceOnly Order is rejected.")
        else:
            checks.notional(contract, algo.qty * (algo.price or quote.mark))
        if sum(len(found) for found in self.open.values()) >= MAX_ALGO_ORDERS:
            raise ApiError(-4045, "Reach max stop order limit.")
        late = _past(algo, quote)
        if algo.trailing and algo.activate:  # a buy waits for a fall, a sell for a rise
            late = algo.activate >= quote.last if algo.side == "BUY" else algo.activate <= quote.last
        elif algo.trailing:
            algo.activated, algo.extreme = True, working(algo, quote)
        if late:
            raise ApiError(-2021, "Order would immediately trigger.")

    def _reached(self, algo: Algo, quote: Quote) -> bool:
        if not _past(algo, quote):
            return False
        if not algo.price_protect:
            return True
        return abs(quote.mark / quote.last - 1) <= self.ledger.contracts[algo.symbol].trigger_protect

    def _send(self, algo: Algo, now_ms: int) -> None:
        """Make the regular order of a triggered one; the engine may refuse it."""
        ledger, contract = self.ledger, self.ledger.contracts[algo.symbol]
        amt = ledger.position(algo.symbol).amt
        client_id = algo.client_id if ledger.switches.child_client_id == "algo" else ""
        child = self.orders.make(
            contract, algo.side, algo.child_type, algo.tif, algo.qty or abs(amt), algo.price, now_ms, client_id,
            reduce_only=algo.reduce_only or algo.close_position,
        )  # fmt: skip
        if algo.price_match != "NONE":
            child.price, child.price_match = (
                matched(contract, ledger.quote_of(algo.symbol), algo.side, algo.price_match),
                algo.price_match,
            )
        child.close_position, child.algo_id, child.stp = algo.close_position, algo.id, algo.stp
        child.orig_type, child.working_type = algo.type, algo.working_type
        quote = ledger.quote_of(algo.symbol)
        try:
            refuse_by_book(contract, quote, child)
            self.orders.admit(child, contract, quote, now_ms)
        except ApiError as refused:
            algo.reason = refused.message
            self._end(algo, "REJECTED", now_ms)
            return
        self.open[algo.symbol].pop(algo.id, None)
        self.orders.accept(child, now_ms)
        algo.status, algo.child_id = "TRIGGERED", child.id
        self.parents[child.id] = algo
        told = payloads.algo_event(contract, algo, child, now_ms)
        before = ledger.switches.triggered_event == "before_fills" or (
            ledger.switches.triggered_event == "random" and ledger.draw("triggered", algo.id) < 0.5
        )
        if before:
            ledger.emit(told)
        self.orders.run(child, contract, now_ms, self.orders.share(algo.symbol, now_ms, child.id))
        if not before:
            ledger.emit(told)
        algo.updated_ms = now_ms

    def _end(self, algo: Algo, status: str, now_ms: int) -> None:
        algo.status = status
        self.open[algo.symbol].pop(algo.id, None)
        self._tell(algo, now_ms)

    def _tell(self, algo: Algo, now_ms: int) -> None:
        algo.updated_ms = now_ms
        child = self.child(algo)
        self.ledger.emit(payloads.algo_event(self.ledger.contracts[algo.symbol], algo, child, now_ms))

    def child(self, algo: Algo) -> Order | None:
        return self.ledger.account.orders.get(algo.child_id)

    def _named(self, params: Mapping[str, str]) -> Algo | None:
        algo_id = number(params, "algoId")
        client_id = params.get("clientAlgoId", "")
        if algo_id is None:
            if not client_id:
                raise ApiError(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
            algo_id = self._latest.get(client_id, 0)
        return self.ledger.account.algos.get(algo_id)


def _past(algo: Algo, quote: Quote) -> bool:
    """Whether the working price has reached the trigger (§2.3)."""
    price = working(algo, quote)
    if algo.trailing:
        step = algo.extreme * algo.callback / 100
        return algo.activated and (price >= algo.extreme + step if algo.side == "BUY" else price <= algo.extreme - step)
    return price >= algo.trigger if _upward(algo) else price <= algo.trigger


def working(algo: Algo, quote: Quote) -> Decimal:
    """The price that it follows."""
    return quote.mark if algo.working_type == "MARK_PRICE" else quote.last


def _upward(algo: Algo) -> bool:
    """Whether a rising price triggers it."""
    return (algo.side == "BUY") == algo.type.startswith("STOP")
