"""The contract endpoints: exchangeInfo, leverageBracket, fundingInfo, fundingRate."""

from collections.abc import Mapping
from typing import Any

import orjson

from packages.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from services.emulator import params
from services.emulator.limits import Limits
from services.emulator.market import Market
from services.emulator.params import ApiError
from services.emulator.symbols import NEVER_MS, SymbolSpec, brackets_json

_ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
_ASSETS = [("USDT", "-10000"), ("BTC", "-0.10000000"), ("BNB", "-10"), ("USDC", "-10000")]
ANNOUNCED_MS = 3 * DAY_MS  # a delisting is known this long before
JITTER_MS = 10  # settlements are posted a few milliseconds late


def fixed(value: int, decimals: int) -> str:
    """``value·10**-decimals`` with exactly that many decimals."""
    sign, digits = "-" if value < 0 else "", str(abs(value)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


class Info:
    """Answers as JSON bytes."""

    def __init__(self, market: Market, limits: Limits) -> None:
        self._market, self._limits = market, limits

    def exchange_info(self, _: Mapping[str, str], now_ms: int) -> bytes:
        return orjson.dumps(
            {
                "timezone": "UTC",
                "serverTime": now_ms,
                "futuresType": "U_MARGINED",
                "rateLimits": [
                    _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, self._limits.weight),
                    _rate_limit("ORDERS", "MINUTE", 1, 1200),
                    _rate_limit("ORDERS", "SECOND", 10, 300),
                ],
                "exchangeFilters": [],
                "assets": [
                    {"asset": asset, "marginAvailable": True, "autoAssetExchange": floor} for asset, floor in _ASSETS
                ],
                "symbols": [_symbol(s, now_ms) for s in self._market.specs if s.listed(now_ms)],
            }
        )

    def leverage_bracket(self, query: Mapping[str, str], now_ms: int) -> bytes:
        if query.get("symbol"):
            return orjson.dumps(brackets_json(self._market.specs[self._one(query, now_ms)]))
        return orjson.dumps([brackets_json(s) for s in self._market.specs if s.listed(now_ms)])

    def funding_info(self, _: Mapping[str, str], now_ms: int) -> bytes:
        """Only symbols whose cap, floor or interval is not the usual one (§3.2)."""
        rows = []
        for number, spec in enumerate(self._market.specs):
            hours = self._market.source.funding_hours(number, now_ms)
            if spec.listed(now_ms) and (hours != 8 or spec.funding_cap != "0.02000000"):
                rows.append(
                    {
                        "symbol": spec.symbol,
                        "adjustedFundingRateCap": spec.funding_cap,
                        "adjustedFundingRateFloor": f"-{spec.funding_cap}",
                        "fundingIntervalHours": hours,
                        "disclaimer": False,
                    }
                )
        return orjson.dumps(rows)

    def funding_rate(self, query: Mapping[str, str], now_ms: int) -> bytes:
        """Ascending; from ``startTime`` upward when it is given, else the latest ``limit`` rows."""
        start, end = params.times(query)
        most = params.limit(query, 100 if start is not None or end is not None else 200, 1000)
        symbols = [self._one(query, now_ms)] if query.get("symbol") else range(len(self._market.specs))
        last = min(now_ms, end if end is not None else now_ms)
        found = []
        for symbol in symbols:
            spec = self._market.specs[symbol]
            first = self._market.source.start_ms
            # without a start the latest rows: no symbol settles more rarely than every eight hours
            first = max(first, last - (most + 1) * 8 * HOUR_MS if start is None else start - JITTER_MS)
            for ts, rate, mark in self._market.source.funding(symbol, first, last + 1):
                posted = ts + (spec.key ^ (ts // MINUTE_MS)) % JITTER_MS
                if (start is None or posted >= start) and posted <= last:
                    found.append((posted, spec.symbol, rate, mark))
        found.sort()
        kept = found[:most] if start is not None else found[-most:]
        return orjson.dumps(
            [
                {
                    "symbol": symbol,
                    "fundingRate": fixed(rate, 8),
                    "fundingTime": posted,
                    "markPrice": fixed(mark, 8),
                    "rateType": "Regular",
                }
                for posted, symbol, rate, mark in kept
            ]
        )

    def _one(self, query: Mapping[str, str], now_ms: int) -> int:
        symbol = self._market.by_name.get(params.symbol_text(query))
        if symbol is None or not self._market.specs[symbol].listed(now_ms):
            raise ApiError(-1121, "Invalid symbol.")
        return symbol


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol(spec: SymbolSpec, now_ms: int) -> dict[str, Any]:
    narrow = spec.tradifi
    up, down = ("1.0200", "0.9800") if narrow else ("1.0500", "0.9500")
    least = fixed(spec.tick_units, spec.price_decimals)
    most = fixed(ceiling(spec), spec.price_decimals)
    return {
        "symbol": spec.symbol,
        "pair": spec.symbol,
        "contractType": "TRADIFI_PERPETUAL" if spec.tradifi else "PERPETUAL",
        "deliveryDate": spec.delivery_ms if now_ms >= spec.delivery_ms - ANNOUNCED_MS else NEVER_MS,
        "onboardDate": spec.onboard_ms,
        "status": spec.status(now_ms),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": min(spec.price_decimals, 7),
        "quantityPrecision": spec.qty_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COMMODITY" if spec.tradifi else "COIN",
        "underlyingSubType": ["TradFi"] if spec.tradifi else [],
        "settlePlan": 0,
        "triggerProtect": "0.0200" if narrow else "0.0500",
        "liquidationFee": "0.015000" if narrow else "0.012500",
        "marketTakeBound": "0.02" if narrow else "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": least, "maxPrice": most, "tickSize": spec.tick},
            {"filterType": "LOT_SIZE", "minQty": spec.step, "maxQty": spec.max_qty, "stepSize": spec.step},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": spec.step,
                "maxQty": spec.market_max_qty,
                "stepSize": spec.step,
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": spec.min_notional},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": up,
                "multiplierDown": down,
                "multiplierDecimal": "4",
            },
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
        ],
        "orderTypes": _ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def ceiling(spec: SymbolSpec) -> int:
    """Highest price that may be quoted: a power of ten about a hundred times the level, a multiple of the tick."""
    top = int(10 ** (len(str(max(1, int(spec.price)))) + 2 + spec.price_decimals))
    return top // spec.tick_units * spec.tick_units
