// The web client's schemas and types from the API's OpenAPI document, which
// `python -m apps.api.export_openapi apps/web/openapi.json` writes: node scripts/gen.mjs [--check].
import { readFile, writeFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const WEB = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const DOCUMENT = path.join(WEB, "openapi.json");
const TARGET = path.join(WEB, "src", "generated", "api.ts");
const HEAD = `/** Made by scripts/gen.mjs from openapi.json; never edited. Unknown fields are dropped, so that an older desk outlives a newer API. */
import * as z from "zod/mini";

// A compiled parser would need eval, which the content security policy forbids.
z.config({ jitless: true });
`;

const NO_SCHEMA = new Set(["example", "examples", "default"]);
const nameOf = (reference) => reference.split("/").at(-1);
const isNull = (schema) => schema.type === "null";
const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

/** Names of the schemas that `schema` is made of. */
function references(schema) {
  if (Array.isArray(schema)) return schema.flatMap(references);
  if (typeof schema !== "object" || schema === null) return [];
  if (typeof schema.$ref === "string") return [nameOf(schema.$ref)];
  return Object.entries(schema).flatMap(([word, value]) => (NO_SCHEMA.has(word) ? [] : references(value)));
}

/** A value of the schema as zod source; throws at what it does not know, rather than letting anything pass. */
export function zod(schema) {
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if (schema.allOf?.length === 1) return zod(schema.allOf[0]);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    const kinds = choices.filter((choice) => !isNull(choice));
    const one = kinds.length === 1 ? zod(kinds[0]) : `z.union([${kinds.map(zod).join(", ")}])`;
    return kinds.length < choices.length ? `z.nullable(${one})` : one;
  }
  if (schema.const !== undefined) return `z.literal(${JSON.stringify(schema.const)})`;
  if (schema.enum !== undefined) return `z.enum(${JSON.stringify(schema.enum)})`;
  switch (schema.type) {
    case undefined:
      return "z.unknown()";
    case "string":
      return "z.string()";
    case "integer":
    case "number":
      return "z.number()";
    case "boolean":
      return "z.boolean()";
    case "null":
      return "z.null()";
    case "array":
      return schema.prefixItems ? `z.tuple([${schema.prefixItems.map(zod).join(", ")}])` : `z.array(${zod(schema.items ?? {})})`;
    case "object":
      return schema.properties === undefined ? record(schema) : object(schema);
    default:
      throw new Error(`schema of type ${JSON.stringify(schema.type)}: this generator does not know it`);
  }
}

function record({ additionalProperties: values }) {
  return `z.record(z.string(), ${typeof values === "object" ? zod(values) : "z.unknown()"})`;
}

function object({ properties, required = [] }) {
  const lines = Object.entries(properties).map(([name, schema]) => `  ${key(name)}: ${required.includes(name) ? zod(schema) : absent(schema)},`);
  return `z.object({\n${lines.join("\n")}\n})`;
}

/** A field that may be left out: its default stands for it, null where it may be null, else nothing. */
function absent(schema) {
  if (schema.default !== undefined) return `z._default(${zod(schema)}, ${JSON.stringify(schema.default)})`;
  return schema.anyOf?.some(isNull) ? `z._default(${zod(schema)}, null)` : `z.optional(${zod(schema)})`;
}

/** Schemas that an answer or a body is made of, each after those it needs. */
export function ordered(schemas, roots) {
  const done = new Set();
  const visit = (name, above) => {
    if (done.has(name)) return;
    if (above.includes(name)) throw new Error(`${[...above, name].join(" → ")}: a schema that holds itself`);
    for (const needed of references(schemas[name])) visit(needed, [...above, name]);
    done.add(name);
  };
  for (const name of roots) visit(name, []);
  return [...done];
}

/** The whole file as text. */
export function generate(document) {
  const schemas = document.components.schemas;
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const roots = references(operations.map(({ responses, requestBody }) => [responses, requestBody ?? {}])).filter((name) => name in schemas);
  const bodies = new Set(references(operations.map(({ requestBody }) => requestBody ?? {})));
  const parts = ordered(schemas, [...new Set(roots)].sort()).map((name) => {
    const { description } = schemas[name];
    const comment = description === undefined ? "" : `/** ${description.replace(/\s+/g, " ").replaceAll("*/", "* /")} */\n`;
    // Of a body, what may be left out may be left out here too.
    return `${comment}export const ${name} = ${zod(schemas[name])};\nexport type ${name} = z.${bodies.has(name) ? "input" : "infer"}<typeof ${name}>;`;
  });
  return `${HEAD}\n${parts.join("\n\n")}\n`;
}

async function main(check) {
  const text = await readFile(DOCUMENT, "utf8").catch(() => null);
  if (text === null) throw new Error("openapi.json is missing: write it first with `python -m apps.api.export_openapi apps/web/openapi.json`");
  const wanted = generate(JSON.parse(text));
  if (!check) {
    await mkdir(path.dirname(TARGET), { recursive: true });
    await writeFile(TARGET, wanted);
  } else if ((await readFile(TARGET, "utf8").catch(() => "")) !== wanted) {
    throw new Error("src/generated/api.ts is not what openapi.json says: run `make gen`");
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(process.argv.includes("--check")).catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
