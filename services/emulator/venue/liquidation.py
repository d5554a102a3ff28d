"""When margin no longer carries a position, the exchange takes it over (§8.1)."""

from collections.abc import Mapping
from decimal import Decimal

from services.emulator.venue import margin, payloads
from services.emulator.venue.algos import Algos
from services.emulator.venue.book import Quote, Span, sweep
from services.emulator.venue.ledger import Ledger
from services.emulator.venue.margin import ZERO, amount
from services.emulator.venue.model import Position
from services.emulator.venue.orders import DELISTED, LIQUIDATED, Orders


def watch(ledger: Ledger, orders: Orders, algos: Algos, quote: Quote, symbol: str) -> None:
    """Test the position of ``symbol`` at the mark of ``quote``: liquidate, or warn once per approach."""
    position = ledger.account.positions.get(symbol)
    if position is None or not position.amt:
        return
    if ledger.setup(symbol).isolated:
        balance = position.isolated_wallet + ledger.unrealized(position)
        needed = ledger.maintenance(position)
        if balance <= needed:
            _take_over(ledger, orders, algos, position, quote.ts_ms)
        else:
            position.called = _warn(ledger, position, balance, needed, quote, position.called, "")
        return
    cross = [p for p in ledger.held() if not ledger.setup(p.symbol).isolated]
    balance = ledger.cross_wallet() + sum((ledger.unrealized(p) for p in cross), ZERO)
    needed = sum((ledger.maintenance(p) for p in cross), ZERO)
    if balance <= needed:
        for taken in sorted(cross, key=lambda p: (ledger.unrealized(p), p.symbol)):  # the largest loss first
            _take_over(ledger, orders, algos, taken, quote.ts_ms)
    else:
        wallet = payloads.money(ledger.cross_wallet())
        ledger.account.cross_called = _warn(
            ledger, position, balance, needed, quote, ledger.account.cross_called, wallet
        )


def quiet(ledger: Ledger, positions: list[Position], wallet: Decimal, spans: Mapping[str, Span]) -> bool:
    """Whether ``wallet`` carries ``positions`` without a warning while marks stay within ``spans``.

    Every position at its worst mark and at its greatest notional, all at once: never true when it should not be.
    """
    balance, needed = wallet, ZERO
    for position in positions:
        span = spans[position.symbol]
        worst = span.mark_low if position.amt > 0 else span.mark_high
        balance += margin.unrealized(position.amt, position.entry, worst)
        tiers = ledger.contracts[position.symbol].tiers
        needed += margin.maintenance(tiers, abs(position.amt) * span.mark_high)
    return needed < balance and needed <= balance * Decimal(ledger.switches.margin_call_ratio)


def _warn(
    ledger: Ledger, position: Position, balance: Decimal, needed: Decimal, quote: Quote, called: bool, cross: str
) -> bool:
    """MARGIN_CALL when the ratio passes its mark; returns whether it has."""
    high = needed > balance * Decimal(ledger.switches.margin_call_ratio)
    if high and not called:
        contract = ledger.contracts[position.symbol]
        ledger.emit(
            payloads.margin_call(contract, position, quote.mark, ledger.maintenance(position), quote.ts_ms, cross)
        )
    return high


def _take_over(ledger: Ledger, orders: Orders, algos: Algos, position: Position, now_ms: int) -> None:
    """Close the whole position through the book, in one go, and settle with the insurance fund.

    An isolated wallet is gone in any case: what the close leaves is the clearance fee and residue for the fund, what it
    lacks the fund pays (INSURANCE_CLEAR, of either sign). A cross account keeps what is left after the clearance fee,
    and never owes.
    """
    symbol, contract = position.symbol, ledger.contracts[position.symbol]
    quote = ledger.quote_of(symbol)
    for order in ledger.orders_of(symbol):
        orders.end(order, "EXPIRED", now_ms, LIQUIDATED)
    isolated, wallet = ledger.setup(symbol).isolated, position.isolated_wallet
    qty, side = abs(position.amt), "SELL" if position.amt > 0 else "BUY"
    order = orders.make(
        contract, side, "LIMIT", "IOC", qty, _bankruptcy(ledger, position), now_ms, "", reduce_only=True
    )
    order.client_id, order.orig_type = f"autoclose-{now_ms}{order.id % 1000:03d}", "LIQUIDATION"
    orders.accept(order, now_ms)
    fills = sweep(contract, quote, side, qty)
    missing = qty - sum((size for _, size in fills), ZERO)
    if missing:
        fills.append((fills[-1][0] if fills else quote.last, missing))
    pnl = sum((ledger.fill(order, price, size, now_ms, liquidation=True).pnl for price, size in fills), ZERO)
    if isolated:
        ledger.book("INSURANCE_CLEAR", symbol, -(wallet + pnl), now_ms)
    else:
        left = ledger.cross_wallet()
        fee = amount(order.quote * contract.liquidation_fee)
        ledger.book("INSURANCE_CLEAR", symbol, -left if left < 0 else -min(fee, left), now_ms)
    ledger.emit(ledger.account_event("INSURANCE_CLEAR", [position], now_ms))
    algos.settle(symbol, now_ms)


def _bankruptcy(ledger: Ledger, position: Position) -> Decimal:
    """Price at which nothing of the margin would be left, on the tick; at least one tick."""
    contract = ledger.contracts[position.symbol]
    wallet = position.isolated_wallet if ledger.setup(position.symbol).isolated else ledger.cross_wallet()
    price = position.entry - wallet / position.amt
    return max(price // contract.tick * contract.tick, contract.tick)


def deleverage(ledger: Ledger, orders: Orders, algos: Algos, symbol: str, part: Decimal, now_ms: int) -> bool:
    """Take ``part`` (at least a step) of the position for somebody else's bankruptcy, at the mark and without a fee."""
    position, contract = ledger.account.positions.get(symbol), ledger.contracts[symbol]
    if position is None or not position.amt:
        return False
    qty = min(max(abs(position.amt) * part // contract.step * contract.step, contract.step), abs(position.amt))
    mark = ledger.quote_of(symbol).mark
    price = max(mark // contract.tick * contract.tick, contract.tick)
    side = "SELL" if position.amt > 0 else "BUY"
    order = orders.make(contract, side, "LIMIT", "IOC", qty, price, now_ms, "adl_autoclose", reduce_only=True)
    orders.accept(order, now_ms)
    ledger.fill(order, price, qty, now_ms, liquidation=True)
    orders.settle(symbol, now_ms)
    algos.settle(symbol, now_ms)
    return True


def deliver(ledger: Ledger, orders: Orders, algos: Algos, symbol: str, now_ms: int) -> None:
    """The contract has ended: open orders expire, a position is settled at the last mark, without a fee (§8.6)."""
    for order in ledger.orders_of(symbol):
        orders.end(order, "EXPIRED", now_ms, DELISTED)
    position = ledger.account.positions.get(symbol)
    if position is not None and position.amt:
        contract, mark = ledger.contracts[symbol], ledger.quote_of(symbol).mark
        side = "SELL" if position.amt > 0 else "BUY"
        order = orders.make(
            contract, side, "LIMIT", "IOC", abs(position.amt), mark // contract.tick * contract.tick, now_ms,
            f"settlement_autoclose-{now_ms}", reduce_only=True,
        )  # fmt: skip
        orders.accept(order, now_ms)
        ledger.fill(order, mark, order.qty, now_ms, liquidation=True)
    algos.settle(symbol, now_ms)
    algos.drop(symbol, now_ms)
