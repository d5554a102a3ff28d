// @vitest-environment node
import { describe, expect, it } from "vitest";
import { ACCOUNT, position, signal, STATUS, series, T0 } from "@/testing/samples";
import { accountSchema, instrumentSchema, jobSchema, positionSchema, seriesSchema, signalSchema, statusSchema } from "./schemas";

const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("schemas", () => {
  it("take each DTO as it comes over the wire", () => {
    expect(statusSchema.parse(wire(STATUS))).toEqual(STATUS);
    expect(signalSchema.parse(wire(signal()))).toEqual(signal());
    expect(accountSchema.parse(wire(ACCOUNT))).toEqual(ACCOUNT);
    expect(positionSchema.parse(wire(position()))).toEqual(position());
    expect(seriesSchema.parse(wire(series(T0, 3)))).toEqual(series(T0, 3));
  });

  it("take the least a status must have", () => {
    const least = { collector_ok: false, userstream_ok: false, latest_candle_ts: null, latest_feature_ts: null, latest_signal_ts: null, queue_lag: {}, latency_ms: {} };
    expect(statusSchema.parse(least)).toMatchObject({ mode: "off", clock_speed: 1, kill_switch: "RUNNING", symbols_total: 0 });
  });

  it("keep a null speed apart from a missing one", () => {
    expect(statusSchema.parse({ ...STATUS, clock_speed: null }).clock_speed).toBeNull();
  });

  it("take a blocked row without predictions", () => {
    const row = signalSchema.parse({ ...signal(), ev_long: null, er_long: null, block_details: [{ code: "DATA_STALE", value: null, limit: null, distance: null }] });
    expect(row.ev_long).toBeNull();
    expect(row.block_details[0]!.code).toBe("DATA_STALE");
  });

  it("drop fields of a newer API", () => {
    expect(accountSchema.parse({ ...ACCOUNT, brand_new: 1 })).toEqual(ACCOUNT);
  });

  it.each([
    ["a price as text", signalSchema, { ...signal(), close: "1" }],
    ["a missing symbol", instrumentSchema, { status: "active", tradable: true }],
    ["an unknown job state", jobSchema, { job_id: "1", kind: "x", created_at: "", started_at: null, ended_at: null, status: "maybe", progress: 0 }],
    ["a money of null", accountSchema, { ...ACCOUNT, equity: null }],
  ])("refuse %s", (_, schema, value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });
});
