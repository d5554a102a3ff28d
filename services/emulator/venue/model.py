"""What an account holds: values only. Amounts are ``Decimal`` in quote or base units, times in market ms."""

from dataclasses import dataclass, field, is_dataclass
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

ZERO = Decimal(0)
OPEN = ("NEW", "PARTIALLY_FILLED")
LIVE = ("NEW", "TRIGGERING", "TRIGGERED")  # of a conditional order


@dataclass(slots=True)
class Position:
    """One-way: ``amt`` is signed. ``isolated_wallet`` is 0 for a cross position. ``carried``: fees and funding paid
    less profit taken since it opened (moves the break-even price). ``realized``: profit of its whole life."""

    symbol: str
    amt: Decimal = ZERO
    entry: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    realized: Decimal = ZERO
    carried: Decimal = ZERO
    updated_ms: int = 0
    called: bool = False  # MARGIN_CALL was sent and the ratio has not recovered since


@dataclass(slots=True)
class Setup:
    """Settings of one symbol."""

    leverage: int = 20
    isolated: bool = False


@dataclass(slots=True)
class Order:
    """A regular order. ``quote`` is the sum of price x quantity of its fills."""

    id: int
    client_id: str
    symbol: str
    side: str
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    time_ms: int
    reduce_only: bool = False
    close_position: bool = False
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    status: str = "NEW"
    updated_ms: int = 0
    algo_id: int = 0
    orig_type: str = ""
    stp: str = "EXPIRE_MAKER"
    working_type: str = "CONTRACT_PRICE"
    price_match: str = "NONE"
    good_till_ms: int = 0
    due_ms: int = 0  # a market order that reaches the book so late (a fault)
    changes: int = 0
    modify_id: int | None = None

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1

    @property
    def left(self) -> Decimal:
        return self.qty - self.executed

    @property
    def average(self) -> Decimal:
        return self.quote / self.executed if self.executed else ZERO


@dataclass(slots=True)
class Algo:
    """A conditional order. ``qty`` is 0 with ``close_position``.

    A trailing one has no trigger: ``callback`` in percent from the ``extreme`` since it was ``activated``, at once
    when ``activate`` is 0.
    """

    id: int
    client_id: str
    symbol: str
    side: str
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    trigger: Decimal
    working_type: str
    time_ms: int
    reduce_only: bool = False
    close_position: bool = False
    price_protect: bool = False
    status: str = "NEW"
    updated_ms: int = 0
    trigger_ms: int = 0
    child_id: int = 0
    reason: str = ""
    stp: str = "EXPIRE_MAKER"
    price_match: str = "NONE"
    activate: Decimal = ZERO
    callback: Decimal = ZERO
    activated: bool = False
    extreme: Decimal = ZERO

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1

    @property
    def trailing(self) -> bool:
        return self.type == "TRAILING_STOP_MARKET"

    @property
    def child_type(self) -> str:
        return "MARKET" if self.type.endswith("_MARKET") else "LIMIT"


@dataclass(slots=True)
class Trade:
    id: int
    order_id: int
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    pnl: Decimal
    fee: Decimal
    maker: bool
    time_ms: int


@dataclass(slots=True)
class Income:
    """A change of the wallet; the wallet is the sum of all of them."""

    tran_id: int
    kind: str
    symbol: str
    amount: Decimal
    time_ms: int
    trade_id: str = ""
    info: str = ""


@dataclass(slots=True)
class Amendment:
    """A change of a resting order."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    price: tuple[Decimal, Decimal]  # before, after
    qty: tuple[Decimal, Decimal]
    count: int
    time_ms: int


@dataclass(slots=True)
class Account:
    """Everything of one account. Counters make every id; ``listen_serial`` the listen key, ``listen_open`` its life."""

    name: str
    wallet: Decimal = ZERO
    dual_side: bool = False
    multi_assets: bool = False
    tradifi_signed: bool = False
    fee_burn: bool = False
    leverage_default: int = 20
    positions: dict[str, Position] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    algos: dict[int, Algo] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    incomes: list[Income] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)
    countdowns: dict[str, int] = field(default_factory=dict)  # when the orders of a symbol are cancelled (ms)
    next_order: int = 0
    next_algo: int = 0
    next_trade: int = 0
    next_tran: int = 0
    forgotten: dict[str, Decimal] = field(default_factory=dict)  # sums of rows too old to keep, see ``venue._forget``
    listen_serial: int = 0
    listen_open: bool = False
    cross_called: bool = False


def dump(value: Any) -> Any:
    """``value`` in the words of JSON; amounts as text, exactly."""
    return orjson.loads(orjson.dumps(value, str, orjson.OPT_NON_STR_KEYS))


def load(kind: Any, value: Any) -> Any:
    """The inverse of ``dump`` for a value of type ``kind``; ``TypeError`` or ``KeyError`` when it does not fit."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else load(next(k for k in inner if k is not type(None)), value)
    if origin is dict:
        return {inner[0](key): load(inner[1], item) for key, item in value.items()}
    if origin is tuple:
        return tuple(load(one, item) for one, item in zip(inner, value, strict=True))
    if origin is list:
        return [load(inner[0], item) for item in value]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: load(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    return kind(value)
