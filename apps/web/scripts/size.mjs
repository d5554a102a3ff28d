// JavaScript a page loads at first, compressed: the budget is 300 kB for each page.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 300;
const OUT = path.resolve("out");
let failed = false;

async function pages(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(entries.map((entry) => (entry.isDirectory() && entry.name !== "_next" ? pages(path.join(folder, entry.name)) : entry.name === "index.html" ? [path.join(folder, entry.name)] : [])));
  return nested.flat();
}

for (const page of (await pages(OUT)).sort()) {
  const html = await readFile(page, "utf8");
  const sources = new Set([...html.matchAll(/<script[^>]*\bsrc="([^"]+)"(?![^>]*nomodule)/gi)].filter(([tag]) => !/nomodule/i.test(tag)).map(([, source]) => source));
  let bytes = 0;
  for (const source of sources) bytes += gzipSync(await readFile(path.join(OUT, source.split("?")[0]))).length;
  const kb = bytes / 1024;
  if (kb > BUDGET_KB) failed = true;
  console.log(`${kb.toFixed(1).padStart(7)} kB  ${sources.size} files  ${path.relative(OUT, page)}`);
}
process.exit(failed ? 1 : 0);
