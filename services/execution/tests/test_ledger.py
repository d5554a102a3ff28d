"""Which trades a life without a plan is made of, when words of it come late or never."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

from packages.exchange.trading import Side, Trade
from services.execution import books
from services.execution.ledger import Life, TradeBooks

D = Decimal
BEGUN_MS = 1_000_000


def trade(trade_id, side, ts_ms):
    return Trade(
        "BTCUSDT", trade_id, trade_id, side, D(100), D(1), D(100), D(0), D("0.1"), "USDT", maker=False, ts_ms=ts_ms
    )


class Desk:
    """As much of a desk as books need; ``trades`` is what the exchange tells."""

    def __init__(self):
        self.trades, self.rows, self.risks, self.lag = [], [], [], 0
        self.trading = self.journal = self.outside = self.translator = self
        self.config = SimpleNamespace(retry_s=0)
        self.clock = SimpleNamespace(now_ms=lambda: BEGUN_MS)
        self.writer = SimpleNamespace(put=lambda _, rows: self.rows.extend(rows))

    async def user_trades(self, symbol):
        self.lag -= 1
        return [] if self.lag >= 0 else list(self.trades)

    async def income(self, *_, **__):
        return []

    async def mark_bars(self, *_):
        return []

    async def synced(self): ...

    async def query_order(self, *_):
        return None

    def owner(self, *_):
        return None

    def put_adopted(self, adopted, state, **_):
        self.rows.append(state)

    def risk(self, code, *_, **__):
        self.risks.append(code)


class Recorder:
    async def fills(self, *_): ...


def life(seen_ms, over_ms):
    return Life("BTCUSDT", books.Adopted("BTCUSDT", seen_ms, 3, None, over_ms), over_ms, seen_ms)


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def made(desk):
    made = TradeBooks(desk, Recorder())
    made.begin()
    return made


async def test_a_late_word_of_what_is_in_the_books_is_no_second_trade(desk, made):
    desk.trades = [trade(1, Side.BUY, BEGUN_MS + 1_000), trade(2, Side.SELL, BEGUN_MS + 2_000)]
    desk.lag = 3  # the exchange lists it late
    await asyncio.gather(
        made.book(life(BEGUN_MS + 1_000, BEGUN_MS + 9_000)), made.book(life(BEGUN_MS + 60_000, BEGUN_MS + 90_000))
    )
    assert [row if isinstance(row, str) else row["net"] for row in desk.rows] == [-0.2, "booked", "closed"]
    assert desk.risks == []


async def test_a_first_sign_after_the_end_is_still_of_that_position(desk, made):
    desk.trades = [trade(1, Side.BUY, BEGUN_MS + 1_000), trade(2, Side.SELL, BEGUN_MS + 2_000)]
    await made.book(life(BEGUN_MS + 60_000, BEGUN_MS + 90_000))
    assert desk.rows[-1] == "booked"


async def test_what_was_over_before_this_process_began_is_not_its_to_book(desk, made):
    desk.trades = [trade(1, Side.BUY, BEGUN_MS - 90_000), trade(2, Side.SELL, BEGUN_MS - 80_000)]
    await made.book(life(BEGUN_MS + 60_000, BEGUN_MS + 90_000))
    assert desk.rows == ["closed"]
