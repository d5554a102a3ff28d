// @vitest-environment node
import * as z from "zod/mini";
import { afterEach, describe, expect, it, vi } from "vitest";
import { absent } from "@/lib/queries/live";
import { type ApiError, get, MALFORMED, post, UNREACHABLE } from "./client";

const schema = z.object({ n: z.number() });
const answer = (body: string, status = 200) => vi.stubGlobal("fetch", vi.fn(async () => new Response(body, { status })));
const failure = (promise: Promise<unknown>) => promise.then(() => null, (error: ApiError) => ({ code: error.code, status: error.status, detail: error.detail }));

afterEach(() => vi.unstubAllGlobals());

describe("the door to the API", () => {
  it("returns what parses", async () => {
    answer('{"n": 1}');
    expect(await get(schema, "/x")).toEqual({ n: 1 });
  });

  it("names the field that does not parse", async () => {
    answer('{"n": "1"}');
    expect(await failure(get(schema, "/x"))).toMatchObject({ code: MALFORMED, detail: expect.stringContaining("/x: n") });
  });

  it("carries the stable code of a problem document", async () => {
    answer('{"code": "INVALID_INPUT", "detail": "from: got 1", "status": 422, "title": "bad"}', 422);
    expect(await failure(get(schema, "/x"))).toEqual({ code: "INVALID_INPUT", status: 422, detail: "from: got 1" });
  });

  it("survives an error page that is no JSON", async () => {
    answer("<html>", 502);
    expect(await failure(get(schema, "/x"))).toMatchObject({ code: "HTTP_502", status: 502 });
  });

  it("tells an API that does not answer from one that refuses", async () => {
    vi.stubGlobal("fetch", vi.fn(async () => Promise.reject(new TypeError("Failed to fetch"))));
    expect(await failure(get(schema, "/x"))).toMatchObject({ code: UNREACHABLE, status: 0 });
  });

  it("posts JSON", async () => {
    answer('{"n": 2}', 202);
    expect(await post(schema, "/x", { mode: "off" })).toEqual({ n: 2 });
    expect(vi.mocked(fetch).mock.calls[0]![1]).toMatchObject({ method: "POST", body: '{"mode":"off"}' });
  });

  it("reads a 404 of something that may be absent as null, and nothing else", async () => {
    answer('{"code": "NOT_FOUND"}', 404);
    expect(await absent(get(schema, "/x"))).toBeNull();
    answer('{"code": "BROKEN"}', 500);
    await expect(absent(get(schema, "/x"))).rejects.toMatchObject({ code: "BROKEN" });
  });
});
