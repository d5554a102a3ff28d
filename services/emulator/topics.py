"""Stream names: what each means, and which path carries it."""

import re
from typing import NamedTuple

from services.emulator.params import INTERVALS

ALL = -1


class Topic(NamedTuple):
    """``kind``: kline, continuous, mark, marks, book, books, user, or quiet (known to the exchange, not produced here).
    ``detail``: interval, or speed of the mark price."""

    kind: str
    symbol: int
    detail: str

    @property
    def category(self) -> str:
        if self.kind == "user":
            return "private"
        return "public" if self.kind in ("book", "books", "quiet-public") else "market"


_PUBLIC = re.compile(r"^(depth(5|10|20)?(@(100|250|500)ms)?|rpiDepth@500ms|trade)$")
_LISTEN_KEY = re.compile(r"^[A-Za-z0-9]{64}$")
_ALL_STREAMS = {
    "!markPrice@arr": Topic("marks", ALL, "3s"),
    "!markPrice@arr@1s": Topic("marks", ALL, "1s"),
    "!bookTicker": Topic("books", ALL, ""),
    "!miniTicker@arr": Topic("quiet", ALL, ""),
    "!ticker@arr": Topic("quiet", ALL, ""),
    "!forceOrder@arr": Topic("quiet", ALL, ""),
    "!contractInfo": Topic("quiet", ALL, ""),
    "!assetIndex@arr": Topic("quiet", ALL, ""),
    "tradingSession": Topic("quiet", ALL, ""),
}


def parse(name: str, by_name: dict[str, int]) -> Topic:
    """The topic of a stream name. A name nobody knows is quiet: the exchange acknowledges it and sends nothing."""
    if name in _ALL_STREAMS:
        return _ALL_STREAMS[name]
    if _LISTEN_KEY.match(name):
        return Topic("user", ALL, "")
    lead, _, rest = name.partition("@")
    symbol = by_name.get(lead.upper()) if lead == lead.lower() else None
    if rest.startswith("continuousKline_"):
        pair, _, contract = lead.partition("_")
        symbol = by_name.get(pair.upper()) if contract in ("perpetual", "tradifi_perpetual") else None
        detail = rest.removeprefix("continuousKline_")
        return Topic("continuous", symbol, detail) if symbol is not None and detail in INTERVALS else _QUIET
    if symbol is None:
        return _QUIET
    if rest.startswith("kline_"):
        detail = rest.removeprefix("kline_")
        return Topic("kline", symbol, detail) if detail in INTERVALS else _QUIET
    if rest in ("markPrice", "markPrice@3s"):
        return Topic("mark", symbol, "3s")
    if rest == "markPrice@1s":
        return Topic("mark", symbol, "1s")
    if rest == "bookTicker":
        return Topic("book", symbol, "")
    if _PUBLIC.match(rest):
        return Topic("quiet-public", symbol, "")
    return _QUIET


_QUIET = Topic("quiet", ALL, "")
