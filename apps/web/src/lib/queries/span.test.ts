import { QueryClient } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { STATUS } from "@/testing/samples";

const asked = vi.hoisted(() => ({ answer: vi.fn() }));
vi.mock("./live", () => ({ statusQuery: { queryKey: ["status"], queryFn: asked.answer } }));

const { spanParams } = await import("./span");

it("waits for the market's time, which may be months from ours", async () => {
  const minute = Date.parse("2026-02-10T02:15:00Z");
  asked.answer.mockResolvedValue({ ...STATUS, market_ts: null, latest_candle_ts: new Date(minute - 60_000).toISOString(), receivedAt: performance.now() });
  const told = new URLSearchParams(await spanParams(new QueryClient(), { kind: "relative", range: "1h" }));
  expect([Number(told.get("from")), Number(told.get("to"))]).toEqual([minute - 3_600_000, minute]);
});
