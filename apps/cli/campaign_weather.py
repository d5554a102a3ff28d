"""The weather of a campaign: what goes wrong at the emulated exchange and on the wire, drawn from a seed.

Shares of all occasions from the beginning to the end, and sudden blows in between. Times here are ours, in seconds;
the exchange is told market time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

# What befalls a share of all occasions, in times as they are for us (s): they become market time on the way. Shares at
# realistic rates; at absurd ones they are ``ABSURD`` times as high.
STEADY: tuple[dict[str, Any], ...] = (
    {"kind": "order_lost", "share": 0.002},
    {"kind": "order_unknown", "share": 0.002},
    {"kind": "order_unknown", "share": 0.001, "code": -1007},
    {"kind": "order_dropped", "share": 0.002},
    {"kind": "order_dropped", "share": 0.001, "code": -1007},
    {"kind": "order_late", "share": 0.001, "delay_s": 0.8},
    {"kind": "order_rejected", "share": 0.002},
    {"kind": "order_slow", "share": 0.003, "delay_s": 0.6},
    {"kind": "order_slow", "share": 0.001, "delay_s": 2.5},
    {"kind": "rest_503", "share": 0.002},
    {"kind": "rest_500", "share": 0.001},
    {"kind": "rest_slow", "share": 0.003, "delay_s": 0.4},
    {"kind": "stale_read", "share": 0.002, "delay_s": 1.0},
    {"kind": "read_overtaken", "share": 0.002, "delay_s": 0.4},
    {"kind": "event_lost", "share": 0.001},
    {"kind": "event_late", "share": 0.003, "delay_s": 0.7},
    {"kind": "event_twice", "share": 0.005, "delay_s": 1.0},
    {"kind": "event_swapped", "share": 0.005},
    {"kind": "event_garbled", "share": 0.0005},
    {"kind": "market_short", "share": 0.01, "size": 0.5},
    {"kind": "fill_late", "share": 0.003, "delay_s": 0.3},
    {"kind": "trigger_stuck", "share": 0.002},
)
ABSURD = 15.0
# What happens now and then: ``for_s`` from .. to, ``delay_s`` from .. to; ``one``: to one symbol. Gaps and halts begin
# with a minute of the market.
SUDDEN: tuple[dict[str, Any], ...] = (
    {"kind": "drop_connection", "category": "private", "times": 1},
    {"kind": "close_connection", "category": "private", "times": 1},
    {"kind": "silent_socket", "category": "private", "for_s": (1.0, 6.0)},
    {"kind": "half_open", "category": "private", "for_s": (0.2, 2.0)},
    {"kind": "truncated_frame", "category": "private", "times": 1},
    {"kind": "key_expired", "times": 1},
    {"kind": "key_lost", "times": 1},
    {"kind": "maintenance", "for_s": (0.5, 3.0)},
    {"kind": "rest_429", "for_s": (0.2, 0.6), "delay_s": (0.2, 1.0)},
    {"kind": "rest_418", "times": 1, "delay_s": (0.5, 2.0)},
    {"kind": "clock_skew", "for_s": (1.0, 4.0), "delay_s": (-2.0, 2.0)},
    {"kind": "trigger_stuck", "for_s": (1.0, 5.0), "one": True},
    {"kind": "adl", "times": 1, "size": 0.5, "one": True},
    {"kind": "price_gap", "for_s": (4.0, 9.0), "size": 0.02, "one": True},
    {"kind": "price_gap", "for_s": (4.0, 9.0), "size": -0.02, "one": True},
    {"kind": "mark_gap", "for_s": (4.0, 9.0), "size": 0.01, "one": True},
    {"kind": "halt", "for_s": (4.0, 9.0), "one": True},
    {"kind": "order_rejected", "leg": "stop", "code": -1102, "for_s": (0.2, 1.0), "one": True},
    {"kind": "rest_503", "for_s": (0.2, 1.0)},
)
EVERY_S = {"realistic": 8.0, "absurd": 2.0}
PROFILES = ("calm", *EVERY_S)


def steady(profile: str, speed: float) -> list[dict[str, Any]]:
    """What is posted once, at the beginning."""
    times = ABSURD if profile == "absurd" else 1.0
    rows = [{**row, "share": min(0.25, row["share"] * times)} for row in STEADY]
    return [_in_market_time(row, speed) for row in (*rows, {"kind": "funding_hours", "size": 1.0})]


def sudden(rng: np.random.Generator, symbols: Sequence[str], speed: float) -> dict[str, Any]:
    """The next blow."""
    row = dict(SUDDEN[int(rng.integers(len(SUDDEN)))])
    for name in ("for_s", "delay_s"):
        if name in row:
            row[name] = round(float(rng.uniform(*row[name])), 3)
    if row.pop("one", False):
        row["symbols"] = [symbols[int(rng.integers(len(symbols)))]]
    return _in_market_time(row, speed)


def _in_market_time(row: Mapping[str, Any], speed: float) -> dict[str, Any]:
    seconds = {name: row[name] for name in ("for_s", "delay_s") if name in row}
    rest = {name: value for name, value in row.items() if name not in seconds}
    return rest | {name.replace("_s", "_ms"): int(value * 1e3 * speed) for name, value in seconds.items()}


async def weather(
    send: Callable[..., Awaitable[Any]], rng: np.random.Generator, profile: str, symbols: Sequence[str], speed: float
) -> None:
    """Faults for as long as it is awaited; ``send`` posts one. Calm weather has none."""
    if profile == "calm":
        await asyncio.Event().wait()
    for row in steady(profile, speed):
        await send(**row)
    while True:
        await asyncio.sleep(float(rng.exponential(EVERY_S[profile])))
        await send(**sudden(rng, symbols, speed))
