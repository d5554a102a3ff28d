"""Answers of the trading endpoints, typed, and their translation (reference §2.4, §6). Lax, like ``codec``.

A field that decides nothing has a default, so that its loss does not cost the record.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from packages.exchange.trading import (
    Account,
    AccountConfig,
    AlgoOrder,
    AlgoStatus,
    ApiPermissions,
    Balance,
    Commission,
    Income,
    Order,
    OrderStatus,
    Position,
    PositionMode,
    Side,
    SymbolConfig,
    Trade,
)

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
ZERO = Decimal(0)


class _Order(msgspec.Struct, rename="camel"):
    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    type: str
    status: OrderStatus
    orig_qty: Decimal
    executed_qty: Decimal
    price: Decimal = ZERO
    avg_price: str | None = None  # left these answers in July 2026 (reference §6.1)
    reduce_only: bool = False
    close_position: bool = False
    time_in_force: str = ""
    update_time: int = 0


class _Algo(msgspec.Struct, rename="camel"):
    symbol: str
    algo_id: int
    client_algo_id: str
    side: Side
    algo_status: AlgoStatus
    order_type: str = ""
    type: str = ""  # seen instead of orderType
    trigger_price: str = ""
    working_type: str = ""
    price_protect: bool = False
    close_position: bool = False
    reduce_only: bool = False
    quantity: str | None = None
    actual_order_id: str | int | None = None
    actual_qty: str | None = None
    update_time: int = 0


class _Position(msgspec.Struct, rename="camel"):
    symbol: str
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal
    un_realized_profit: Decimal
    liquidation_price: str = ""
    isolated_margin: Decimal = ZERO
    notional: Decimal = ZERO
    initial_margin: Decimal = ZERO
    maint_margin: Decimal = ZERO
    position_side: str = "BOTH"
    update_time: int = 0


class _Account(msgspec.Struct, rename="camel"):
    total_wallet_balance: Decimal
    total_unrealized_profit: Decimal
    total_margin_balance: Decimal
    available_balance: Decimal
    total_initial_margin: Decimal
    total_maint_margin: Decimal


class _Balance(msgspec.Struct, rename="camel"):
    asset: str
    balance: Decimal
    cross_wallet_balance: Decimal
    available_balance: Decimal
    cross_un_pnl: Decimal = ZERO
    update_time: int = 0


class _AccountConfig(msgspec.Struct, rename="camel"):
    can_trade: bool
    dual_side_position: bool
    multi_assets_margin: bool
    fee_tier: int = 0


class _SymbolConfig(msgspec.Struct, rename="camel"):
    symbol: str
    margin_type: str
    leverage: int
    is_auto_add_margin: bool = False  # also as text
    max_notional_value: Decimal = ZERO


class _Dual(msgspec.Struct, rename="camel"):
    dual_side_position: bool


class _FeeBurn(msgspec.Struct, rename="camel"):
    fee_burn: bool


class _Leverage(msgspec.Struct):
    leverage: int


class _ListenKey(msgspec.Struct, rename="camel"):
    listen_key: str = ""  # PUT used to answer {}


class _Commission(msgspec.Struct, rename="camel"):
    symbol: str
    maker_commission_rate: Decimal
    taker_commission_rate: Decimal


class _Trade(msgspec.Struct, rename="camel"):
    symbol: str
    id: int
    order_id: int
    side: Side
    price: Decimal
    qty: Decimal
    time: int
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str
    quote_qty: Decimal | None = None
    maker: bool = False


class _Income(msgspec.Struct, rename="camel"):
    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int
    symbol: str | None = None
    trade_id: str | int | None = None
    info: str | None = None


class _Restrictions(msgspec.Struct, rename="camel"):
    enable_reading: bool | None = None
    enable_futures: bool | None = None
    enable_withdrawals: bool | None = None
    enable_internal_transfer: bool | None = None
    permits_universal_transfer: bool | None = None
    ip_restrict: bool | None = None


class _Done(msgspec.Struct):
    """What a cancel or a setting answers; the code is a number, or the same as text (reference §2.2).

    A cancelled conditional order has been seen to come back whole instead, then there is no code.
    """

    code: int = 200
    msg: str = ""


def finite(record: S) -> S:
    """``record``, or ``ValueError``: a NaN in an amount would compare as nothing at all."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(f"{name}: got {value}, expected a finite number")
    return record


def _one(kind: type[S], translate: Callable[[S], T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(kind, strict=False)
    return lambda body: translate(finite(decoder.decode(body)))


def _many(kind: type[S], translate: Callable[[S], T]) -> Callable[[bytes], list[T]]:
    """A list, or one object in its place: the exchange does both."""
    rows = msgspec.json.Decoder(list[kind] | kind, strict=False)  # type: ignore[valid-type]

    def decode(body: bytes) -> list[T]:
        found = rows.decode(body)
        return [translate(finite(row)) for row in (found if isinstance(found, list) else [found])]

    return decode


def number(text: str | None) -> Decimal | None:
    """A finite decimal, or None for what is empty or no number."""
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None


def order_id_of(value: str | int | None) -> int | None:
    """The id of a child order: text, empty or 0 before there is one."""
    text = str(value or "").strip()
    return int(text) if text.isdigit() and int(text) > 0 else None


def _order(row: _Order) -> Order:
    return Order(
        symbol=row.symbol,
        order_id=row.order_id,
        client_id=row.client_order_id,
        side=row.side,
        type=row.type,
        status=row.status,
        quantity=row.orig_qty,
        filled=row.executed_qty,
        price=row.price,
        avg_price=number(row.avg_price) or None,
        reduce_only=row.reduce_only,
        close_position=row.close_position,
        time_in_force=row.time_in_force,
        update_ts_ms=row.update_time,
    )


def _algo(row: _Algo) -> AlgoOrder:
    return AlgoOrder(
        symbol=row.symbol,
        algo_id=row.algo_id,
        client_id=row.client_algo_id,
        side=row.side,
        type=row.order_type or row.type,
        status=row.algo_status,
        trigger_price=number(row.trigger_price) or ZERO,
        working_type=row.working_type,
        price_protect=row.price_protect,
        close_position=row.close_position,
        reduce_only=row.reduce_only,
        quantity=None if row.close_position else number(row.quantity),
        child_order_id=order_id_of(row.actual_order_id),
        child_filled=number(row.actual_qty),
        update_ts_ms=row.update_time,
    )


def _position(row: _Position) -> Position:
    return Position(
        symbol=row.symbol,
        amount=row.position_amt,
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        unrealized_pnl=row.un_realized_profit,
        liquidation_price=number(row.liquidation_price) or None,
        isolated_margin=row.isolated_margin,
        notional=row.notional,
        initial_margin=row.initial_margin,
        maint_margin=row.maint_margin,
        update_ts_ms=row.update_time,
        side=row.position_side,
    )


def _account(row: _Account) -> Account:
    return Account(
        wallet_balance=row.total_wallet_balance,
        unrealized_pnl=row.total_unrealized_profit,
        margin_balance=row.total_margin_balance,
        available_balance=row.available_balance,
        initial_margin=row.total_initial_margin,
        maint_margin=row.total_maint_margin,
    )


def _balance(row: _Balance) -> Balance:
    return Balance(
        row.asset, row.balance, row.cross_wallet_balance, row.cross_un_pnl, row.available_balance, row.update_time
    )


def _trade(row: _Trade) -> Trade:
    return Trade(
        symbol=row.symbol,
        trade_id=row.id,
        order_id=row.order_id,
        side=row.side,
        price=row.price,
        quantity=row.qty,
        quote_quantity=row.price * row.qty if row.quote_qty is None else row.quote_qty,
        realized_pnl=row.realized_pnl,
        commission=row.commission,
        commission_asset=row.commission_asset,
        maker=row.maker,
        ts_ms=row.time,
    )


def _income(row: _Income) -> Income:
    return Income(
        kind=row.income_type,
        transaction_id=row.tran_id,
        symbol=row.symbol or None,
        asset=row.asset,
        amount=row.income,
        trade_id=order_id_of(row.trade_id),
        info=row.info or "",
        ts_ms=row.time,
    )


def _permissions(row: _Restrictions) -> ApiPermissions:
    return ApiPermissions(
        reading=row.enable_reading,
        futures=row.enable_futures,
        withdrawals=row.enable_withdrawals,
        internal_transfer=row.enable_internal_transfer,
        universal_transfer=row.permits_universal_transfer,
        ip_restricted=row.ip_restrict,
    )


def _done(row: _Done) -> None:
    if row.code != 200:
        raise ValueError(f"code {row.code} in an answer with status 200: {row.msg[:200]}")


# Each raises ``msgspec.DecodeError`` or ``ValueError`` for what it cannot read.
decode_order = _one(_Order, _order)
decode_orders = _many(_Order, _order)
decode_algo = _one(_Algo, _algo)
decode_algos = _many(_Algo, _algo)
decode_positions = _many(_Position, _position)
decode_account = _one(_Account, _account)
decode_balances = _many(_Balance, _balance)
decode_trades = _many(_Trade, _trade)
decode_incomes = _many(_Income, _income)
decode_permissions = _one(_Restrictions, _permissions)
decode_done = _one(_Done, _done)
decode_account_config = _one(
    _AccountConfig, lambda r: AccountConfig(r.can_trade, r.dual_side_position, r.multi_assets_margin, r.fee_tier)
)
decode_symbol_configs = _many(
    _SymbolConfig,
    lambda r: SymbolConfig(
        r.symbol, r.margin_type.upper() == "ISOLATED", r.is_auto_add_margin, r.leverage, r.max_notional_value
    ),
)
decode_position_mode = _one(_Dual, lambda r: PositionMode.HEDGE if r.dual_side_position else PositionMode.ONE_WAY)
decode_fee_burn = _one(_FeeBurn, lambda r: r.fee_burn)
decode_listen_key = _one(_ListenKey, lambda r: r.listen_key)
decode_leverage = _one(_Leverage, lambda r: r.leverage)
decode_commission = _one(_Commission, lambda r: Commission(r.symbol, r.maker_commission_rate, r.taker_commission_rate))
