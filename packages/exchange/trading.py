"""Trading in our words: what execution may ask of an account, and what it is told. No client library shows through.

Money, prices and quantities are exact decimals; ``quantity`` is in base units, an ``amount`` is signed (+ long). Times
are epoch milliseconds of the exchange. One-way mode only. An order is found by the client id it was sent with (D3).
"""

from collections.abc import AsyncIterator
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from packages.common.types import QualityEvent
from packages.exchange.port import Connected, Disconnected

T = TypeVar("T")


class _Open(StrEnum):
    """A set of words that the exchange extends at times: a new one reads as ``UNKNOWN`` and stops nothing."""

    @classmethod
    def _missing_(cls, value: object) -> "_Open":
        return cls("UNKNOWN")


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"  # post only


class OrderStatus(_Open):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    NEW_INSURANCE = "NEW_INSURANCE"  # a liquidation taken over by the insurance fund
    NEW_ADL = "NEW_ADL"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        """Nothing will fill any more."""
        return self in _TERMINAL_ORDER


class Execution(_Open):
    """What just happened to an order."""

    NEW = "NEW"
    TRADE = "TRADE"
    CALCULATED = "CALCULATED"  # a fill of a liquidation
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    AMENDMENT = "AMENDMENT"
    UNKNOWN = "UNKNOWN"


class AlgoStatus(_Open):
    """Life of a conditional order (reference §2.5). What its child filled says only ``child_filled``."""

    NEW = "NEW"
    TRIGGERING = "TRIGGERING"  # on its way to the matching engine; may get stuck there
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"  # the child is filled or cancelled
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"  # by the exchange, as when the position is gone
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL_ALGO


_TERMINAL_ORDER = frozenset(
    {
        *(OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED),
        *(OrderStatus.EXPIRED, OrderStatus.EXPIRED_IN_MATCH),
    }
)
_TERMINAL_ALGO = frozenset({AlgoStatus.FINISHED, AlgoStatus.CANCELED, AlgoStatus.EXPIRED, AlgoStatus.REJECTED})


# --- outcomes --------------------------------------------------------------------------------------------------------


class RejectReason(StrEnum):
    """What a definite no means; the exchange's own number is beside it."""

    WOULD_TRIGGER = "WOULD_TRIGGER"  # the price is through the trigger already (execution.md 9)
    STOP_EXISTS = "STOP_EXISTS"  # a closePosition order of that kind and side is there (7)
    NO_POSITION = "NO_POSITION"  # closePosition without a position: nothing seen yet, or flat again (3, 6)
    REDUCE_ONLY = "REDUCE_ONLY"  # flat, or own reduce-only orders stand in the way (11)
    PRICE_BAND = "PRICE_BAND"  # outside the band around the mark (12)
    TRIGGERING = "TRIGGERING"  # too late to cancel: events will tell
    NOT_FOUND = "NOT_FOUND"  # this order is not open (any more) at this endpoint
    DUPLICATE_ID = "DUPLICATE_ID"  # an open order has this id
    NOT_FILLABLE = "NOT_FILLABLE"  # FOK, post-only, an empty book
    MARGIN = "MARGIN"  # not enough of it, or leverage and size do not go together
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"  # open ones
    RATE_LIMITED = "RATE_LIMITED"  # the exchange wants silence for ``retry_after_ms``
    NO_ROOM = "NO_ROOM"  # never left: our own limits have no room for ``retry_after_ms``
    NOT_SENT = "NOT_SENT"  # never left: no connection
    OFF_GRID = "OFF_GRID"  # no multiple of the symbol's tick or step
    RULES_CHANGED = "RULES_CHANGED"  # the same, by rules that have changed; they have been read anew since
    CLOCK = "CLOCK"  # our time was wrong; it has been set since
    SYMBOL = "SYMBOL"  # not tradable
    ACCOUNT = "ACCOUNT"  # key, permission, account state: no trading until an operator has looked
    UNCHANGED = "UNCHANGED"  # it is so already
    BAD_REQUEST = "BAD_REQUEST"  # repeating cannot help


class Accepted(msgspec.Struct, Generic[T], frozen=True):
    """The exchange took it; fills come from the user stream, whatever ``record`` says of them."""

    record: T


class Rejected(msgspec.Struct, frozen=True):
    """It did not happen, for certain. ``code``: the exchange's, None when it was not the exchange who refused."""

    reason: RejectReason
    code: int | None
    message: str
    retry_after_ms: int | None = None


class Unknown(msgspec.Struct, frozen=True):
    """It may have happened, or may still happen until the exchange's clock has passed ``dead_after_ts_ms``, when its
    ``recvWindow`` is over (execution.md 2). Ask before acting."""

    why: str
    code: int | None
    dead_after_ts_ms: int


Outcome = Accepted[T] | Rejected | Unknown
OrderRef = str | int


# --- records ---------------------------------------------------------------------------------------------------------


class Order(msgspec.Struct, frozen=True):
    """A regular order as a request returns it. ``avg_price`` None: not said (most answers do not)."""

    symbol: str
    order_id: int
    client_id: str
    side: Side
    type: str
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal
    avg_price: Decimal | None
    reduce_only: bool
    close_position: bool
    time_in_force: str
    update_ts_ms: int


class AlgoOrder(msgspec.Struct, frozen=True):
    """A conditional order; its id space is not that of orders. ``quantity`` None: it closes the position.

    ``child_order_id``: the regular order that its trigger made; ``child_filled`` of that, None when not said.
    """

    symbol: str
    algo_id: int
    client_id: str
    side: Side
    type: str
    status: AlgoStatus
    trigger_price: Decimal
    working_type: str
    price_protect: bool
    close_position: bool
    reduce_only: bool
    quantity: Decimal | None
    child_order_id: int | None
    child_filled: Decimal | None
    update_ts_ms: int


class Position(msgspec.Struct, frozen=True):
    """An open position, or a flat symbol with open orders (amount 0). ``liquidation_price`` None: there is none."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal | None
    isolated_margin: Decimal
    notional: Decimal
    initial_margin: Decimal
    maint_margin: Decimal
    update_ts_ms: int
    side: str = "BOTH"  # anything else means hedge mode


class Account(msgspec.Struct, frozen=True):
    """Totals in quote units; ``margin_balance`` is wallet and unrealized PnL together: the equity."""

    wallet_balance: Decimal
    unrealized_pnl: Decimal
    margin_balance: Decimal
    available_balance: Decimal
    initial_margin: Decimal
    maint_margin: Decimal


class Balance(msgspec.Struct, frozen=True):
    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    cross_unrealized_pnl: Decimal
    available_balance: Decimal
    update_ts_ms: int


class AccountConfig(msgspec.Struct, frozen=True):
    """What live trading is refused over (execution.md 17)."""

    can_trade: bool
    hedge_mode: bool
    multi_assets: bool
    fee_tier: int


class SymbolConfig(msgspec.Struct, frozen=True):
    symbol: str
    isolated: bool
    auto_add_margin: bool
    leverage: int
    max_notional: Decimal


class PositionMode(StrEnum):
    ONE_WAY = "one_way"
    HEDGE = "hedge"


class Commission(msgspec.Struct, frozen=True):
    """Fee rates as fractions of the notional."""

    symbol: str
    maker: Decimal
    taker: Decimal


class Trade(msgspec.Struct, frozen=True):
    """A fill of the account, by its id unique in its symbol. ``commission`` as the exchange signs it: + is paid."""

    symbol: str
    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    ts_ms: int


class Income(msgspec.Struct, frozen=True):
    """A booking on the wallet; ``transaction_id`` is unique within its ``kind`` only."""

    kind: str
    transaction_id: int
    symbol: str | None
    asset: str
    amount: Decimal
    trade_id: int | None
    info: str
    ts_ms: int


class ApiPermissions(msgspec.Struct, frozen=True):
    """What the key may do; None: the exchange did not say."""

    reading: bool | None
    futures: bool | None
    withdrawals: bool | None
    internal_transfer: bool | None
    universal_transfer: bool | None
    ip_restricted: bool | None


class PermissionFault(StrEnum):
    """Why a key is refused at the start of live trading."""

    WITHDRAWALS_ALLOWED = "KEY_WITHDRAWALS_ALLOWED"
    WITHDRAWALS_UNSAID = "KEY_WITHDRAWALS_UNSAID"
    FUTURES_NOT_ALLOWED = "KEY_FUTURES_NOT_ALLOWED"
    READING_NOT_ALLOWED = "KEY_READING_NOT_ALLOWED"


def permission_faults(permissions: ApiPermissions | None) -> tuple[PermissionFault, ...]:
    """Every reason not to trade with this key, empty when there is none. What is not known is not allowed."""
    if permissions is None:
        return (PermissionFault.WITHDRAWALS_UNSAID,)
    tests = {
        PermissionFault.WITHDRAWALS_ALLOWED: permissions.withdrawals is True,
        PermissionFault.WITHDRAWALS_UNSAID: permissions.withdrawals is None,
        PermissionFault.FUTURES_NOT_ALLOWED: permissions.futures is not True,
        PermissionFault.READING_NOT_ALLOWED: permissions.reading is not True,
    }
    return tuple(fault for fault, found in tests.items() if found)


# --- requests --------------------------------------------------------------------------------------------------------


class Trading(Protocol):
    """One account.

    What places or cancels is sent at most once and returns an ``Outcome``; it raises only ``InvalidInputError``, before
    anything left. What reads is retried within limits and raises ``VenueError``. What can only reduce a position,
    cancels and reads of what protects one go first and use the reserve of the limits; an entry that would have to
    wait is not sent. A ``ref`` is a client id (text) or the exchange's own number.
    """

    async def place_market(
        self, symbol: str, side: Side, quantity: Decimal, client_id: str, *, reduce_only: bool
    ) -> Outcome[Order]:
        """MARKET; ``quantity`` on the market lot's grid."""

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
        """LIMIT; both numbers on their grids."""

    async def place_stop(
        self, symbol: str, side: Side, trigger_price: Decimal, client_id: str, *, quantity: Decimal | None = None
    ) -> Outcome[AlgoOrder]:
        """STOP_MARKET on the mark price: closes the position, or reduces it by ``quantity`` (execution.md 5)."""

    async def place_take_profit(
        self, symbol: str, side: Side, trigger_price: Decimal, client_id: str, *, quantity: Decimal | None = None
    ) -> Outcome[AlgoOrder]:
        """TAKE_PROFIT_MARKET, otherwise the same."""

    async def cancel_order(self, symbol: str, ref: OrderRef) -> Outcome[Order]:
        """Cancel a regular order, also the child of a triggered one (by its number: it may have another client id)."""

    async def cancel_algo(self, ref: OrderRef) -> Outcome[None]:
        """Cancel a conditional order that has not triggered."""

    async def cancel_all_orders(self, symbol: str) -> Outcome[None]:
        """Every regular order of a symbol; conditional ones stay."""

    async def cancel_all_algos(self, symbol: str) -> Outcome[None]:
        """Every conditional order of a symbol; only when its position is known to be zero (execution.md 12)."""

    async def query_order(self, symbol: str, ref: OrderRef) -> Order | None:
        """The order now; None when the exchange does not find it, which alone proves nothing (execution.md 2)."""

    async def query_algo(self, ref: OrderRef) -> AlgoOrder | None:
        """The conditional order now; None as above, and also for one that has just finished."""

    async def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Regular orders in the book."""

    async def open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Conditional orders that have not triggered; those of the regular list are not among them."""

    async def algo_history(self, symbol: str, *, from_algo_id: int | None = None, limit: int = 100) -> list[AlgoOrder]:
        """Conditional orders of any state, from an id upward: finds what ``query_algo`` misses."""

    async def positions(self, symbol: str | None = None) -> list[Position]:
        """Symbols with a position or open orders."""

    async def account(self) -> Account:
        """Totals."""

    async def balances(self) -> list[Balance]:
        """Per asset."""

    async def account_config(self) -> AccountConfig:
        """Modes of the account."""

    async def symbol_config(self, symbol: str | None = None) -> list[SymbolConfig]:
        """Leverage and margin mode, also of flat symbols."""

    async def fees_in_bnb(self) -> bool:
        """True when fees are taken in BNB."""

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        """Set it; returns what holds now. Safe to repeat."""

    async def set_isolated(self, symbol: str) -> None:
        """Isolated margin; already so is success."""

    async def position_mode(self) -> PositionMode:
        """One way or hedge, shared with COIN-M."""

    async def set_one_way(self) -> None:
        """One-way mode; already so is success."""

    async def commission_rate(self, symbol: str) -> Commission:
        """Fee rates of the account."""

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
        """Fills, ascending; times half-open and at most 7 days apart, from an id, or of one order."""

    async def income(
        self, start_ms: int, end_ms: int, *, kind: str | None = None, page: int = 1, limit: int = 1000
    ) -> list[Income]:
        """Bookings with ``start_ms <= ts_ms < end_ms``, ascending; a page shorter than ``limit`` is the last."""

    async def api_permissions(self) -> ApiPermissions | None:
        """What the key may do; None where the venue has no such answer. See ``permission_faults``."""

    async def create_listen_key(self) -> str:
        """The key of the user stream; an active one is returned again and lives 60 more minutes."""

    async def keep_listen_key(self) -> str:
        """Extend it; returns the active one. ``VenueRejectedError`` (-1125) when there is none."""

    async def close_listen_key(self) -> None:
        """End it for every reader of the account. For tools: a desk never does (execution.md 20)."""


# --- the user stream -------------------------------------------------------------------------------------------------


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a regular order, ours or the exchange's own; ``last_*`` and ``trade_id`` are of a fill."""

    event_ts_ms: int
    ts_ms: int
    symbol: str
    order_id: int
    client_id: str
    side: Side
    type: str
    execution: Execution
    status: OrderStatus
    quantity: Decimal
    price: Decimal
    avg_price: Decimal
    filled: Decimal
    last_quantity: Decimal
    last_price: Decimal
    trade_id: int | None
    commission: Decimal
    commission_asset: str | None
    realized_pnl: Decimal
    maker: bool
    reduce_only: bool
    close_position: bool
    expiry_reason: int  # reference §5.2, er; 0: none, -1: not a number
    position_side: str


class FillNotice(msgspec.Struct, frozen=True, gc=False):
    """A fill, told early and without its costs; the ``OrderUpdate`` with the same ``trade_id`` follows."""

    event_ts_ms: int
    ts_ms: int
    symbol: str
    order_id: int
    client_id: str
    side: Side
    last_quantity: Decimal
    last_price: Decimal
    trade_id: int
    maker: bool


class AlgoUpdate(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a conditional order. Its child's fills may come before or after (reference §2.5)."""

    event_ts_ms: int
    ts_ms: int
    symbol: str
    algo_id: int
    client_id: str
    side: Side
    type: str
    status: AlgoStatus
    trigger_price: Decimal
    working_type: str
    close_position: bool
    reduce_only: bool
    quantity: Decimal
    child_order_id: int | None
    child_avg_price: Decimal
    child_filled: Decimal
    trigger_ts_ms: int | None
    reject_message: str


class BalanceChange(msgspec.Struct, frozen=True, gc=False):
    """``change``: what neither PnL nor fees made."""

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    change: Decimal


class PositionChange(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    amount: Decimal
    entry_price: Decimal
    break_even_price: Decimal
    realized_pnl: Decimal  # accumulated, before fees
    unrealized_pnl: Decimal
    isolated: bool
    isolated_wallet: Decimal
    side: str


class AccountUpdate(msgspec.Struct, frozen=True):
    """Balances and positions that changed, and only those. ``reason``: ORDER, FUNDING_FEE, … (reference §5.2)."""

    event_ts_ms: int
    ts_ms: int
    reason: str
    balances: tuple[BalanceChange, ...]
    positions: tuple[PositionChange, ...]
    funding_symbol: str | None


class ConfigUpdate(msgspec.Struct, frozen=True, gc=False):
    """Leverage of a symbol, or the multi-assets mode of the account, was changed by someone."""

    event_ts_ms: int
    symbol: str | None
    leverage: int | None
    multi_assets: bool | None


class MarginRisk(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    amount: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    maint_margin: Decimal
    isolated_wallet: Decimal


class MarginCall(msgspec.Struct, frozen=True):
    """Positions near their liquidation; guidance only, it need not come."""

    event_ts_ms: int
    positions: tuple[MarginRisk, ...]


class ListenKeyExpired(msgspec.Struct, frozen=True, gc=False):
    """No event comes on this connection any more; a new key and connection follow by themselves."""

    event_ts_ms: int


UserEvent = OrderUpdate | FillNotice | AlgoUpdate | AccountUpdate | ConfigUpdate | MarginCall | ListenKeyExpired
UserItem = UserEvent | Connected | Disconnected | QualityEvent


class UserStreamStats(msgspec.Struct, frozen=True):
    """A user stream is silent by nature: alive means connected and answering pings."""

    connected: bool
    frame_age_ms: float | None  # wall time
    connected_age_ms: float | None
    frames: int
    reconnects: int
    bad_frames: int
    pending: int


class UserStream(Protocol):
    """The account's events, at least in part out of order and at times twice.

    ``Disconnected`` opens a gap and ``Connected`` ends it: what lies between comes from REST only, so take snapshots
    after every ``Connected``, then apply what came since. A ``QualityEvent`` with code ``BAD_FRAME`` is a gap too: an
    event was lost.
    """

    def batches(self) -> AsyncIterator[list[UserItem]]:
        """Lists of what came since the last one; ends when the stream is closed."""

    async def reconnect(self, reason: str) -> None:
        """Give up this connection for a new one, as when an own order was not echoed."""

    def stats(self) -> UserStreamStats: ...
