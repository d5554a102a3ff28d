// Every page and the actions of a running desk in a real browser, as admin, operator and viewer:
// node scripts/check-desk.mjs [PICTURES], with VAR_DIR (and API_PORT) of the desk in the environment. It asks `perpilot` for sign-in
// links and for the process of the API, which it kills once. Meant for a demo: it halts, resumes and changes a setting.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
const PAGES = ["dashboard", "signals", "symbol/BTCUSDT", "positions", "orders", "training", "risk", "data-quality", "settings"];
const LOOKS = { "dark-en": { language: "en", theme: "dark", zone: "utc", rise: "green" }, "light-ko": { language: "ko", theme: "light", zone: "utc", rise: "green" } };
const folder = process.argv[2];

const perpilot = (...words) => execFileSync(path.join(ROOT, ".venv/bin/perpilot"), words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const link = (text) => new URL(/https?:\/\/\S+#link=\S+/.exec(text.replace(/\s*\n\s*/g, ""))[0]);
const problems = [];
const step = (name) => console.log(`ok  ${name}`);
const profiles = [];

/** A browser of its own, signed in by a one-time link of `name`. */
async function signIn(name, look = LOOKS["dark-en"]) {
  const profile = await mkdtemp(path.join(os.tmpdir(), "desk-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, headless: true, viewport: { width: 1600, height: 1000 } });
  profiles.push([profile, context]);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("console", (message) => message.type() === "error" && !/ERR_CONNECTION|WebSocket|50[0-9]|40[39]|net::/.test(message.text()) && problems.push(`${name}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  const dress = (prefs) => page.evaluate((kept) => localStorage.setItem("perpilot.prefs", JSON.stringify(kept)), prefs);
  const url = link(perpilot("user", "link", name));
  await page.goto(url.href);
  await page.waitForURL("**/dashboard/");
  await dress(look);
  return { page, dress, base: url.origin, id: (test) => page.getByTestId(test) };
}

/** A picture, where pictures were asked for; charts get a moment to draw. */
async function picture(page, name) {
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.waitForTimeout(2_000);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

async function call(page, method, url, body) {
  return page.evaluate(
    async ([how, where, what]) => {
      const me = await (await fetch("/api/auth/me")).json();
      const answer = await fetch(where, { method: how, headers: { "Content-Type": "application/json", "X-CSRF": me.csrf ?? "" }, ...(what && { body: JSON.stringify(what) }) });
      return { status: answer.status, body: await answer.json().catch(() => null) };
    },
    [method, url, body],
  );
}

async function confirm({ id }, test, { reason, word } = {}) {
  await id(test).click();
  if (word !== undefined) await id(`${test}-word`).fill(word);
  if (reason !== undefined) await id(`${test}-reason`).fill(reason);
  await id(`${test}-confirm`).click();
  await id(`${test}-dialog`).waitFor({ state: "detached" });
}

async function killSwitch({ page, id, base }, action, word, reason) {
  await page.goto(`${base}/risk/`);
  const panel = id("panel-kill-switch");
  await panel.getByTestId(`kill-switch-${action}`).click();
  await panel.getByTestId("kill-switch-reason").fill(reason);
  await panel.getByTestId("kill-switch-confirm").click();
  await panel.locator(`[data-testid="kill-switch-state"][data-state="${word}"]`).waitFor();
  await id("kill-switch-pending").first().waitFor({ state: "detached" });
}

try {
  const admin = await signIn("admin");
  const { page, id, base } = admin;
  await page.reload();
  await id("signals-table").waitFor();
  const shown = await page.locator('[data-testid^="signals-row-"]').count();
  assert.ok(shown > 0);
  step(`a one-time link signs the admin in; the dashboard shows ${shown} symbols`);

  for (const [look, prefs] of Object.entries(LOOKS)) {
    await admin.dress(prefs);
    for (const name of PAGES) {
      await page.goto(`${base}/${name}/`);
      await id(`page-${name.split("/")[0]}`).waitFor();
      await page.waitForFunction(() => document.querySelector('[data-testid="state-loading"]') === null);
      assert.equal(await id("state-failed").count(), 0, `${name}: a card failed`);
      await picture(page, `${name.replace("/BTCUSDT", "")}-${look}`);
    }
  }
  await page.goto(`${base}/data-quality/`);
  await page.locator('[data-testid^="cell-BTCUSDT-"]:not([data-shade="none"])').first().waitFor();
  await admin.dress(LOOKS["dark-en"]);
  step("nine pages in both languages and themes, no card without its data");

  await page.goto(`${base}/settings/`);
  await confirm(admin, "trading-to-off", { reason: "a look" });
  await page.locator('[data-testid="mode-badge"][data-mode="OFF"]').waitFor();
  await confirm(admin, "trading-to-shadow", { reason: "go on" });
  await page.locator('[data-testid="mode-badge"][data-mode="SHADOW"]').waitFor();
  step("off and shadow, each taken over by the trader");

  await killSwitch(admin, "halt", "HALTED", "a look");
  await killSwitch(admin, "resume", "RUNNING", "looked at it");
  step("halted, and cleared with a reason");

  const before = (await call(page, "GET", "/api/settings")).body;
  await page.goto(`${base}/settings/`);
  await id("settings-edit").click();
  await id("edit-EV_MIN").fill(before.values.EV_MIN === 0.5 ? "0.6" : "0.5"); // more than anything promises
  await confirm(admin, "settings-change", { reason: "nothing is worth it" });
  await id("settings-pending").waitFor({ state: "detached" });
  const taken = (await call(page, "GET", "/api/settings")).body;
  assert.ok(taken.version > before.version, `version ${taken.version}`);
  await page.goto(`${base}/signals/`);
  const blocked = () => {
    const rows = [...document.querySelectorAll('[data-testid^="signals-row-"]')].map((row) => row.textContent);
    return rows.some((text) => text.includes("EV_BELOW_MIN")) && rows.every((text) => /EV_BELOW_MIN|ALREADY_IN_POSITION|DATA_STALE/.test(text));
  };
  await page.waitForFunction(blocked, undefined, { timeout: 60_000 });
  const undone = await call(page, "POST", "/api/settings", { changes: { EV_MIN: 0 }, reason: "back", expected_version: taken.version });
  assert.equal(undone.status, 202, JSON.stringify(undone.body));
  step(`a setting changed to version ${taken.version} shows in the next decisions, and was put back`);

  await page.goto(`${base}/training/`);
  await id("job-start").click();
  await id("job-start-confirm").click();
  await id("job-start-dialog").waitFor({ state: "detached" });
  await page.locator('[data-testid^="job-open-"]').first().waitFor();
  step("a job is started and listed");

  await page.goto(`${base}/settings/?tab=audit`);
  await id("audit-chain").waitFor();
  await picture(page, "settings-audit-dark-en");
  step("the audit log shows its chain");

  for (const role of ["viewer", "operator"]) {
    const name = `${role}-check`;
    try {
      perpilot("user", "add", name, "--role", role);
    } catch {
      perpilot("user", "enable", name); // from an earlier run
    }
    const other = await signIn(name);
    await other.page.goto(`${base}/risk/`);
    const halt = other.id("panel-kill-switch").getByTestId("kill-switch-halt");
    await halt.waitFor();
    assert.equal(await halt.getAttribute("data-denied"), role === "viewer" ? "operator" : null);
    const refused = await call(other.page, "POST", "/api/trading/kill-switch", { action: "halt", reason: "r", expected_version: 0 });
    assert.equal(refused.status, role === "viewer" ? 403 : 409);
    assert.equal((await call(other.page, "POST", "/api/settings", { changes: { EV_MIN: 0.1 }, reason: "r", expected_version: 0 })).status, 403);
    await other.page.goto(`${base}/settings/?tab=users`);
    await other.id("admin-only").first().waitFor();
  }
  step("a viewer may look only, an operator may halt, neither may change settings or see users");

  const api = JSON.parse(perpilot("status", "--json")).processes.children.api;
  await page.goto(`${base}/dashboard/`);
  const connection = (state) => page.locator(`[data-testid="connection"]${state}`).first();
  await connection('[data-state="open"]').waitFor();
  process.kill(api.pid, "SIGKILL");
  await connection(':not([data-state="open"])').waitFor();
  await connection('[data-state="open"]').waitFor({ timeout: 60_000 });
  const minute = () => page.locator('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]').innerText();
  const old = await minute();
  await page.waitForFunction((was) => document.querySelector('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]')?.textContent !== was, old, { timeout: 90_000 });
  step("the API was killed: the desk says so, comes back by itself, signed in, and its numbers move");

  await id("user-menu").click();
  await id("user-sign-out").click();
  await page.waitForURL("**/login/**");
  await page.goto(`${base}/positions/`);
  await page.waitForURL("**/login/**");
  step("signed out, every page leads to sign-in");

  assert.deepEqual(problems, []);
  step("no error in any browser");
} finally {
  for (const [profile, context] of profiles) {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}
