"""The worker's share of ``StatusDTO``, from what its parts say of themselves."""

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from apps.worker_realtime.quality import Quality
from packages.common.bus import Bus
from packages.common.config import Settings
from packages.common.time import MINUTE_MS, Clock, iso, monotonic_ms
from packages.common.types import StatusDTO
from packages.common.writer import BatchWriter
from packages.exchange.binance.streams import BinanceStream
from services.collector.collector import Collector

if TYPE_CHECKING:
    from apps.worker_realtime.link import DeskLink
    from apps.worker_realtime.live import LiveTrading
    from apps.worker_realtime.loop import MinuteLoop
    from apps.worker_realtime.model_source import ModelSource
    from apps.worker_realtime.settings_source import SettingsSource
    from services.registry.instruments import Instruments


class LastMinute:
    """How much running totals have grown within the last minute of ours."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, float]]] = deque()

    def of(self, totals: dict[str, float], now_ms: float) -> dict[str, float]:
        """By name; nothing that grew before the first call, and nothing below 0 where a total began anew."""
        self._seen.append((now_ms, totals))
        while len(self._seen) > 1 and self._seen[1][0] <= now_ms - MINUTE_MS:
            self._seen.popleft()
        before = self._seen[0][1]
        return {name: max(0.0, value - before.get(name, 0.0)) for name, value in totals.items()}


class StatusView:
    """Reads, never writes. ``attach`` before the first ``as_json``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        instruments: "Instruments",
        collector: Collector,
        writer: BatchWriter,
        bus: Bus,
        streams: list[BinanceStream],
    ) -> None:
        self._settings, self._clock, self._instruments = settings, clock, instruments
        self._collector, self._writer, self._bus, self._streams = collector, writer, bus, streams

        self._errors = LastMinute()
        self.quality = Quality()
        self.live: LiveTrading | None = None

    def attach(self, loop: "MinuteLoop", link: "DeskLink", models: "ModelSource", source: "SettingsSource") -> None:
        """Name the parts that are built after this one."""
        self._loop, self._link, self._models, self._source = loop, link, models, source

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        """``StatusDTO`` as a dictionary; the ``whole`` of it has the account's conditions, which no screen streams."""
        progress, collected = self._loop.progress, self._collector.stats()
        stream = self._streams[0].stats() if self._streams else None
        writer, bus = self._writer.metrics, self._bus.metrics
        now, speed = self._clock.now_ms(), self._clock.speed
        state, model = self._link.state, self._models.current
        halted = state.kill_switch != "RUNNING"
        skew = None if self.live is None else self.live.clock_skew_ms()
        status = StatusDTO(
            collector_ok=bool(stream and stream.connected and stream.healthy and not collected.catching_up),
            userstream_ok=self.live is not None and self.live.trader.view().stream_up,
            latest_candle_ts=_iso(progress.candle_ts_ms),
            latest_feature_ts=_iso(progress.feature_ts_ms),
            latest_signal_ts=_iso(progress.signal_ts_ms),
            queue_lag={
                "writer_rows": float(writer.queued_rows),
                "writer_ms": round(writer.lag_ms, 1),
                "spilled_bytes": float(writer.spilled_bytes),
                "bus_messages": float(bus.buffered),
                "stream_frames": float(stream.pending if stream else 0),
                "symbols_behind": float(collected.behind),
            },
            latency_ms={
                **{name: round(value, 3) for name, value in progress.timings.items()},
                "bar_to_decision": float(progress.late_ms),
                "flush": round(writer.flush_ms, 1),
                **({} if skew is None else {"clock_skew": round(abs(skew), 1)}),
            },
            ws_connected={"market": bool(stream and stream.connected)},
            error_rates=self._errors.of(
                {
                    "bad_frames": float(stream.bad_frames if stream else 0),
                    "reconnects": float(stream.reconnects if stream else 0),
                    "refused_rows": float(writer.refused_rows),
                    "bus_dropped": float(bus.dropped),
                },
                monotonic_ms(),
            ),
            mode="halted" if halted else state.toggle,
            exchange=self._settings.exchange,
            clock_speed=None if math.isinf(speed) else speed,
            market_ts=iso(now) if now > 0 else None,
            data_age_ms=None if progress.signal_ts_ms is None else float(now - progress.signal_ts_ms - MINUTE_MS),
            symbols_total=len(self._instruments.symbols),
            symbols_tradable=int(self._instruments.tradable.sum()),
            symbols_fresh=progress.fresh_symbols,
            kill_switch=state.kill_switch,
            trading_version=state.version,
            settings_version=self._source.current.version,
            settings_at_start=self._source.at_start,
            model_id=model.predictor.model_id if model else None,
            model_kind=model.kind if model else None,
            open_gaps=self.quality.open_gaps,
            missing_rate_24h=self.quality.missing_rate,
            quality_events_24h=self.quality.events,
        )
        extra: dict[str, Any] = {"catching_up": collected.catching_up, "minutes": progress.minutes}
        if self.live is not None:
            extra["live"] = self.live.status() | ({"gate": self.live.gate.status()} if whole else {})
        return status.model_dump(mode="json") | extra


def _iso(ts_ms: int | None) -> str | None:
    return None if ts_ms is None else iso(ts_ms)
