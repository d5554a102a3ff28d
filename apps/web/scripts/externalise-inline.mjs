// The export writes its data into inline scripts, which a strict content security policy forbids. Each page's inline
// scripts become one file beside the others, named by its content and run at the place of the last of them.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const INLINE = /<script(?![^>]*\bsrc=)([^>]*)>([\s\S]*?)<\/script>/g;

/** Split a page into its HTML without inline scripts and their joined text; JSON and other data blocks stay. */
export function externalise(html, urlOf) {
  const blocks = [...html.matchAll(INLINE)].filter(([, attributes]) => !/\btype="(?!text\/javascript|module)/.test(attributes));
  if (blocks.length === 0) return { html, script: null };
  const script = blocks.map(([, , text]) => text.replace(/;?\s*$/, ";")).join("\n");
  let seen = 0;
  const out = html.replace(INLINE, (whole, attributes) => {
    if (/\btype="(?!text\/javascript|module)/.test(attributes)) return whole;
    seen += 1;
    return seen === blocks.length ? `<script src="${urlOf(script)}"></script>` : "";
  });
  return { html: out, script };
}

async function* pages(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* pages(full);
    else if (entry.name.endsWith(".html")) yield full;
  }
}

async function main(out) {
  const folder = path.join(out, "_next", "static", "inline");
  await mkdir(folder, { recursive: true });
  const urlOf = (script) => `/_next/static/inline/${createHash("sha256").update(script).digest("hex").slice(0, 16)}.js`;
  let count = 0;
  for await (const page of pages(out)) {
    const { html, script } = externalise(await readFile(page, "utf8"), urlOf);
    if (script === null) continue;
    await writeFile(path.join(out, urlOf(script)), script);
    await writeFile(page, html);
    count += 1;
  }
  console.log(`inline scripts moved into files: ${count} pages`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(path.resolve("out"));
