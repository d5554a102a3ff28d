// Types of the API from its OpenAPI document, which `python -m apps.api.export_openapi apps/web/openapi.json` writes.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

if (!existsSync("openapi.json")) {
  console.error("openapi.json is missing: write it first with `python -m apps.api.export_openapi apps/web/openapi.json`");
  process.exit(1);
}
const { status } = spawnSync("npx", ["openapi-typescript", "openapi.json", "-o", "src/generated/api.ts"], { stdio: "inherit" });
process.exit(status ?? 1);
