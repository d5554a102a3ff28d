// What one does at the desk, step by step, as a person would: shared by the walk of a running desk (check-desk.mjs) and
// the short one of the tests (check-short.mjs). Every step waits for what it expects, never for a time.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { EN_DARK, faults, launch, LOOKS, open, PHONE, settled } from "./browser.mjs";

/** Pages with their tabs and drawers. `model`: one whose report is opened. */
export const pagesOf = (model) => [
  ["dashboard", "dashboard/"],
  ["signals", "signals/"],
  ["signal-drawer", "signals/?why=BTCUSDT"],
  ["symbol", "symbol/BTCUSDT/"],
  ["symbol-index", "symbol/"],
  ["positions", "positions/"],
  ["orders", "orders/"],
  ["performance", "orders/?tab=performance"],
  ["training", "training/"],
  ["schedules", "training/?tab=schedules"],
  ["training-rl", "training/?tab=rl"],
  ...(model === undefined ? [] : [["model-report", `training/?model=${model}`]]),
  ["risk", "risk/"],
  ["data-quality", "data-quality/"],
  ["settings", "settings/"],
  ["settings-account", "settings/?tab=account"],
  ["settings-users", "settings/?tab=users"],
  ["settings-audit", "settings/?tab=audit"],
];

/** RFC 6238, six digits, `steps` half minutes from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret.replace(/=+$/, "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac("sha1", Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)))).update(counter).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Somebody at a browser of his own. `expected`: complaints of the browser that belong to what is done. */
export class Person {
  static async at(base, { who, problems, prefs = EN_DARK, viewport, expected, pictures } = {}) {
    const browser = await launch({ viewport });
    const page = await open(browser.context, problems, { who, expected });
    return new Person(browser, page, base, prefs, pictures);
  }

  constructor(browser, page, base, prefs, pictures) {
    Object.assign(this, { browser, page, base, prefs, pictures });
  }

  close() {
    return this.browser.close();
  }

  id(test) {
    return this.page.getByTestId(test);
  }

  go(where) {
    return this.page.goto(`${this.base}/${where}`);
  }

  async dress(prefs) {
    this.prefs = prefs;
    await this.page.evaluate((kept) => localStorage.setItem("perpilot.prefs", JSON.stringify(kept)), prefs);
  }

  /** By a one-time link, on to the dashboard. */
  async signIn(link) {
    await this.page.goto(link);
    await this.page.waitForURL("**/dashboard/");
    await this.dress(this.prefs);
    await this.page.reload();
    await this.id("user-menu").waitFor();
  }

  async signOut() {
    await this.id("user-menu").click();
    const [answer] = await Promise.all([this.page.waitForResponse("**/api/auth/logout"), this.id("user-sign-out").click()]);
    assert.equal(answer.status(), 204, `signing out: ${answer.status() === 204 ? "" : await answer.text()}`);
    await this.page.waitForURL("**/login/**");
  }

  async picture(name) {
    if (this.pictures === undefined) return;
    await mkdir(this.pictures, { recursive: true });
    await this.page.screenshot({ path: path.join(this.pictures, `${name}.png`) });
  }

  /** The API as the page asks it. */
  call(method, url, body) {
    return this.page.evaluate(
      async ([how, where, what]) => {
        const me = await (await fetch("/api/auth/me")).json();
        const answer = await fetch(where, { method: how, headers: { "Content-Type": "application/json", "X-CSRF": me.csrf ?? "" }, ...(what && { body: JSON.stringify(what) }) });
        return { status: answer.status, body: await answer.json().catch(() => null) };
      },
      [method, url, body],
    );
  }

  /** Ask the API until it answers as wanted. (`waitForFunction` would take the promise of a question for its answer.) */
  async until(url, wanted, timeout = 60_000) {
    const end = Date.now() + timeout;
    for (;;) {
      const { body } = await this.call("GET", url);
      if (wanted(body)) return;
      assert.ok(Date.now() < end, `${url}, not within ${timeout / 1000} s: ${JSON.stringify(body).slice(0, 300)}`);
      await new Promise((done) => setTimeout(done, 1_000));
    }
  }

  /** Press a button that asks before it acts, and say what it asks for. */
  async confirm(test, { reason, word, override } = {}) {
    await this.id(test).click();
    const yes = this.id(`${test}-confirm`);
    if (override) {
      assert.ok(await yes.isDisabled(), `${test}: what is unmet must be overridden first`);
      await this.id(`${test}-override`).check();
    }
    if (word !== undefined) await this.id(`${test}-word`).fill(word);
    if (reason !== undefined) await this.id(`${test}-reason`).fill(reason);
    await yes.click();
    return this.id(`${test}-dialog`);
  }

  async confirmed(test, said) {
    await (await this.confirm(test, said)).waitFor({ state: "detached" });
  }

  /** `typed`: what has to be written before it goes. Resolves to what a refusal says, or null. */
  async killSwitch(action, word, reason, typed = undefined) {
    await this.go("risk/");
    const panel = this.id("panel-kill-switch");
    await panel.getByTestId(`kill-switch-${action}`).click();
    if (typed !== undefined) {
      assert.ok(await panel.getByTestId("kill-switch-confirm").isDisabled(), `${action} without its word`);
      await panel.getByTestId("kill-switch-word").fill(typed);
    }
    await panel.getByTestId("kill-switch-reason").fill(reason);
    await panel.getByTestId("kill-switch-confirm").click();
    const refusal = panel.getByTestId("refusal");
    await panel.locator(`[data-testid="kill-switch-state"][data-state="${word}"]`).or(refusal).first().waitFor();
    if ((await refusal.count()) > 0) return refusal.innerText();
    await this.id("kill-switch-pending").first().waitFor({ state: "detached" });
    return null;
  }
}

/** Every page in one look: its data are there, axe finds nothing, nothing is wider than the screen. Tells faults. */
export async function look(person, name, pages, { keep = () => true, axe = true } = {}) {
  const { viewport, prefs } = LOOKS[name];
  const told = [];
  await person.page.setViewportSize(viewport);
  await person.dress(prefs);
  for (const [page, where] of pages) {
    await person.go(where);
    await settled(person.page);
    if ((await person.id("state-failed").count()) > 0) told.push(`${page}: a card failed`);
    assert.equal(await person.page.evaluate(() => `${document.documentElement.lang} ${document.documentElement.dataset.theme}`), `${prefs.language} ${prefs.theme}`);
    told.push(...(await faults(person.page, { axe })).map((fault) => `${page} ${name}: ${fault}`));
    if (keep(page, name)) await person.picture(`${page}-${name}`);
  }
  return told;
}

/** On a telephone: pages, search, kill switch, language and one's own menu are within reach of a thumb. */
export async function phoneMenus(person) {
  const { page } = person;
  await page.setViewportSize(PHONE);
  await person.go("dashboard/");
  await settled(page);
  for (const name of ["positions", "signals"]) {
    await person.id("phone-nav").getByRole("link").filter({ has: page.locator(`xpath=self::*[contains(@href, "/${name}/")]`) }).click();
    await person.id(`page-${name}`).waitFor();
  }
  for (const name of ["orders", "training", "risk", "data-quality", "settings"]) {
    await person.id("phone-nav-more").click();
    await page.locator(`[role="menu"] a[href="/${name}/"]`).click();
    await person.id(`page-${name}`).waitFor();
  }
  await person.id("user-menu").click();
  await person.id("user-account").click();
  await person.id("card-totp").waitFor();
  await person.id("open-kill-switch").click();
  await person.id("kill-switch-dialog").getByTestId("kill-switch-halt").click({ trial: true });
  await page.keyboard.press("Escape");
  await person.id("open-search").click();
  await page.keyboard.type("ETH");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/symbol/ETHUSDT/**");
  const language = await page.evaluate(() => document.documentElement.lang);
  await person.id("switch-language").click();
  await page.waitForFunction((old) => document.documentElement.lang !== old, language);
}

/** A token for a script, made in the desk: it reads and no more, and ends there. */
export async function token(person) {
  await person.go("settings/?tab=account");
  const [made] = await Promise.all([
    person.page.waitForResponse((answer) => answer.url().endsWith("/api/auth/tokens") && answer.request().method() === "POST"),
    (async () => {
      await person.id("token-make").click();
      await person.id("token-name").fill("walked");
      await person.id("token-make-confirm").click();
    })(),
  ]);
  const { id, token: secret } = await made.json();
  assert.ok((await person.id("token-once").innerText()).includes(secret), "the token is shown once");
  const asked = (url, init = {}) => fetch(`${person.base}${url}`, { ...init, headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" } }).then(({ status }) => status);
  assert.equal(await asked("/api/status"), 200);
  assert.equal(await asked("/api/training/jobs", { method: "POST", body: JSON.stringify({ kind: "compute_drift", params: {} }) }), 403);
  await person.page.reload();
  await person.id(`token-end-${id}`).waitFor();
  assert.equal(await person.page.getByText(secret).count(), 0, "and never again");
  await person.confirmed(`token-end-${id}`);
  await person.id(`token-end-${id}`).waitFor({ state: "detached" });
  assert.equal(await asked("/api/status"), 401);
}

/** A user made, trusted with more, shut out and let in again, all in the desk. `name` must not be taken. */
export async function userInTheDesk(person, name) {
  await person.go("settings/?tab=users");
  await person.id("user-make").click();
  await person.id("user-make-name").fill(name);
  await person.id("user-make-confirm").click();
  await person.id("user-link-once").waitFor();
  const row = person.id(`users-row-${name}`);
  await row.getByText("viewer", { exact: true }).waitFor();
  await person.id(`user-role-${name}`).click();
  await person.id(`user-role-choice-${name}`).selectOption("operator");
  await person.id(`user-role-${name}-confirm`).click();
  await row.getByText("operator", { exact: true }).waitFor();
  for (const word of ["disabled", "enabled", "disabled"]) {
    await person.confirmed(`user-disable-${name}`);
    await row.getByText(word, { exact: true }).waitFor();
  }
}

/**
 * A second factor from nothing to nothing: set up, wrong code refused, confirmed; signing in wants it and refuses the
 * code that was used; a recovery code lets in but proves nothing, so `act` is asked for a code, refuses the used one and
 * takes a fresh one; taken away again. `link()` makes a one-time link.
 */
export async function secondFactor(person, link, act) {
  const { page } = person;
  await person.go("settings/?tab=account");
  await person.id("totp-start").click();
  const secret = (await person.id("totp-secret").innerText()).trim();
  await person.id("totp-qr").waitFor();
  const submit = async (code) => {
    await person.id("totp-confirm-code").fill(code);
    await person.id("totp-confirm").click();
  };
  await submit(totp(secret, 40));
  await person.id("card-totp").getByTestId("refusal").waitFor();
  const used = totp(secret);
  await submit(used);
  const codes = (await person.id("totp-recovery").innerText()).match(/[0-9a-z]+(?:-[0-9a-z]+)+/gi);
  assert.equal(codes?.length, 10, "ten recovery codes");

  await person.signOut();
  await page.goto(await link());
  await person.id("login-code").fill(used);
  await person.id("login-submit").click();
  await person.id("login-refusal").waitFor();
  await person.id("login-code").fill(codes[0]);
  await person.id("login-submit").click();
  await page.waitForURL("**/dashboard/");

  await act(async () => {
    const prompt = person.id("code-prompt");
    await person.id("code-input").fill(used);
    await person.id("code-confirm").click();
    await prompt.getByTestId("refusal").waitFor();
    await person.id("code-input").fill(totp(secret, 1));
    await person.id("code-confirm").click();
    await prompt.waitFor({ state: "detached" });
  });

  await person.go("settings/?tab=account");
  await person.id("totp-remove-code").fill(codes[1]);
  await person.id("totp-remove").click();
  await person.id("totp-start").waitFor();
}

/** A model in production although its evidence is not whole, which is shown and has to be overridden. */
export async function promote(person, model, reason, onCode) {
  await person.go(`training/?model=${model}`);
  const panel = person.id("panel-promote");
  await panel.getByTestId("promote-condition-EVIDENCE_OOS").waitFor();
  const unmet = await panel.locator('[data-testid^="promote-condition-"][data-met="false"]').count();
  const dialog = await person.confirm("promote", { reason, word: model.slice(0, 8), override: unmet > 0 });
  if (onCode !== undefined) await onCode();
  await dialog.waitFor({ state: "detached" });
  const { body } = await person.call("GET", `/api/models/${model}`);
  assert.equal(body.is_production, true);
  if (unmet > 0) {
    await person.go("training/");
    await person.id(`model-override-${model}`).waitFor();
  }
  return unmet;
}
