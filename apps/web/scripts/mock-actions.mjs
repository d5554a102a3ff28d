// Actions of the stand-in API: jobs that run through in seconds, settings with versions, schedules, evidence.
const iso = (ms) => new Date(ms).toISOString();
const HOUR = 3_600_000;
const EFFECTS = { EV_MIN: "next_minute", Q05_MIN: "next_minute", MAE_MAX: "next_minute", MAX_POSITIONS: "next_minute", MAX_USED_MARGIN_PCT: "next_minute", DAILY_LOSS_LIMIT_PCT: "next_minute", BETA_CAP: "next_minute", LABEL_PRESET: "next_job", K_TP: "next_job", UNIVERSE: "restart" };

export class Actions {
  constructor(market, access) {
    this.market = market;
    this.access = access;
    this.jobs = [];
    this.values = market.settings().values;
    this.versions = [{ version: 1, ts: iso(market.minute), actor: "ada", reason: "smaller book over the weekend", changes: [{ name: "MAX_POSITIONS", before: 8, after: 6, takes_effect: "next_minute" }], acknowledged_at: iso(market.minute + 2_000) }];
    this.schedules = [["sync_universe", 1], ["compute_drift", 1], ["label_recent", 24], ["train_model", 168], ["retention", 24]].map(([name, hours], i) => ({ name, enabled: name !== "retention", every: `${hours}h`, at: "5m", default_every: `${hours}h`, default_at: "5m", next_ts: iso(market.minute + (i + 1) * HOUR), last_job: null, changed_at: null, changed_by: null }));
  }

  start(kind, config) {
    const known = this.jobs.find((one) => one.kind === kind && one.status === "running");
    if (known) return known;
    const now = iso(Date.now());
    const job = { job_id: `j${this.jobs.length + 1}`, kind, created_at: now, started_at: now, ended_at: null, status: "running", progress: 0, stage: "begun", config, report_uri: null, error: null, eta_s: 20 };
    this.jobs.unshift(job);
    const timer = setInterval(() => {
      if (job.status !== "running") return clearInterval(timer);
      job.progress = Math.min(1, job.progress + 0.05);
      job.eta_s = Math.round(20 * (1 - job.progress));
      if (job.progress >= 1) Object.assign(job, { status: "succeeded", stage: "done", eta_s: null, ended_at: iso(Date.now()) });
    }, 1_000);
    return job;
  }

  job(id, what) {
    const job = [...this.jobs, ...this.market.jobs()].find((one) => one.job_id === id);
    return what === "cancel" ? Object.assign(job, { status: "cancelled", ended_at: iso(Date.now()) }) : this.start(job.kind, job.config);
  }

  evidence() {
    const row = (code, met, value, expected) => ({ code, met, value, expected, message: "" });
    return { model_id: "9b1f4c70", conditions: [row("OOS_PROFIT_FACTOR", false, "1.04", "≥ 1.10"), row("PBO", false, "0.71", "≤ 0.50"), row("SHADOW_PERIOD", true, "15 d", "≥ 14 d"), row("DRIFT", true, "0.06", "≤ 0.25")], report_url: null };
  }

  explain() {
    const target = (unit, prediction, ...pairs) => ({ prediction, base: -0.0003, rest: 0.0001, unit, top: pairs.map(([feature, contribution]) => ({ feature, contribution })) });
    return { symbol: "BTCUSDT", ts: iso(this.market.minute), mode: "shadow", model_id: "9b1f4c70", decision: "FLAT", inputs: null, unavailable: null, targets: { er_long: target("fraction", 0.0006, ["ret_60", 0.0011], ["bb_z", -0.0007], ["vol_z", 0.0005], ["funding_z", -0.0003]), e_hold_long: target("minutes", 132, ["vol_z", -21], ["adx", 12]) } };
  }

  settings() {
    const newest = this.versions[0];
    return { version: newest.version, changed_at: newest.ts, values: this.values, effects: EFFECTS, acknowledged_version: newest.acknowledged_at === null ? newest.version - 1 : newest.version, pending: newest.acknowledged_at === null, restart_needed: [], hash: "abc" };
  }

  change({ changes, reason }) {
    const rows = Object.entries(changes).map(([name, after]) => ({ name, before: this.values[name], after, takes_effect: EFFECTS[name] }));
    this.values = { ...this.values, ...changes };
    const version = { version: this.versions[0].version + 1, ts: iso(this.market.minute), actor: this.access.who?.name ?? "?", reason, changes: rows, acknowledged_at: null };
    this.versions.unshift(version);
    setTimeout(() => (version.acknowledged_at = iso(this.market.minute)), 2_500);
    return { version: version.version, changes: rows, acknowledged_version: version.version - 1, takes_effect: rows.at(-1)?.takes_effect };
  }
}
