// Every page and the actions of a running desk in a real browser, as admin, operator and viewer:
// node scripts/check-desk.mjs [PICTURES], with VAR_DIR (and API_PORT) of the desk in the environment. It asks `perpilot` for sign-in
// links and for the process of the API, which it kills once. Meant for a demo: it halts, resumes, changes a setting and
// leaves a model in production.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { faults, LOOKS, settled } from "./browser.mjs";
import { look, pagesOf, Person, phoneMenus, promote, secondFactor, token, userInTheDesk } from "./desk-steps.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const pictures = process.argv[2];
/** Kept with the repository; the others are only looked at. */
const README = /^(dashboard|signals|symbol|positions|orders|performance|training|model-report|risk|data-quality|settings)-dark-en$|^(dashboard|symbol)-light-ko$|^(dashboard|risk)-phone-dark-ko$/;

const perpilot = (...words) => execFileSync(path.join(ROOT, ".venv/bin/perpilot"), words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const link = (name) => /https?:\/\/\S+#link=\S+/.exec(perpilot("user", "link", name).replace(/\s*\n\s*/g, ""))[0];
const problems = [];
const people = [];
// What is refused or away here on purpose.
const EXPECTED = /ERR_CONNECTION|WebSocket|status of (401|403|404|409|422|50\d)|net::|gateway:/;
const step = (name) => console.log(`ok  ${name}`);

async function person(name, options = {}) {
  const url = new URL(link(name));
  const found = await Person.at(url.origin, { who: name, problems, expected: EXPECTED, pictures, ...options });
  people.push(found);
  await found.signIn(url.href);
  return found;
}

/** A user of this walk, with what an earlier one left behind taken away. */
function user(name, role) {
  try {
    perpilot("user", "add", name, "--role", role);
  } catch {
    perpilot("user", "enable", name);
    perpilot("user", "reset-totp", name);
  }
}

try {
  const admin = await person("admin");
  const { page, base } = admin;
  const id = (test) => admin.id(test);
  await id("signals-table").waitFor();
  const shown = await page.locator('[data-testid^="signals-row-"]').count();
  assert.ok(shown > 0);
  step(`a one-time link signs the admin in; the dashboard shows ${shown} symbols`);

  const models = () => page.evaluate(async () => (await (await fetch("/api/models")).json()).map(({ model_id, pointer }) => ({ id: model_id, pointer })));
  const [newest] = await models();
  const pages = pagesOf(newest?.id);
  const told = [];
  for (const name of Object.keys(LOOKS)) told.push(...(await look(admin, name, pages, { keep: (one) => README.test(`${one}-${name}`) || process.env.ALL_PICTURES !== undefined })));
  assert.deepEqual(told, []);
  step(`${pages.length} pages and tabs, each in ${Object.keys(LOOKS)}: no card without its data, nothing wider than the screen, nothing that axe finds`);
  await phoneMenus(admin);
  step("on a telephone every page, the search, the kill switch and the menus are within reach");
  await page.setViewportSize(LOOKS["dark-en"].viewport);
  await admin.dress(LOOKS["dark-en"].prefs);
  await admin.go("data-quality/");
  await page.locator('[data-testid^="cell-BTCUSDT-"]:not([data-shade="none"])').first().waitFor();
  const [held, needed] = await id("quality-map").evaluate((table) => [table.closest('[role="region"]').clientWidth, table.scrollWidth]);
  assert.ok(needed <= held, `the heat map of a day is ${needed} pixels wide and has ${held}`);
  step("the heat map has figures, and a day of it fits");

  await admin.go("orders/");
  await id("range").getByText("3h").click();
  await id("refresh").selectOption("5s");
  await id("nav-risk").click();
  await page.waitForURL("**/risk/?**range=3h**");
  await page.waitForRequest((request) => request.url().includes("/api/funnel?")); // again by itself, within the five seconds
  assert.equal(await id("refresh").inputValue(), "5s");
  await page.goto(page.url().replace("range=3h", "from=2026-01-01T00:00:00.000Z&to=2026-01-02T00:00:00.000Z"));
  await id("range-back").waitFor();
  await id("refresh").selectOption("auto");
  await id("range-back").click();
  await id("range").getByText("1d").click();
  step("one range and one refresh rate for all pages, in the address");

  await admin.go("symbol/BTCUSDT/");
  await id("price-chart").waitFor();
  for (const [what, chosen] of [["price-source", "price=mark"], ["price-scale", "scale=log"], ["timeframe", "tf=5m"]]) {
    await id(what).locator("button").nth(1).click();
    await page.waitForURL(`**${chosen}**`);
  }
  for (const [what, chosen] of [["not-taken", "skipped=0"], ["chart-events", "events=0"]]) {
    await id(what).click();
    await page.waitForURL(`**${chosen}**`);
  }
  await page.reload();
  await id("price-chart").waitFor();
  assert.equal(await id("not-taken").getAttribute("aria-pressed"), "false");
  step("price, scale, timeframe, markers and events of a chart, kept in the address");

  await admin.go("orders/");
  const [file] = await Promise.all([page.waitForEvent("download"), id("orders-csv").click()]);
  assert.equal(file.suggestedFilename(), "perpilot-orders.csv");
  step("a table as CSV");

  await admin.go("signals/");
  await id("signals-filter").getByText("Blocked only").click();
  await page.waitForURL("**filter=blocked**");
  await id("nav-orders").click();
  await id("page-orders").waitFor();
  await id("nav-signals").click();
  await page.waitForURL("**/signals/?**filter=blocked**");
  await id("signals-filter").getByText("All", { exact: true }).click();
  step("a filter is kept for who comes back");

  await admin.go("symbol/BTCUSDT/");
  const asked = page.waitForResponse((answer) => answer.url().includes("/explain") && answer.request().method() === "POST" && answer.status() !== 404); // not written yet
  await id("explain-ask").click();
  const explained = await asked;
  assert.ok([200, 202, 409].includes(explained.status()), `${explained.status()} ${await explained.text()}`);
  if (explained.ok()) await id("panel-explain").locator("li, [data-testid^='explain-']").nth(1).waitFor();
  step(`a decision explained on request: ${explained.status()}`);

  await token(admin);
  await userInTheDesk(admin, `walked-${Date.now().toString(36)}`);
  step("a token made, used and ended, a user made, promoted and shut out, in the desk");

  await admin.go("settings/");
  await admin.confirmed("trading-to-off", { reason: "a look" });
  await page.locator('[data-testid="mode-badge"][data-mode="OFF"]').waitFor();
  await admin.confirmed("trading-to-shadow", { reason: "go on" });
  await page.locator('[data-testid="mode-badge"][data-mode="SHADOW"]').waitFor();
  step("off and shadow, each taken over by the trader");

  await admin.killSwitch("halt", "HALTED", "a look");
  await admin.killSwitch("resume", "RUNNING", "looked at it");
  step("halted, and cleared with a reason");
  const live = (await admin.call("GET", "/api/trading/state")).body.permitted === "live";
  const refusal = await admin.killSwitch("flatten", "FLAT", "a look", "FLATTEN");
  if (live) await admin.killSwitch("resume", "RUNNING", "looked at it");
  else assert.match(refusal, /LIVE_NOT_RUNNING/);
  step(live ? "flattened by the written word, and cleared" : "flattening wants its word, and is refused where no account is traded");

  const before = (await admin.call("GET", "/api/settings")).body;
  await admin.go("settings/");
  await id("settings-edit").click();
  await id("edit-EV_MIN").fill(before.values.EV_MIN === 0.5 ? "0.6" : "0.5"); // more than anything promises
  await admin.confirmed("settings-change", { reason: "nothing is worth it" });
  await id("settings-pending").waitFor({ state: "detached" });
  const taken = (await admin.call("GET", "/api/settings")).body;
  assert.ok(taken.version > before.version, `version ${taken.version}`);
  await admin.go("signals/");
  const blocked = () => {
    // With what rests behind the first reason: a guard of the day may stand before it.
    const rows = [...document.querySelectorAll('[data-testid^="signals-row-"]')].map((row) => row.innerHTML);
    return rows.some((text) => text.includes("EV_BELOW_MIN")) && rows.every((text) => /EV_BELOW_MIN|ALREADY_IN_POSITION|DATA_STALE/.test(text));
  };
  await page.waitForFunction(blocked, undefined, { timeout: 60_000 });
  const undone = await admin.call("POST", "/api/settings", { changes: { EV_MIN: 0 }, reason: "back", expected_version: taken.version });
  assert.equal(undone.status, 202, JSON.stringify(undone.body));
  step(`a setting changed to version ${taken.version} shows in the next decisions, and was put back`);

  const slow = "ENTRIES_PER_HOUR";
  assert.equal(taken.effects[slow], "restart");
  const changed = await admin.call("POST", "/api/settings", { changes: { [slow]: taken.values[slow] + 1 }, reason: "later", expected_version: undone.body.version });
  assert.equal(changed.status, 202, JSON.stringify(changed.body));
  await admin.go("settings/");
  await admin.confirmed("settings-restart", { reason: "now" });
  await id("settings-restart").waitFor({ state: "detached", timeout: 120_000 }); // the process came back with it
  await admin.until("/api/status", (found) => found.collector_ok, 120_000);
  await admin.call("POST", "/api/settings", { changes: { [slow]: taken.values[slow] }, reason: "back", expected_version: changed.body.version });
  step(`${slow} waited for a restart, and counts after one`);

  await admin.go("training/");
  await id("job-start").click();
  await id("job-start-confirm").click();
  await id("job-start-dialog").waitFor({ state: "detached" });
  await page.locator('[data-testid^="job-open-"]').first().waitFor();
  await admin.go("training/"); // the sheet of the job has opened
  await id("job-start").click();
  await id("job-kind").selectOption("walkforward_backtest");
  const [started] = await Promise.all([page.waitForResponse((answer) => answer.url().endsWith("/api/training/jobs") && answer.request().method() === "POST"), id("job-start-confirm").click()]);
  const { job_id: job } = await started.json();
  await admin.go("training/");
  await admin.confirmed(`job-cancel-${job}`, { reason: "walked" });
  await admin.until("/api/training/jobs", (jobs) => jobs.find(({ job_id }) => job_id === job)?.status === "cancelled", 120_000);
  step("jobs are started and listed, and one is cancelled with a reason");

  await admin.go("training/?tab=schedules");
  await admin.confirmed("schedule-toggle-retention");
  await id("schedules-row-retention").getByText("off", { exact: true }).waitFor();
  await admin.confirmed("schedule-toggle-retention");
  await id("schedules-row-retention").getByText("on", { exact: true }).waitFor();
  await id("schedule-run-compute_drift").click();
  await admin.until("/api/training/jobs", (jobs) => jobs.some(({ kind, status }) => kind === "compute_drift" && status === "succeeded"), 120_000);
  step("a schedule switched off and on, and one run at once");

  await admin.go("data-quality/");
  await id("repair").click();
  await id("repair-symbol").selectOption("BTCUSDT");
  await id("repair-confirm").click();
  await page.waitForURL("**/training/?job=**");
  const repair = new URL(page.url()).searchParams.get("job");
  await admin.until("/api/training/jobs", (jobs) => jobs.find(({ job_id }) => job_id === repair)?.status === "succeeded", 180_000);
  step("a day of one symbol fetched again");

  if ((await models()).length < 2) {
    await admin.call("POST", "/api/training/jobs", { kind: "train_model", params: {} });
    await admin.until("/api/models", (found) => found.length > 1, 600_000);
  }
  const inUse = (await models()).find(({ pointer }) => pointer?.includes("production"))?.id;
  const [second, first] = (await models()).filter((model) => model.id !== inUse).map((model) => model.id).concat(inUse ?? []);
  user("factor-check", "admin");
  const secured = await person("factor-check");
  await secondFactor(secured, () => link("factor-check"), (onCode) => promote(secured, first, "walked: first", onCode));
  step("a second factor set up, asked for before a promotion, its used code refused three times over, and taken away");

  const unmet = await promote(admin, second, "walked: second");
  await admin.go("training/");
  const dialog = await admin.confirm("rollback", { reason: "walked: back" });
  if (unmet > 0) {
    const refusal = dialog.getByTestId("refusal");
    await refusal.waitFor();
    assert.match(await refusal.innerText(), new RegExp(`${first}[^]*EVIDENCE_OOS`));
    await id("rollback-override").check();
    await id("rollback-target").fill(first);
    await id("rollback-confirm").click();
  }
  await dialog.waitFor({ state: "detached" });
  await page.locator(`[data-testid="models-row-${first}"]`, { hasText: "production" }).waitFor();
  await admin.until("/api/status", (found) => found.model_id === first);
  step(`promoted over ${unmet} unmet conditions that were shown, rolled back, and the trader uses the predecessor`);

  await admin.go("settings/?tab=audit");
  await id("audit-chain").waitFor();
  await settled(page);
  await admin.picture("settings-audit-dark-en");
  assert.equal(await id("audit-chain").getAttribute("data-ok"), "true");
  step("the audit log is whole and shows all of it");

  for (const role of ["viewer", "operator"]) {
    const name = `${role}-check`;
    user(name, role);
    const other = await person(name);
    await other.go("risk/");
    const halt = other.id("panel-kill-switch").getByTestId("kill-switch-halt");
    await halt.waitFor();
    assert.equal(await halt.getAttribute("data-denied"), role === "viewer" ? "operator" : null);
    const refused = await other.call("POST", "/api/trading/kill-switch", { action: "halt", reason: "r", expected_version: 0 });
    assert.equal(refused.status, role === "viewer" ? 403 : 409);
    assert.equal((await other.call("POST", "/api/settings", { changes: { EV_MIN: 0.1 }, reason: "r", expected_version: 0 })).status, 403);
    await other.go(`training/?model=${first}`);
    assert.equal(await other.id("promote").getAttribute("data-denied"), "admin");
    for (const tab of ["users", "audit"]) {
      await other.go(`settings/?tab=${tab}`);
      await other.id("admin-only").first().waitFor();
    }
    assert.deepEqual(await look(other, "phone-dark-ko", pagesOf().filter(([one]) => !/users|audit/.test(one)), { keep: () => false, axe: false }), []);
  }
  step("a viewer may look only, an operator may halt, neither may promote, change settings or see users");

  const api = JSON.parse(perpilot("status", "--json")).processes.children.api;
  await admin.go("dashboard/");
  const connection = (state) => page.locator(`[data-testid="connection"]${state}`).first();
  await connection('[data-state="open"]').waitFor();
  process.kill(api.pid, "SIGKILL");
  await connection(':not([data-state="open"])').waitFor();
  await connection('[data-state="open"]').waitFor({ timeout: 60_000 });
  const minute = () => page.locator('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]').innerText();
  const old = await minute();
  await page.waitForFunction((was) => document.querySelector('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]')?.textContent !== was, old, { timeout: 90_000 });
  step("the API was killed: the desk says so, comes back by itself, signed in, and its numbers move");

  await admin.signOut();
  await admin.go("positions/");
  await page.waitForURL("**/login/**");
  for (const [name, { viewport, prefs }] of Object.entries(LOOKS)) {
    await page.setViewportSize(viewport);
    await admin.dress(prefs);
    await page.goto(`${base}/login/`);
    await id("login-form").waitFor();
    await settled(page);
    assert.deepEqual(await faults(page), [], `login ${name}`);
    if (name === "dark-en" || process.env.ALL_PICTURES !== undefined) await admin.picture(`login-${name}`);
  }
  step("signed out, every page leads to sign-in, which is readable in every look");

  assert.deepEqual(problems, []);
  step("no error in any browser");
} finally {
  for (const one of people) await one.close();
}
