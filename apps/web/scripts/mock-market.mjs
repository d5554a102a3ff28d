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

const TRADED = (pf, mdd) => ({ trading: { profit_factor: pf, max_drawdown: mdd, total_return: (pf - 1) / 3, sharpe: (pf - 1) * 8, win_rate: 0.43, expectancy_bps: (pf - 1) * 20, tail_loss: -41.2, trades: Math.round(400 * pf), net: (pf - 1) * 3_000, gross: 600, fees: 312.4, slippage: 140.2, funding: 12.1, turnover_per_day: 2.4, hold_min: 133, days: 21, verdict: { code: "NO_EDGE", en: "The interval of the expectancy holds zero: no edge after costs.", ko: "기대값 구간에 0이 들어 있어 비용을 뺀 우위가 없습니다." } } });
const iso = (ts) => new Date(ts).toISOString().replace(".000Z", "Z");

export class Market {
  constructor({ seed, speed, symbols = SYMBOLS.length }) {
    this.random = generator(seed);
    this.speed = speed;
    this.minute = START;
    this.wallet = 10_000;
    this.version = 1;
    this.mode = "shadow";
    this.closed = [];
    this.curve = [];
    // More than the named ones are made up.
    const names = Array.from({ length: symbols }, (_, index) => SYMBOLS[index] ?? `MADE${index}USDT`);
    this.symbols = names.map((symbol, index) => {
      const price = PRICES[index % PRICES.length];
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

  overlay() {
    const [from, to] = [this.curve[0][0], this.curve.at(-1)[0]];
    const sunk = (values) => values.map((value, i) => value / Math.max(...values.slice(0, i + 1)) - 1);
    const thin = this.curve.filter((_, i) => i % 5 === 0);
    const shadow = thin.map(([, equity]) => equity);
    const backtest = thin.map((_, i) => 10_000 * (1 + 0.00004 * i + 0.004 * Math.sin(i / 17)));
    return { from_ts: from, to_ts: to, curves: [["shadow", null, shadow], ["backtest", "9b1f4c70", backtest]].map(([source, model_id, equity]) => ({ source, model_id, ts: thin.map(([ts]) => ts), equity, drawdown: sunk(equity) })) };
  }

  profit(period) {
    const days = { day: 1, week: 7, month: 30 }[period];
    let equity = this.equityNow();
    return { mode: "shadow", period, items: Array.from({ length: 14 }, (_, i) => {
      const end = equity;
      const profit = 40 * Math.sin(i * 1.7) * Math.sqrt(days);
      equity -= profit;
      return { from_ts: iso(this.minute - (i + 1) * days * 86_400_000), to_ts: iso(this.minute - i * days * 86_400_000), start_equity: equity, end_equity: end, profit, profit_frac: profit / equity, trades: 7 + i, net: profit * 0.9, fees: 6.1, funding: -0.2 };
    }) };
  }

  annotations() {
    const row = (minutes, kind, code, text) => ({ ts: iso(this.minute - minutes * MINUTE), to_ts: null, kind, code, symbol: null, text, details: {} });
    return { cut: false, items: [row(330, "funding", "FUNDING", "funding 0.0100 %"), row(300, "risk", "DAILY_LOSS_LIMIT", "the day's loss reached its limit"), row(250, "settings", "SETTINGS", "MAX_POSITIONS 8 → 6"), row(120, "promotion", "PROMOTION", "9b1f4c70 to demo")] };
  }

  status() {
    const into = Math.min(MINUTE, (Date.now() - this.steppedAt) * this.speed);
    return { settings_version: 1, settings_at_start: 0, collector_ok: true, userstream_ok: false, latest_candle_ts: iso(this.minute), latest_feature_ts: iso(this.minute), latest_signal_ts: iso(this.minute), queue_lag: { writer_rows: 12, bus_messages: 0 }, latency_ms: { bar_to_decision: 212, decision: 9.4 }, ws_connected: { market: true }, error_rates: { reconnects: 1 }, mode: this.mode, exchange: "emulator://generated", clock_speed: this.speed, market_ts: new Date(this.minute + MINUTE + into).toISOString(), data_age_ms: into, symbols_total: 30, symbols_tradable: 28, symbols_fresh: 28, kill_switch: this.killSwitch ?? "RUNNING", trading_version: this.version, model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", model_kind: "demo", open_gaps: 1, missing_rate_24h: 0.00021, quality_events_24h: 3 };
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
      symbol, mode: "shadow", interval_min: 1, from_ts: from, to_ts: to,
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
      ...[2, 1].map((hour) => ({ job_id: `d${hour}`, kind: "compute_drift", created_at: `2026-01-01T0${hour}:05:00Z`, started_at: `2026-01-01T0${hour}:05:01Z`, ended_at: `2026-01-01T0${hour}:05:02Z`, status: "succeeded", progress: 1, stage: "done", config: { as_of: `2026-01-01T0${hour}:00:00Z` }, report_uri: null, error: null, eta_s: null })),
    ];
  }

  models() {
    return [{ model_id: "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", created_at: "2026-01-01T00:03:00Z", algo: "lightgbm", feature_schema_version: 1, label_spec_hash: "4e07408562bedb8b60ce05c1decfe3ad", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-26T00:00:00Z", metrics: TRADED(1.04, 0.082), artifact_uri: "file://models/9b1f", is_production: false, status: "demo", pointer: "demo", overrides: [] }, { model_id: "4c02d1aa-1111-5c3e-8a74-1f4d6a2b7c11", created_at: "2026-01-02T00:03:00Z", algo: "lightgbm", feature_schema_version: 1, label_spec_hash: "4e07408562bedb8b60ce05c1decfe3ad", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-27T00:00:00Z", metrics: TRADED(0.97, 0.061), artifact_uri: "file://models/4c02", is_production: false, status: "candidate", pointer: null, overrides: [{ at: "2026-01-03T00:00:00Z", author: "ada", reason: "drill", missing: ["pbo"] }] }];
  }

  risk(mode) {
    const rows = this.symbols.flatMap((one) => one.signals.slice(-60));
    const funnel = (signals) => {
      const blocked = signals.filter(({ decision, block_reasons }) => decision === "FLAT" && block_reasons.length > 0);
      const codes = new Map();
      for (const { block_reasons } of blocked) block_reasons.forEach((code, place) => codes.set(code, { code, primary: (codes.get(code)?.primary ?? 0) + (place === 0 ? 1 : 0), all: (codes.get(code)?.all ?? 0) + 1 }));
      const traded = signals.filter(({ decision }) => decision !== "FLAT").length;
      return { from_ts: iso(this.minute - 59 * MINUTE), to_ts: iso(this.minute), rows: signals.length, traded, blocked: blocked.length, flat: signals.length - traded - blocked.length, reasons: [...codes.values()].sort((a, b) => b.primary - a.primary) };
    };
    const account = this.account();
    const held = this.positions();
    const share = (amount) => amount / account.equity;
    const sides = ["LONG", "SHORT"].map((side) => held.filter((one) => one.side === side).reduce((sum, one) => sum + one.notional, 0));
    const guard = (code, value, limit, unit) => ({ code, value, limit, distance: limit - value, used: value / limit, unit });
    return {
      mode, kill_switch: this.killSwitch ?? "RUNNING", toggle: this.mode, reason: "first start", account_ts: iso(this.minute),
      guards: [guard("MAX_POSITIONS", held.length, 6, "positions"), guard("MAX_TOTAL_NOTIONAL", share(sides[0] + sides[1]), 1.5, "equity"), guard("MAX_DIRECTIONAL_NOTIONAL", share(Math.max(...sides)), 1, "equity"), guard("BETA_CAP", 0.71, 0.8, "equity"), guard("MAX_USED_MARGIN", share(account.used_margin), 0.35, "equity"), guard("DAILY_LOSS_LIMIT", Math.max(0, 1 - account.equity / account.day_start_equity), 0.02, "day_start_equity")],
      funnel_minute: funnel(this.symbols.flatMap((one) => one.signals.slice(-1))), funnel_hour: funnel(rows),
      events: [{ ts: iso(this.minute - 7 * MINUTE), event_type: "USER_STREAM_DEAD", symbol: null, severity: 2, message: "no event for 60 s; reconnected", details: null }, { ts: iso(this.minute - 300 * MINUTE), event_type: "DAILY_LOSS_LIMIT", symbol: null, severity: 3, message: "The day's loss reached its limit", details: null }],
      live: null,
    };
  }

  switch(action) {
    const version = this.version + 1;
    const word = { halt: "HALTED", flatten: "FLATTENING", resume: "RUNNING" }[action];
    setTimeout(() => {
      this.version = version;
      this.killSwitch = word;
    }, 1_500);
    return { version, kill_switch: word, changed: true, acknowledged_version: this.version };
  }

  gate() {
    const rows = [["MODE_NOT_PERMITTED", false, "MODE=shadow", "MODE=live and a restart"], ["TRADING_DISABLED", true, "TRADING_ENABLED=true", "TRADING_ENABLED=true and a restart"], ["NO_MODEL", true, "demo", "a model, be it the demo's"], ["NOT_CONFIRMED", false, "no confirmation", "the word LIVE"], ["LIVE_NOT_RUNNING", false, "it does not trade an account", "worker_realtime started with MODE=live, ready"]];
    return { exchange: "emulator", money: false, open: false, account_asked_at: null, conditions: rows.map(([code, met, value, expected]) => ({ code, met, value, expected })) };
  }

  ranking(sort) {
    const key = { ev: (one) => -Math.max(one.signals.at(-1)?.ev_long ?? -1, one.signals.at(-1)?.ev_short ?? -1), funding: (one) => -Math.abs(one.signals.at(-1)?.funding_rate ?? 0), volatility: (one) => -one.vol }[sort] ?? (() => 0);
    return [...this.symbols].sort((a, b) => key(a) - key(b)).flatMap((one) => one.signals.at(-1) ?? []);
  }

  fills() {
    return this.closed.slice(0, 60).flatMap((trade, index) => [{ mode: "shadow", symbol: trade.symbol, trade_id: index * 2, order_id: index + 1, ts: iso(trade.from_ts), side: trade.side === "LONG" ? "BUY" : "SELL", leg: "entry", price: trade.entry_price, qty: trade.qty, fee: trade.fees / 2, fee_asset: "USDT", realized_pnl: null }, { mode: "shadow", symbol: trade.symbol, trade_id: index * 2 + 1, order_id: 1_000 + index, ts: iso(trade.to_ts), side: trade.side === "LONG" ? "SELL" : "BUY", leg: trade.exit_reason.toLowerCase() === "sl" ? "sl" : "tp", price: trade.exit_price, qty: trade.qty, fee: trade.fees / 2, fee_asset: "USDT", realized_pnl: trade.net }]).sort((a, b) => b.ts.localeCompare(a.ts));
  }

  /** As a live account would have wanted them: every third one was not sent. */
  intents(lapsed) {
    const why = [["SPREAD_TOO_WIDE"], ["NO_ROOM"], ["DATA_STALE", "STOP_PATH_UNPROVEN"]];
    const rows = this.closed.slice(0, 24).map((trade, n) => ({ intent_id: `d${n}:${trade.symbol}`, symbol: trade.symbol, kind: n % 11 === 10 ? "adopted" : "entry", state: n % 3 === 1 ? "lapsed" : n === 0 ? "protected" : "booked", created_at: iso(trade.from_ts), updated_at: iso(trade.to_ts), side: n % 11 === 10 ? null : trade.side, qty: trade.qty, leverage: 3, reference_price: trade.entry_price, sl_price: trade.entry_price * 0.98, tp_price: trade.entry_price * 1.04, reasons: n % 3 === 1 ? why[Math.floor(n / 3) % 3] : [], detail: null }));
    return rows.filter((row) => !lapsed || row.state === "lapsed").sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  execution() {
    const hours = [...new Set(this.closed.map((trade) => Math.floor(trade.to_ts / 3_600_000) * 3_600_000))].sort((a, b) => a - b);
    return { mode: "shadow", from_ts: 0, to_ts: this.minute, orders: 2 * this.closed.length + 1, failed: 1, failure_rate: 1 / (2 * this.closed.length + 1), counts: [{ leg: "entry", status: "FILLED", count: this.closed.length, failed: false }, { leg: "tp", status: "EXPIRED", count: 12, failed: false }, { leg: "entry", status: "REJECTED", count: 1, failed: true }], trades: this.closed.length, slippage_frac: 0.00021, matched: 0, matched_frac: null, expected_frac: null, bucket_ms: 3_600_000, ts: hours, bucket_orders: hours.map(() => 4), bucket_failed: hours.map(() => 0), bucket_slippage_frac: hours.map((_, i) => 0.0002 + 0.0001 * Math.sin(i)), bucket_expected_frac: hours.map(() => null) };
  }

  qualityMap(query) {
    const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
    const step = [5, 15, 30, 60, 180, 360].map((minutes) => minutes * MINUTE).find((length) => to - from <= 47 * length) ?? 720 * MINUTE;
    const start = Math.floor(from / step) * step;
    const ts = Array.from({ length: Math.ceil((to - start) / step) }, (_, i) => start + i * step);
    const bars = step / MINUTE;
    return { bucket_ms: step, ts, rows: this.symbols.map((one, s) => ({ symbol: one.symbol, expected: ts.map(() => (one.delisted ? 0 : bars)), missing: ts.map((_, i) => (one.delisted ? 0 : (s * 7 + i * 13) % 101 === 0 ? 2 : (s * 5 + i) % 223 === 0 ? Math.ceil(bars / 2) : 0)), late: ts.map((_, i) => (one.delisted ? 0 : (s * 11 + i * 3) % 37 === 0 ? 1 : 0)) })) };
  }

  quality() {
    return {
      market_ts: iso(this.minute + MINUTE), missing_rate_24h: 0.00021, open_gaps: 1, quality_events_24h: 1,
      symbols: this.symbols.map((one, s) => ({ symbol: one.symbol, status: one.delisted ? "delisted" : "active", tradable: !one.delisted, newest_ts: one.delisted ? null : iso(this.minute), age_ms: one.delisted ? null : 0, bars_24h: one.delisted ? 0 : 1_440 - (s % 4), expected_24h: one.delisted ? 0 : 1_440, missing_24h: one.delisted ? 0 : s % 4, missing_rate_24h: one.delisted ? null : (s % 4) / 1_440, open_gaps: s === 3 ? 1 : 0, late_24h: s % 7, quality_events_24h: s === 1 ? 1 : 0 })),
      gaps: [{ symbol: "SOLUSDT", dataset: "candles_1m", from_ts: iso(this.minute - 90 * MINUTE), to_ts: iso(this.minute - 88 * MINUTE), missing_bars: 3, repaired_bars: 0, status: "open", source: null, found_at: iso(this.minute - 87 * MINUTE), repaired_at: null }],
      events: [{ ts: iso(this.minute - 30 * MINUTE), symbol: "ETHUSDT", code: "NAN_PRICE", message: "close is not a number", details: null }],
    };
  }

  drift() {
    const ts = Array.from({ length: 24 }, (_, i) => this.minute - (23 - i) * 60 * MINUTE);
    return { ts, psi_mean: ts.map((_, i) => 0.06 + 0.03 * Math.sin(i / 4)), psi_max: ts.map((_, i) => 0.16 + 0.08 * Math.sin(i / 3)), symbols: this.symbols.filter(({ delisted }) => !delisted).map((one, s) => ({ symbol: one.symbol, ts: iso(this.minute), psi: 0.03 + 0.009 * s, missing_rate: 0, outlier_rate: 0.001 * (s % 9), latency_ms: 200 })) };
  }

  settings() {
    return { values: { MODE: "shadow", TRADING_ENABLED: true, UNIVERSE: SYMBOLS, FLUSH_INTERVAL_MS: 500, LABEL_PRESET: "default", K_TP: null, K_SL: null, H_BARS: null, FEE_RATE: 0.0004, SLIPPAGE_K: 0.15, EV_MIN: 0, Q05_MIN: null, MAE_MAX: null, MAX_POSITIONS: 6, MAX_USED_MARGIN_PCT: 0.35, MAX_TOTAL_NOTIONAL_PCT: 1.5, MAX_DIRECTIONAL_NOTIONAL_PCT: 1, DAILY_LOSS_LIMIT_PCT: 0.02, BETA_CAP: 0.8 } };
  }

  model(id) {
    const found = this.models().find((one) => one.model_id === id);
    return found && { ...found, content_hash: "abc", label_spec: { k_tp: 1.5, k_sl: 1, h_bars: 360 }, evidence: [{ kind: "oos", created_at: "2026-01-01T00:03:00Z", valid_until: "2026-02-01T00:00:00Z", passed: true, valid: true, figures: { profit_factor: 1.04 } }, { kind: "pbo", created_at: "2026-01-01T00:03:00Z", valid_until: null, passed: false, valid: false, figures: { pbo: 0.71 } }] };
  }
}
