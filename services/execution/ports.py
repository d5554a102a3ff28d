"""What a trader is asked for, what it shows, and what it asks of the process around it. Types only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from packages.common.time import DAY_MS, MINUTE_MS
from packages.common.types import OhlcBar
from packages.exchange import trading as wire
from packages.exchange.port import BookTop, Brackets, InstrumentInfo
from services.execution import books, kill_switch
from services.execution.canary import ProofRules, Proofs
from services.execution.core import events as ev
from services.execution.core.state import Phase
from services.execution.equity import EquityMarks
from services.execution.kill_switch import KillState


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """A bracket the kernel wants. ``decided_ts_ms`` and ``due_ts_ms`` are market time, prices on the tick, quantity on
    the market lot's grid."""

    decision_id: str
    symbol: str
    direction: int
    quantity: Decimal
    leverage: int
    stop_price: Decimal
    target_price: Decimal
    reference_price: Decimal
    decided_ts_ms: int
    due_ts_ms: int
    model_id: str | None = None


@dataclass
class OrderRequest:
    """A bracket as §15 asks for it: quote units and prices; ``side`` BUY or SELL."""

    symbol: str
    side: str
    notional: float
    leverage: int
    sl_price: float
    tp_price: float


@dataclass(frozen=True, slots=True)
class TraderConfig:
    """Wall seconds, unless named otherwise. ``hold_ms`` is market time: the time exit of an order that names none."""

    reconcile_s: float = 45.0
    poll_s: float = 7.0
    account_s: float = 10.0
    echo_s: float = 2.0
    stranger_s: float = 3.0
    ledger_s: float = 60.0  # between attempts at the nightly comparison
    ledger_every_ms: int = DAY_MS  # market time
    ledger_slack: Decimal = Decimal("0.01")
    stream_wait_s: float = 10.0
    retry_s: float = 1.0
    hold_ms: int = 1_440 * MINUTE_MS
    proofs: ProofRules = field(default_factory=ProofRules)
    delays: Mapping[ev.Timer, int] = field(default_factory=dict)  # of the core, in wall ms; what is absent is its own


@dataclass(frozen=True, slots=True)
class LivePosition:
    """A position as last reconciled. ``stop_price`` None: it has no plan."""

    symbol: str
    amount: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal | None
    isolated_margin: Decimal  # unrealized PnL included
    maint_margin: Decimal
    leverage: int
    stop_price: Decimal | None
    target_price: Decimal | None
    opened_ts_ms: int
    phase: Phase
    protected: bool
    plan: books.Plan | None


@dataclass(frozen=True, slots=True)
class AccountView:
    """What is known of the account now, for the kernel, the screens and the watchdog's heartbeat."""

    ready: bool  # recovered: entries are possible at all
    positions: Mapping[str, LivePosition]
    locked: Mapping[str, Phase]  # symbols with anything under way
    entering: Mapping[str, EntryOrder]  # on their way to the core
    plans: Mapping[str, books.Plan]  # of locked symbols; without a position yet they count as filled
    account: wire.Account | None
    marks: EquityMarks | None
    killed: KillState
    blocks: Mapping[kill_switch.Block, int]
    paused: frozenset[str]
    proofs: Proofs
    stream_up: bool
    naked_ms: tuple[float, ...]
    closed: tuple[books.Closed, ...]  # the last lives booked by this process, oldest first
    closed_before: int  # how many more came before these


class Writer(Protocol):
    """Where rows go: ``packages.common.writer.BatchWriter`` is one."""

    def put(self, table: str, rows: Sequence[Any]) -> None: ...


class Recorder(Protocol):
    """Keeps events and fills as rows: ``services.userstream.recorder.Recorder`` is one."""

    def event(self, item: wire.UserEvent) -> None: ...

    async def fills(self, symbol: str, trades: Sequence[wire.Trade]) -> None: ...


RecorderOf = Callable[[wire.Trading, Callable[[str], str | None], Callable[[str], str | None]], Recorder]


class Outside(Protocol):
    """What the trader asks of the process around it; what waits for an answer is async."""

    def lease_age_ms(self) -> float | None:
        """Since the trading lease was last seen held, monotonic; None: it was not."""

    def stores_lost(self) -> tuple[str, ...]:
        """Stores that do not answer now."""

    def data_ages(self) -> Mapping[str, kill_switch.DataAge]:
        """Of every tradable symbol."""

    def clock_skew_ms(self) -> float | None:
        """Market ms by which the exchange's clock was last found off ours."""

    def model_age_ms(self) -> float | None:
        """Market time since the end of the data that the model knows."""

    def last(self, symbol: str) -> Decimal | None:
        """The last traded price."""

    def brackets(self, symbol: str) -> Brackets | None:
        """Leverage tiers."""

    async def book_top(self, symbol: str) -> BookTop:
        """Best bid and ask, asked for now. Raises ``VenueError``."""

    async def instruments(self) -> Mapping[str, InstrumentInfo]:
        """The exchange's rules, asked for now. Raises ``VenueError``."""

    async def mark_bars(self, symbol: str, start_ms: int, end_ms: int) -> Sequence[OhlcBar]:
        """Closed 1m bars of the mark that opened in [start, end), at least the first ones. Raises ``VenueError``."""
