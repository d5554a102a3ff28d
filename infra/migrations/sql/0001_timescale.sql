-- Derived from 0001_initial.sql by infra/timescale.py: do not edit. Run where the timescaledb extension is available.
-- Operational schema: specification §6 and §25.4, corrected and extended by D5, D6, D43-D46.
-- Time is TIMESTAMPTZ (UTC); `ts` of a 1m row is the open time of its bar (D1).
-- Tables marked "monthly" are range-partitioned on ts, or hypertables where TimescaleDB is installed.

CREATE TABLE instruments (
  symbol           TEXT PRIMARY KEY,
  status           TEXT NOT NULL DEFAULT 'active',     -- active | delisted | settling | halted | unknown
  liquidity_tier   TEXT NOT NULL DEFAULT 'A',
  created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
  in_universe      BOOLEAN NOT NULL DEFAULT TRUE,
  universe_rank    INT,                                -- place in UNIVERSE: the order of the kernel
  exchange_status  TEXT,                               -- as exchangeInfo says, verbatim
  contract_type    TEXT,
  onboard_ts       TIMESTAMPTZ,
  delivery_ts      TIMESTAMPTZ,
  tick_size        DOUBLE PRECISION,
  step_size        DOUBLE PRECISION,
  min_qty          DOUBLE PRECISION,
  max_qty          DOUBLE PRECISION,
  market_min_qty   DOUBLE PRECISION,
  market_max_qty   DOUBLE PRECISION,
  market_step_size DOUBLE PRECISION,
  min_notional     DOUBLE PRECISION,
  liquidation_fee  DOUBLE PRECISION,
  max_leverage     INT,
  price_decimals   INT,
  qty_decimals     INT
);

-- One row a symbol and UTC day: tier and beta as known at the start of that day (D45).
CREATE TABLE instrument_days (
  symbol              TEXT NOT NULL REFERENCES instruments(symbol),
  day                 DATE NOT NULL,
  tier                TEXT NOT NULL,
  beta                DOUBLE PRECISION NOT NULL,
  median_quote_volume DOUBLE PRECISION,
  PRIMARY KEY (symbol, day)
);

CREATE TABLE candles_1m (                              -- monthly
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  open DOUBLE PRECISION NOT NULL,
  high DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION NOT NULL,
  close DOUBLE PRECISION NOT NULL,
  volume DOUBLE PRECISION NOT NULL,
  quote_volume DOUBLE PRECISION NOT NULL,
  trades BIGINT,
  taker_buy_volume DOUBLE PRECISION,
  taker_buy_quote_volume DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE mark_candles_1m (                         -- monthly
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  open DOUBLE PRECISION NOT NULL,
  high DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION NOT NULL,
  close DOUBLE PRECISION NOT NULL,
  samples INT,                                         -- stream samples it was built from; NULL: from REST
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE index_candles_1m (                        -- monthly
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  open DOUBLE PRECISION NOT NULL,
  high DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION NOT NULL,
  close DOUBLE PRECISION NOT NULL,
  samples INT,
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE premium_index (                           -- monthly; one row a minute (D41)
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  mark_price DOUBLE PRECISION NOT NULL,
  index_price DOUBLE PRECISION,
  last_price DOUBLE PRECISION,
  last_funding_rate DOUBLE PRECISION,                  -- the running estimate; never a feature (D10)
  next_funding_time TIMESTAMPTZ,
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE funding_rates (
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,                             -- settlement instant, rounded to the minute
  funding_rate DOUBLE PRECISION NOT NULL,
  mark_price DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE open_interest (
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  open_interest DOUBLE PRECISION NOT NULL,
  open_interest_value DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts)
);

CREATE TABLE exchange_info_snapshots (
  day DATE NOT NULL,
  symbol TEXT NOT NULL,
  taken_at TIMESTAMPTZ NOT NULL,
  info JSONB NOT NULL,
  PRIMARY KEY (symbol, day)
);

CREATE TABLE leverage_brackets (
  day DATE NOT NULL,
  symbol TEXT NOT NULL,
  taken_at TIMESTAMPTZ NOT NULL,
  brackets JSONB NOT NULL,                             -- [{bracket, initialLeverage, notionalFloor, notionalCap, maintMarginRatio, cum}]
  PRIMARY KEY (symbol, day)
);

CREATE TABLE data_gaps (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  dataset TEXT NOT NULL,                               -- candles_1m | mark_candles_1m | index_candles_1m | funding_rates
  from_ts TIMESTAMPTZ NOT NULL,                        -- first missing bar
  to_ts TIMESTAMPTZ NOT NULL,                          -- last missing bar, inclusive
  missing_bars INT NOT NULL,
  found_at TIMESTAMPTZ NOT NULL,
  repaired_at TIMESTAMPTZ,
  repaired_bars INT NOT NULL DEFAULT 0,
  source TEXT,                                         -- rest | archive | import
  status TEXT NOT NULL DEFAULT 'open',                 -- open | repaired | unavailable
  UNIQUE (symbol, dataset, from_ts)
);

-- Bad input that was refused: one row each, so that nothing is dropped in silence.
CREATE TABLE quality_events (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ts TIMESTAMPTZ NOT NULL,
  symbol TEXT,
  code TEXT NOT NULL,                                  -- e.g. NAN_PRICE, NEGATIVE_VOLUME, FUTURE_BAR, BAD_FRAME, UNKNOWN_SYMBOL
  message TEXT NOT NULL,
  details JSONB
);
CREATE INDEX quality_events_ts ON quality_events (ts DESC);

CREATE TABLE features_1m (                             -- monthly
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  schema_version INT NOT NULL,
  features JSONB NOT NULL,                             -- every key of the schema; NaN is null
  atr DOUBLE PRECISION,
  funding_z DOUBLE PRECISION,
  btc_regime INT,
  PRIMARY KEY (symbol, ts)
);

-- The state of a fold, so that a restart goes on where it stopped (features.md, "State").
CREATE TABLE feature_checkpoints (
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  schema_version INT NOT NULL,
  ts TIMESTAMPTZ NOT NULL,                             -- last bar folded in
  origin_ts TIMESTAMPTZ NOT NULL,
  state BYTEA NOT NULL,
  PRIMARY KEY (symbol, schema_version, ts)
);

CREATE TABLE labels_long_1m (                          -- monthly
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  spec_hash TEXT NOT NULL,
  y SMALLINT NOT NULL,
  ret_net DOUBLE PRECISION NOT NULL,
  mae DOUBLE PRECISION NOT NULL,
  mfe DOUBLE PRECISION NOT NULL,
  time_to_event_min INT NOT NULL,
  ret_gross DOUBLE PRECISION,
  fees DOUBLE PRECISION,
  slippage DOUBLE PRECISION,
  funding DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts, spec_hash)
);

CREATE TABLE labels_short_1m (LIKE labels_long_1m INCLUDING ALL);
ALTER TABLE labels_short_1m ADD FOREIGN KEY (symbol) REFERENCES instruments(symbol);

CREATE TABLE label_reports (                           -- cost / TP and blocked shares per symbol (D17, D39)
  spec_hash TEXT NOT NULL,
  symbol TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  spec JSONB NOT NULL,
  report JSONB NOT NULL,
  PRIMARY KEY (spec_hash, symbol)
);

-- Every job; training_jobs is the specification's face of it (D46).
CREATE TABLE jobs (
  job_id UUID PRIMARY KEY,
  kind TEXT NOT NULL,                                  -- bootstrap_history | label_recent | train_model | ...
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at TIMESTAMPTZ,
  ended_at TIMESTAMPTZ,
  status TEXT NOT NULL,                                -- queued | running | succeeded | failed | cancelled
  progress DOUBLE PRECISION NOT NULL DEFAULT 0,        -- 0..1
  stage TEXT,                                          -- what it does now, one short phrase
  config JSONB NOT NULL,
  input_hash TEXT,
  result JSONB,
  report_uri TEXT,
  error TEXT,
  attempt INT NOT NULL DEFAULT 0,
  heartbeat_at TIMESTAMPTZ,
  worker TEXT,
  cancel_requested BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX jobs_created ON jobs (created_at DESC);
CREATE VIEW training_jobs AS
  SELECT job_id, created_at, started_at, ended_at, status, progress, config, report_uri, error FROM jobs
  WHERE kind IN ('train_model', 'walkforward_backtest', 'label_recent');

CREATE TABLE models (
  model_id UUID PRIMARY KEY,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  algo TEXT NOT NULL,
  feature_schema_version INT NOT NULL,
  label_spec_hash TEXT NOT NULL,
  train_start TIMESTAMPTZ NOT NULL,
  train_end TIMESTAMPTZ NOT NULL,
  metrics JSONB NOT NULL,
  artifact_uri TEXT NOT NULL,
  is_production BOOLEAN NOT NULL DEFAULT FALSE,
  status TEXT NOT NULL DEFAULT 'candidate',            -- candidate | challenger | production | demo | retired
  content_hash TEXT NOT NULL UNIQUE,
  label_spec JSONB NOT NULL
);

CREATE TABLE model_evidence (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_id UUID NOT NULL REFERENCES models(model_id),
  kind TEXT NOT NULL,                                  -- oos | pbo | shadow | parity | drift
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  valid_until TIMESTAMPTZ,
  passed BOOLEAN NOT NULL,
  figures JSONB NOT NULL
);

-- Which model is in use, by purpose. 'demo' is valid for shadow only (D40).
CREATE TABLE model_pointers (
  kind TEXT PRIMARY KEY CHECK (kind IN ('production', 'demo', 'challenger')),
  model_id UUID NOT NULL REFERENCES models(model_id),
  previous_model_id UUID REFERENCES models(model_id),
  set_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  set_by TEXT NOT NULL,
  reason TEXT NOT NULL
);

CREATE TABLE signals (                                 -- monthly; the one row of D46
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  model_id UUID NOT NULL REFERENCES models(model_id),
  mode TEXT NOT NULL,                                  -- shadow | live
  ev_long DOUBLE PRECISION,
  ev_short DOUBLE PRECISION,
  er_long DOUBLE PRECISION,
  er_short DOUBLE PRECISION,
  q05_long DOUBLE PRECISION,
  q05_short DOUBLE PRECISION,
  e_mae_long DOUBLE PRECISION,
  e_mae_short DOUBLE PRECISION,
  e_hold_long_min INT,
  e_hold_short_min INT,
  p_tp_long DOUBLE PRECISION,
  p_tp_short DOUBLE PRECISION,
  decision TEXT NOT NULL,                              -- LONG | SHORT | FLAT
  size_notional DOUBLE PRECISION,
  leverage INT,
  sl_price DOUBLE PRECISION,
  tp_price DOUBLE PRECISION,
  block_reason_codes JSONB,                            -- [{"code","value","limit","distance"}], first is primary
  explain JSONB,
  late_ms INT,                                         -- market time between the bar's close and the decision
  PRIMARY KEY (symbol, ts, model_id, mode)
);
CREATE INDEX signals_ts ON signals (ts DESC);

-- What a decision saw, enough to replay it bit for bit (D6, D46). One row a minute and mode:
-- the inputs of all symbols are one array each, in the order of `symbols`.
CREATE TABLE decisions (                               -- monthly
  ts TIMESTAMPTZ NOT NULL,
  mode TEXT NOT NULL,
  model_id UUID NOT NULL REFERENCES models(model_id),
  symbols TEXT[] NOT NULL,
  inputs BYTEA NOT NULL,                               -- kernel inputs of the minute
  outputs BYTEA NOT NULL,                              -- kernel decisions of the minute
  state BYTEA NOT NULL,                                -- kernel state after the minute: where a restart goes on
  format INT NOT NULL,                                 -- version of the three payloads
  decided_at TIMESTAMPTZ NOT NULL,
  timings JSONB,                                       -- milliseconds per stage
  PRIMARY KEY (ts, mode, model_id)
);

CREATE TABLE account_snapshots (                       -- monthly
  ts TIMESTAMPTZ NOT NULL,
  mode TEXT NOT NULL,
  equity DOUBLE PRECISION NOT NULL,
  wallet_balance DOUBLE PRECISION NOT NULL,
  unrealized_pnl DOUBLE PRECISION NOT NULL,
  available_margin DOUBLE PRECISION NOT NULL,
  used_margin DOUBLE PRECISION NOT NULL,
  margin_ratio DOUBLE PRECISION NOT NULL,
  day_start_equity DOUBLE PRECISION,
  PRIMARY KEY (ts, mode)
);

CREATE TABLE positions (                               -- monthly; open positions at the close of ts
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  ts TIMESTAMPTZ NOT NULL,
  side TEXT NOT NULL,
  mode TEXT NOT NULL,
  amt DOUBLE PRECISION NOT NULL,                       -- signed quantity, base asset
  entry_price DOUBLE PRECISION,
  mark_price DOUBLE PRECISION,
  leverage INT,
  margin_type TEXT,
  liquidation_price DOUBLE PRECISION,
  notional DOUBLE PRECISION,
  unrealized_pnl DOUBLE PRECISION,
  sl_price DOUBLE PRECISION,
  tp_price DOUBLE PRECISION,
  opened_ts TIMESTAMPTZ,
  isolated_margin DOUBLE PRECISION,
  fees DOUBLE PRECISION,
  funding DOUBLE PRECISION,
  slippage DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts, side, mode)
);
CREATE INDEX positions_ts ON positions (ts DESC);

-- Closed round trips, one row each: the ledger of kernel.md, in quote units, costs positive.
CREATE TABLE trades (
  mode TEXT NOT NULL,
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  entry_ts TIMESTAMPTZ NOT NULL,
  exit_ts TIMESTAMPTZ NOT NULL,
  side TEXT NOT NULL,
  qty DOUBLE PRECISION NOT NULL,
  entry_ref DOUBLE PRECISION NOT NULL,
  entry_price DOUBLE PRECISION NOT NULL,
  exit_ref DOUBLE PRECISION NOT NULL,
  exit_price DOUBLE PRECISION NOT NULL,
  exit_reason TEXT NOT NULL,
  gross DOUBLE PRECISION NOT NULL,
  slippage DOUBLE PRECISION NOT NULL,
  fees DOUBLE PRECISION NOT NULL,
  liquidation_fee DOUBLE PRECISION NOT NULL,
  funding DOUBLE PRECISION NOT NULL,
  absorbed DOUBLE PRECISION NOT NULL,
  net DOUBLE PRECISION NOT NULL,
  mae DOUBLE PRECISION NOT NULL,
  mfe DOUBLE PRECISION NOT NULL,
  leverage INT NOT NULL,
  sl_price DOUBLE PRECISION NOT NULL,
  tp_price DOUBLE PRECISION NOT NULL,
  model_id UUID REFERENCES models(model_id),
  PRIMARY KEY (mode, symbol, entry_ts)
);
CREATE INDEX trades_exit ON trades (exit_ts DESC);

CREATE TABLE orders (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  mode TEXT NOT NULL,
  order_id BIGINT NOT NULL,
  client_order_id TEXT,
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  side TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  reduce_only BOOLEAN NOT NULL,
  price DOUBLE PRECISION,
  stop_price DOUBLE PRECISION,
  qty DOUBLE PRECISION NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  algo_id BIGINT,
  client_algo_id TEXT,
  leg TEXT,                                            -- entry | sl | tp | exit
  intent_id TEXT,
  UNIQUE (mode, symbol, order_id),
  UNIQUE (mode, client_order_id)
);
CREATE INDEX orders_created ON orders (created_at DESC);

CREATE TABLE fills (
  mode TEXT NOT NULL,
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  trade_id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  price DOUBLE PRECISION NOT NULL,
  qty DOUBLE PRECISION NOT NULL,
  fee DOUBLE PRECISION NOT NULL,
  fee_asset TEXT,
  realized_pnl DOUBLE PRECISION,
  ts TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (mode, symbol, trade_id),
  FOREIGN KEY (mode, symbol, order_id) REFERENCES orders(mode, symbol, order_id)
);
CREATE INDEX fills_ts ON fills (ts DESC);

CREATE TABLE order_intents (
  intent_id TEXT PRIMARY KEY,
  mode TEXT NOT NULL,
  symbol TEXT NOT NULL REFERENCES instruments(symbol),
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  kind TEXT NOT NULL,                                  -- entry | exit | protect | cancel
  state TEXT NOT NULL,
  payload JSONB NOT NULL
);

CREATE TABLE risk_events (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ts TIMESTAMPTZ NOT NULL,
  event_type TEXT NOT NULL,
  symbol TEXT,
  severity INT NOT NULL,                               -- 1 info, 2 warning, 3 critical
  message TEXT NOT NULL,
  details JSONB
);
CREATE UNIQUE INDEX risk_events_key ON risk_events (ts, event_type, COALESCE(symbol, ''));

CREATE TABLE drift_metrics (
  ts TIMESTAMPTZ NOT NULL,
  symbol TEXT NOT NULL,
  schema_version INT NOT NULL,
  psi DOUBLE PRECISION,
  missing_rate DOUBLE PRECISION,
  latency_ms DOUBLE PRECISION,
  outlier_rate DOUBLE PRECISION,
  PRIMARY KEY (symbol, ts, schema_version)
);

CREATE TABLE trading_state (                           -- one row
  id INT PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  toggle TEXT NOT NULL DEFAULT 'off',                  -- off | shadow | live: what was asked for
  kill_switch TEXT NOT NULL DEFAULT 'RUNNING',         -- RUNNING | HALTED | FLATTENING | FLAT
  reason TEXT,
  changed_by TEXT NOT NULL DEFAULT 'system',
  changed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  version BIGINT NOT NULL DEFAULT 0                    -- grows with each change; the worker acknowledges it
);
INSERT INTO trading_state DEFAULT VALUES;

CREATE TABLE settings (                                -- versions of the trading settings
  version BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  author TEXT NOT NULL,
  reason TEXT,
  value JSONB NOT NULL,
  diff JSONB NOT NULL
);

-- The exchange this database belongs to (D40); one row, written at creation.
CREATE TABLE store_identity (
  id INT PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  exchange TEXT NOT NULL,                              -- e.g. emulator:generated:seed=7, binance:fapi.binance.com
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Heartbeats of processes, for status and doctor.
CREATE TABLE process_status (
  name TEXT PRIMARY KEY,                               -- worker_realtime | worker_batch | scheduler | api
  updated_at TIMESTAMPTZ NOT NULL,                     -- wall clock
  status JSONB NOT NULL
);

CREATE TABLE users (
  user_id UUID PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  password_hash TEXT,
  totp_secret TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  disabled_at TIMESTAMPTZ
);

CREATE TABLE sessions (
  session_id TEXT PRIMARY KEY,                         -- hash of the cookie's value
  user_id UUID NOT NULL REFERENCES users(user_id),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  last_seen_at TIMESTAMPTZ,
  stepped_up_at TIMESTAMPTZ
);

CREATE TABLE audit_log (                               -- hash-chained: hash = sha256(prev_hash || canonical row)
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ts TIMESTAMPTZ NOT NULL DEFAULT now(),
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT,
  before JSONB,
  after JSONB,
  reason TEXT,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL
);

CREATE TABLE rl_models (
  model_id VARCHAR(32) PRIMARY KEY,
  symbol VARCHAR(20) NOT NULL,
  algorithm VARCHAR(20) NOT NULL DEFAULT 'PPO',
  train_start TIMESTAMPTZ NOT NULL,
  train_end TIMESTAMPTZ NOT NULL,
  metrics JSONB,
  model_path VARCHAR(255),
  is_production BOOLEAN DEFAULT FALSE,
  created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE TABLE rl_decisions (
  id BIGSERIAL PRIMARY KEY,
  ts TIMESTAMPTZ NOT NULL,
  symbol VARCHAR(20) NOT NULL,
  model_id VARCHAR(32) REFERENCES rl_models(model_id),
  mode TEXT NOT NULL,
  action INTEGER NOT NULL,
  action_name VARCHAR(10) NOT NULL,
  confidence FLOAT,
  action_probs JSONB,
  value_estimate FLOAT,
  model_predictions JSONB,
  position_before FLOAT,
  position_after FLOAT,
  executed BOOLEAN DEFAULT FALSE,
  pnl_result FLOAT,
  created_at TIMESTAMPTZ DEFAULT NOW()
);

SELECT create_hypertable('candles_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE candles_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('candles_1m', INTERVAL '14 days');
SELECT add_retention_policy('candles_1m', INTERVAL '400 days');

SELECT create_hypertable('mark_candles_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE mark_candles_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('mark_candles_1m', INTERVAL '14 days');
SELECT add_retention_policy('mark_candles_1m', INTERVAL '400 days');

SELECT create_hypertable('index_candles_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE index_candles_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('index_candles_1m', INTERVAL '14 days');
SELECT add_retention_policy('index_candles_1m', INTERVAL '400 days');

SELECT create_hypertable('premium_index', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE premium_index SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('premium_index', INTERVAL '14 days');
SELECT add_retention_policy('premium_index', INTERVAL '400 days');

SELECT create_hypertable('features_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE features_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('features_1m', INTERVAL '14 days');
SELECT add_retention_policy('features_1m', INTERVAL '400 days');

SELECT create_hypertable('labels_long_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE labels_long_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('labels_long_1m', INTERVAL '14 days');
SELECT add_retention_policy('labels_long_1m', INTERVAL '400 days');

SELECT create_hypertable('labels_short_1m', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE labels_short_1m SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('labels_short_1m', INTERVAL '14 days');
SELECT add_retention_policy('labels_short_1m', INTERVAL '400 days');

SELECT create_hypertable('signals', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE signals SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('signals', INTERVAL '14 days');
SELECT add_retention_policy('signals', INTERVAL '400 days');

SELECT create_hypertable('decisions', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE decisions SET (timescaledb.compress, timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('decisions', INTERVAL '14 days');
SELECT add_retention_policy('decisions', INTERVAL '400 days');

SELECT create_hypertable('account_snapshots', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE account_snapshots SET (timescaledb.compress, timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('account_snapshots', INTERVAL '14 days');
SELECT add_retention_policy('account_snapshots', INTERVAL '400 days');

SELECT create_hypertable('positions', 'ts', chunk_time_interval => INTERVAL '7 days');
ALTER TABLE positions SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'ts DESC');
SELECT add_compression_policy('positions', INTERVAL '14 days');
SELECT add_retention_policy('positions', INTERVAL '400 days');

-- Chunks are made by TimescaleDB; writers call this all the same.
CREATE FUNCTION ensure_month(parent TEXT, month DATE) RETURNS VOID LANGUAGE sql AS $$ SELECT $$;
