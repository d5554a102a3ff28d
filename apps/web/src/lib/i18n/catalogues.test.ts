// @vitest-environment node
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { SETTING_UNITS } from "@/lib/domain/settings";
import { codes as codesEn } from "./codes.en";
import { codes as codesKo } from "./codes.ko";
import { en, type MessageKey } from "./en";
import { ko } from "./ko";
import { settings as settingsEn } from "./settings.en";
import { settings as settingsKo } from "./settings.ko";
import { loadLanguage, translate, whyReason, wordsFor } from "./translate";

const placeholders = (message: string) => [...message.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
const keys = Object.keys(en) as MessageKey[];

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) return sources(full);
    return /\.tsx?$/.test(entry.name) && !/\.test\./.test(entry.name) && !full.includes("i18n") ? [full] : [];
  });
}

await loadLanguage("ko");

describe("the catalogues", () => {
  it("have the same keys in both languages", () => {
    expect(Object.keys(ko).sort()).toEqual([...keys].sort());
  });

  it("give a key one meaning, whatever part of a catalogue it stands in", () => {
    for (const language of ["en", "ko"]) {
      const parts = readdirSync(path.resolve("src/lib/i18n")).filter((name) => name.endsWith(`${language}.ts`));
      expect(parts.length).toBeGreaterThan(3);
      const all = parts.flatMap((name) => [...readFileSync(path.resolve("src/lib/i18n", name), "utf8").matchAll(/^ {2}"([\w.]+)":/gm)].map(([, key]) => key));
      expect(all.filter((key, index) => all.indexOf(key) !== index)).toEqual([]);
    }
  });

  it("say everything in both languages with the same placeholders", () => {
    for (const key of keys) {
      expect(en[key].trim(), key).not.toBe("");
      expect(ko[key].trim(), key).not.toBe("");
      expect(placeholders(ko[key]), key).toEqual(placeholders(en[key]));
    }
  });

  it("speak Korean in Korean", () => {
    const same = new Set<MessageKey>(["brand.name", "settings.zone.utc", "symbol.range.absolute", "unit.bp", "unit.quote"]);
    const untranslated = keys.filter((key) => !/[가-힣]/.test(ko[key]) && en[key].length > 6 && !same.has(key) && !/^(header\.language|col\.|chart\.)/.test(key));
    expect(untranslated).toEqual([]);
  });

  it("explain every block reason they name", () => {
    for (const key of keys) if (/^reason\.[A-Z0-9_]+$/.test(key)) expect(keys).toContain(`${key}.why`);
  });

  it("have words for every reason and every exit the kernel knows", () => {
    const source = readFileSync(path.resolve("../../packages/common/reasons.py"), "utf8");
    const names = (title: string) => [...source.split(`class ${title}(`)[1]!.split(/^class |^REASONS/m)[0]!.matchAll(/^ {4}([A-Z0-9_]+) = "\1"$/gm)].map(([, name]) => name);
    expect(names("Reason").length).toBeGreaterThan(20);
    for (const code of names("Reason")) expect(keys).toContain(`reason.${code}`);
    expect(names("ExitReason").length).toBeGreaterThan(5);
    for (const code of names("ExitReason")) expect(keys).toContain(`exit.${code}`);
  });

  it("have words in both languages for every code the API names, and for no other", () => {
    const named = (JSON.parse(readFileSync(path.resolve("openapi.json"), "utf8")) as { info: { "x-codes": Record<string, string[]> } }).info["x-codes"];
    const apart = new Set(["block_reasons", "exit_reasons"]); // these stand in the catalogues above
    const expected = [...new Set(Object.entries(named).flatMap(([where, codes]) => (apart.has(where) ? [] : codes)))].sort();
    expect(expected.length).toBeGreaterThan(150);
    expect(Object.keys(codesEn).sort()).toEqual(expected);
    expect(Object.keys(codesKo).sort()).toEqual(expected);
    expect(Object.entries(codesKo).filter(([, words]) => !/[가-힣]/.test(words))).toEqual([]);
  });

  it("hold every key that a component asks for", () => {
    const files = sources(path.resolve("src"));
    expect(files.length).toBeGreaterThan(60);
    for (const file of files) {
      for (const [, key] of readFileSync(file, "utf8").matchAll(/\bt\("([a-z_]+\.[\w.]+)"/g)) expect(keys, file).toContain(key);
    }
  });
});

describe("translate", () => {
  it("fills placeholders and leaves unknown ones standing", () => {
    expect(translate("en", "health.fresh.of", { fresh: 28, total: 30 })).toBe("28 of 30");
    expect(translate("ko", "health.fresh.of", { fresh: 28, total: 30 })).toBe("30개 중 28개");
    expect(translate("en", "health.fresh.of", { fresh: 28 })).toBe("28 of {total}");
  });

  it("shows the code of a reason it has no words for", () => {
    expect(wordsFor("ko", "reason", "EV_BELOW_MIN")).toBe("EV 부족");
    expect(wordsFor("ko", "reason", "BRAND_NEW")).toBe("BRAND_NEW");
    expect(whyReason("en", "BRAND_NEW")).toBe(en["reason.unknown.why"]);
  });

  it("take the Korean particle that the word before it asks for", () => {
    const failed = (what: string) => translate("ko", "state.failed", { what });
    expect(failed("킬 스위치")).toBe("킬 스위치를 불러오지 못했습니다");
    expect(failed("시그널")).toBe("시그널을 불러오지 못했습니다");
    expect(translate("ko", "symbol.unknown", { symbol: "BTCUSDT" })).toMatch(/^BTCUSDT는 /);
    expect(translate("ko", "symbol.unknown", { symbol: "XRPPERL" })).toMatch(/^XRPPERL은 /);
    expect(failed("…")).toBe("…을(를) 불러오지 못했습니다");
  });

  it("say what every setting of the API means, and what it is counted in", () => {
    const document = JSON.parse(readFileSync(path.resolve("openapi.json"), "utf8"));
    const { example, examples } = document.paths["/api/settings"].get.responses["200"].content["application/json"];
    const names = Object.keys((example ?? (Object.values(examples)[0] as { value: unknown }).value).values);
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) {
      expect(settingsEn[name], name).toBeTruthy();
      expect(settingsKo[name], name).toMatch(/[가-힣]/);
    }
    expect(Object.keys(settingsKo)).toEqual(Object.keys(settingsEn));
    for (const name of Object.keys(SETTING_UNITS)) expect(settingsEn[name], name).toBeTruthy();
  });
});
