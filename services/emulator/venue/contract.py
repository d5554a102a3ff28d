"""A contract in exact numbers: filters, bands, fees and margin tiers."""

from dataclasses import dataclass
from decimal import Decimal

from services.emulator.symbols import SymbolSpec, brackets_json

MAX_ORDERS = 200
MAX_ALGO_ORDERS = 200  # over all symbols (§2.1)


@dataclass(frozen=True, slots=True)
class Tier:
    """One leverage bracket: holds for ``floor < notional <= cap``, in quote units."""

    leverage: int
    floor: Decimal
    cap: Decimal
    ratio: Decimal
    cum: Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """Prices in quote units, quantities in base units, ``band`` and the other shares as fractions."""

    spec: SymbolSpec
    tick: Decimal
    step: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    max_price: Decimal
    tiers: tuple[Tier, ...]
    band: Decimal  # PERCENT_PRICE and marketTakeBound, both around the mark
    trigger_protect: Decimal
    liquidation_fee: Decimal

    @property
    def symbol(self) -> str:
        return self.spec.symbol

    @property
    def price_decimals(self) -> int:
        return self.spec.price_decimals

    @property
    def qty_decimals(self) -> int:
        return self.spec.qty_decimals


def contract_of(spec: SymbolSpec, max_price: Decimal) -> Contract:
    """The contract of ``spec``, with the figures that ``exchangeInfo`` and ``leverageBracket`` show."""
    tiers = []
    rows = brackets_json(spec)["brackets"]
    assert isinstance(rows, list)
    for row in rows:
        tiers.append(
            Tier(
                int(row["initialLeverage"]),
                Decimal(row["notionalFloor"]),
                Decimal(row["notionalCap"]),
                Decimal(str(row["maintMarginRatio"])),
                Decimal(str(row["cum"])),
            )
        )
    return Contract(
        spec=spec,
        tick=Decimal(spec.tick),
        step=Decimal(spec.step),
        max_qty=Decimal(spec.max_qty),
        market_max_qty=Decimal(spec.market_max_qty),
        min_notional=Decimal(spec.min_notional),
        max_price=max_price,
        tiers=tuple(tiers),
        band=Decimal("0.02") if spec.tradifi else Decimal("0.05"),
        trigger_protect=Decimal("0.02") if spec.tradifi else Decimal("0.05"),
        liquidation_fee=Decimal("0.015") if spec.tradifi else Decimal("0.0125"),
    )
