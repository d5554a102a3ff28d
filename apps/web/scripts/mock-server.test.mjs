// @vitest-environment node
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Not asked for by a page: a file that a job has written. */
const FILES = new Set(["/api/models/{model_version}/report"]);
const addresses = Object.entries(JSON.parse(readFileSync("openapi.json", "utf8")).paths).flatMap(([address, operations]) => ("get" in operations && address.startsWith("/api/") && !FILES.has(address) ? [address] : []));

describe("the stand-in API", () => {
  let server, base;
  beforeAll(async () => {
    server = spawn(process.execPath, ["scripts/mock-server.mjs", "--symbols=2"], { stdio: ["ignore", "pipe", "inherit"] });
    base = await new Promise((resolve) => server.stdout.once("data", (text) => resolve(String(text).trim())));
  });
  afterAll(() => server.kill());

  it("answers whatever the API can be asked for, so that no card stands empty", async () => {
    expect(addresses.length).toBeGreaterThan(40);
    const asked = addresses.map((address) => address.replace("{symbol}", "BTCUSDT").replace("{job_id}", "b").replace(/\{model_\w+\}/, "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11"));
    const answers = await Promise.all(asked.map(async (address) => [address, (await fetch(`${base}${address}?from=0&to=86400000`)).status]));
    expect(answers.filter(([, status]) => status !== 200)).toEqual([]);
  });

  it("knows no address that the API does not", async () => {
    expect((await fetch(`${base}/api/nothing`)).status).toBe(404);
  });
});
