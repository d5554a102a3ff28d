"""Parameters of trading requests and the filters of a contract, with the exchange's codes and texts."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from services.emulator.params import ApiError, missing, number
from services.emulator.venue.book import Quote
from services.emulator.venue.contract import Contract

_CLIENT_ID = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")
_NUMBER = re.compile(r"^[0-9]{1,20}(\.[0-9]{1,20})?$")
_SIGNED = re.compile(r"^-?[0-9]{1,20}(\.[0-9]{1,20})?$")


def illegal(name: str, legal: str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$") -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def decimal(params: Mapping[str, str], name: str) -> Decimal | None:
    """An optional number; exponents, NaN and infinities are illegal characters, as at the exchange."""
    value = params.get(name, "")
    if value == "":
        return None
    if not (_NUMBER if name != "price" else _SIGNED).match(value):
        raise illegal(name)
    return Decimal(value)


def signed(params: Mapping[str, str], name: str) -> Decimal:
    """A mandatory number of either sign."""
    value = params.get(name, "")
    if not _SIGNED.match(value):
        raise illegal(name)
    return Decimal(value)


def boolean(params: Mapping[str, str], name: str) -> bool | None:
    value = params.get(name, "").lower()
    if value not in ("", "true", "false"):
        raise illegal(name, "true|false")
    return None if value == "" else value == "true"


def choice(params: Mapping[str, str], name: str, allowed: Sequence[str], error: ApiError, default: str = "") -> str:
    """One of ``allowed``; without a ``default`` it is mandatory."""
    value = params.get(name, "") or default
    if not value:
        raise missing(name)
    if value not in allowed:
        raise error
    return value


def side_of(params: Mapping[str, str]) -> str:
    return choice(params, "side", ("BUY", "SELL"), ApiError(-1117, "Invalid side."))


def client_id(params: Mapping[str, str], name: str) -> str:
    """An optional id of the client's own; empty when none was sent."""
    value = params.get(name, "")
    if len(value) > 36:
        raise ApiError(-4015, "Client order id length should not be more than 36 chars.")
    if value and not _CLIENT_ID.match(value):
        raise illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$")
    return value


def position_side(params: Mapping[str, str], *, dual: bool) -> None:
    """Only one-way accounts trade here; the mode itself can be set, so that clients can be seen to notice it."""
    value = choice(params, "positionSide", ("BOTH", "LONG", "SHORT"), ApiError(-4060, "Invalid position side."), "BOTH")
    if (value == "BOTH") == dual:
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    if dual:
        raise ApiError(-1020, "This operation is not supported: the emulated exchange trades one-way accounts only.")


def price_match(params: Mapping[str, str], *, limit: bool) -> str:
    """``priceMatch``, empty when the client names its price; only with LIMIT orders, and without ``price``."""
    value = params.get("priceMatch") or "NONE"
    if value == "NONE":
        return ""
    kind, _, level = value.partition("_")
    if kind not in ("OPPONENT", "QUEUE") or level not in ("", "5", "10", "20"):
        raise ApiError(-5037, "Invalid price match.")
    if not limit or params.get("price"):
        raise ApiError(-5038, "Price match is not supported for this order.")
    return value


def good_till(params: Mapping[str, str], tif: str, least_ms: int) -> int:
    """``goodTillDate`` of a GTD order in whole seconds; 0 for others."""
    value = number(params, "goodTillDate")
    if tif != "GTD":
        return 0
    if value is None:
        raise missing("goodTillDate")
    if not least_ms < value < 253_402_300_799_000:
        raise ApiError(-5040, "The goodTillDate timestamp must be greater than the current time plus 600 seconds.")
    return value // 1000 * 1000


def quantity(contract: Contract, value: Decimal | None, *, market: bool) -> Decimal:
    if value is None:
        raise missing("quantity")
    if value <= 0:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    if _decimals(value) > contract.qty_decimals:
        raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
    if value < contract.step:
        raise ApiError(-4004, "Quantity less than min quantity.")
    if value > (contract.market_max_qty if market else contract.max_qty):
        raise ApiError(-4005, "Quantity greater than max quantity.")
    if value % contract.step:
        raise ApiError(-4023, "Quantity not increased by step size.")
    return value


def price(contract: Contract, value: Decimal | None, name: str = "price") -> Decimal:
    """A limit or trigger price on the grid of ticks."""
    if value is None:
        raise missing(name)
    stop = name != "price"
    if value <= 0:
        raise ApiError(-4006, "Stop price less than zero.") if stop else ApiError(-4001, "Price less than 0.")
    if _decimals(value) > contract.price_decimals:
        raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
    if value > contract.max_price:
        raise (
            ApiError(-4007, "Stop price greater than max price.")
            if stop
            else ApiError(-4002, "Price greater than max price.")
        )
    if value < contract.tick:
        raise ApiError(-4013, "Price less than min price.")
    if value % contract.tick:
        raise ApiError(-4014, "Price not increased by tick size.")
    return value


def band(contract: Contract, quote: Quote, side: str, limit: Decimal) -> None:
    """PERCENT_PRICE: a buy not far above the mark, a sell not far below it."""
    top, bottom = quote.mark * (1 + contract.band), quote.mark * (1 - contract.band)
    if side == "BUY" and limit > top:
        raise ApiError(-4016, f"Limit price can't be higher than {top:.{contract.price_decimals}f}.")
    if side == "SELL" and limit < bottom:
        raise ApiError(-4024, f"Limit price can't be lower than {bottom:.{contract.price_decimals}f}.")


def notional(contract: Contract, value: Decimal) -> None:
    """MIN_NOTIONAL; reduce-only orders are exempt and never asked."""
    if value < contract.min_notional:
        least = contract.min_notional.normalize()
        raise ApiError(-4164, f"Order's notional must be no smaller than {least:f} (unless you choose reduce only).")


def _decimals(value: Decimal) -> int:
    """Decimals as they were written without trailing zeros: 1.50 has one."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
