"""The loop of §22: order of effects only. One batch of the collector in, rows and messages out."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from apps.worker_realtime import rows
from apps.worker_realtime.engine import Decided, Engine, Permission
from apps.worker_realtime.feature_book import FeatureBook, FeatureMinute
from apps.worker_realtime.publisher import Share
from apps.worker_realtime.recovery import checkpoint_state
from apps.worker_realtime.totals import Totals
from packages.common.settings_versions import SettingsVersion
from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS, Clock, iso, monotonic_ms
from packages.common.types import MinuteRecord
from services.collector.batch import CollectorBatch
from services.features import kernel, schema
from services.registry.instruments import DayFacts, no_facts
from services.simulator.codec import FORMAT, pack_inputs, pack_rows, pack_state
from services.simulator.tables import N_PAYMENTS
from services.simulator.volume import VolumeWindow, push_volume

log = structlog.get_logger(__name__)

F64 = NDArray[np.float64]


class Writer(Protocol):
    """Where rows go: ``packages.common.writer.BatchWriter`` is one."""

    def put(self, table: str, rows: Sequence[Any]) -> None: ...


class LiveMinutes(Protocol):
    """The live account, decided on the same inputs: ``apps.worker_realtime.live.LiveTrading`` is one."""

    def minute(self, shadow: Decided, engine: Engine, late_ms: int, decided_at_ms: int) -> None: ...


@dataclass(slots=True)
class Progress:
    """What status pages say about the loop. Times are market time, durations wall milliseconds."""

    candle_ts_ms: int | None = None
    feature_ts_ms: int | None = None
    signal_ts_ms: int | None = None
    late_ms: int = 0
    minutes: int = 0
    fresh_symbols: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    catching_up: bool = True


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """``stale_after_ms``: market time after which a closed minute is too old to enter on."""

    stale_after_ms: int
    checkpoint_every_ms: int = HOUR_MS


class MinuteLoop:
    """Features, decisions and rows of every minute. Owns the mutable states; everything it needs comes in."""

    def __init__(
        self,
        book: FeatureBook,
        volumes: VolumeWindow,
        medians: F64,
        days: dict[date, DayFacts],
        clock: Clock,
        writer: Writer,
        publish: Callable[[str, Any], None],
        permission: Callable[[], Permission],
        totals: Totals,
        config: LoopConfig,
    ) -> None:
        self._book, self._volumes, self._qm, self.days = book, volumes, medians, days
        self._clock, self._writer, self._publish, self._permission = clock, writer, publish, permission
        self._config, self._totals = config, totals
        self._closes = np.full((60, len(book.symbols)), np.nan)  # last closes by minute of the hour
        self._index = {symbol: s for s, symbol in enumerate(book.symbols)}
        self._settled: dict[tuple[str, int], float] = {}
        self._unpaid: dict[tuple[str, int], float] = {}  # known after their minute was decided (ADR 0005)
        self._first_decided_ms: int | None = None
        self._checkpoint_due_ms: int | None = None
        self._was_halted = False
        self.engine: Engine | None = None
        self.live: LiveMinutes | None = None
        self.settings: SettingsVersion | None = None  # what is in force; the engine adopts it before its next minute
        self.progress = Progress()

    async def run(self, batches: AsyncIterator[CollectorBatch], pace: Callable[[], Any]) -> None:
        """Until the collector ends. ``pace`` is awaited after each batch: it gives other tasks their turn, and waits
        while the writer is far behind."""
        async for batch in batches:
            self.take(batch)
            await pace()

    def take(self, batch: CollectorBatch) -> None:
        """Everything one batch leads to, without a pause in between: its rows enter one transaction (ADR 0001)."""
        started = monotonic_ms()
        self.progress.catching_up = not batch.live
        self._take_side_news(batch)
        minutes = self._book.push(batch.records)
        for gap in batch.gaps:
            if gap.status == "unavailable" and gap.dataset != "funding_rates":
                minutes += self._book.give_up(gap.symbol, gap.to_ts_ms)
        for record in batch.records:
            s = self._index[record.bar.symbol]
            self._qm[s] = push_volume(self._volumes, s, record.bar.quote_volume)
        self._write_market(minutes)
        features_ms = monotonic_ms() - started
        if batch.closed_ts_ms is not None:
            self._decide(batch, minutes, features_ms)
            self._checkpoint(batch.closed_ts_ms)

    # --- market -----------------------------------------------------------------------------------------------------

    def _take_side_news(self, batch: CollectorBatch) -> None:
        for settlement in batch.settlements:
            key = settlement.symbol, settlement.ts_ms
            if key not in self._settled:
                self._settled[key] = settlement.rate
                if self._decided_before(settlement.ts_ms):
                    self._unpaid[key] = settlement.rate
        put = self._writer.put
        if batch.settlements:
            put("funding_rates", [(s.symbol, s.ts_ms, s.rate, s.mark_price) for s in batch.settlements])
        if batch.open_interest:
            put("open_interest", [(o.symbol, o.ts_ms, o.open_interest, o.value) for o in batch.open_interest])
        if batch.gaps:
            put("data_gaps", [_gap_row(asdict(gap)) for gap in batch.gaps])
        if batch.quality:
            put("quality_events", [(q.ts_ms, q.symbol, q.code, q.message, q.details) for q in batch.quality])

    def _write_market(self, minutes: Sequence[FeatureMinute]) -> None:
        """Candles go with their features into one transaction: a stored bar is a folded bar."""
        for minute in minutes:
            for table, values in rows.market_rows(minute.records.values()).items():
                if values:
                    self._writer.put(table, values)
            values = rows.feature_rows(minute)
            if values:
                self._writer.put("features_1m", values)
            self.progress.candle_ts_ms = max(self.progress.candle_ts_ms or 0, minute.ts_ms)
            self.progress.feature_ts_ms = max(self.progress.feature_ts_ms or 0, minute.ts_ms)

    # --- decisions --------------------------------------------------------------------------------------------------

    def _decide(self, batch: CollectorBatch, minutes: Sequence[FeatureMinute], features_ms: float) -> None:
        ts_ms, engine = batch.closed_ts_ms, self.engine
        assert ts_ms is not None
        last = engine.last_ts_ms if engine is not None else None
        if engine is None or (last is not None and ts_ms <= last):
            return
        if self.settings is not None and self.settings.version != engine.settings_version:
            engine.adopt(self.settings)
            log.info("settings_adopted", version=engine.settings_version, first_minute=iso(ts_ms))
        if last is not None:
            for missed in range(last + MINUTE_MS, ts_ms, MINUTE_MS):  # nothing is known of them: the account waits
                self._step(engine, missed, {}, (), 0.0, live=False)
        records = {self._index[r.bar.symbol]: r for r in batch.records if r.bar.ts_ms == ts_ms}
        self._step(engine, ts_ms, records, minutes, features_ms, live=batch.live)

    def _step(
        self,
        engine: Engine,
        ts_ms: int,
        records: dict[int, MinuteRecord],
        minutes: Sequence[FeatureMinute],
        features_ms: float,
        *,
        live: bool,
    ) -> None:
        started = monotonic_ms()
        features = np.full((len(engine.symbols), schema.N_FEATURES), np.nan)
        for minute in minutes:
            if minute.ts_ms == ts_ms:
                features[minute.advanced] = minute.rows[minute.advanced]
        now = self._clock.now_ms()
        # Where the exchange waits for us the clock only says how far we have read ahead: a live minute is not late.
        late_ms = 0 if live and math.isinf(self._clock.speed) else max(0, now - ts_ms - MINUTE_MS)
        due, charged = self._due(engine, ts_ms)
        decided = engine.decide(
            ts_ms,
            records,
            features,
            due,
            self._qm,
            self._day(ts_ms),
            self._permission(),
            stale=late_ms > self._config.stale_after_ms,
        )
        decided_ms = monotonic_ms() - started
        self.progress.timings = {"features": features_ms, "decision": decided_ms, "minute": features_ms + decided_ms}
        if self.live is not None and live:  # before anything is written: its orders do not wait for rows
            self.live.minute(decided, engine, late_ms, now)
        self._write_decision(engine, decided, late_ms, now)
        self._note_late(decided, charged)
        self._forget_settlements(ts_ms)
        self._first_decided_ms = ts_ms if self._first_decided_ms is None else self._first_decided_ms
        self.progress.signal_ts_ms = ts_ms
        self.progress.late_ms = late_ms
        self.progress.minutes += 1
        self.progress.fresh_symbols = len(records)

    def _decided_before(self, settled_ts_ms: int) -> bool:
        """Whether this process decided the minute that closed with a settlement, and would know had it been told then.
        What was paid before a restart nobody here knows: it is not paid again."""
        last = self.engine.last_ts_ms if self.engine is not None else None
        if last is None or self._first_decided_ms is None:
            return False
        return max(self._first_decided_ms + 1, last - DAY_MS) <= settled_ts_ms <= last + MINUTE_MS

    def _due(self, engine: Engine, ts_ms: int) -> tuple[dict[int, float], set[tuple[str, int]]]:
        """Rates by symbol index that positions pay at the close of minute ``ts_ms``: those settled then, and late ones
        where the position was held when they settled; and which of the late ones these are (ADR 0005)."""
        due = {self._index[name]: rate for (name, at), rate in self._settled.items() if at == ts_ms + MINUTE_MS}
        charged = set()
        for (name, at), rate in self._unpaid.items():
            s = self._index[name]
            position = engine.state.positions[s]
            if position["side"] != 0 and (int(position["entry_bar"]) + 1) * MINUTE_MS <= at:
                due[s] = due.get(s, 0.0) + rate
                charged.add((name, at))
        return due, charged

    def _note_late(self, decided: Decided, charged: set[tuple[str, int]]) -> None:
        """Say of every late settlement whether the account paid it: history books it in its own minute."""
        events = decided.out.events
        paying = set(events.payments["symbol"][: events.n[N_PAYMENTS]].tolist())  # the others left before the close
        for (name, at), rate in self._unpaid.items():
            paid = (name, at) in charged and self._index[name] in paying
            message = f"settled {iso(at)}, known in the minute of {iso(decided.ts_ms)}"
            details = {"settled": iso(at), "rate": rate, "paid": paid}
            self._writer.put("quality_events", [(decided.ts_ms, name, "SETTLEMENT_LATE", message, details)])
        self._unpaid.clear()

    def _write_decision(self, engine: Engine, decided: Decided, late_ms: int, now_ms: int) -> None:
        ts_ms, put = decided.ts_ms, self._writer.put
        signals = rows.signal_rows(decided, engine, late_ms)
        account, positions = rows.account_row(engine, ts_ms), rows.position_rows(engine, ts_ms)
        orders, fills = rows.shadow_orders(decided, engine)
        trades = rows.trade_rows(decided, engine)
        put("signals", signals)
        put(
            "decisions",
            [
                {
                    "ts": ts_ms,
                    "mode": rows.MODE,
                    "model_id": engine.model.model_id,
                    "symbols": list(engine.symbols),
                    "inputs": pack_inputs(decided.inputs),
                    "outputs": pack_rows(decided.out.rows),
                    "state": pack_state(engine.state),
                    "format": FORMAT,
                    "decided_at": now_ms,
                    "timings": self.progress.timings,
                    "settings_version": engine.settings_version,
                    "settings_hash": engine.settings_hash,
                }
            ],
        )
        put("account_snapshots", [account])
        for table, values in (("positions", positions), ("orders", orders), ("fills", fills), ("trades", trades)):
            if values:
                put(table, values)
        self._note_halt(engine, ts_ms)
        self._totals.book(trades)
        ret_60 = decided.inputs.last[3] / self._closes[ts_ms // MINUTE_MS % 60] - 1.0
        self._closes[ts_ms // MINUTE_MS % 60] = decided.inputs.last[3]
        self._publish("signal_updates", rows.signal_messages(signals, decided, ret_60))
        self._tell_account(account, positions)
        if orders:
            self._publish("order_updates", rows.order_messages(orders))

    def tell_account(self, engine: Engine) -> None:
        """Tell screens of the account as it was recovered: until the next minute nothing else would."""
        ts_ms = engine.last_ts_ms
        if ts_ms is not None:
            self._tell_account(rows.account_row(engine, ts_ms), rows.position_rows(engine, ts_ms))

    def _tell_account(self, account: rows.Row, positions: Sequence[rows.Row]) -> None:
        message = account | {"ts": iso(account["ts"])} | self._totals.message(account, positions)
        self._publish("position_updates", Share(rows.MODE, rows.position_messages(positions)))
        self._publish("account_updates", Share(rows.MODE, [message]))

    def _note_halt(self, engine: Engine, ts_ms: int) -> None:
        halted = rows.halted(engine.state)
        if halted and not self._was_halted:
            account = engine.state.account[0]
            details = {"equity": float(account["equity"]), "day_start_equity": float(account["day_start"])}
            event = {
                "ts": ts_ms,
                "event_type": "DAILY_LOSS_LIMIT",
                "symbol": None,
                "severity": 3,
                "message": "The day's loss limit is reached: positions are closed, no entries until the next UTC day",
                "details": details,
            }
            self._writer.put("risk_events", [event])
            self._publish("risk_events", [event | {"ts": iso(ts_ms)}])
        self._was_halted = halted

    def _day(self, ts_ms: int) -> DayFacts:
        """Facts of the day, or of the newest day before it: never of a later one (D45)."""
        day = datetime.fromtimestamp(ts_ms / 1e3, tz=UTC).date()
        known = [d for d in self.days if d <= day]
        return self.days[max(known)] if known else no_facts(len(self._index))

    def _forget_settlements(self, ts_ms: int) -> None:
        for key in [key for key in self._settled if key[1] < ts_ms - DAY_MS]:
            del self._settled[key]

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def _checkpoint(self, ts_ms: int) -> None:
        if self._checkpoint_due_ms is None:
            self._checkpoint_due_ms = ts_ms  # the first one at once: a start without it folds all of history
        if ts_ms >= self._checkpoint_due_ms and not self._book.waiting:
            self.checkpoint()
            self._checkpoint_due_ms = ts_ms + self._config.checkpoint_every_ms

    def checkpoint(self) -> None:
        """Hand every feature state to the writer."""
        values = [
            (
                symbol,
                schema.SCHEMA_VERSION,
                int(self._book.states[s, kernel.LAST_TS]),
                int(self._book.states[s, kernel.ORIGIN_TS]),
                checkpoint_state(self._book, s),
            )
            for s, symbol in enumerate(self._book.symbols)
            if self._book.states[s, kernel.LAST_TS] > 0
        ]
        if values:
            self._writer.put("feature_checkpoints", values)


def _gap_row(gap: dict[str, Any]) -> dict[str, Any]:
    """A row of data_gaps from a ``GapReport``: times lose their unit suffix."""
    return {name.removesuffix("_ms"): value for name, value in gap.items()}


def stale_limit_ms(stale_after_ms: int, speed: float) -> int:
    """Age in market time beyond which a minute is stale. On an accelerated market a second of our own time is allowed
    for on top: it is not the market's lateness."""
    return stale_after_ms if math.isinf(speed) or speed <= 1 else int(stale_after_ms + 1_000 * speed)


async def give_way(queued_rows: Callable[[], int], limit: int = 60_000) -> None:
    """Let other tasks run; wait while the writer is ``limit`` rows behind, so that memory stays bounded."""
    await asyncio.sleep(0)
    while queued_rows() > limit:  # noqa: ASYNC110 - the writer knows nothing of us
        await asyncio.sleep(0.02)
