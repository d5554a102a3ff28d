# ruff: noqa: E501 - rows stay on one line
"""A little of everything, with the NULLs and NaNs that real rows have."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from packages.common.config import load_settings
from packages.common.time import from_datetime

START = datetime(2026, 2, 28, 22, 0, tzinfo=UTC)  # crosses a month, so rows lie in two partitions
BARS = 240
NEWEST = START + timedelta(minutes=BARS - 1)
START_MS, NEWEST_MS = from_datetime(START), from_datetime(NEWEST)
MODEL, CHALLENGER = UUID(int=1), UUID(int=2)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
NAN = float("nan")
MONTHLY = [
    "candles_1m",
    "mark_candles_1m",
    "index_candles_1m",
    "premium_index",
    "features_1m",
    "signals",
    "decisions",
    "account_snapshots",
    "positions",
]


def minute(i: int) -> datetime:
    return START + timedelta(minutes=i)


def seed(url: str) -> None:
    with psycopg.connect(url, autocommit=False, options="-c timezone=UTC") as conn:
        for table in MONTHLY:
            for month in ("2026-02-01", "2026-03-01"):
                conn.execute("SELECT ensure_month(%s, %s::date)", (table, month))
        _instruments(conn)
        _market(conn)
        _models(conn)
        _signals(conn)
        _account(conn)
        _orders(conn)
        _quality(conn)
        conn.execute("INSERT INTO store_identity (exchange) VALUES (%s)", (load_settings(env_file=None).identity,))


def _instruments(conn) -> None:
    for rank, symbol in enumerate(SYMBOLS):
        conn.execute(
            "INSERT INTO instruments (symbol, universe_rank, tick_size, step_size, price_decimals, qty_decimals, "
            "max_leverage, exchange_status, contract_type, liquidity_tier) "
            "VALUES (%s, %s, 0.1, 0.001, 1, 3, 125, 'TRADING', 'PERPETUAL', 'A')",
            (symbol, rank),
        )
        conn.execute(
            "INSERT INTO instrument_days (symbol, day, tier, beta) VALUES (%s, '2026-03-01', 'A', %s)",
            (symbol, NAN if symbol == "SOLUSDT" else 1.0 + rank),
        )
    conn.execute("INSERT INTO instruments (symbol, status, universe_rank) VALUES ('BNXUSDT', 'delisted', 3)")
    conn.execute("INSERT INTO instruments (symbol, in_universe) VALUES ('OLDUSDT', FALSE)")


def prices(symbol: str) -> np.ndarray:
    """Closes of the seeded bars."""
    rng = np.random.default_rng(SYMBOLS.index(symbol))
    return 100.0 * np.exp(np.cumsum(rng.normal(0, 0.001, BARS)))


def _market(conn) -> None:
    with conn.cursor() as cursor:
        for symbol in SYMBOLS:
            closes = prices(symbol)
            # ETHUSDT misses its bars 100..104, SOLUSDT ends ten bars early
            kept = [i for i in range(BARS) if not (symbol == "ETHUSDT" and 100 <= i < 105)]
            kept = [i for i in kept if not (symbol == "SOLUSDT" and i >= BARS - 10)]
            with cursor.copy(
                "COPY candles_1m (symbol, ts, open, high, low, close, volume, quote_volume) FROM STDIN"
            ) as c:
                for i in kept:
                    o, x = closes[max(0, i - 1)], closes[i]
                    c.write_row((symbol, minute(i), o, max(o, x) + 0.1, min(o, x) - 0.1, x, 10.0 + i, 1000.0))
            with cursor.copy("COPY mark_candles_1m (symbol, ts, open, high, low, close) FROM STDIN") as c:
                for i in kept:
                    x = closes[i] + 0.01
                    c.write_row((symbol, minute(i), x, x, x, x))
            cursor.execute(
                "INSERT INTO premium_index (symbol, ts, mark_price) VALUES (%s, %s, %s)",
                (symbol, NEWEST, closes[-1] + 0.02),
            )
    rates = {"BTCUSDT": 0.0001, "ETHUSDT": -0.0005}
    for symbol in SYMBOLS:
        conn.execute(
            "INSERT INTO features_1m (symbol, ts, schema_version, features, atr) VALUES (%s, %s, 1, %s, %s)",
            (
                symbol,
                NEWEST,
                Jsonb({"funding_rate": rates.get(symbol), "ret_1": None}),
                {"BTCUSDT": 0.5, "ETHUSDT": 2.0}.get(symbol, NAN),
            ),
        )


def _models(conn) -> None:
    for model, status in ((MODEL, "demo"), (CHALLENGER, "challenger")):
        conn.execute(
            "INSERT INTO models (model_id, created_at, algo, feature_schema_version, label_spec_hash, train_start, "
            "train_end, metrics, artifact_uri, status, content_hash, label_spec) "
            "VALUES (%s, %s, 'lightgbm', 1, 'abc', %s, %s, %s, 'file:///m', %s, %s, %s)",
            (model, minute(0), START, NEWEST, Jsonb({"auc": 0.51}), status, str(model), Jsonb({"h_bars": 360})),
        )
        conn.execute(
            "INSERT INTO model_pointers (kind, model_id, set_by, reason) VALUES (%s, %s, 'test', 'seed')",
            (status, model),
        )
    conn.execute(
        "INSERT INTO model_evidence (model_id, kind, passed, figures, valid_until) VALUES (%s, 'oos', TRUE, %s, %s)",
        (MODEL, Jsonb({"pf": 1.1}), START),
    )
    conn.execute(
        "INSERT INTO jobs (job_id, kind, created_at, started_at, status, progress, stage, config) "
        "VALUES (%s, 'train_model', %s, now() - interval '10 s', 'running', 0.25, 'fit', %s)",
        (UUID(int=10), minute(5), Jsonb({"seed": 7})),
    )
    conn.execute(
        "INSERT INTO jobs (job_id, kind, created_at, status, progress, config, error) "
        "VALUES (%s, 'bootstrap_history', %s, 'failed', %s, '{}', 'disk full')",
        (UUID(int=11), minute(1), NAN),
    )


def _signals(conn) -> None:
    block = [{"code": "EV_BELOW_MIN", "value": -0.001, "limit": 0.0, "distance": -0.001}, {"code": "Q05_BELOW_MIN"}]
    with conn.cursor() as cursor:
        with cursor.copy(
            "COPY signals (symbol, ts, model_id, mode, ev_long, ev_short, er_long, er_short, q05_long, q05_short, "
            "e_hold_long_min, decision, block_reason_codes, size_notional, leverage, sl_price, tp_price, late_ms) FROM STDIN"
        ) as copy:
            for symbol in SYMBOLS:
                for i in range(BARS - 120, BARS):
                    traded = symbol == "BTCUSDT" and i == BARS - 1
                    ev = {"BTCUSDT": 0.002, "ETHUSDT": -0.001, "SOLUSDT": None}[symbol]
                    codes = None if traded else Jsonb([{"code": "FEATURE_NAN"}] if ev is None else block)
                    q05 = NAN if symbol == "ETHUSDT" else -0.01
                    row = (symbol, minute(i), MODEL, "shadow", ev, ev and -ev, ev, ev, q05, -0.01, 30)
                    plan = (500.0, 3, 99.0, 102.0) if traded else (None, None, None, None)
                    copy.write_row((*row, "LONG" if traded else "FLAT", codes, *plan, 40 if i % 2 else 9000))
        cursor.execute(  # the challenger runs beside the champion and must not be shown in its place
            "INSERT INTO signals (symbol, ts, model_id, mode, ev_long, decision) VALUES ('BTCUSDT', %s, %s, 'shadow', 9, 'LONG')",
            (NEWEST, CHALLENGER),
        )


def _account(conn) -> None:
    for i in range(BARS):
        equity = 10_000.0 + 10 * np.sin(i / 20)
        conn.execute(
            "INSERT INTO account_snapshots (ts, mode, equity, wallet_balance, unrealized_pnl, available_margin, "
            "used_margin, margin_ratio, day_start_equity) VALUES (%s, 'shadow', %s, 10000, 5, 9000, 1000, 0.1, %s)",
            (minute(i), float(equity), 10_100.0 if i > 100 else None),
        )
    for i in (BARS - 2, BARS - 1):
        conn.execute(
            "INSERT INTO positions (symbol, ts, side, mode, amt, entry_price, mark_price, leverage, margin_type, "
            "liquidation_price, notional, unrealized_pnl, sl_price, tp_price, opened_ts, isolated_margin, fees, funding, "
            "slippage) VALUES ('BTCUSDT', %s, 'LONG', 'shadow', 10, 100, 102, 3, 'isolated', 70, 1020, 20, 98, 105, %s, "
            "340, 1, 0.5, 0.25)",
            (minute(i), minute(BARS - 30)),
        )
    conn.execute(  # without a stop, and with what is not known
        "INSERT INTO positions (symbol, ts, side, mode, amt, entry_price, notional, unrealized_pnl) "
        "VALUES ('ETHUSDT', %s, 'SHORT', 'shadow', -5, %s, 2000, NULL)",
        (NEWEST, NAN),
    )
    for i, symbol in enumerate(SYMBOLS):
        conn.execute(
            "INSERT INTO trades (mode, symbol, entry_ts, exit_ts, side, qty, entry_ref, entry_price, exit_ref, exit_price, "
            "exit_reason, gross, slippage, fees, liquidation_fee, funding, absorbed, net, mae, mfe, leverage, sl_price, "
            "tp_price, model_id) VALUES ('shadow', %s, %s, %s, 'LONG', 2, 100, 100, 103, 103, 'TP', 6, 0.5, 0.25, 0, 0.25, "
            "0, 5, 0.01, 0.03, 3, 99, 103, %s)",
            (symbol, minute(150), minute(180 + i % 2), MODEL),
        )


def _orders(conn) -> None:
    for i in range(7):
        conn.execute(
            "INSERT INTO orders (mode, order_id, client_order_id, symbol, side, type, status, reduce_only, qty, created_at, "
            "updated_at, leg) VALUES ('shadow', %s, %s, 'BTCUSDT', 'BUY', 'MARKET', 'FILLED', FALSE, 2, %s, %s, 'entry')",
            (i, f"c{i}", minute(i // 2), minute(i)),  # pairs share an instant
        )
    for trade, (price, qty) in enumerate(((100.0, 1.0), (103.0, 2.0))):
        conn.execute(
            "INSERT INTO fills (mode, symbol, trade_id, order_id, price, qty, fee, ts) "
            "VALUES ('shadow', 'BTCUSDT', %s, 0, %s, %s, 0.1, %s)",
            (trade, price, qty, minute(0)),
        )


def _quality(conn) -> None:
    conn.execute(
        "INSERT INTO data_gaps (symbol, dataset, from_ts, to_ts, missing_bars, found_at) "
        "VALUES ('ETHUSDT', 'candles_1m', %s, %s, 5, %s)",
        (minute(100), minute(104), minute(106)),
    )
    conn.execute(
        "INSERT INTO quality_events (ts, symbol, code, message, details) VALUES (%s, 'ETHUSDT', 'NAN_PRICE', 'close', %s)",
        (minute(200), Jsonb({"close": "NaN"})),
    )
    for hour, symbol, psi in ((1, "BTCUSDT", 0.05), (1, "ETHUSDT", 0.15), (0, "BTCUSDT", 0.3), (0, "ETHUSDT", None)):
        conn.execute(
            "INSERT INTO drift_metrics (symbol, ts, schema_version, psi, missing_rate, outlier_rate) "
            "VALUES (%s, %s, 1, %s, 0.01, 0.02)",
            (symbol, minute(60 * hour), psi),
        )
    conn.execute(
        "INSERT INTO risk_events (ts, event_type, severity, message) VALUES (%s, 'DAILY_LOSS_LIMIT', 3, 'halted')",
        (NEWEST,),
    )


def attributed(conn, symbol, hours, parts, *, net=7.0):
    """A live trade of the shadow account's decision, ``hours`` after it, and what the worker said of the pair."""
    (entry_ts,) = conn.execute(
        "INSERT INTO trades SELECT 'live', symbol, entry_ts + interval '1.5 s', exit_ts + %s * interval '1 hour', side, qty, "
        "entry_ref, entry_price, exit_ref, exit_price, exit_reason, gross, slippage, fees, liquidation_fee, funding, absorbed, "
        "%s, mae, mfe, leverage, sl_price, tp_price, model_id FROM trades WHERE mode = 'shadow' AND symbol = %s RETURNING entry_ts",
        (hours, net, symbol),
    ).fetchone()
    payload = {"entry_ts_ms": from_datetime(entry_ts)} | ({} if parts is None else {"attribution": parts})
    conn.execute(
        "INSERT INTO order_intents (intent_id, mode, symbol, created_at, updated_at, kind, state, payload) "
        "VALUES (%s, 'live', %s, %s, %s, 'entry', 'booked', %s)",
        (f"d:{symbol}", symbol, entry_ts, entry_ts, Jsonb(payload)),
    )


def lapsed(conn, symbol, at, reasons, detail=""):
    """An entry of the live account that was never sent."""
    payload = {
        "side": "LONG", "qty": "0.5", "leverage": 3, "reference_price": "100", "sl_price": "98", "tp_price": "104",
        "reasons": list(reasons), "detail": detail,
    }  # fmt: skip
    conn.execute(
        "INSERT INTO order_intents (intent_id, mode, symbol, created_at, updated_at, kind, state, payload) "
        "VALUES (%s, 'live', %s, %s, %s, 'entry', 'lapsed', %s)",
        (f"d:{symbol}:{at:%H%M}", symbol, at, at, Jsonb(payload)),
    )


def heartbeat(url: str, status: dict, *, age_s: float = -60.0) -> None:
    """A word of the worker, ``age_s`` of wall time ago; by default it stays young for a minute and ten seconds."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO process_status (name, updated_at, status) "
            "VALUES ('worker_realtime', clock_timestamp() - %s * interval '1 s', %s) "
            "ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at, status = EXCLUDED.status",
            (age_s, Jsonb(status)),
        )
