"""The generated market: seeded, with a common crypto factor and a metal factor, fat tails, clustering and jumps.

A bar is a function of (seed, planted alpha, market start, symbol, minute) and of nothing else: the set of symbols does
not matter, nor what was asked before. Days are made one after the other because volatility and prices have memory; the
state at the start of each day is kept, so that any day can be made again from the one before. A day of a symbol costs
about half a millisecond.

The planted alpha is the share of the variance of each symbol's own (and each factor's) minute return that a latent
drift carries, half-life 120 minutes: returns are autocorrelated by ``alpha·2**(-lag/120)`` and past bars foretell it.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator import columns, kernels
from services.emulator.columns import MINUTES, Rows
from services.emulator.contracts import GONE, KNOWN, default_spec
from services.emulator.symbols import SymbolSpec

DEFAULT_START_MS = 1_769_990_400_000  # Monday 2026-02-02 00:00 UTC

# Traded beside the universe, so that a listing and a delisting happen in every generated market.
LISTED_LATER = ("WLFIUSDT", 8 * DAY_MS)
DELISTED_LATER = ("LAYERUSDT", 12 * DAY_MS + 9 * HOUR_MS)

_CRYPTO_VOL = 0.022 / math.sqrt(1440)  # BTC, per minute: 2.2 % a day
_METAL_VOL = 0.011 / math.sqrt(1440)
_JUMPS_A_DAY = 0.25
_CACHED_DAYS = 192  # of symbols; a quarter of a megabyte each


@dataclass(frozen=True)
class GeneratorConfig:
    """``listings`` and ``delistings``: market time by symbol. ``outages_a_month``: halts of all trading, 3–19 min."""

    symbols: tuple[str, ...]
    seed: int = 7
    start_ms: int = DEFAULT_START_MS
    planted_alpha: float = 0.0
    outages_a_month: float = 0.0
    listings: Mapping[str, int] = field(default_factory=dict)
    delistings: Mapping[str, int] = field(default_factory=dict)


def default_config(
    universe: Sequence[str], seed: int, planted_alpha: float, start_ms: int = DEFAULT_START_MS
) -> GeneratorConfig:
    """The universe plus one symbol that is listed and one that is delisted in the first weeks."""
    listed, delisted = LISTED_LATER, DELISTED_LATER
    extra = [name for name, _ in (listed, delisted) if name not in universe]
    return GeneratorConfig(
        symbols=(*universe, *extra),
        seed=seed,
        start_ms=start_ms,
        planted_alpha=planted_alpha,
        listings={listed[0]: start_ms + listed[1]},
        delistings={delisted[0]: start_ms + delisted[1]},
    )


class GeneratedMarket:
    """A ``MarketSource``. Not thread-safe."""

    def __init__(self, config: GeneratorConfig) -> None:
        if config.start_ms % DAY_MS:
            raise ValueError(f"start_ms: got {config.start_ms}, expected the start of a UTC day")
        if not 0 <= config.planted_alpha <= 1:
            raise ValueError(f"planted_alpha: got {config.planted_alpha}, expected a share between 0 and 1")
        self._config = config
        self._first_day = config.start_ms // DAY_MS
        self.name = f"generated (seed {config.seed}" + (
            f", planted alpha {config.planted_alpha:g})" if config.planted_alpha else ")"
        )
        self.start_ms: int = config.start_ms
        self.end_ms: int | None = None
        self.specs = tuple(self._spec(name) for name in dict.fromkeys(config.symbols) if name not in GONE)
        self._factors: dict[str, list[NDArray[np.float64]]] = {"crypto": [np.zeros(3)], "metal": [np.zeros(3)]}
        self._states: list[list[NDArray[np.float64]]] = [[self._initial(spec)] for spec in self.specs]
        self._days: OrderedDict[tuple[int, int], Rows] = OrderedDict()
        self._factor_days: OrderedDict[tuple[str, int], NDArray[np.float64]] = OrderedDict()

    # --- MarketSource ---

    def day(self, symbol: int, day: int) -> Rows:
        known = self._days.get((symbol, day))
        if known is not None:
            self._days.move_to_end((symbol, day))
            return known
        number = day - self._first_day
        if number < 0:
            return np.zeros((MINUTES, columns.WIDTH), np.int64)
        states = self._states[symbol]
        while len(states) <= number:  # earlier days, for their final state
            self._make(symbol, self._first_day + len(states) - 1)
        return self._make(symbol, day)

    def funding(self, symbol: int, from_ms: int, to_ms: int) -> list[tuple[int, int, int]]:
        spec = self.specs[symbol]
        step = spec.funding_hours * HOUR_MS
        first = max(self._opened(spec) + 1, from_ms, self.start_ms + 1)
        settled = []
        for ts in range(-(-first // step) * step, min(to_ms, spec.delivery_ms + 1), step):
            row = self.day(symbol, (ts - 1) // DAY_MS)[(ts - 1) % DAY_MS // MINUTE_MS]
            if row[columns.PRESENT]:
                settled.append((ts, int(row[columns.FUNDING]), int(row[columns.MARK + 3])))
        return settled

    def next_funding_ms(self, symbol: int, ts_ms: int) -> int:
        step = self.specs[symbol].funding_hours * HOUR_MS
        return ts_ms // step * step + step

    def funding_hours(self, symbol: int, ts_ms: int) -> int:
        return self.specs[symbol].funding_hours

    # --- making a day ---

    def _spec(self, name: str) -> SymbolSpec:
        spec = KNOWN.get(name)
        if spec is None:
            rng = self._rng(name, "level", 0)
            spec = default_spec(name, float(10 ** rng.uniform(-2, 2)), self._config.start_ms)
        onboard = self._config.listings.get(name, spec.onboard_ms)
        return replace(spec, onboard_ms=onboard, delivery_ms=self._config.delistings.get(name, spec.delivery_ms))

    def _opened(self, spec: SymbolSpec) -> int:
        """Market time of the symbol's first minute."""
        return max(spec.onboard_ms, self.start_ms)

    def _initial(self, spec: SymbolSpec) -> NDArray[np.float64]:
        rng = self._rng(spec.symbol, "start", 0)
        state = np.zeros(kernels.SYMBOL_STATE)
        state[0] = math.log(spec.price) + 0.02 * rng.standard_normal()
        state[1] = round(math.exp(state[0]) * 10**spec.price_decimals / spec.tick_units) * spec.tick_units
        state[2:4] = rng.standard_normal(2) * (0.45, 0.35)
        state[4] = rng.standard_normal()
        state[5] = spec.premium_sd * rng.standard_normal()
        return state

    def _make(self, symbol: int, day: int) -> Rows:
        number, spec = day - self._first_day, self.specs[symbol]
        state = self._states[symbol][number].copy()
        open_ms, close_ms = self._opened(spec), spec.delivery_ms
        first = min(max((open_ms - day * DAY_MS) // MINUTE_MS, 0), MINUTES)
        last = min(max((close_ms - day * DAY_MS) // MINUTE_MS, first), MINUTES)
        if last > first:
            rng = self._rng(spec.symbol, "day", number)
            rows = kernels.symbol_day(
                rng.standard_normal((MINUTES, 9)),
                rng.random((MINUTES, 4)),
                _SEASON if not spec.tradifi else _METAL_SEASON,
                _VOLUME_SEASON,
                self._factor("crypto", day),
                self._factor("metal", day),
                self._halted(number),
                first,
                last,
                self._params(spec),
                _units(spec),
                0,
                state,
            )
        else:
            rows = np.zeros((MINUTES, columns.WIDTH), np.int64)
        rows.setflags(write=False)
        if len(self._states[symbol]) == number + 1:
            self._states[symbol].append(state)
        self._days[symbol, day] = rows
        if len(self._days) > _CACHED_DAYS:
            self._days.popitem(last=False)
        return rows

    def _params(self, spec: SymbolSpec) -> NDArray[np.float64]:
        idio = spec.idio_day_vol / math.sqrt(1440)
        return np.array(
            [
                spec.beta,
                spec.beta_metal,
                idio,
                self._config.planted_alpha,
                _JUMPS_A_DAY / 1440,
                spec.day_quote_volume / 1440,
                spec.premium_sd,
                math.log(spec.price),
                float(spec.funding_cap),
            ]
        )

    def _factor(self, name: str, day: int) -> NDArray[np.float64]:
        known = self._factor_days.get((name, day))
        if known is not None:
            return known
        states, number = self._factors[name], day - self._first_day
        while len(states) <= number:
            self._make_factor(name, self._first_day + len(states) - 1)
        return self._make_factor(name, day)

    def _make_factor(self, name: str, day: int) -> NDArray[np.float64]:
        number = day - self._first_day
        state = self._factors[name][number].copy()
        rng = self._rng(name, "factor", number)
        crypto = name == "crypto"
        made = kernels.factor_day(
            rng.standard_normal((MINUTES, 5)),
            rng.random(MINUTES),
            _SEASON if crypto else _METAL_SEASON,
            _CRYPTO_VOL if crypto else _METAL_VOL,
            _JUMPS_A_DAY / 1440,
            self._config.planted_alpha,
            state,
        )
        if len(self._factors[name]) == number + 1:
            self._factors[name].append(state)
        self._factor_days[name, day] = made
        if len(self._factor_days) > 256:
            self._factor_days.popitem(last=False)
        return made

    def _halted(self, number: int) -> NDArray[np.uint8]:
        halted = np.zeros(MINUTES, np.uint8)
        rng = self._rng("venue", "outage", number)
        if rng.random() < self._config.outages_a_month / 30:
            begin = int(rng.integers(0, MINUTES - 20))
            halted[begin : begin + int(rng.integers(3, 21))] = 1
        return halted

    def _rng(self, name: str, purpose: str, number: int) -> np.random.Generator:
        """The generator of one purpose: independent of every other and of the order of asking."""
        digest = hashlib.sha256(f"{self._config.seed}:{purpose}:{name}:{number}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def _units(spec: SymbolSpec) -> NDArray[np.int64]:
    cut = 10 ** (spec.price_decimals + spec.qty_decimals - spec.quote_decimals)
    return np.array(
        [
            10**spec.price_decimals,
            spec.tick_units,
            10**spec.qty_decimals,
            spec.step_units,
            cut,
            spec.funding_hours * 60,
        ],
        np.int64,
    )


def _hump(center_hour: float, width_hours: float) -> NDArray[np.float64]:
    hours = np.arange(MINUTES) / 60.0
    apart = np.abs(hours - center_hour)
    return np.asarray(np.exp(-0.5 * (np.minimum(apart, 24 - apart) / width_hours) ** 2), np.float64)


def _top_of_hour() -> NDArray[np.float64]:
    minute = np.arange(MINUTES) % 60
    return np.where(minute == 0, 1.0, np.where(minute < 3, 0.4, 0.0))


def _normalised(shape: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    return np.asarray(shape / np.mean(shape**power) ** (1 / power), np.float64)


# Busiest when New York opens, a second hump at the Asian morning; variance and volume average to one over the day.
_SEASON = _normalised(0.75 + 0.6 * _hump(14.5, 2.5) + 0.25 * _hump(1.0, 2.0) + 0.25 * _top_of_hour(), 2.0)
_METAL_SEASON = _normalised(0.35 + 1.0 * _hump(14.0, 2.5) + 0.5 * _hump(8.0, 2.0), 2.0)
_VOLUME_SEASON = _normalised(0.7 + 1.2 * _hump(14.5, 2.5) + 0.4 * _hump(1.0, 2.0) + 0.8 * _top_of_hour(), 1.0)
