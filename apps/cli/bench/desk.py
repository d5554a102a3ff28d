"""A desk without servers: rendered frames of fifty symbols through parser, assembler and minute loop."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from apps.cli.bench import material
from apps.cli.bench.backtest import RULES
from apps.worker_realtime.engine import Engine, Model, Permission
from apps.worker_realtime.feature_book import FeatureBook
from apps.worker_realtime.loop import LoopConfig, MinuteLoop, Writer
from apps.worker_realtime.totals import Totals
from packages.common.config import load_settings
from packages.common.time import MINUTE_MS, Clock, ManualClock
from packages.common.types import KlineUpdate, MarkTick, MinuteRecord
from packages.exchange.binance.codec import decode_frame
from services.collector.batch import CollectorBatch
from services.features import kernel as k
from services.normalizer.assembler import Assembler, AssemblerConfig
from services.normalizer.quality import QualityLog
from services.simulator.build import SymbolRules, make_constants
from services.simulator.tables import new_state
from services.simulator.volume import new_window

SAMPLES = 4  # mark pushes a symbol and minute
CONFIG = AssemblerConfig(min_samples=SAMPLES)


def frames(symbols: Sequence[str], n_minutes: int) -> Iterator[list[str]]:
    """Per minute the messages of a combined stream: mark samples, then the closed candles, then the first sample of
    the next minute, which ends this one."""
    series = [material.bars(n_minutes, seed, price=100.0 + seed) for seed in range(len(symbols))]
    funding_due = material.START_MS + 480 * MINUTE_MS * (1 + n_minutes // 480)
    for t in range(n_minutes):
        ts = material.START_MS + t * MINUTE_MS
        out = []
        for j in range(SAMPLES):
            at = ts + 1_000 + j * MINUTE_MS // SAMPLES
            for symbol, bars in zip(symbols, series, strict=True):
                price = bars[t, k.BAR_OPEN + (0, 1, 2, 3)[j]]
                out.append(_mark(symbol, at, price, funding_due))
        for symbol, bars in zip(symbols, series, strict=True):
            out.append(_kline(symbol, ts, bars[t]))
        yield out


def closing(symbols: Sequence[str], t: int) -> list[str]:
    """Mark samples of the instant after minute ``t``: with them it is over."""
    at = material.START_MS + (t + 1) * MINUTE_MS
    return [_mark(symbol, at, 100.0, at + 480 * MINUTE_MS) for symbol in symbols]


def _mark(symbol: str, at: int, price: float, due: int) -> str:
    return (
        f'{{"stream":"{symbol.lower()}@markPrice@1s","data":{{"e":"markPriceUpdate","E":{at},"s":"{symbol}",'
        f'"p":"{price:.8f}","i":"{price * 1.0001:.8f}","P":"{price:.8f}","r":"0.00010000","T":{due}}}}}'
    )


def _kline(symbol: str, ts: int, bar: Any) -> str:
    o, h, low, c = (f"{x:.4f}" for x in bar[k.BAR_OPEN : k.BAR_CLOSE + 1])
    volume, quote = bar[k.BAR_QUOTE_VOLUME] / bar[k.BAR_CLOSE], bar[k.BAR_QUOTE_VOLUME]
    return (
        f'{{"stream":"{symbol.lower()}@kline_1m","data":{{"e":"kline","E":{ts + MINUTE_MS - 1},"s":"{symbol}","k":{{'
        f'"t":{ts},"T":{ts + MINUTE_MS - 1},"s":"{symbol}","i":"1m","f":1,"L":90,"o":"{o}","c":"{c}","h":"{h}",'
        f'"l":"{low}","v":"{volume:.3f}","n":90,"x":true,"q":"{quote:.4f}","V":"{volume / 2:.3f}",'
        f'"Q":"{quote / 2:.4f}","B":"0"}}}}}}'
    )


class Records:
    """Frames in, records out: the parsing half of the collector."""

    def __init__(self, symbols: Sequence[str]) -> None:
        start = dict.fromkeys(symbols, material.START_MS - MINUTE_MS)
        self.assembler = Assembler(CONFIG, start, QualityLog())
        self.assembler.on_connected()
        for symbol in symbols:  # a sample of the minute before: the first one is seen whole
            self._take(_mark(symbol, material.START_MS - MINUTE_MS, 100.0, material.START_MS + 480 * MINUTE_MS))
            self.assembler.on_funding_history(symbol, 1 << 60)

    def take(self, messages: Sequence[str], now_ms: int) -> list[MinuteRecord]:
        """Records that these messages completed."""
        for message in messages:
            self._take(message)
        return self.assembler.take_ready(now_ms, now_ms)

    def _take(self, message: str) -> None:
        item = decode_frame(message)
        if type(item) is MarkTick:
            self.assembler.on_mark(item, item.event_ts_ms)
        elif type(item) is KlineUpdate:
            self.assembler.on_kline(item, item.event_ts_ms)


class Rows:
    """A writer that keeps what the minute loop wrote last."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Any]] = {}

    def put(self, table: str, rows: Sequence[Any]) -> None:
        """As ``BatchWriter.put``, without a database."""
        self.tables.setdefault(table, []).extend(rows)


def minute_loop(
    symbols: Sequence[str],
    model: Model,
    writer: Writer,
    publish: Callable[[str, Any], None] = lambda _channel, _message: None,
    *,
    clock: Clock | None = None,
    rules: Sequence[SymbolRules] | None = None,
) -> MinuteLoop:
    """The realtime worker's loop on a flat shadow account. ``rules`` None: one symbol's for all."""
    settings = load_settings(None, exchange="emulator", label_preset="spec")
    n = len(symbols)
    loop = MinuteLoop(
        FeatureBook(symbols),
        new_window(n),
        np.full(n, math.nan),
        {},
        clock or ManualClock(material.START_MS),
        writer,
        publish,
        lambda: Permission(True, False),
        Totals(10_000.0),
        LoopConfig(90_000, 1 << 60),
    )
    tradable, constants = np.ones(n, np.bool_), make_constants(rules or [RULES] * n, settings.taker_fee_rate)
    loop.engine = Engine(tuple(symbols), tradable, constants, settings, model, new_state(n, 10_000.0))
    return loop


def batch(ts_ms: int, records: Sequence[MinuteRecord]) -> CollectorBatch:
    """The closed minute as the collector hands it over."""
    return CollectorBatch(ts_ms, tuple(records))
