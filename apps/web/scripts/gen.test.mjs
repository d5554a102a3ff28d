// @vitest-environment node
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { generate, ordered, zod } from "./gen.mjs";

const ROOT = path.resolve("../..");
const PYTHON = path.join(ROOT, ".venv", "bin", "python");
const document = () => readFileSync("openapi.json", "utf8");

describe("the generated client", () => {
  it("is what openapi.json says: `make gen` renews it", () => {
    expect(readFileSync("src/generated/api.ts", "utf8") === generate(JSON.parse(document()))).toBe(true);
  });

  // Without the project's Python there is no API to ask.
  it.skipIf(!existsSync(PYTHON))("belongs to the API as it is: `make gen` renews it", () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "openapi-"));
    try {
      const file = path.join(folder, "openapi.json");
      execFileSync(PYTHON, ["-m", "apps.api.export_openapi", file], { cwd: ROOT, env: { PATH: process.env.PATH, HOME: os.homedir() } });
      expect(readFileSync(file, "utf8") === document()).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 60_000);
});

describe("the generator", () => {
  it("keeps null apart from absent, and takes defaults over", () => {
    const schema = { type: "object", required: ["a"], properties: { a: { anyOf: [{ type: "integer" }, { type: "null" }] }, b: { anyOf: [{ type: "string" }, { type: "null" }] }, c: { type: "array", items: { $ref: "#/components/schemas/Leaf" }, default: [] }, "d-e": { type: "boolean" } } };
    expect(zod(schema)).toBe('z.object({\n  a: z.nullable(z.number()),\n  b: z._default(z.nullable(z.string()), null),\n  c: z._default(z.array(Leaf), []),\n  "d-e": z.optional(z.boolean()),\n})');
  });

  it("puts a schema after those that it is made of, and leaves out what nothing asks for", () => {
    const schemas = { A: { type: "array", items: { $ref: "#/components/schemas/B" } }, B: { type: "string" }, Unused: { type: "string" } };
    expect(ordered(schemas, ["A"])).toEqual(["B", "A"]);
  });

  it("refuses what it does not know instead of letting anything pass", () => {
    expect(() => zod({ type: "tensor" })).toThrow("tensor");
  });
});
