// A walk through the built desk in a real browser: node scripts/check-browser.mjs URL. Fails on what a unit test cannot
// see: hydration, content security policy, client navigation through the one exported symbol page.
import assert from "node:assert/strict";
import { launch, open } from "./browser.mjs";

const base = process.argv[2] ?? "http://127.0.0.1:8010";
const browser = await launch();
const problems = [];
const step = (name) => console.log(`ok  ${name}`);

try {
  const page = await open(browser.context, problems);
  const id = (name) => page.getByTestId(name);

  await page.goto(`${base}/`);
  await page.waitForURL("**/dashboard/");
  await id("signals-table").waitFor();
  assert.equal(await page.locator('[data-testid^="signals-row-"]').count(), 30);
  assert.equal(await page.locator('[data-testid^="signals-row-"]', { hasText: /delisted|상장 폐지/ }).count(), 2);
  step("the dashboard shows thirty symbols, two of them delisted");

  const minute = () => page.locator('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]').innerText();
  const before = await minute();
  await page.waitForFunction((old) => document.querySelector('[data-testid="signals-row-BTCUSDT"] [data-column="minute"]')?.textContent !== old, before);
  step("its numbers move over the socket");

  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/symbol/*/");
  const first = await id("symbol-name").innerText();
  await page.locator('[data-testid="price-chart"] canvas').first().waitFor();
  await page.locator('[data-testid="signal-series-chart"] canvas').first().waitFor();
  step(`j and Enter open ${first} with both charts`);

  await page.keyboard.press("j");
  await page.waitForFunction((old) => document.querySelector('[data-testid="symbol-name"]')?.textContent !== old, first);
  const second = await id("symbol-name").innerText();
  assert.ok(page.url().includes(`/symbol/${second}/`), page.url());
  await page.goBack();
  await page.waitForFunction((name) => document.querySelector('[data-testid="symbol-name"]')?.textContent === name, first);
  step("j goes to the next symbol and back leads to the first");

  await page.goto(`${base}/symbol/ETHUSDT/?range=1h&tf=5m`);
  await page.locator('[data-testid="range"] [data-state="on"]').waitFor();
  assert.equal(await page.locator('[data-testid="range"] [data-state="on"]').innerText(), "1h");
  assert.equal(await page.locator('[data-testid="timeframe"] [data-state="on"]').innerText(), "5m");
  step("a link reproduces a view");

  for (const [key, name] of [["s", "signals"], ["p", "positions"], ["o", "orders"], ["t", "training"], ["r", "risk"], ["q", "data-quality"], ["e", "settings"], ["d", "dashboard"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await id(`page-${name}`).waitFor();
  }
  step("every page is reached by the keyboard");

  const language = await page.evaluate(() => document.documentElement.lang);
  await page.keyboard.press("l");
  await page.waitForFunction((old) => document.documentElement.lang !== old, language);
  await page.reload();
  assert.notEqual(await page.evaluate(() => document.documentElement.lang), language);
  step("the language is kept over a reload");

  assert.deepEqual(problems, []);
  step("no error, no warning, nothing refused by the content security policy");
} finally {
  await browser.close();
}
