// axe-core over every page of the built desk, dark and light, desk and phone: node scripts/check-a11y.mjs URL. Fails on
// anything serious; `--shots=FOLDER` also keeps a picture of each page.
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const base = process.argv[2] ?? "http://127.0.0.1:8010";
const shots = process.argv.find((word) => word.startsWith("--shots="))?.split("=")[1];
const only = process.argv.find((word) => word.startsWith("--only="))?.split("=")[1]?.split(",");
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [
  ["dark-en", DESK, { language: "en", theme: "dark", zone: "utc", rise: "green" }],
  ["light-ko", DESK, { language: "ko", theme: "light", zone: "utc", rise: "green" }],
  ["phone-ko", PHONE, { language: "ko", theme: "dark", zone: "utc", rise: "red" }],
];
const MODEL = "9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11";
const PAGES = [
  ["dashboard", "/dashboard/"],
  // Where somebody is signed in this leads on to the dashboard; `--as=nobody` of the stand-in shows the form.
  ["login", "/login/"],
  ["signals", "/signals/?filter=funding"],
  ["signal-drawer", "/signals/?why=BTCUSDT"],
  ["symbol", "/symbol/BTCUSDT/"],
  ["positions", "/positions/"],
  ["orders", "/orders/?range=1d"],
  ["orders-fills", "/orders/?tab=fills"],
  ["training", `/training/?compare=${MODEL},4c02d1aa-1111-5c3e-8a74-1f4d6a2b7c11`],
  ["model-report", `/training/?model=${MODEL}`],
  ["training-rl", "/training/?tab=rl"],
  ["risk", "/risk/"],
  ["data-quality", "/data-quality/"],
  ["settings", "/settings/"],
  ["settings-account", "/settings/?tab=account"],
  ["settings-users", "/settings/?tab=users"],
  ["settings-audit", "/settings/?tab=audit"],
  ["performance", "/orders/?tab=performance"],
  ["schedules", "/training/?tab=schedules"],
  ["job", "/training/?job=b"],
].filter(([name]) => only === undefined || only.includes(name));

const profile = await mkdtemp(path.join(os.tmpdir(), "desk-"));
const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, headless: true, bypassCSP: true });
if (shots !== undefined) await mkdir(shots, { recursive: true });
let failures = 0;
try {
  for (const [look, viewport, prefs] of LOOKS) {
    for (const [name, url] of PAGES) {
      const page = await context.newPage();
      const problems = [];
      page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(`${message.type()}: ${message.text()}`));
      await page.setViewportSize(viewport);
      await page.addInitScript((kept) => localStorage.setItem("perpilot.prefs", JSON.stringify(kept)), prefs);
      await page.goto(base + url);
      await page.waitForTimeout(2_500);
      if (shots !== undefined) await page.screenshot({ path: path.join(shots, `${name}-${look}.png`), fullPage: true });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
      for (const { id, impact, nodes } of violations) problems.push(`${impact} ${id}: ${nodes.length}× ${nodes[0].target.join(" ")} — ${nodes[0].failureSummary?.split("\n")[1]?.trim()}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) problems.push(`the page is ${wide} px wider than the screen`);
      console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name} ${look}`);
      for (const problem of problems) console.log(`     ${problem}`);
      failures += problems.length;
      await page.close();
    }
  }
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
process.exit(failures === 0 ? 0 : 1);
