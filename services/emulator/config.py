"""What one emulated exchange is made of, as one frozen value."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from packages.common.config import DEFAULT_UNIVERSE, Settings
from packages.common.errors import InvalidInputError
from packages.common.time import DAY_MS, from_datetime
from services.emulator.columns import MarketSource
from services.emulator.faults import Fault
from services.emulator.generator import DEFAULT_START_MS, GeneratedMarket, default_config
from services.emulator.keys import TEST_KEY, ApiKey
from services.emulator.replay import ReplayMarket
from services.emulator.venue.switches import Switches


@dataclass(frozen=True)
class EmulatorConfig:
    """Settings of the product that concern the market, and what only this process knows. ``speed`` may be inf.

    ``market``: ``generated`` or a folder. ``state_dir`` None keeps the market's position in memory only.
    """

    market: str = "generated"
    seed: int = 7
    speed: float = 60.0
    mark_updates: int = 10
    kline_updates: int = 1
    planted_alpha: float = 0.0
    history_days: int = 20
    market_start_ms: int | None = None
    universe: tuple[str, ...] = tuple(DEFAULT_UNIVERSE.split(","))
    state_dir: Path | None = None
    connection_life_s: float = 86_400.0
    weight_per_minute: int = 2_400
    faults: tuple[Fault, ...] = ()
    admin_port: int | None = None
    keys: tuple[ApiKey, ...] = (TEST_KEY,)
    switches: Switches = field(default_factory=Switches)
    listen_key_life_s: float = 3_600.0
    wall_stamps: bool = False  # a request may carry our time instead of the market's: for clients that read no clock

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise InvalidInputError("speed", self.speed, "a factor > 0, or inf")
        if not 1 <= self.kline_updates <= 240:
            raise InvalidInputError("kline_updates", self.kline_updates, "1 to 240")
        if not 4 <= self.mark_updates <= 60:
            raise InvalidInputError("mark_updates", self.mark_updates, "4 to 60: open, high, low and close at least")
        if self.history_days < 1:
            raise InvalidInputError("history_days", self.history_days, "at least 1")

    @property
    def identity(self) -> str:
        """What a saved position belongs to."""
        parts = [self.market, str(self.seed), f"{self.planted_alpha:g}", str(self.market_start_ms)]
        return ":".join(parts)


def from_settings(settings: Settings) -> EmulatorConfig:
    """The emulator's part of the product's settings."""
    start = settings.market_start
    return EmulatorConfig(
        market=settings.market,
        seed=settings.seed,
        speed=settings.speed,
        mark_updates=settings.mark_updates,
        kline_updates=settings.kline_updates,
        planted_alpha=settings.planted_alpha,
        history_days=settings.history_days,
        market_start_ms=None if start is None else from_datetime(start),
        universe=settings.universe,
        state_dir=settings.var_dir / "emulator",
    )


def open_source(config: EmulatorConfig) -> MarketSource:
    """The market of ``config``; ``InvalidInputError`` when the folder holds none."""
    if config.market == "generated":
        start = DEFAULT_START_MS if config.market_start_ms is None else config.market_start_ms
        if start % DAY_MS:
            raise InvalidInputError("market_start", start, "the start of a UTC day, for a generated market")
        return GeneratedMarket(default_config(config.universe, config.seed, config.planted_alpha, start))
    return ReplayMarket(Path(config.market), config.market_start_ms)


def speed_text(speed: float) -> str:
    """``60x`` or ``max``."""
    return "max" if math.isinf(speed) else f"{speed:g}x"
