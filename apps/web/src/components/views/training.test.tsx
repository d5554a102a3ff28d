import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Job, Model } from "@/lib/api/schemas";
import { bestOf, recurring } from "@/lib/domain/training";
import { keys } from "@/lib/queries/keys";
import { fakeNetwork, renderDesk } from "@/testing/render";
import { STATUS } from "@/testing/samples";
import { TrainingView } from "./TrainingView";

const job = (change: Partial<Job> = {}): Job => ({ job_id: "1", kind: "train_model", created_at: "2025-05-26T10:00:00Z", started_at: "2025-05-26T10:00:01Z", ended_at: null, status: "running", progress: 0.64, stage: "q05_short", config: {}, report_uri: null, error: null, eta_s: 42, ...change });
const model = (id: string, trading: Record<string, unknown>): Model => ({ model_id: id, created_at: "2025-05-26T10:00:00Z", algo: "lightgbm", feature_schema_version: 1, label_spec_hash: "abc", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-26T00:00:00Z", metrics: { trading }, artifact_uri: "file:///m", is_production: false, status: "candidate", pointer: null, overrides: [] });
const [a, b] = [
  model("aaaaaaaa-1", { profit_factor: 1.2, max_drawdown: 0.1, trades: 300, fees: 12, verdict: { code: "NO_EDGE", en: "No edge after costs.", ko: "비용을 빼면 우위가 없습니다." } }),
  model("bbbbbbbb-2", { profit_factor: 0.9, max_drawdown: 0.05, trades: 500, fees: 20 }),
];
const slots = ["2025-05-26T09:00:00Z", "2025-05-26T10:00:00Z"].map((as_of, i) => job({ job_id: `d${i}`, kind: "compute_drift", status: i === 0 ? "failed" : "succeeded", progress: 1, config: { as_of } }));
const detail = { ...a, content_hash: "c", label_spec: { h_bars: 360 }, evidence: [{ kind: "oos", created_at: "2025-05-26T10:00:00Z", valid_until: "2025-06-26T10:00:00Z", passed: true, valid: false, figures: { pf: 1.2 } }] };
const page = () =>
  renderDesk(<TrainingView />, {
    status: STATUS,
    cache: [[keys.jobs, [job(), ...slots]], [keys.models, [a, b]], [keys.model(a!.model_id), detail], [keys.schedules, [{ name: "compute_drift", enabled: true, every: "1h", at: "5m", default_every: "1h", default_at: "5m", next_ts: null, last_job: null, changed_at: null, changed_by: null }]], [keys.rlModels, []], [keys.rlDecisions, []]],
  });

describe("the training page", () => {
  it("follows jobs in percent with the time left", () => {
    page();
    expect(screen.getByTestId("jobs-row-1")).toHaveTextContent(/Train a model.*64%.*42\.0 s left/);
  });

  it("opens a model's report with figures, verdict and evidence, also from a link", async () => {
    page();
    await userEvent.click(screen.getByTestId("model-open-aaaaaaaa-1"));
    expect(window.location.search).toBe("?model=aaaaaaaa-1");
    const report = within(screen.getByTestId("model-report"));
    expect(report.getByTestId("figure-profit_factor")).toHaveTextContent("1.20");
    expect(report.getByTestId("figure-max_drawdown")).toHaveTextContent("10.00%");
    expect(report.getByTestId("model-verdict")).toHaveTextContent("NO_EDGE No edge after costs.");
    expect(report.getByTestId("model-evidence")).toHaveTextContent("expired");
  });

  it("compares models side by side and marks the better of each line", async () => {
    page();
    expect(screen.queryByTestId("card-comparison")).toBeNull();
    await userEvent.click(screen.getByTestId("compare-choose-aaaaaaaa-1"));
    await userEvent.click(screen.getByTestId("compare-choose-bbbbbbbb-2"));
    expect(new URLSearchParams(window.location.search).get("compare")).toBe("aaaaaaaa-1,bbbbbbbb-2");
    expect(screen.getByTestId("compare-profit_factor")).toHaveTextContent("best1.200.90");
    expect(screen.getByTestId("compare-max_drawdown")).toHaveTextContent("10.00%best5.00%");
    expect(screen.getByTestId("compare-trades")).not.toHaveTextContent("best");
  });

  it("shows what comes by itself, with its rhythm and its failures", async () => {
    page();
    await userEvent.click(screen.getByTestId("training-tab-schedules"));
    expect(screen.getByTestId("schedules-row-compute_drift")).toHaveTextContent(/on1h 00m.*succeeded21/);
    expect(screen.queryByTestId("schedules-row-train_model")).toBeNull();
  });

  it("has a tab for the agent, empty until there is one", async () => {
    page();
    await userEvent.click(screen.getByTestId("training-tab-rl"));
    expect(within(screen.getByTestId("card-rl-models")).getByTestId("state-empty")).toHaveTextContent("No agent yet");
    expect(within(screen.getByTestId("card-rl-decisions")).getByTestId("state-empty")).toBeInTheDocument();
  });
});

describe("the agent's tab, once there is one", () => {
  const rlModel = { model_id: "ppo-1", symbol: "BTCUSDT", algorithm: "ppo", train_start: "2025-04-26T00:00:00Z", train_end: "2025-05-26T00:00:00Z", metrics: { profit_factor: 1.3, win_rate: 0.55, sharpe: 1.1, max_drawdown: 0.08 }, is_production: false, created_at: null };
  const decision = { id: 5, ts: "2025-05-26T10:00:00Z", symbol: "BTCUSDT", model_id: "ppo-1", mode: "shadow", action: 1, action_name: "LONG", confidence: 0.7, action_probs: { HOLD: 0.3, LONG: 0.7 }, executed: true, pnl_result: 1.5 };
  const count = (action: number, action_name: string, n: number) => ({ action, action_name, count: n, executed: n, mean_confidence: 0.6, pnl: 1, wins: 1 });
  const stats = { model_id: null, from_ts: "2025-05-25T10:00:00Z", to_ts: "2025-05-26T10:00:00Z", decisions: 40, actions: [count(0, "HOLD", 10), count(1, "LONG", 30)] };

  it("shows figures and actions of a model, and lets an admin put it in production", async () => {
    const requests = fakeNetwork((_, init) => (init.method === "POST" ? { status: 200, body: { ...rlModel, is_production: true } } : undefined));
    renderDesk(<TrainingView />, { status: STATUS, cache: [[keys.jobs, []], [keys.models, []], [keys.schedules, []], [keys.rlModels, [rlModel]], [keys.rlDecisions, [decision]], [keys.rlStats, stats], [keys.rlModelStats("ppo-1"), { ...stats, model_id: "ppo-1" }]] });
    await userEvent.click(screen.getByTestId("training-tab-rl"));
    expect(screen.getByTestId("rl-models-row-ppo-1")).toHaveTextContent(/1\.30.*55\.0%.*1\.10.*8\.0%/);
    expect(screen.getByTestId("rl-model-actions-ppo-1")).toHaveTextContent(/75%.*25%/);
    expect(screen.getByTestId("rl-probs-5")).toHaveTextContent(/70%.*30%/);
    expect(screen.getByTestId("rl-actions")).toHaveTextContent("30 · 60%");
    await userEvent.click(screen.getByTestId("rl-promote-ppo-1"));
    await userEvent.type(screen.getByTestId("rl-promote-ppo-1-reason"), "it earned its place");
    await userEvent.click(screen.getByTestId("rl-promote-ppo-1-confirm"));
    expect(requests).toContainEqual({ path: "/api/rl/models/ppo-1/promote", method: "POST", body: { reason: "it earned its place" } });
  });
});

describe("bestOf and recurring", () => {
  it("finds nothing best where there is no choice", () => {
    expect([...bestOf([1, null], false)]).toEqual([]);
    expect([...bestOf([2, 2], false)]).toEqual([]);
    expect([...bestOf([3, 1, 2], true)]).toEqual([1]);
  });

  it("takes the rhythm from the two newest slots", () => {
    expect(recurring([job({ config: { as_of: "2025-05-26T00:00:00Z" } }), job({ config: { as_of: "2025-05-19T00:00:00Z" } })])[0]).toMatchObject({ everyMs: 7 * 86_400_000, runs: 2, failed: 0 });
  });
});
