"""Money: fills, fees, funding, wallets and positions of one account, and the events that tell of them."""

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal

from services.emulator.venue import margin, payloads
from services.emulator.venue.book import Quote
from services.emulator.venue.contract import Contract
from services.emulator.venue.margin import ZERO, amount
from services.emulator.venue.model import OPEN, Account, Income, Order, Position, Setup, Trade
from services.emulator.venue.payloads import Event
from services.emulator.venue.switches import Switches

MAKER = Decimal("0.0002")
TAKER = Decimal("0.0005")


class Ledger:
    """``quote_of(symbol)`` is the market as it stands; events gather in ``events`` until the shell takes them."""

    def __init__(
        self,
        account: Account,
        contracts: Mapping[str, Contract],
        switches: Switches,
        seed: int,
        quote_of: Callable[[str], Quote],
    ) -> None:
        self.account, self.contracts, self.switches, self.quote_of = account, contracts, switches, quote_of
        self._seed = seed
        self.events: list[Event] = []
        self.open: dict[str, dict[int, Order]] = {}
        for order in account.orders.values():
            if order.status in OPEN:
                self.open.setdefault(order.symbol, {})[order.id] = order

    # --- what there is ---

    def position(self, symbol: str) -> Position:
        return self.account.positions.setdefault(symbol, Position(symbol))

    def setup(self, symbol: str) -> Setup:
        if symbol not in self.account.setups:
            isolated = self.switches.default_margin_type == "ISOLATED"
            most = self.contracts[symbol].tiers[0].leverage
            self.account.setups[symbol] = Setup(min(self.account.leverage_default, most), isolated)
        return self.account.setups[symbol]

    def held(self) -> list[Position]:
        return [position for position in self.account.positions.values() if position.amt]

    def orders_of(self, symbol: str) -> list[Order]:
        return list(self.open.get(symbol, {}).values())

    def draw(self, name: str, number: int) -> float:
        """A number in [0, 1) that depends on the seed and the occasion alone."""
        digest = hashlib.sha256(f"{self._seed}:{self.account.name}:{name}:{number}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2.0**56

    # --- margin ---

    def cross_wallet(self) -> Decimal:
        return self.account.wallet - sum((p.isolated_wallet for p in self.held()), ZERO)

    def unrealized(self, position: Position) -> Decimal:
        return margin.unrealized(position.amt, position.entry, self.quote_of(position.symbol).mark)

    def maintenance(self, position: Position) -> Decimal:
        notional = abs(position.amt) * self.quote_of(position.symbol).mark
        return margin.maintenance(self.contracts[position.symbol].tiers, notional) if notional else ZERO

    def position_margin(self, position: Position) -> Decimal:
        """Initial margin of a position at the mark."""
        notional = abs(position.amt) * self.quote_of(position.symbol).mark
        return margin.initial(notional, self.setup(position.symbol).leverage)

    def order_margin(self, symbol: str) -> Decimal:
        """Margin that resting orders hold: of the costlier side, beyond what it would close."""
        amt = self.position(symbol).amt
        most = ZERO
        for sign in (1, -1):
            orders = [o for o in self.orders_of(symbol) if o.sign == sign and not o.reduce_only]
            qty = sum((o.left for o in orders), ZERO)
            closing = max(-amt * sign, ZERO)
            if qty > closing:
                value = sum((o.left * o.price for o in orders), ZERO)
                most = max(most, value * (qty - closing) / qty)
        return margin.initial(most, self.setup(symbol).leverage)

    def available(self) -> Decimal:
        """What new orders may use: cross wallet and open loss or profit of cross positions, less margins in use."""
        cross = [p for p in self.held() if not self.setup(p.symbol).isolated]
        free = self.cross_wallet()
        free += sum((self.unrealized(p) - self.position_margin(p) for p in cross), ZERO)
        return free - sum((self.order_margin(symbol) for symbol, orders in self.open.items() if orders), ZERO)

    def liquidation_price(self, position: Position) -> Decimal:
        contract = self.contracts[position.symbol]
        if self.setup(position.symbol).isolated:
            return margin.liquidation_price(contract.tiers, position.amt, position.entry, position.isolated_wallet)
        others = ZERO
        for other in self.held():
            if other.symbol != position.symbol and not self.setup(other.symbol).isolated:
                others += self.maintenance(other) - self.unrealized(other)
        return margin.liquidation_price(contract.tiers, position.amt, position.entry, self.cross_wallet(), others)

    # --- what happens ---

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def tell(self, order: Order, execution: str, now_ms: int, *, reason: int = 0) -> None:
        """ORDER_TRADE_UPDATE without a fill."""
        order.updated_ms = now_ms
        self.emit(payloads.order_event(self.contracts[order.symbol], order, execution, now_ms, reason=reason))

    def book(self, kind: str, symbol: str, value: Decimal, now_ms: int, trade_id: str = "", info: str = "") -> None:
        """Change the wallet by ``value`` (eight decimals) and keep the row."""
        if value == 0:
            return
        self.account.next_tran += 1
        self.account.wallet += value
        self.account.incomes.append(
            Income(9_000_000_000 + self.account.next_tran, kind, symbol, value, now_ms, trade_id, info)
        )

    def fill(
        self, order: Order, price: Decimal, qty: Decimal, now_ms: int, *, maker: bool = False, liquidation: bool = False
    ) -> Trade:
        """Trade ``qty`` at ``price``. A liquidation pays its clearance later instead of a fee."""
        position = self.position(order.symbol)
        fee = ZERO if liquidation else amount(price * qty * (MAKER if maker else TAKER))
        pnl = self._move(position, order.sign, price, qty, fee, now_ms)
        self.account.next_trade += 1
        trade = Trade(
            1_000_000_000 + self.account.next_trade,
            order.id, order.symbol, order.side, price, qty, pnl, fee, maker, now_ms,
        )  # fmt: skip
        self.account.trades.append(trade)
        self.book("REALIZED_PNL", order.symbol, pnl, now_ms, str(trade.id))
        self.book("COMMISSION", order.symbol, -fee, now_ms, str(trade.id))
        order.executed += qty
        order.quote += price * qty
        order.status = "PARTIALLY_FILLED" if order.left else "FILLED"
        order.updated_ms = now_ms
        contract = self.contracts[order.symbol]
        told = payloads.order_event(contract, order, "CALCULATED" if liquidation else "TRADE", now_ms, trade=trade)
        account = self.account_event("ORDER", [position], now_ms)
        if not liquidation:
            self.emit(payloads.trade_lite(contract, order, trade, now_ms))
        order_of_events = self.switches.account_update
        last = order_of_events == "last" or (order_of_events == "random" and self.draw("account", trade.id) < 0.5)
        for event in (told, account) if last else (account, told):
            self.emit(event)
        if not order.left:
            self.open.get(order.symbol, {}).pop(order.id, None)
        return trade

    def _move(self, position: Position, sign: int, price: Decimal, qty: Decimal, fee: Decimal, now_ms: int) -> Decimal:
        """The position after a trade; returns the profit taken."""
        setup = self.setup(position.symbol)
        closing = min(qty, abs(position.amt)) if position.amt * sign < 0 else ZERO
        pnl = amount((price - position.entry) * closing * (1 if position.amt > 0 else -1)) if closing else ZERO
        if closing:
            rest = abs(position.amt) - closing
            # the share of its wallet that belonged to what was closed goes back with its profit
            position.isolated_wallet -= amount(position.isolated_wallet * closing / abs(position.amt))
            position.carried += fee * closing / qty - pnl
            position.amt += sign * closing
            position.realized += pnl
            if not rest:
                position.entry = position.carried = position.isolated_wallet = ZERO
                position.called = False
        opening = qty - closing
        if opening:
            held = abs(position.amt)
            position.entry = (position.entry * held + price * opening) / (held + opening)
            position.amt += sign * opening
            opening_fee = amount(fee * opening / qty)
            position.carried += opening_fee
            if setup.isolated:
                position.isolated_wallet += amount(margin.initial(price * opening, setup.leverage))
                if self.switches.fee_from == "isolated":
                    position.isolated_wallet -= opening_fee
        position.updated_ms = now_ms
        return pnl

    def fund(self, symbol: str, mark: Decimal, rate: Decimal, now_ms: int) -> None:
        """Settle funding for whoever holds ``symbol``."""
        position = self.position(symbol)
        if not position.amt:
            return
        value = amount(margin.funding(position.amt, mark, rate))
        if value == 0:
            return
        position.carried -= value
        isolated = self.setup(symbol).isolated
        if isolated:
            position.isolated_wallet += value
        self.book("FUNDING_FEE", symbol, value, now_ms, info="FUNDING_FEE")
        self.emit(self.account_event("FUNDING_FEE", [position] if isolated else [], now_ms, value, symbol))

    def account_event(
        self, reason: str, positions: list[Position], now_ms: int, change: Decimal = ZERO, symbol: str = ""
    ) -> Event:
        items = [
            payloads.position_item(
                self.contracts[p.symbol], p, self.quote_of(p.symbol).mark, isolated=self.setup(p.symbol).isolated
            )
            for p in positions
        ]
        return payloads.account_event(
            reason, now_ms, wallet=self.account.wallet, cross=self.cross_wallet(), positions=items, change=change,
            symbol=symbol,
        )  # fmt: skip
