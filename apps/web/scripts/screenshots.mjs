// Pictures of the desk in a real browser: node scripts/screenshots.mjs URL FOLDER [name …]
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const [base = "http://127.0.0.1:8010", folder = "shots", ...wanted] = process.argv.slice(2);
const DESK = { width: 1600, height: 1000 };
const PHONE = { width: 390, height: 844 };
const en = { language: "en", theme: "dark", zone: "utc", rise: "green" };
const ko = { ...en, language: "ko" };
const SHOTS = [
  ["dashboard-dark-en", "/dashboard/", DESK, en],
  ["dashboard-light-ko", "/dashboard/", DESK, { ...ko, theme: "light" }],
  ["symbol-dark-ko", "/symbol/BTCUSDT/", DESK, ko],
  ["symbol-light-en", "/symbol/ETHUSDT/?tf=5m&range=1d", DESK, { ...en, theme: "light" }],
  ["dashboard-phone", "/dashboard/", PHONE, ko],
  ["symbol-phone", "/symbol/SOLUSDT/", PHONE, en],
  ["positions", "/positions/", DESK, en],
  ["training", "/training/", DESK, en],
  ["settings", "/settings/", DESK, ko],
  ["settings-account", "/settings/?tab=account", DESK, en],
  ["settings-users", "/settings/?tab=users", DESK, { ...ko, theme: "light" }],
  ["settings-audit", "/settings/?tab=audit", DESK, en],
  ["performance", "/orders/?tab=performance", DESK, en],
  ["schedules", "/training/?tab=schedules", DESK, ko],
  ["model-report", "/training/?model=9b1f4c70-5f52-5c3e-8a74-1f4d6a2b7c11", DESK, en],
  ["login", "/login/", DESK, ko],
  ["login-phone", "/login/", PHONE, { ...en, theme: "light" }],
  ["risk", "/risk/", DESK, en],
];

await mkdir(folder, { recursive: true });
const profile = await mkdtemp(path.join(os.tmpdir(), "desk-"));
const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, headless: true });
try {
  for (const [name, url, viewport, prefs] of SHOTS) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const page = await context.newPage();
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && console.log(`${name}: ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => console.log(`${name}: page error: ${error.message}`));
    await page.setViewportSize(viewport);
    await page.addInitScript((kept) => localStorage.setItem("perpilot.prefs", JSON.stringify(kept)), prefs);
    await page.goto(base + url);
    await page.waitForTimeout(3_500);
    await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: viewport === PHONE });
    await page.close();
  }
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
