"""One spec per table that is written in bulk: columns, types, conflict rule. A test holds them to the migrated catalog.

The order of the specs is the order of writing: a table stands after every table it refers to.
"""

from dataclasses import dataclass
from typing import Literal

from packages.common.errors import InvalidInputError


@dataclass(frozen=True, slots=True, eq=False)  # there is one of each: a key by identity, looked up once a row
class Column:
    """``pg_type`` is PostgreSQL's short name. A column with a default may be left out of a row."""

    name: str
    pg_type: str
    nullable: bool
    has_default: bool


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """``key`` identifies a row. ``on_conflict`` says what a second row with the same key does.

    ``nothing``: what is stored is final (D41). ``update``: the newer row wins, in the columns it brings.
    ``constrained`` is False where the database has no constraint on the key: equality is then checked by query,
    so that a replay of the same rows adds nothing there either.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    on_conflict: Literal["nothing", "update"]
    monthly: bool = False
    constrained: bool = True

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidInputError(f"column of {self.name}", name, "one of " + ", ".join(c.name for c in self.columns))


def _table(
    name: str,
    key: str,
    on_conflict: Literal["nothing", "update"],
    columns: str,
    *,
    monthly: bool = False,
    constrained: bool = True,
) -> Table:
    """``columns``: "type: name name? name=" lines; ``?`` nullable, ``=`` has a default."""
    parsed = []
    for line in columns.strip().splitlines():
        pg_type, names = line.split(":")
        for word in names.split():
            bare = word.rstrip("?=")
            parsed.append(Column(bare, pg_type.strip(), "?" in word, "=" in word))
    return Table(name, tuple(parsed), tuple(key.split()), on_conflict, monthly, constrained)


_OHLC = "text: symbol\ntimestamptz: ts\nfloat8: open high low close\nint4: samples?"
_LABEL = """
    text: symbol
    timestamptz: ts
    text: spec_hash
    int2: y
    float8: ret_net mae mfe
    int4: time_to_event_min
    float8: ret_gross? fees? slippage? funding?
"""

_ALL = (
    _table("instruments", "symbol", "update", """
        text: symbol status= liquidity_tier=
        timestamptz: created_at= updated_at=
        bool: in_universe=
        int4: universe_rank?
        text: exchange_status? contract_type?
        timestamptz: onboard_ts? delivery_ts?
        float8: tick_size? step_size? min_qty? max_qty? market_min_qty? market_max_qty? market_step_size?
        float8: min_notional? liquidation_fee?
        int4: max_leverage? price_decimals? qty_decimals?
    """),
    _table("instrument_days", "symbol day", "update", """
        text: symbol
        date: day
        text: tier
        float8: beta median_quote_volume?
    """),
    _table("candles_1m", "symbol ts", "nothing", """
        text: symbol
        timestamptz: ts
        float8: open high low close volume quote_volume
        int8: trades?
        float8: taker_buy_volume? taker_buy_quote_volume?
    """, monthly=True),
    _table("mark_candles_1m", "symbol ts", "nothing", _OHLC, monthly=True),
    _table("index_candles_1m", "symbol ts", "nothing", _OHLC, monthly=True),
    _table("premium_index", "symbol ts", "nothing", """
        text: symbol
        timestamptz: ts
        float8: mark_price index_price? last_price? last_funding_rate?
        timestamptz: next_funding_time?
    """, monthly=True),
    _table("funding_rates", "symbol ts", "nothing", """
        text: symbol
        timestamptz: ts
        float8: funding_rate mark_price?
    """),
    _table("open_interest", "symbol ts", "nothing", """
        text: symbol
        timestamptz: ts
        float8: open_interest open_interest_value?
    """),
    _table("exchange_info_snapshots", "symbol day", "nothing", """
        date: day
        text: symbol
        timestamptz: taken_at
        jsonb: info
    """),
    _table("leverage_brackets", "symbol day", "nothing", """
        date: day
        text: symbol
        timestamptz: taken_at
        jsonb: brackets
    """),
    _table("data_gaps", "symbol dataset from_ts", "update", """
        text: symbol dataset
        timestamptz: from_ts to_ts
        int4: missing_bars
        timestamptz: found_at repaired_at?
        int4: repaired_bars=
        text: source? status=
    """),
    _table("quality_events", "ts symbol code message", "nothing", """
        timestamptz: ts
        text: symbol? code message
        jsonb: details?
    """, constrained=False),
    _table("features_1m", "symbol ts", "nothing", """
        text: symbol
        timestamptz: ts
        int4: schema_version
        jsonb: features
        float8: atr? funding_z?
        int4: btc_regime?
    """, monthly=True),
    _table("feature_checkpoints", "symbol schema_version ts", "update", """
        text: symbol
        int4: schema_version
        timestamptz: ts origin_ts
        bytea: state
    """),
    _table("labels_long_1m", "symbol ts spec_hash", "update", _LABEL, monthly=True),
    _table("labels_short_1m", "symbol ts spec_hash", "update", _LABEL, monthly=True),
    _table("label_reports", "spec_hash symbol", "update", """
        text: spec_hash symbol
        timestamptz: created_at=
        jsonb: spec report
    """),
    _table("signals", "symbol ts model_id mode", "nothing", """
        text: symbol
        timestamptz: ts
        uuid: model_id
        text: mode
        float8: ev_long? ev_short? er_long? er_short? q05_long? q05_short? e_mae_long? e_mae_short?
        int4: e_hold_long_min? e_hold_short_min?
        float8: p_tp_long? p_tp_short?
        text: decision
        float8: size_notional?
        int4: leverage?
        float8: sl_price? tp_price?
        jsonb: block_reason_codes? explain?
        int4: late_ms?
    """, monthly=True),
    _table("decisions", "ts mode model_id", "nothing", """
        timestamptz: ts
        text: mode
        uuid: model_id
        text[]: symbols
        bytea: inputs outputs state
        int4: format
        timestamptz: decided_at
        jsonb: timings?
        int8: settings_version?
        text: settings_hash?
    """, monthly=True),
    _table("account_snapshots", "ts mode", "update", """
        timestamptz: ts
        text: mode
        float8: equity wallet_balance unrealized_pnl available_margin used_margin margin_ratio day_start_equity?
    """, monthly=True),
    _table("positions", "symbol ts side mode", "update", """
        text: symbol
        timestamptz: ts
        text: side mode
        float8: amt entry_price? mark_price?
        int4: leverage?
        text: margin_type?
        float8: liquidation_price? notional? unrealized_pnl? sl_price? tp_price?
        timestamptz: opened_ts?
        float8: isolated_margin? fees? funding? slippage? margin_ratio?
    """, monthly=True),
    _table("trades", "mode symbol entry_ts", "nothing", """
        text: mode symbol
        timestamptz: entry_ts exit_ts
        text: side
        float8: qty entry_ref entry_price exit_ref exit_price
        text: exit_reason
        float8: gross slippage fees liquidation_fee funding absorbed net mae mfe
        int4: leverage
        float8: sl_price tp_price
        uuid: model_id?
    """),
    _table("orders", "mode symbol order_id", "update", """
        text: mode
        int8: order_id
        text: client_order_id? symbol side type status
        bool: reduce_only
        float8: price? stop_price? qty
        timestamptz: created_at updated_at
        int8: algo_id?
        text: client_algo_id? leg? intent_id?
    """),
    _table("fills", "mode symbol trade_id", "nothing", """
        text: mode symbol
        int8: trade_id order_id
        float8: price qty fee
        text: fee_asset?
        float8: realized_pnl?
        timestamptz: ts
    """),
    _table("order_intents", "intent_id", "update", """
        text: intent_id mode symbol
        timestamptz: created_at updated_at
        text: kind state
        jsonb: payload
    """),
    _table("risk_events", "ts event_type symbol", "nothing", """
        timestamptz: ts
        text: event_type symbol?
        int4: severity
        text: message
        jsonb: details?
    """),
    _table("drift_metrics", "symbol ts schema_version", "update", """
        timestamptz: ts
        text: symbol
        int4: schema_version
        float8: psi? missing_rate? latency_ms? outlier_rate?
    """),
    _table("process_status", "name", "update", """
        text: name
        timestamptz: updated_at
        jsonb: status
    """),
)  # fmt: skip

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
WRITE_ORDER: dict[str, int] = {table.name: i for i, table in enumerate(_ALL)}
MONTHLY: tuple[str, ...] = tuple(table.name for table in _ALL if table.monthly)


def table_spec(name: str) -> Table:
    """The spec of ``name``. Raises InvalidInputError for a table that is not written in bulk."""
    try:
        return TABLES[name]
    except KeyError:
        raise InvalidInputError("table", name, "a table of packages.common.tables") from None
