import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { ExplainPanel } from "@/components/panels/ExplainPanel";
import type { Job, Model } from "@/lib/api/schemas";
import { explained } from "@/lib/domain/explain";
import { jobParams } from "@/lib/domain/jobs";
import { differences, readSetting } from "@/lib/domain/settings";
import { lengthMs, scheduled } from "@/lib/domain/training";
import { keys } from "@/lib/queries/keys";
import { navigation } from "@/testing/navigation";
import { ADMIN, fakeNetwork, renderDesk } from "@/testing/render";
import { instrument, signal, STATUS } from "@/testing/samples";
import { DataQualityView } from "./DataQualityView";
import { SettingsView } from "./SettingsView";
import { TrainingView } from "./TrainingView";

const job = (change: Partial<Job> = {}): Job => ({ job_id: "j1", kind: "train_model", created_at: "2025-05-26T10:00:00Z", started_at: "2025-05-26T10:00:01Z", ended_at: null, status: "running", progress: 0.64, stage: "q05_short", config: {}, report_uri: null, error: null, eta_s: 42, ...change });
const MODEL: Model = { model_id: "aaaaaaaa-1", created_at: "2025-05-26T10:00:00Z", algo: "lightgbm", feature_schema_version: 1, label_spec_hash: "abc", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-26T00:00:00Z", metrics: {}, artifact_uri: "file:///m", is_production: false, status: "candidate", pointer: null, overrides: [{ at: "2025-05-26T10:00:00Z", author: "ada", reason: "drill", missing: ["pbo"] }] };
const EVIDENCE = { model_id: "aaaaaaaa-1", conditions: [{ code: "PBO", met: false, value: "0.71", expected: "≤ 0.5", message: "" }, { code: "DRIFT", met: true, value: "0.1", expected: "≤ 0.25", message: "" }], report_url: null };
const SCHEDULE = { name: "train_model", enabled: true, every: "7d", at: "40m", default_every: "7d", default_at: "40m", next_ts: "2025-06-01T00:00:00Z", last_job: null, changed_at: null, changed_by: null };
const TARGET = { prediction: 0.001, base: -0.0002, unit: "fraction", rest: 0.0001, top: [{ feature: "ret_60", contribution: 0.0011 }, { feature: "bb_z", contribution: null }] };
const taken = (body: unknown) => ({ status: 202, body });
const posts = (requests: { path: string; method: string; body: unknown }[]) => requests.filter(({ method }) => method === "POST");

const training = (url = "/training/", jobs = [job()]) => {
  window.history.replaceState(null, "", url);
  return renderDesk(<TrainingView />, {
    status: STATUS,
    cache: [[keys.jobs, jobs], [keys.models, [MODEL]], [keys.model(MODEL.model_id), { ...MODEL, content_hash: "c", label_spec: {}, evidence: [] }], [keys.evidence(MODEL.model_id), EVIDENCE], [keys.schedules, [SCHEDULE]], [keys.rlModels, []], [keys.rlDecisions, []]],
  });
};

describe("jobs", () => {
  it("are asked for with what was said, and then followed by the address", async () => {
    const requests = fakeNetwork((path, init) => (init.method === "POST" ? taken(job({ job_id: "j2", kind: "walkforward_backtest" })) : undefined));
    training();
    await userEvent.click(screen.getByTestId("job-start"));
    await userEvent.selectOptions(screen.getByTestId("job-kind"), "walkforward_backtest");
    await userEvent.selectOptions(screen.getByTestId("job-param-model_id"), MODEL.model_id);
    await userEvent.type(screen.getByTestId("job-param-folds"), "x");
    expect(screen.getByTestId("job-start-confirm")).toBeDisabled();
    await userEvent.clear(screen.getByTestId("job-param-folds"));
    await userEvent.type(screen.getByTestId("job-param-folds"), "3");
    await userEvent.click(screen.getByTestId("job-start-confirm"));
    await waitFor(() => expect(window.location.search).toBe("?job=j2"));
    expect(posts(requests)[0]).toEqual({ path: "/api/training/jobs", method: "POST", body: { kind: "walkforward_backtest", params: { model_id: MODEL.model_id, folds: 3 } } });
  });

  it("are cancelled with a reason, and tried again once they have failed", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? taken(job()) : undefined));
    training("/training/", [job(), job({ job_id: "j0", status: "failed", error: "out of memory" })]);
    await userEvent.click(screen.getByTestId("job-cancel-j1"));
    expect(screen.getByTestId("job-cancel-j1-confirm")).toBeDisabled();
    await userEvent.type(screen.getByTestId("job-cancel-j1-reason"), "wrong label");
    await userEvent.click(screen.getByTestId("job-cancel-j1-confirm"));
    await waitFor(() => expect(posts(requests)).toHaveLength(1));
    await userEvent.click(screen.getByTestId("job-retry-j0"));
    await userEvent.click(screen.getByTestId("job-retry-j0-confirm"));
    await waitFor(() => expect(posts(requests).map(({ path, body }) => [path, body])).toEqual([["/api/training/jobs/j1/cancel", { reason: "wrong label" }], ["/api/training/jobs/j0/retry", {}]]));
  });

  it("open from a link with their progress", () => {
    training("/training/?job=j1");
    expect(screen.getByTestId("job-sheet-body")).toHaveTextContent(/running64%.*q05_short/);
  });

  it("take numbers, names and lists, and leave out what is empty", () => {
    expect(jobParams("label_recent", { preset: " ", symbols: "btcusdt, ethusdt" })).toEqual({ symbols: ["BTCUSDT", "ETHUSDT"] });
    expect(jobParams("compute_drift", { hours: "many" })).toBeNull();
  });
});

describe("models", () => {
  it("show what a promotion needs, and go past it only by an override with a reason and the name", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? { status: 200, body: {} } : undefined));
    training(`/training/?model=${MODEL.model_id}`);
    expect(screen.getByTestId("promote-condition-PBO")).toHaveAttribute("data-met", "false");
    expect(screen.getByTestId("model-override-aaaaaaaa-1")).toHaveAttribute("title", "Promoted by ada without pbo: drill");
    expect(screen.getByTestId("promote-condition-PBO")).toHaveTextContent("0.71, expected ≤ 0.5");
    await userEvent.click(screen.getByTestId("promote"));
    await userEvent.type(screen.getByTestId("promote-word"), "aaaaaaaa");
    await userEvent.type(screen.getByTestId("promote-reason"), "drill");
    expect(screen.getByTestId("promote-confirm")).toBeDisabled();
    await userEvent.click(screen.getByTestId("promote-override"));
    await userEvent.click(screen.getByTestId("promote-confirm"));
    await waitFor(() => expect(posts(requests)).toEqual([{ path: "/api/models/aaaaaaaa-1/promote", method: "POST", body: { reason: "drill", override: true, confirm: "aaaaaaaa-1" } }]));
  });

  it("list every condition that a refusal names, and roll back", async () => {
    fakeNetwork((_, init) => (init.method === "POST" ? { status: 409, body: { code: "REFUSED", status: 409, detail: "nothing to go back to", conditions: [{ code: "NO_PREDECESSOR", message: "the first model" }] } } : undefined));
    training();
    await userEvent.click(screen.getByTestId("rollback"));
    await userEvent.type(screen.getByTestId("rollback-reason"), "drill");
    await userEvent.click(screen.getByTestId("rollback-confirm"));
    expect(await screen.findByTestId("refusal")).toHaveTextContent(/nothing to go back to.*NO_PREDECESSOR.*the first model/);
    expect(screen.queryByTestId("rollback-override")).toBeNull();
  });

  it("let a rollback be overridden only after what is unmet was shown, by the id of the model", async () => {
    const refusal = { status: 409, body: { code: "REFUSED", status: 409, detail: "rollback to bbbb-2 is refused", conditions: [{ code: "EVIDENCE_OOS", message: "oos: got none" }] } };
    const requests = fakeNetwork((path, init) => (path !== "/api/models/rollback" ? undefined : String(init.body).includes("override") ? taken({}) : refusal));
    training();
    await userEvent.click(screen.getByTestId("rollback"));
    await userEvent.type(screen.getByTestId("rollback-reason"), "drill");
    await userEvent.click(screen.getByTestId("rollback-confirm"));
    expect(await screen.findByTestId("refusal")).toHaveTextContent(/bbbb-2.*EVIDENCE_OOS.*oos: got none/);
    expect(screen.getByTestId("rollback-confirm")).toBeDisabled();
    await userEvent.type(screen.getByTestId("rollback-target"), "bbbb-2");
    expect(screen.getByTestId("rollback-confirm")).toBeDisabled();
    await userEvent.click(screen.getByTestId("rollback-override"));
    await userEvent.click(screen.getByTestId("rollback-confirm"));
    await waitFor(() => expect(posts(requests).at(-1)?.body).toEqual({ reason: "drill", override: true, confirm: "bbbb-2" }));
  });
});

describe("schedules", () => {
  it("are run now and switched off", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? taken({}) : undefined));
    training("/training/?tab=schedules");
    expect(screen.getByTestId("schedules-row-train_model")).toHaveTextContent(/on7d 00h.*06-01 /);
    await userEvent.click(screen.getByTestId("schedule-run-train_model"));
    await userEvent.click(screen.getByTestId("schedule-toggle-train_model"));
    await userEvent.click(screen.getByTestId("schedule-toggle-train_model-confirm"));
    await waitFor(() => expect(posts(requests).map(({ path, body }) => [path, body])).toEqual([["/api/schedules/train_model/run", {}], ["/api/schedules/train_model", { enabled: false }]]));
    await userEvent.click(screen.getByTestId("schedule-change-train_model"));
    await userEvent.clear(screen.getByTestId("schedule-every"));
    await userEvent.type(screen.getByTestId("schedule-every"), "3d");
    await userEvent.click(screen.getByTestId("schedule-change-train_model-confirm"));
    await waitFor(() => expect(posts(requests).at(-1)!.body).toEqual({ every: "3d", at: "40m" }));
  });

  it("count the jobs that they asked for, and read lengths of time", () => {
    expect(scheduled([SCHEDULE], [{ kind: "train_model", last: job({ status: "failed" }), runs: 2, failed: 1, everyMs: 5, lastSlot: 9 }])[0]).toMatchObject({ everyMs: 7 * 86_400_000, last: { status: "failed" }, runs: 2, failed: 1 });
    expect([lengthMs("90m"), lengthMs("2h"), lengthMs("2 weeks")]).toEqual([5_400_000, 7_200_000, null]);
  });
});

describe("settings", () => {
  const SETTINGS = { version: 3, changed_at: null, values: { MODE: "shadow", EV_MIN: 0.001, K_TP: null, MAX_POSITIONS: 6, UNIVERSE: ["BTCUSDT"] }, effects: { EV_MIN: "next_minute", MAX_POSITIONS: "next_minute", UNIVERSE: "restart" }, acknowledged_version: 3, pending: false, restart_needed: [], hash: "abc" };
  const page = (settings = SETTINGS, me = ADMIN) => renderDesk(<SettingsView />, { status: STATUS, universe: [], me, cache: [[keys.settings, settings], [keys.gate, { exchange: "e", money: false, open: false, account_asked_at: null, conditions: [] }], [keys.settingsVersions, { pages: [{ items: [{ version: 3, ts: "2025-05-26T10:00:00Z", actor: "ada", reason: "weekend", changes: [{ name: "MAX_POSITIONS", before: 8, after: 6, takes_effect: "next_minute" }], acknowledged_at: null }], next_cursor: null }], pageParams: [null] }]] });

  it("are changed with a diff, a reason and the version they were looked at in", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? taken({ version: 4, changes: [], acknowledged_version: 3, takes_effect: "next_minute" }) : { status: 200, body: { ...SETTINGS, version: 4, pending: true } }));
    page();
    await userEvent.click(screen.getByTestId("settings-edit"));
    expect(screen.queryByTestId("edit-MODE")).toBeNull();
    await userEvent.clear(screen.getByTestId("edit-MAX_POSITIONS"));
    await userEvent.type(screen.getByTestId("edit-MAX_POSITIONS"), "four");
    expect(screen.getByTestId("settings-staged")).toHaveTextContent("Not a value of this setting: MAX_POSITIONS");
    await userEvent.clear(screen.getByTestId("edit-MAX_POSITIONS"));
    await userEvent.type(screen.getByTestId("edit-MAX_POSITIONS"), "4");
    await userEvent.click(screen.getByTestId("settings-change"));
    expect(screen.getByTestId("diff-MAX_POSITIONS")).toHaveTextContent("MAX_POSITIONS64positionsfrom the next minute");
    await userEvent.type(screen.getByTestId("settings-change-reason"), "weekend");
    await userEvent.click(screen.getByTestId("settings-change-confirm"));
    expect(await screen.findByTestId("settings-pending")).toBeInTheDocument();
    expect(posts(requests)[0]).toEqual({ path: "/api/settings", method: "POST", body: { changes: { MAX_POSITIONS: 4 }, reason: "weekend", expected_version: 3 } });
  });

  it("that wait for a restart offer it, with a reason", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? taken({ restart_needed: ["UNIVERSE"], settings_at_start: 2 }) : { status: 200, body: SETTINGS }));
    page({ ...SETTINGS, restart_needed: ["UNIVERSE"] } as unknown as typeof SETTINGS);
    await userEvent.click(screen.getByTestId("settings-restart"));
    await userEvent.type(screen.getByTestId("settings-restart-reason"), "new universe");
    await userEvent.click(screen.getByTestId("settings-restart-confirm"));
    await waitFor(() => expect(posts(requests)).toEqual([{ path: "/api/settings/restart", method: "POST", body: { reason: "new universe" } }]));
    await waitFor(() => expect(screen.queryByTestId("settings-restart")).toBeNull()); // nothing waits any more
  });

  it("say which field was refused and why, and keep what was written", async () => {
    fakeNetwork((_, init) => (init.method === "POST" ? { status: 422, body: { code: "INVALID_INPUT", status: 422, detail: "EV_MIN", errors: [{ field: "EV_MIN", value: "9", expected: "at most 1" }] } } : undefined));
    page();
    await userEvent.click(screen.getByTestId("settings-edit"));
    await userEvent.clear(screen.getByTestId("edit-EV_MIN"));
    await userEvent.type(screen.getByTestId("edit-EV_MIN"), "9");
    await userEvent.click(screen.getByTestId("settings-change"));
    await userEvent.type(screen.getByTestId("settings-change-reason"), "x{Enter}");
    expect(await screen.findByTestId("refusal")).toHaveTextContent("EV_MIN: got 9, expected at most 1");
    expect(screen.getByTestId("edit-EV_MIN")).toHaveValue("9");
  });

  it("keep their history with who and why, and are not changed by an operator", () => {
    page(SETTINGS, { ...ADMIN, user: { name: "grace", role: "operator", totp: false, password: true } });
    expect(screen.getByTestId("settings-versions-row-3")).toHaveTextContent(/ada.*MAX_POSITIONS 8 → 6.*weekend.*not taken over/);
    expect(screen.getByTestId("settings-edit")).toHaveTextContent("Needs the role admin");
  });

  it("are read in the kind of what stands there", () => {
    expect([readSetting("0.5", 1), readSetting("", 1), readSetting("x", 1), readSetting("", "a"), readSetting("true", false), readSetting("2", null), readSetting("a, b", [])]).toEqual([0.5, null, undefined, undefined, true, 2, ["a", "b"]]);
    expect(differences({ A: 1, B: true }, { A: "1", B: "" })).toEqual([{ name: "B", before: true, after: null, invalid: true }]);
  });
});

describe("repair and explanation", () => {
  it("fetches the span of a gap again and follows the job", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? taken(job({ job_id: "r1", kind: "repair" })) : undefined));
    const gap = { symbol: "BTCUSDT", dataset: "candles_1m", from_ts: "2025-05-26T09:00:00Z", to_ts: "2025-05-26T09:02:00Z", missing_bars: 3, repaired_bars: 0, status: "open", source: null, found_at: "2025-05-26T09:05:00Z", repaired_at: null };
    renderDesk(<DataQualityView />, { status: STATUS, universe: [instrument("BTCUSDT")], cache: [[keys.qualityMap("1d"), { bucket_ms: 1, ts: [], rows: [] }], [keys.quality, { market_ts: null, missing_rate_24h: 0, open_gaps: 1, quality_events_24h: 0, symbols: [], gaps: [gap], events: [] }], [keys.gaps("1d"), { pages: [{ items: [gap], next_cursor: null }], pageParams: [null] }], [keys.drift, { ts: [], psi_mean: [], psi_max: [], symbols: [] }]] });
    await userEvent.click(screen.getByTestId("repair-BTCUSDT"));
    await userEvent.click(screen.getByTestId("repair-BTCUSDT-confirm"));
    await waitFor(() => expect(navigation.pushed).toEqual(["/training/?job=r1"]));
    expect(posts(requests)[0]!.body).toEqual({ symbol: "BTCUSDT", from: "2025-05-26T09:00:00.000Z", to: "2025-05-26T09:03:00.000Z" });
  });

  it("explains a decision on request, and keeps to the minute that was asked about", async () => {
    const requests = fakeNetwork((path) => (path === "/api/signals/explain" ? { status: 200, body: { symbol: "BTCUSDT", ts: "2025-05-26T10:00:00Z", mode: "shadow", model_id: "m", decision: "FLAT", unavailable: null, inputs: null, targets: { ev_long: TARGET } } } : undefined));
    renderDesk(<ExplainPanel symbol="BTCUSDT" />, { status: STATUS, signals: [signal()] });
    expect(screen.getByTestId("panel-explain")).toHaveTextContent("on request");
    await userEvent.click(screen.getByTestId("explain-ask"));
    expect(await screen.findByTestId("explain-ev_long")).toHaveTextContent("EV, longret_60+11.0 bp");
    expect(requests[0]).toEqual({ path: "/api/signals/explain", method: "POST", body: { symbol: "BTCUSDT", ts: "2025-05-26T10:00:00Z" } });
  });

  it("asks again for a decision that is on screen before it is written", async () => {
    let asked = 0;
    fakeNetwork((path) => {
      if (path !== "/api/signals/explain" || (asked += 1) < 3) return undefined;
      return { status: 200, body: { symbol: "BTCUSDT", ts: "2025-05-26T10:00:00Z", mode: "shadow", model_id: "m", decision: "FLAT", unavailable: null, inputs: null, targets: { ev_long: TARGET } } };
    });
    renderDesk(<ExplainPanel symbol="BTCUSDT" />, { status: STATUS, signals: [signal()] });
    await userEvent.click(screen.getByTestId("explain-ask"));
    expect(await screen.findByTestId("explain-ev_long", undefined, { timeout: 3_000 })).toBeInTheDocument();
    expect(asked).toBe(3);
  });

  it("reads explanations by target, or flat, the largest first", () => {
    expect(explained({ a: 1, b: -2, c: "x" }, 1)[0]).toMatchObject({ target: "", top: [{ name: "b", value: -2 }] });
    expect(explained({ targets: { ev_long: TARGET } }, 5)[0]).toMatchObject({ target: "ev_long", unit: "fraction", top: [{ name: "ret_60", value: 0.0011 }] });
    expect([explained({ targets: null }, 5), explained({}, 5)]).toEqual([[], []]);
  });
});
