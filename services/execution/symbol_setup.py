"""Leverage and margin mode of each symbol: set before an entry, compared with what a hand set (incident 19)."""

from decimal import Decimal

from packages.common.errors import InvalidInputError
from packages.exchange import trading as wire
from services.execution.core import events as ev
from services.execution.desk import Desk, TripOf
from services.execution.kill_switch import Trip

ZERO = Decimal(0)


class SymbolSetup:
    """What the exchange has set, as far as known."""

    def __init__(self, desk: Desk, trip: TripOf) -> None:
        self._desk, self._trip = desk, trip
        self._configs: dict[str, wire.SymbolConfig] = {}
        self._levers: dict[str, int] = {}  # the leverage we asked for last

    def leverage(self, symbol: str) -> int | None:
        """As last known; None before it was read."""
        config = self._configs.get(symbol)
        return None if config is None else config.leverage

    async def read(self) -> None:
        """At the start: what is set counts as intended. Raises ``VenueError``."""
        for row in await self._desk.trading.symbol_config():
            self._configs[row.symbol] = row

    async def set(self, symbol: str, leverage: int) -> None:
        """Isolated margin and the leverage of an entry; what holds is not asked for. Raises ``VenueError``, and
        ``InvalidInputError`` when the exchange grants another leverage."""
        trading, config = self._desk.trading, self._configs.get(symbol)
        if config is None or not config.isolated:
            await trading.set_isolated(symbol)
        if config is None or config.leverage != leverage:
            self._levers[symbol] = leverage
            holds = await trading.set_leverage(symbol, leverage)
            if holds != leverage:
                raise InvalidInputError("leverage", leverage, f"what the exchange allows, {holds}")
        if config is None or not config.isolated or config.leverage != leverage:
            auto, cap = (config.auto_add_margin, config.max_notional) if config else (False, ZERO)
            self._configs[symbol] = wire.SymbolConfig(symbol, True, auto, leverage, cap)

    def note(self, item: wire.ConfigUpdate) -> None:
        """Leverage or mode was changed: by us, or by a hand."""
        if item.multi_assets:
            self._trip(Trip(ev.Latch.HALTED, "MANUAL", "account", "multi-assets mode was turned on"))
        if item.symbol is not None and item.leverage is not None:
            config = self._configs.get(item.symbol)
            if config is not None:
                now = wire.SymbolConfig(
                    config.symbol, config.isolated, config.auto_add_margin, item.leverage, config.max_notional
                )
                self._compare(config, now)

    async def compare(self) -> None:
        """Margin mode changes without an event, and a gap may have swallowed a leverage. Raises ``VenueError``."""
        before, entering = dict(self._configs), set(self._desk.entering)
        for row in await self._desk.trading.symbol_config():
            known = before.get(row.symbol)
            if known is None or self._configs.get(row.symbol) is not known:
                continue  # it was set meanwhile
            if row.symbol not in entering | self._desk.entering.keys():
                self._compare(known, row)

    def _compare(self, known: wire.SymbolConfig, now: wire.SymbolConfig) -> None:
        """The answer to our own change may have been lost."""
        self._configs[now.symbol] = now
        ours = now.leverage in (known.leverage, self._levers.get(now.symbol)) and now.isolated >= known.isolated
        if not ours:
            was, mode = known.leverage, "isolated" if now.isolated else "cross"
            self._trip(Trip(ev.Latch.HALTED, "MANUAL", now.symbol, f"set to {now.leverage}x {mode}, was {was}x"))
