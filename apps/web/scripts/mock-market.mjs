// A seeded toy market with decisions, positions and an account: enough for every state of the desk to be looked at.
const MINUTE = 60_000;
const HISTORY = 1_500;
const START = Date.parse("2025-05-26T09:00:00Z");
const SYMBOLS = "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,AVAXUSDT,DOTUSDT,LINKUSDT,LTCUSDT,BCHUSDT,SUIUSDT,AAVEUSDT,1000PEPEUSDT,FILUSDT,AXSUSDT,ENAUSDT,ZKUSDT,XAUUSDT,XAGUSDT,HYPEUSDT,ZECUSDT,BNXUSDT,ALPHAUSDT,ZORAUSDT,TRUMPUSDT,PUMPUSDT,NEARUSDT,PAXGUSDT".split(",");
const PRICES = [109_512.4, 2_561.33, 668.21, 175.482, 2.3141, 0.22471, 0.7562, 23.114, 4.513, 15.421, 95.42, 431.15, 3.6312, 262.41, 0.014213, 2.764, 2.512, 0.3921, 0.06121, 3_341.2, 33.412, 37.215, 48.312, 1.2, 0.03, 0.01721, 12.741, 0.00412, 2.7312, 3_352.1];
const DELISTED = new Set(["BNXUSDT", "ALPHAUSDT"]);

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const iso = (ts) => new Date(ts).toISOString().replace(".000Z", "Z");

export class Market {
  constructor({ seed, speed }) {
    this.random = generator(seed);
    this.speed = speed;
    this.minute = START;
    this.wallet = 10_000;
    this.version = 1;
    this.mode = "shadow";
    this.closed = [];
    this.curve = [];
    this.symbols = SYMBOLS.map((symbol, index) => {
      const price = PRICES[index];
      const decimals = Math.max(0, 4 - Math.floor(Math.log10(price)));
      return { symbol, price, decimals, delisted: DELISTED.has(symbol), bars: [], signals: [], position: null, trades: [], vol: 0.0004 + this.random() * 0.0009, ev: 0, bias: 0 };
    });
    for (let i = 0; i < HISTORY; i++) this.step();
  }

  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
  }

  step() {
    this.minute += MINUTE;
    this.steppedAt = Date.now();
    const common = this.normal();
    for (const one of this.symbols) if (!one.delisted) this.advance(one, common);
    const equity = this.equityNow();
    if (this.minute % 86_400_000 === 0 || this.dayStart === undefined) this.dayStart = equity;
    this.curve.push([this.minute, equity]);
    if (this.curve.length > 1_440) this.curve.shift();
  }

  round(one, value) {
    return Number(value.toFixed(one.decimals));
  }

  advance(one, common) {
    const moves = Array.from({ length: 4 }, () => one.price * one.vol * (0.6 * common * 0.5 + 0.5 * this.normal()));
    const open = one.price;
    const path = moves.reduce((all, move) => [...all, all.at(-1) + move], [open]);
    one.price = path.at(-1);
    const bar = { ts: this.minute, open: this.round(one, open), high: this.round(one, Math.max(...path)), low: this.round(one, Math.min(...path)), close: this.round(one, one.price), volume: (50_000 + this.random() * 900_000) / one.price };
    one.bars.push(bar);
    if (one.bars.length > HISTORY) one.bars.shift();
    this.manage(one, bar);
    this.decide(one, bar);
  }

  manage(one, bar) {
    const held = one.position;
    if (held === null) return;
    const hitStop = held.side === "LONG" ? bar.low <= held.sl : bar.high >= held.sl;
    const hitTarget = held.side === "LONG" ? bar.high >= held.tp : bar.low <= held.tp;
    const late = bar.ts - held.opened > 360 * MINUTE;
    if (!hitStop && !hitTarget && !late) return;
    const exit = hitStop ? held.sl : hitTarget ? held.tp : bar.close;
    const direction = held.side === "LONG" ? 1 : -1;
    const fees = held.qty * (held.entry + exit) * 0.0004;
    const net = direction * held.qty * (exit - held.entry) - fees;
    this.wallet += net;
    const trade = { side: held.side, from_ts: held.opened, to_ts: bar.ts, entry_price: held.entry, exit_price: this.round(one, exit), sl_price: held.sl, tp_price: held.tp, liquidation_price: held.liq, exit_reason: hitStop ? "SL" : hitTarget ? "TP" : "TIME", net, fees, qty: held.qty, r: net / held.risk };
    one.trades.push(trade);
    this.closed.unshift({ symbol: one.symbol, ...trade });
    one.position = null;
  }

  decide(one, bar) {
    one.ev = 0.93 * one.ev + 0.00035 * this.normal();
    one.bias = 0.97 * one.bias + 0.0003 * this.normal();
    const atr = one.vol * 6;
    const long = one.ev + one.bias - 0.0006;
    const short = one.ev - one.bias - 0.0006;
    const open = this.symbols.filter(({ position }) => position !== null).length;
    const best = Math.max(long, short);
    const side = long >= short ? "LONG" : "SHORT";
    const q05 = -(1.25 + this.random() * 1.3) * atr;
    const mae = (0.55 + this.random() * 0.6) * atr;
    const details = [];
    if (one.position !== null) details.push(["ALREADY_IN_POSITION", null, null]);
    else {
      if (best <= 0) details.push(["EV_BELOW_MIN", best, 0]);
      if (q05 < -2.2 * atr) details.push(["Q05_BELOW_MIN", q05, -2.2 * atr]);
      if (mae > 1.1 * atr) details.push(["MAE_ABOVE_MAX", mae, 1.1 * atr]);
      if (details.length === 0 && open >= 6) details.push(["MAX_POSITIONS", open, 6]);
      if (details.length === 0 && this.random() < 0.35) details.push(["BETA_CAP", 9_120, 8_000]);
      if (this.random() < 0.01) details.unshift(["DATA_STALE", 92_000, 60_000]);
    }
    const known = one.position === null && details[0]?.[0] !== "DATA_STALE";
    const traded = details.length === 0;
    const direction = side === "LONG" ? 1 : -1;
    const sl = this.round(one, bar.close * (1 - direction * atr));
    const tp = this.round(one, bar.close * (1 + direction * 1.5 * atr));
    const notional = 900 + this.random() * 2_100;
    const nullable = (value) => (known ? value : null);
    const signal = {
      symbol: one.symbol, ts: iso(bar.ts), ev_long: nullable(long), ev_short: nullable(short), er_long: nullable(long + 0.0002), er_short: nullable(short + 0.0002), q05_long: nullable(q05), q05_short: nullable(q05 * 1.06),
      decision: traded ? side : "FLAT", size_notional: traded ? notional : null, leverage: traded ? 4 : null, sl_price: traded ? sl : null, tp_price: traded ? tp : null,
      block_reasons: details.map(([code]) => code), block_details: details.map(([code, value, limit]) => ({ code, value, limit, distance: value === null ? null : Math.abs(limit - value) })),
      e_mae_long: nullable(mae), e_mae_short: nullable(mae * 1.1), e_hold_long_min: nullable(Math.round(60 + this.random() * 160)), e_hold_short_min: nullable(Math.round(60 + this.random() * 160)), p_tp_long: nullable(0.38 + this.random() * 0.12), p_tp_short: nullable(0.36 + this.random() * 0.12),
      model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", mode: "shadow", late_ms: 180 + Math.round(this.random() * 240), close: bar.close, mark_price: this.round(one, bar.close * (1 + 0.0001 * this.normal())), ret_60: one.bars.length > 60 ? bar.close / one.bars.at(-61).close - 1 : null, funding_rate: 0.0001 * (1 + this.normal()),
      explain: traded ? { ret_60: 0.0011, bb_z: -0.0007, vol_z: 0.0005, funding_z: -0.0003, adx: 0.0002, rsi: -0.0002 } : {},
    };
    one.signals.push(signal);
    if (one.signals.length > HISTORY) one.signals.shift();
    if (traded) {
      const qty = Number((notional / bar.close).toPrecision(4));
      one.position = { side, qty, entry: bar.close, sl, tp, liq: this.round(one, bar.close * (1 - direction * 0.242)), opened: bar.ts, risk: qty * Math.abs(bar.close - sl), funding: 0 };
    }
  }

  pnl(one) {
    return one.position === null ? 0 : (one.position.side === "LONG" ? 1 : -1) * one.position.qty * (one.price - one.position.entry);
  }

  equityNow() {
    return this.wallet + this.symbols.reduce((sum, one) => sum + this.pnl(one), 0);
  }

  signals() {
    return this.symbols.map((one) => one.signals.at(-1) ?? { symbol: one.symbol, ts: iso(this.minute), ev_long: null, ev_short: null, er_long: null, er_short: null, q05_long: null, q05_short: null, decision: "FLAT", size_notional: null, leverage: null, sl_price: null, tp_price: null, block_reasons: ["DATA_STALE", "SYMBOL_NOT_TRADABLE"] });
  }

  universe() {
    return this.symbols.map((one, index) => ({ symbol: one.symbol, status: one.delisted ? "delisted" : "active", liquidity_tier: index < 5 ? "A" : index < 16 ? "B" : "C", tradable: !one.delisted, price_decimals: one.decimals, qty_decimals: 3, tick_size: 10 ** -one.decimals, step_size: 0.001, max_leverage: 50, latest_candle_ts: one.delisted ? null : iso(this.minute) }));
  }

  positions() {
    return this.symbols.filter(({ position }) => position !== null).map((one) => {
      const held = one.position;
      const direction = held.side === "LONG" ? 1 : -1;
      return { symbol: one.symbol, ts: iso(this.minute), side: held.side, mode: "shadow", amt: direction * held.qty, entry_price: held.entry, mark_price: this.round(one, one.price), leverage: 4, margin_type: "isolated", liquidation_price: held.liq, notional: held.qty * one.price, unrealized_pnl: this.pnl(one), sl_price: held.sl, tp_price: held.tp, opened_ts: iso(held.opened), isolated_margin: (held.qty * held.entry) / 4, fees: held.qty * held.entry * 0.0004, funding: 0.21, slippage: 0.4, r_multiple: this.pnl(one) / held.risk, risk_at_stop: held.risk, protected: true };
    });
  }

  account() {
    const equity = this.equityNow();
    const used = this.positions().reduce((sum, position) => sum + position.isolated_margin, 0);
    return { ts: iso(this.minute), mode: "shadow", equity, wallet_balance: this.wallet, unrealized_pnl: equity - this.wallet, available_margin: equity - used, used_margin: used, margin_ratio: used / equity, day_start_equity: this.dayStart, day_pnl: equity - this.dayStart, total_pnl: equity - 10_000, realized_pnl: this.wallet - 10_000, start_equity: 10_000, fees: 41.28, slippage: 17.9, funding: -2.31 };
  }

  equity() {
    return { mode: "shadow", ts: this.curve.map(([ts]) => ts), equity: this.curve.map(([, equity]) => equity), wallet_balance: [], unrealized_pnl: [], used_margin: [], drawdown: [] };
  }

  status() {
    const into = Math.min(MINUTE, (Date.now() - this.steppedAt) * this.speed);
    return { collector_ok: true, userstream_ok: false, latest_candle_ts: iso(this.minute), latest_feature_ts: iso(this.minute), latest_signal_ts: iso(this.minute), queue_lag: { writer: 12, signal_updates: 0 }, latency_ms: { close_to_decision: 212, inference: 9.4 }, ws_connected: { kline: true, mark: true }, error_rates: { rest: 0, stream: 0.2 }, mode: this.mode, exchange: "emulator://generated", clock_speed: this.speed, market_ts: new Date(this.minute + MINUTE + into).toISOString(), data_age_ms: into, symbols_total: 30, symbols_tradable: 28, symbols_fresh: 28, kill_switch: "RUNNING", trading_version: this.version, model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", model_kind: "demo", open_gaps: 1, missing_rate_24h: 0.00021, quality_events_24h: 3 };
  }

  toggle(mode) {
    const version = this.version + 1;
    setTimeout(() => {
      this.version = version;
      this.mode = mode;
    }, 1_500);
    return { command_id: "c-1", version, toggle: mode, changed: true, acknowledged_version: this.version };
  }

  series(symbol, query) {
    const one = this.symbols.find((candidate) => candidate.symbol === symbol);
    const [from, to] = [Date.parse(query.get("from")), Date.parse(query.get("to"))];
    const bars = (one?.bars ?? []).filter(({ ts }) => ts >= from && ts < to);
    const rows = (one?.signals ?? []).filter(({ ts }) => Date.parse(ts) >= from && Date.parse(ts) < to);
    const columns = (names, source) => Object.fromEntries(names.map((name) => [name, source.map((row) => row[name] ?? null)]));
    const open = one?.position ? [{ side: one.position.side, from_ts: one.position.opened, to_ts: null, entry_price: one.position.entry, exit_price: null, sl_price: one.position.sl, tp_price: one.position.tp, liquidation_price: one.position.liq, exit_reason: null, net: null }] : [];
    return {
      symbol, mode: "shadow", interval_min: 1,
      candles: columns(["ts", "open", "high", "low", "close", "volume"], bars),
      mark: { ts: bars.map(({ ts }) => ts), close: bars.map(({ close }) => close * 1.00005) },
      signals: { ts: rows.map(({ ts }) => Date.parse(ts)), ...columns(["ev_long", "ev_short", "er_long", "er_short", "q05_long", "q05_short", "e_mae_long", "e_mae_short", "e_hold_long_min", "e_hold_short_min", "decision"], rows), block_reason: rows.map((row) => row.block_reasons[0] ?? null) },
      positions: [...(one?.trades ?? []).filter((trade) => trade.to_ts >= from && trade.from_ts < to), ...open],
    };
  }

  trades() {
    return this.closed.slice(0, 200).map((trade) => ({ mode: "shadow", symbol: trade.symbol, side: trade.side, entry_ts: iso(trade.from_ts), exit_ts: iso(trade.to_ts), qty: trade.qty, entry_price: trade.entry_price, exit_price: trade.exit_price, exit_reason: trade.exit_reason, gross: trade.net + trade.fees, slippage: 0.3, fees: trade.fees, liquidation_fee: 0, funding: 0.02, absorbed: 0, net: trade.net, mae: 0.004, mfe: 0.005, leverage: 4, sl_price: trade.sl_price, tp_price: trade.tp_price, r_multiple: trade.r, model_id: null }));
  }

  orders() {
    return this.closed.slice(0, 60).map((trade, index) => ({ mode: "shadow", order_id: index + 1, client_order_id: null, symbol: trade.symbol, side: trade.side === "LONG" ? "BUY" : "SELL", type: "MARKET", status: "FILLED", reduce_only: false, price: null, stop_price: null, qty: trade.qty, created_at: iso(trade.from_ts), updated_at: iso(trade.from_ts), leg: "entry", avg_price: trade.entry_price, fee: trade.fees / 2, realized_pnl: null }));
  }

  jobs() {
    return [
      { job_id: "b", kind: "train_model", created_at: "2026-01-01T00:01:10Z", started_at: "2026-01-01T00:01:11Z", ended_at: null, status: "running", progress: 0.64, stage: "q05_short, 3 of 10", config: {}, report_uri: null, error: null, eta_s: 42 },
      { job_id: "a", kind: "bootstrap_history", created_at: "2026-01-01T00:00:00Z", started_at: "2026-01-01T00:00:01Z", ended_at: "2026-01-01T00:01:02Z", status: "succeeded", progress: 1, stage: "done", config: {}, report_uri: null, error: null, eta_s: null },
    ];
  }

  models() {
    return [{ model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", created_at: "2026-01-01T00:03:00Z", algo: "lightgbm", feature_schema_version: 1, label_spec_hash: "4e07408562bedb8b60ce05c1decfe3ad", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-26T00:00:00Z", metrics: {}, artifact_uri: "file://models/9b1f", is_production: false, status: "candidate", pointer: "demo" }];
  }
}
