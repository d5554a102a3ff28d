"""The table of contracts: realistic, written by hand, not a copy of any day of the exchange.

``max`` and ``market`` are the largest LIMIT and MARKET quantities, ``least`` the smallest notional. What stands after
them is where the generator starts: price, quote volume of a day in millions, beta to the common crypto factor, own
volatility of a day; then brackets, first day, funding interval (hours), beta to the metal factor, standard deviation of
the premium, cap of the funding rate (percent). XAUUSDT and XAGUSDT are perpetuals of traditional assets (D8).
"""

import math
from datetime import UTC, datetime

from services.emulator.symbols import NEVER_MS, Bracket, SymbolSpec

# (initial leverage, notional cap, maintenance margin ratio), smallest position first.
_BRACKETS: dict[str, tuple[Bracket, ...]] = {
    "major": (
        (150, 300_000, 0.004),
        (100, 800_000, 0.005),
        (75, 3_000_000, 0.0065),
        (50, 12_000_000, 0.01),
        (25, 60_000_000, 0.02),
        (20, 80_000_000, 0.025),
        (10, 200_000_000, 0.05),
        (5, 400_000_000, 0.1),
        (4, 500_000_000, 0.125),
        (2, 1_000_000_000, 0.25),
        (1, 1_500_000_000, 0.5),
    ),
    "large": (
        (100, 50_000, 0.005),
        (75, 400_000, 0.0065),
        (50, 1_000_000, 0.01),
        (25, 4_000_000, 0.02),
        (20, 8_000_000, 0.025),
        (10, 40_000_000, 0.05),
        (5, 80_000_000, 0.1),
        (4, 100_000_000, 0.125),
        (2, 200_000_000, 0.25),
        (1, 400_000_000, 0.5),
    ),
    "mid": (
        (75, 10_000, 0.006),
        (50, 80_000, 0.01),
        (25, 800_000, 0.02),
        (20, 1_600_000, 0.025),
        (10, 8_000_000, 0.05),
        (5, 16_000_000, 0.1),
        (4, 20_000_000, 0.125),
        (2, 40_000_000, 0.25),
        (1, 80_000_000, 0.5),
    ),
    "small": (
        (75, 5_000, 0.01),
        (50, 20_000, 0.015),
        (25, 100_000, 0.02),
        (20, 200_000, 0.025),
        (10, 1_000_000, 0.05),
        (5, 2_500_000, 0.1),
        (4, 4_000_000, 0.125),
        (2, 7_500_000, 0.25),
        (1, 12_500_000, 0.5),
    ),
    "new": (
        (25, 5_000, 0.02),
        (20, 10_000, 0.025),
        (10, 25_000, 0.05),
        (5, 50_000, 0.1),
        (4, 100_000, 0.125),
        (2, 500_000, 0.25),
        (1, 800_000, 0.5),
    ),
}

_TABLE = """
symbol       tick      step  max       market    least price   volume beta idio   tiers onboard    h metal premium cap
BTCUSDT      0.10      0.001 1000      120       100   78000   12000  1.0  0.0    major 2019-09-08 8 0     0.0004  0.3
ETHUSDT      0.01      0.001 10000     2000      20    2600    9000   1.25 0.016  major 2019-11-27 8 0     0.0005  0.3
BNBUSDT      0.010     0.01  100000    2000      5     780     600    0.85 0.015  large 2020-02-10 8 0     0.0006  2
SOLUSDT      0.0100    0.01  1000000   80000     5     115     3000   1.35 0.022  large 2020-09-14 8 0     0.0006  2
XRPUSDT      0.0001    0.1   10000000  2000000   5     1.75    1500   1.15 0.024  large 2020-01-06 8 0     0.0006  2
DOGEUSDT     0.000010  1     50000000  30000000  5     0.118   900    1.35 0.026  large 2020-07-10 8 0     0.0006  2
ADAUSDT      0.00010   1     2000000   300000    5     0.33    350    1.25 0.024  mid   2020-01-31 8 0     0.0006  2
AVAXUSDT     0.0010    1     100000    15000     5     11.5    250    1.35 0.026  mid   2020-09-23 8 0     0.0006  2
DOTUSDT      0.001     0.1   500000    50000     5     1.75    160    1.2  0.026  mid   2020-08-22 8 0     0.0006  2
LINKUSDT     0.001     0.01  500000    50000     5     11.0    350    1.25 0.026  mid   2020-01-17 8 0     0.0006  2
LTCUSDT      0.01      0.001 10000     5000      20    62      300    1.0  0.022  mid   2020-01-09 8 0     0.0006  2
BCHUSDT      0.01      0.001 10000     850       20    520     250    1.0  0.025  mid   2019-12-19 8 0     0.0006  2
SUIUSDT      0.000100  0.1   1000000   350000    5     1.30    600    1.4  0.03   large 2023-05-03 4 0     0.0006  2
AAVEUSDT     0.010     0.1   10000     2000      5     140     200    1.35 0.03   mid   2020-10-16 8 0     0.0006  2
1000PEPEUSDT 0.0000001 1     500000000 200000000 5     0.0048  500    1.5  0.034  mid   2023-05-05 4 0     0.0006  2
FILUSDT      0.001     0.1   500000    40000     5     1.30    180    1.25 0.03   mid   2020-10-16 8 0     0.0006  2
AXSUSDT      0.0010    1     1000000   60000     5     1.20    60     1.2  0.035  small 2020-11-20 8 0     0.0006  2
ENAUSDT      0.0001000 1     5000000   1000000   5     0.150   250    1.45 0.038  mid   2024-04-02 4 0     0.0006  2
ZKUSDT       0.0000100 1     5000000   500000    5     0.0320  60     1.3  0.038  small 2024-06-17 4 0     0.0006  2
XAUUSDT      0.01      0.001 10000     1000      5     4900    900    0.0  0.0    large 2026-01-05 8 1.0   0.0002  0.05
XAGUSDT      0.0100    0.001 100000    10000     5     85      700    0.0  0.009  large 2026-01-07 8 1.5   0.0003  0.05
HYPEUSDT     0.00100   0.01  100000    30000     5     30      700    1.2  0.04   mid   2025-05-30 4 0     0.0006  2
ZECUSDT      0.01      0.001 10000     1000      5     330     600    1.0  0.045  mid   2020-02-05 8 0     0.0006  2
ALPHAUSDT    0.00001   1     1000000   100000    5     0.0065  5      1.1  0.04   new   2020-11-23 8 0     0.0006  2
ZORAUSDT     0.0000100 1     20000000  2000000   5     0.0450  80     1.2  0.055  small 2025-07-25 4 0     0.0012  2
TRUMPUSDT    0.001000  0.01  200000    50000     5     4.50    200    1.1  0.035  small 2025-01-18 4 0     0.0006  2
PUMPUSDT     0.0000010 1     100000000 10000000  5     0.00280 250    1.35 0.045  mid   2025-07-10 1 0     0.0012  2
NEARUSDT     0.0010    1     1000000   150000    5     1.30    200    1.35 0.028  mid   2020-10-15 8 0     0.0006  2
PAXGUSDT     0.0100    0.001 500       100       5     4900    60     0.02 0.0008 small 2025-03-27 8 1.0   0.0002  2
TRXUSDT      0.00001   1     10000000  5000000   5     0.29    200    0.5  0.014  mid   2020-01-15 8 0     0.0006  2
XLMUSDT      0.00001   1     10000000  1000000   5     0.19    150    1.15 0.026  mid   2020-01-20 8 0     0.0006  2
XMRUSDT      0.01      0.001 10000     1000      5     420     120    0.7  0.03   small 2020-02-03 8 0     0.0006  2
DASHUSDT     0.01      0.001 10000     1500      5     45      80     0.9  0.04   small 2020-02-04 8 0     0.0006  2
ETCUSDT      0.001     0.01  500000    20000     5     9.5     90     1.2  0.024  mid   2020-01-16 8 0     0.0006  2
EOSUSDT      0.001     0.1   1000000   120000    5     0.7     60     1.1  0.026  small 2020-01-08 8 0     0.0006  2
MATICUSDT    0.0001    1     10000000  1000000   5     0.5     90     1.2  0.028  mid   2020-10-22 8 0     0.0006  2
USDCUSDT     0.0000010 1     10000000  1000000   5     1.0     90     0.0  0.0003 small 2023-03-12 8 0     0.0001  2
LAYERUSDT    0.0001000 0.1   800000    80000     5     0.12    20     1.2  0.05   small 2025-02-11 4 0     0.0006  2
ALGOUSDT     0.0001    0.1   1000000   250000    5     0.13    60     1.25 0.028  small 2020-06-16 8 0     0.0006  2
ATOMUSDT     0.001     0.01  100000    20000     5     2.1     60     1.15 0.026  mid   2020-02-07 8 0     0.0006  2
INJUSDT      0.001000  0.1   1000000   30000     5     3.6     70     1.35 0.03   mid   2022-08-16 8 0     0.0006  2
OPUSDT       0.0001000 0.1   10000000  1000000   5     0.22    90     1.35 0.034  mid   2022-06-01 8 0     0.0006  2
ARBUSDT      0.000100  0.1   20000000  1000000   5     0.13    120    1.35 0.03   mid   2023-03-23 8 0     0.0006  2
APTUSDT      0.00100   0.1   1000000   50000     5     1.1     90     1.3  0.032  mid   2022-10-18 8 0     0.0006  2
1000SHIBUSDT 0.000001  1     50000000  10000000  5     0.0070  120    1.3  0.026  mid   2021-05-10 8 0     0.0006  2
UNIUSDT      0.0010    1     1000000   50000     5     3.7     150    1.3  0.03   mid   2020-09-18 8 0     0.0006  2
WLDUSDT      0.0001000 1     10000000  1000000   5     0.42    120    1.35 0.04   mid   2023-07-24 4 0     0.0006  2
WIFUSDT      0.0001000 0.1   1000000   300000    5     0.28    80     1.45 0.042  small 2024-01-18 4 0     0.0006  2
TIAUSDT      0.0001000 1     1000000   100000    5     0.40    60     1.35 0.04   mid   2023-10-31 4 0     0.0006  2
SEIUSDT      0.0000100 1     10000000  1000000   5     0.085   60     1.3  0.036  small 2023-08-17 4 0     0.0006  2
ONDOUSDT     0.0001000 0.1   1000000   300000    5     0.28    80     1.3  0.03   small 2024-01-20 8 0     0.0006  2
HBARUSDT     0.00001   1     20000000  2000000   5     0.095   100    1.25 0.03   mid   2021-03-17 8 0     0.0006  2
ICPUSDT      0.001     1     500000    50000     5     2.6     70     1.2  0.03   small 2021-07-30 8 0     0.0006  2
VETUSDT      0.000001  1     50000000  10000000  5     0.0090  30     1.2  0.028  small 2020-02-14 8 0     0.0006  2
WLFIUSDT     0.0001000 1     5000000   500000    5     0.1300  150    1.1  0.045  small 2025-08-23 4 0     0.0006  2
"""

# Gone before any market here begins: the row stays, the status says so (§8.6).
_DELISTED = {"ALPHAUSDT": datetime(2025, 9, 23, 9, tzinfo=UTC)}
# On the exchange no more: the endpoints know nothing of them.
GONE = frozenset({"BNXUSDT"})
SMALL = _BRACKETS["small"]


def _spec(line: str) -> SymbolSpec:
    symbol, tick, step, most, market, least, *more = line.split()
    price, volume, beta, idio, name, day, hours, metal, premium, cap = more
    delisted = _DELISTED.get(symbol)
    return SymbolSpec(
        symbol=symbol,
        tick=tick,
        step=step,
        max_qty=most,
        market_max_qty=market,
        min_notional=least,
        brackets=_BRACKETS[name],
        onboard_ms=_ms(datetime.fromisoformat(day).replace(tzinfo=UTC)),
        delivery_ms=NEVER_MS if delisted is None else _ms(delisted),
        tradifi=symbol in ("XAUUSDT", "XAGUSDT"),
        funding_hours=int(hours),
        funding_cap=f"{float(cap) / 100:.8f}",
        price=float(price),
        day_quote_volume=float(volume) * 1e6,
        beta=float(beta),
        beta_metal=float(metal),
        idio_day_vol=float(idio),
        premium_sd=float(premium),
    )


def _ms(when: datetime) -> int:
    return int(when.timestamp()) * 1000


KNOWN: dict[str, SymbolSpec] = {spec.symbol: spec for spec in map(_spec, _TABLE.strip().splitlines()[1:])}


def default_spec(symbol: str, price: float, onboard_ms: int) -> SymbolSpec:
    """Contract of a symbol that the table does not know, by its price.

    Tick: five significant digits (0.01 at 123.45), at most 8 decimals; step: the power of ten next to one quote unit
    (1 at 0.5, 0.01 at 123), never finer than 0.001 nor coarser than 1; notional at least 5; small brackets.
    """
    if not (math.isfinite(price) and price > 0):
        raise ValueError(f"price: got {price!r}, expected a finite number > 0")
    digits = min(max(4 - math.floor(math.log10(price)), 0), 8)
    step_digits = min(max(math.floor(math.log10(price)), 0), 3, 8 - digits)
    tick = f"{10.0**-digits:.{digits}f}"
    step = f"{10.0**-step_digits:.{step_digits}f}"
    most = 10 ** max(1, 7 - math.floor(math.log10(price)))
    return SymbolSpec(
        symbol=symbol,
        tick=tick,
        step=step,
        max_qty=str(most),
        market_max_qty=str(max(1, most // 10)),
        min_notional="5",
        brackets=SMALL,
        onboard_ms=onboard_ms,
        price=price,
    )
