"""A symbol's filters: numbers onto its grids, and out as the exact text that is sent (reference §3.3)."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from packages.common.errors import InvalidInputError
from packages.exchange.port import InstrumentInfo
from packages.exchange.trading import Side

_DIGITS_MAX = 18  # before the point; beyond it decimal arithmetic would not be exact


def quantity_text(info: InstrumentInfo, quantity: Decimal, *, market: bool) -> str:
    """``quantity`` as it is sent. Raises ``InvalidInputError`` when the filter would refuse it; rounds nothing."""
    step, low, high = _lot(info, market)
    text = _text("quantity", quantity, step)
    if quantity < low:
        raise InvalidInputError("quantity", quantity, f"at least {low} for {info.symbol}")
    if high is not None and quantity > high:
        raise InvalidInputError("quantity", quantity, f"at most {high} for {info.symbol}")
    return text


def price_text(info: InstrumentInfo, price: Decimal, field: str = "price") -> str:
    """``price`` as it is sent. Raises ``InvalidInputError`` when it is not a positive multiple of the tick."""
    return _text(field, price, _grid("tick_size", info.tick_size, info))


def floor_quantity(info: InstrumentInfo, quantity: Decimal | float, *, market: bool) -> Decimal:
    """Largest quantity of the grid not above ``quantity``; 0 when that is below the smallest lot.

    A float is read as its shortest text, so that 0.3 is on a grid of 0.1.
    """
    step, low, _ = _lot(info, market)
    rounded = _round(quantity, step, ROUND_FLOOR, "quantity")
    return rounded if rounded >= low else Decimal(0)


def round_price(info: InstrumentInfo, price: Decimal | float, *, up: bool) -> Decimal:
    """Nearest price of the grid not below (``up``) or not above ``price``."""
    return _round(price, _grid("tick_size", info.tick_size, info), ROUND_CEILING if up else ROUND_FLOOR, "price")


def band_edge(info: InstrumentInfo, mark: Decimal | float, side: Side) -> Decimal:
    """The worst price an order of ``side`` may have with the mark there: where a LIMIT IOC still leaves when a MARKET
    order is refused (execution.md 12). The mark moves while it is on its way."""
    buys = side is Side.BUY
    band = _grid("band_up" if buys else "band_down", info.band_up if buys else info.band_down, info)
    exact = mark if isinstance(mark, Decimal) else Decimal(repr(float(mark)))
    return round_price(info, exact * band, up=not buys)


def market_chunks(info: InstrumentInfo, quantity: Decimal) -> list[Decimal]:
    """``quantity`` in pieces no larger than one MARKET order may be (execution.md 12); what is left over is dust."""
    _, _, high = _lot(info, market=True)
    left, chunks = floor_quantity(info, quantity, market=True), list[Decimal]()
    while left > 0:
        chunk = left if high is None else min(left, floor_quantity(info, high, market=True))
        if chunk <= 0:
            break
        chunks.append(chunk)
        left = floor_quantity(info, left - chunk, market=True)
    return chunks


def _lot(info: InstrumentInfo, market: bool) -> tuple[Decimal, Decimal, Decimal | None]:
    """Step, smallest and largest; a market lot that is not given, or is 0, is the ordinary one's."""
    step, low, high = info.step_size, info.min_qty, info.max_qty
    if market:
        step, low, high = info.market_step_size or step, info.market_min_qty or low, info.market_max_qty or high
    grid = _grid("step_size", step, info)
    return grid, max(low or grid, grid), high


def _grid(name: str, grid: Decimal | None, info: InstrumentInfo) -> Decimal:
    if grid is None or not grid > 0:
        raise InvalidInputError(name, grid, f"a filter of {info.symbol}; nothing is sent for a symbol without")
    return grid


def _text(field: str, value: Decimal, grid: Decimal) -> str:
    if not isinstance(value, Decimal) or not value.is_finite() or value <= 0 or value.adjusted() >= _DIGITS_MAX:
        raise InvalidInputError(field, value, "a finite decimal > 0")
    if value % grid != 0:
        raise InvalidInputError(field, value, f"a multiple of {grid}")
    return format(value.quantize(grid.normalize()), "f")


def _round(value: Decimal | float, grid: Decimal, rounding: str, field: str) -> Decimal:
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not exact.is_finite() or exact < 0 or exact.adjusted() >= _DIGITS_MAX:
        raise InvalidInputError(field, value, "a finite number >= 0")
    return (exact / grid).to_integral_value(rounding) * grid
