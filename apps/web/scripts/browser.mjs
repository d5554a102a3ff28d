// What every script that drives a real browser shares. `node scripts/browser.mjs` prints the Chromium it would take and
// fails where there is none; with --install it tries to get one first.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

export const DESK = { width: 1600, height: 1000 };
export const PHONE = { width: 390, height: 844 };
export const EN_DARK = { language: "en", theme: "dark", zone: "utc", rise: "green" };
export const KO_LIGHT = { language: "ko", theme: "light", zone: "utc", rise: "green" };
/** Both languages and both themes, on a wide screen and on a telephone. */
export const LOOKS = {
  "dark-en": { viewport: DESK, prefs: EN_DARK },
  "light-ko": { viewport: DESK, prefs: KO_LIGHT },
  "phone-dark-ko": { viewport: PHONE, prefs: { ...KO_LIGHT, theme: "dark", rise: "red" } },
  "phone-light-en": { viewport: PHONE, prefs: { ...EN_DARK, theme: "light" } },
};

/** `CHROMIUM`, the machine's own, or one that Playwright has brought; null where there is none. */
export function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) for (const name of NAMES) if (existsSync(path.join(folder, name))) return path.join(folder, name);
  const brought = process.env.PLAYWRIGHT_BROWSERS_PATH ?? path.join(os.homedir(), ".cache/ms-playwright");
  for (const folder of existsSync(brought) ? readdirSync(brought) : []) {
    for (const place of ["chrome-linux64/chrome", "chrome-linux/chrome", "chrome-headless-shell-linux64/chrome-headless-shell"]) {
      const full = path.join(brought, folder, place);
      if (/^chromium/.test(folder) && existsSync(full)) return full;
    }
  }
  return null;
}

/** A browser of its own with an empty profile; `close` leaves nothing behind. */
export async function launch({ viewport = DESK, ...options } = {}) {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error("no Chromium on this machine: make chromium, or CHROMIUM=/path/to/it");
  const profile = await mkdtemp(path.join(os.tmpdir(), "desk-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, headless: true, viewport, ...options });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close };
}

/** A page whose complaints go to `problems`; `expected` are those that belong to what is done there. */
export async function open(context, problems, { who = "", expected = /$^/, prefs } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const tell = (text) => !expected.test(text) && problems.push(who === "" ? text : `${who}: ${text}`);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && tell(`${message.type()}: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => tell(`page error: ${error.message}`));
  if (prefs !== undefined) await page.addInitScript((kept) => localStorage.setItem("perpilot.prefs", JSON.stringify(kept)), prefs);
  return page;
}

/** Nothing is loading any more, letters are there, and what was drawn is on screen. */
export async function settled(page) {
  await page.waitForFunction(() => document.readyState === "complete" && document.querySelector("main") !== null && document.querySelector('[data-testid="state-loading"], .animate-pulse') === null && document.fonts.status === "loaded");
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What the page does wrong in this look: WCAG 2.2 AA by axe-core, and whether it is wider than the screen. */
export async function faults(page, { axe: asked = true } = {}) {
  return [...(asked ? await axeFaults(page) : []), ...(await tooWide(page))];
}

async function axeFaults(page) {
  await page.evaluate(axe);
  // Rows of a list are all made alike: the first few speak for it.
  const { violations } = await page.evaluate(() => globalThis.axe.run({ exclude: [["tbody > tr:nth-child(n+6)"], ["ol > li:nth-child(n+6)"]] }, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.length}× ${nodes[0].target.join(" ")} — ${nodes[0].failureSummary?.split("\n")[1]?.trim()}`);
}

async function tooWide(page) {
  const wide = await page.evaluate(() => {
    const screen = document.documentElement.clientWidth;
    const scrolls = (element) => element !== null && element !== document.documentElement && (/auto|scroll|hidden/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    if (document.documentElement.scrollWidth <= screen) return null;
    return [...document.querySelectorAll("main *, header *")].filter((element) => element.getBoundingClientRect().right > screen + 1 && !scrolls(element.parentElement)).slice(0, 3).map((element) => `${element.tagName} ${element.getAttribute("data-testid") ?? element.className}`);
  });
  return wide === null ? [] : [`wider than the screen: ${wide.join("; ")}`];
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes("--install") && findChromium() === null) {
    // From the system's packages where that is allowed, else Playwright's own build.
    const attempts = [["apt-get", "install", "-y", "-qq", "chromium"], ["npx", "--no-install", "playwright-core", "install", "--with-deps", "chromium"]];
    for (const [command, ...words] of attempts) {
      if (findChromium() !== null) break;
      try {
        execFileSync(command, words, { stdio: "inherit" });
      } catch (error) {
        console.error(`${command} ${words.join(" ")}: ${error.message.split("\n")[0]}`);
      }
    }
  }
  const found = findChromium();
  console.log(found ?? "no Chromium on this machine");
  process.exit(found === null ? 1 : 0);
}
