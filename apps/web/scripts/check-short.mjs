// A short walk at the desk for the tests: node scripts/check-short.mjs LINK, a one-time link of an admin. It needs the API over
// some rows, no trader: pages in every look, the telephone's menus, roles, a second factor, promotion and rollback.
import assert from "node:assert/strict";
import { faults, LOOKS, settled } from "./browser.mjs";
import { look, pagesOf, Person, phoneMenus, promote, secondFactor } from "./desk-steps.mjs";

const { href, origin } = new URL(process.argv[2]);
const problems = [];
const people = [];
const EXPECTED = /status of (401|403|404|409|422)/; // what is refused here on purpose
const step = (name) => console.log(`ok  ${name}`);
const started = performance.now();

async function person(who, link) {
  const found = await Person.at(origin, { who, problems, expected: EXPECTED });
  people.push(found);
  await found.signIn(link);
  return found;
}

try {
  const admin = await person("admin", href);
  const { page } = admin;
  step("sign in");

  const some = (...names) => pagesOf().filter(([name]) => names.includes(name));
  assert.deepEqual(await look(admin, "dark-en", some("dashboard", "symbol", "positions", "risk", "settings")), []);
  step("pages");

  assert.deepEqual(await look(admin, "phone-light-en", some("dashboard")), []);
  assert.deepEqual(await look(admin, "phone-dark-ko", some("orders", "training", "data-quality"), { axe: false }), []);
  await phoneMenus(admin);
  step("telephone");

  await page.setViewportSize(LOOKS["dark-en"].viewport);
  await admin.go("orders/");
  await admin.id("range").getByText("3h").click();
  await admin.id("nav-risk").click();
  await page.waitForURL("**/risk/?**range=3h**");
  step("range");

  const link = (name) => admin.call("POST", `/api/users/${name}/link`, {}).then(({ body }) => new URL(body.link, origin).href);
  const made = async (name, role) => person(name, new URL((await admin.call("POST", "/api/users", { name, role })).body.link, origin).href);
  const viewer = await made("looker", "viewer");
  await viewer.go("settings/?tab=users");
  await viewer.id("admin-only").first().waitFor();
  assert.equal((await viewer.call("POST", "/api/settings", { changes: { EV_MIN: 0.1 }, reason: "r", expected_version: 0 })).status, 403);
  step("roles");

  const models = (await admin.call("GET", "/api/models")).body.map(({ model_id }) => model_id);
  const [second, first] = models;
  const secured = await made("secured", "admin");
  await secondFactor(secured, () => link("secured"), (onCode) => promote(secured, first, "first", onCode));
  step("second factor");

  await promote(admin, second, "second");
  const dialog = await admin.confirm("rollback", { reason: "back" });
  assert.match(await dialog.getByTestId("refusal").innerText(), new RegExp(first));
  await admin.id("rollback-override").check();
  await admin.id("rollback-target").fill(first);
  await admin.id("rollback-confirm").click();
  await dialog.waitFor({ state: "detached" });
  assert.equal((await admin.call("GET", `/api/models/${first}`)).body.is_production, true);
  step("promotion and rollback");

  await admin.signOut();
  await admin.go("positions/");
  await page.waitForURL("**/login/**");
  await admin.id("login-form").waitFor();
  await settled(page);
  assert.deepEqual(await faults(page), []);
  step("sign out");

  assert.deepEqual(problems, []);
  step("no complaint of a browser");
  console.log(`${((performance.now() - started) / 1_000).toFixed(0)} s`);
} finally {
  for (const one of people) await one.close();
}
