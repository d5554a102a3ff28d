"""A venue without a wire: prices by hand, requests by call."""

from decimal import Decimal

import pytest

from packages.common.time import HOUR_MS
from services.emulator.contracts import KNOWN
from services.emulator.params import ApiError
from services.emulator.venue.book import Quote, Span
from services.emulator.venue.contract import contract_of
from services.emulator.venue.model import Account
from services.emulator.venue.operations import perform
from services.emulator.venue.switches import Switches
from services.emulator.venue.venue import Venue

D = Decimal
T0 = 1_770_000_000_000 // HOUR_MS * HOUR_MS + 1_000
BTC = contract_of(KNOWN["BTCUSDT"], D(100_000_000))
ETH = contract_of(KNOWN["ETHUSDT"], D(1_000_000))
XAU = contract_of(KNOWN["XAUUSDT"], D(1_000_000))


class HandFeed:
    """Prices by hand: what stands at a second stands until the next entry."""

    def __init__(self):
        self.prices = {}
        self.funding = {}

    def at(self, seconds, last, mark=None, symbol="BTCUSDT"):
        self.prices.setdefault(symbol, {})[T0 + seconds * 1000] = (D(str(last)), D(str(mark if mark else last)))

    def quote(self, symbol, ts_ms):
        known = [ts for ts in self.prices.get(symbol, {}) if ts <= ts_ms]
        if not known:
            return None
        last, mark = self.prices[symbol][max(known)]
        tick = BTC.tick if symbol == "BTCUSDT" else D("0.01")
        return Quote(ts_ms, last, mark, last, last + tick, D("1"), D("10"))

    def span(self, symbol, minute_ms):
        quotes = [self.quote(symbol, minute_ms + k * 1000) for k in range(60)]
        known = [quote for quote in quotes if quote is not None]
        if not known:
            return None
        last, mark = [q.last for q in known], [q.mark for q in known]
        return Span(min(last), max(last), min(mark), max(mark))

    def settlements(self, symbol, from_ms, to_ms):
        return [(ts, r, m) for ts, (r, m) in sorted(self.funding.get(symbol, {}).items()) if from_ms <= ts < to_ms]


class Bench:
    """A venue with one account of 10 000 USDT, isolated, 10x, and a clock of seconds."""

    def __init__(self, seed=7, wallet="10000", isolated=True, **switches):
        self.feed = HandFeed()
        self.feed.at(0, 50000)
        for symbol in ("ETHUSDT", "XAUUSDT"):
            self.feed.at(0, 2500, symbol=symbol)
        account = Account("a")
        contracts = {c.symbol: c for c in (BTC, ETH, XAU)}
        self.venue = Venue(contracts, self.feed, [account], T0, seed=seed, switches=Switches(**switches))
        self.desk.ledger.book("TRANSFER", "", D(wallet), T0)
        self.now = T0
        self.events = []
        if isolated:
            self.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        self.post("leverage", symbol="BTCUSDT", leverage=10)
        self.events.clear()

    @property
    def desk(self):
        return self.venue.desks["a"]

    @property
    def account(self):
        return self.desk.ledger.account

    def position(self, symbol="BTCUSDT"):
        return self.desk.ledger.position(symbol)

    def call(self, method, path, version=1, **params):
        params = {k: ("true" if v is True else "false" if v is False else str(v)) for k, v in params.items()}
        try:
            return perform(self.venue, "a", method, f"/fapi/v{version}/{path}", params, self.now)
        finally:
            self.take()

    def post(self, path, **params):
        return self.call("POST", path, **params)

    def get(self, path, version=1, **params):
        return self.call("GET", path, version, **params)

    def order(self, side, quantity, type="MARKET", symbol="BTCUSDT", **params):
        return self.post("order", symbol=symbol, side=side, type=type, quantity=quantity,
                         newOrderRespType="RESULT", **params)  # fmt: skip

    def stop(self, trigger, side="SELL", type="STOP_MARKET", symbol="BTCUSDT", **params):
        params = {"closePosition": True} | params if "quantity" not in params else params
        return self.post("algoOrder", algoType="CONDITIONAL", symbol=symbol, side=side, type=type,
                         triggerPrice=trigger, **{"workingType": "MARK_PRICE"} | params)  # fmt: skip

    def until(self, seconds):
        self.now = T0 + seconds * 1000
        self.venue.advance(self.now)
        self.take()

    def take(self):
        self.events += [event for _, event in self.venue.take_events()]

    def said(self):
        """The events so far, in short, and forget them."""
        told = []
        for event in self.events:
            match event["e"]:
                case "ORDER_TRADE_UPDATE":
                    told.append(f"order {event['o']['x']} {event['o']['X']}")
                case "ALGO_UPDATE":
                    told.append(f"algo {event['o']['X']}")
                case "ACCOUNT_UPDATE":
                    told.append(f"account {event['a']['m']}")
                case other:
                    told.append(other)
        self.events.clear()
        return told

    def ledger_is_whole(self):
        assert self.account.wallet == sum(i.amount for i in self.account.incomes)
        assert self.desk.ledger.cross_wallet() >= 0


def code(do, *args, **kwargs):
    with pytest.raises(ApiError) as caught:
        do(*args, **kwargs)
    return caught.value.code
