"""A contract of the emulated exchange: filters, brackets, life, and the text of its numbers."""

import hashlib
from dataclasses import dataclass

NEVER_MS = 4_133_404_800_000  # the exchange's "no delivery"

# (initial leverage, notional cap, maintenance margin ratio)
Bracket = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """A contract. Prices, sizes and notionals are text as the exchange prints it; see ``columns`` for the units."""

    symbol: str
    tick: str
    step: str
    max_qty: str
    market_max_qty: str
    min_notional: str
    brackets: tuple[Bracket, ...]
    onboard_ms: int
    delivery_ms: int = NEVER_MS
    tradifi: bool = False
    funding_hours: int = 8
    funding_cap: str = "0.02000000"
    # what the generator starts from; the exchange's own figures are never taken from these
    price: float = 1.0
    day_quote_volume: float = 2e7
    beta: float = 1.1
    beta_metal: float = 0.0
    idio_day_vol: float = 0.04
    premium_sd: float = 0.0006
    max_quote_decimals: int = 8
    halts: tuple[tuple[int, int], ...] = ()  # [from, to): trading stands still

    @property
    def base(self) -> str:
        return self.symbol.removesuffix("USDT")

    @property
    def price_decimals(self) -> int:
        return decimals_of(self.tick)

    @property
    def tick_units(self) -> int:
        return units(self.tick, self.price_decimals)

    @property
    def qty_decimals(self) -> int:
        return decimals_of(self.step)

    @property
    def step_units(self) -> int:
        return units(self.step, self.qty_decimals)

    @property
    def quote_decimals(self) -> int:
        return min(self.price_decimals + self.qty_decimals, self.max_quote_decimals)

    @property
    def key(self) -> int:
        """63-bit number of the symbol's name; seeds everything that is drawn for it."""
        return int.from_bytes(hashlib.sha256(self.symbol.encode()).digest()[:8], "big") >> 1

    def listed(self, now_ms: int) -> bool:
        return now_ms >= self.onboard_ms

    def status(self, now_ms: int) -> str:
        if now_ms < self.onboard_ms:
            return "PENDING_TRADING"
        if now_ms >= self.delivery_ms:
            return "SETTLING"
        return "TRADING_HALT" if any(begin <= now_ms < end for begin, end in self.halts) else "TRADING"


def decimals_of(text: str) -> int:
    """Decimals a number is printed with: 2 for ``0.10``."""
    return len(text.partition(".")[2])


def units(text: str, decimals: int) -> int:
    """``0.10`` with 2 decimals is 10 units; exact, and an error when it does not fit."""
    whole, _, fraction = text.partition(".")
    if len(fraction) > decimals and set(fraction[decimals:]) - {"0"}:
        raise ValueError(f"text: got {text!r}, expected at most {decimals} decimals")
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def brackets_json(spec: SymbolSpec) -> dict[str, object]:
    """One item of ``leverageBracket``; ``cum`` follows from continuity of the maintenance margin (§8.1)."""
    rows: list[dict[str, object]] = []
    floor, ratio_before, cum = 0, spec.brackets[0][2], 0.0
    for number, (leverage, cap, ratio) in enumerate(spec.brackets, 1):
        cum += floor * (ratio - ratio_before)
        rows.append(
            {
                "bracket": number,
                "initialLeverage": leverage,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": ratio,
                "cum": round(cum, 8),
            }
        )
        floor, ratio_before = cap, ratio
    return {"symbol": spec.symbol, "notionalCoef": 1.0, "brackets": rows}
