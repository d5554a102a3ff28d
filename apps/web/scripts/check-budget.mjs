// The budgets of the desk, measured in a real Chromium: node scripts/check-budget.mjs [SECONDS]. Serves the built pages with the
// stand-in API, whose fifty symbols, positions and account move once a second, and traces the dashboard meanwhile.
//   dashboard interactive (rows on screen, the search answers) < 2 s; no task of ours > 50 ms; script + layout per update ≤ 8 ms median
import { spawn } from "node:child_process";
import os from "node:os";
import { EN_DARK, launch, open, settled } from "./browser.mjs";

const SECONDS = Number(process.argv[2] ?? 30);
const LIMITS = { interactiveMs: 2_000, taskMs: 50, updateMs: 8 };
/** What a browser's main thread does for a page of ours; the rest (painting, other tabs) is Chromium's. */
const OURS = new Set(["FunctionCall", "EvaluateScript", "TimerFire", "FireAnimationFrame", "EventDispatch", "RunMicrotasks", "V8.GC_MC_FOREGROUND", "WebSocketReceive", "MajorGC", "MinorGC", "UpdateLayoutTree", "Layout", "PrePaint", "HitTest"]);

const LAYOUT = new Set(["UpdateLayoutTree", "Layout", "PrePaint", "HitTest"]);

const server = spawn(process.execPath, ["scripts/mock-server.mjs", "--symbols=50"], { stdio: ["ignore", "pipe", "inherit"] });
const base = await new Promise((resolve) => server.stdout.once("data", (text) => resolve(String(text).trim())));
const browser = await launch();
const problems = [];
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Longest runs of nested events are one task: only what stands on top of the stack counts once. */
function topLevel(events) {
  const top = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const event of events.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    if (event.ts < end) continue;
    top.push(event);
    end = event.ts + event.dur;
  }
  return top;
}

/**
 * An update is one rendering of what the socket brought: its frames taken and checked, the cache written, React, style,
 * layout and pre-paint, in processor time. What else the page does (clocks, lists read again, collecting garbage) is
 * `beside`: told a second, and judged by the longest task.
 */
function byUpdate(spans, marks) {
  const updates = marks.map(({ channels }) => ({ channels, cpu: 0, parts: {} }));
  const count = (update, name, cpu) => {
    update.cpu += cpu;
    const part = LAYOUT.has(name) ? name : "script";
    update.parts[part] = (update.parts[part] ?? 0) + cpu;
  };
  let beside = 0;
  let next = 0; // the first mark that has not come yet
  let open = null; // the update that is being drawn
  let drawn = false; // React has had its turn for it: the first timer after what was written
  let laid = false; // and what it changed was laid out
  for (const { ts, dur, name, cpu } of spans) {
    while (next < marks.length && marks[next].ts < ts) next += 1;
    if (marks[next]?.ts <= ts + dur) {
      open = updates[next];
      drawn = laid = false;
      count(open, name, cpu);
    } else if (open !== null && (LAYOUT.has(name) || (name === "TimerFire" && !drawn))) {
      drawn ||= name === "TimerFire";
      laid = drawn && LAYOUT.has(name);
      count(open, name, cpu);
    } else if (name === "WebSocketReceive" && next < marks.length) count(updates[next], name, cpu);
    else {
      beside += cpu;
      if (laid) open = null;
    }
  }
  return { updates, beside };
}

async function traced(page, act) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["devtools.timeline", "toplevel", "disabled-by-default-devtools.timeline", "blink.user_timing"] } });
  await act();
  const done = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await done;
  return events;
}

try {
  const page = await open(browser.context, problems, { prefs: EN_DARK });
  const interactive = [];
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    await page.goto(`${base}/dashboard/`, { waitUntil: "commit" });
    await page.locator('[data-testid^="signals-row-"]').nth(20).waitFor();
    await page.keyboard.press("/");
    await page.getByTestId("symbol-search-input").waitFor();
    interactive.push(performance.now() - begun);
  }
  await page.goto(`${base}/dashboard/`);
  await settled(page);
  const rows = await page.locator('[data-testid^="signals-row-"]').count();
  // How often the rows really changed is counted in the page, so that quiet seconds do not flatter the median.
  await page.evaluate(() => {
    globalThis.changes = 0;
    const cell = document.querySelector('[data-testid^="signals-row-"] [data-column="minute"]');
    new MutationObserver(() => (globalThis.changes += 1)).observe(cell, { childList: true, subtree: true, characterData: true });
  });
  const events = await traced(page, () => page.waitForFunction((wanted) => globalThis.changes >= wanted, SECONDS, { timeout: 0, polling: 250 }));
  const main = events.filter(({ name }) => name === "FireAnimationFrame").map(({ pid, tid }) => `${pid}:${tid}`)[0];
  const ours = topLevel(events.filter(({ ph, name, pid, tid }) => ph === "X" && OURS.has(name) && `${pid}:${tid}` === main));
  // A task is everything that ran without a pause: a frame's script, style, layout and paint are one.
  const tasks = events.filter(({ ph, name, pid, tid }) => ph === "X" && name === "RunTask" && `${pid}:${tid}` === main);
  const longest = tasks.filter(({ ts, dur }) => ours.some((event) => event.ts >= ts && event.ts < ts + dur)).reduce((most, { dur }) => Math.max(most, dur), 0);
  const spans = ours.map((event) => ({ ...event, cpu: (event.tdur ?? event.dur) / 1_000 }));
  const marks = events.filter(({ name }) => name.startsWith("update:")).map(({ ts, name }) => ({ ts, channels: name.slice(7) })).toSorted((a, b) => a.ts - b.ts);
  const { updates, beside } = byUpdate(spans, marks);
  const seconds = (Math.max(...spans.map(({ ts, dur }) => ts + dur)) - Math.min(...spans.map(({ ts }) => ts))) / 1_000_000;
  // The status of every second is cheap: the budget is that of the update which moves every symbol.
  const wholes = updates.filter(({ channels }) => channels.includes("signal_updates"));
  const [whole, parts] = [true, false].map((all) => updates.filter(({ channels }) => channels.includes("signal_updates") === all).map(({ cpu }) => cpu));
  const figures = [
    ["dashboard interactive, median of 5", median(interactive), LIMITS.interactiveMs],
    [`longest of ${tasks.length} tasks`, longest / 1_000, LIMITS.taskMs],
    [`script and layout of an update of all symbols, median of ${whole.length}`, median(whole), LIMITS.updateMs],
  ];
  console.log(`${rows} symbols, once a second for ${seconds.toFixed(0)} s; load average ${os.loadavg().map((load) => load.toFixed(1)).join(" ")} on ${os.cpus().length} processors`);
  let missed = 0;
  for (const [name, value, limit] of figures) {
    if (value > limit) missed += 1;
    console.log(`${value <= limit ? "ok  " : "MISS"} ${name}: ${value.toFixed(1)} ms (≤ ${limit})`);
  }
  const split = ["script", ...LAYOUT].map((name) => `${name} ${median(wholes.map(({ parts }) => parts[name] ?? 0)).toFixed(1)}`).join(", ");
  console.log(`     of an update of all symbols: ${split} ms`);
  console.log(`     of an update of any kind: ${median([...whole, ...parts]).toFixed(1)} ms of ${updates.length}; of status and jobs alone: ${median(parts).toFixed(1)} ms`);
  console.log(`     beside updates: ${(beside / seconds).toFixed(1)} ms a second`);
  for (const problem of problems) console.log(`     ${problem}`);
  process.exitCode = missed === 0 && problems.length === 0 ? 0 : 1;
} finally {
  await browser.close();
  server.kill();
}
