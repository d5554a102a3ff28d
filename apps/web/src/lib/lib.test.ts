// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import { neighbour, shortcutOf, type Stroke } from "./keyboard/keys";
import { DEFAULT_PREFS, parsePrefs } from "./prefs/store";
import { symbolHref, symbolOfPath } from "./symbolPath";
import { compareValues, inOrder, sortedKeys } from "./table/order";
import { setUrlParams } from "./useUrlState";

const stroke = (code: string, change: Partial<Stroke> = {}): Stroke => ({ code, key: "", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...change });

describe("shortcuts", () => {
  it("go to a page after g", () => {
    expect(shortcutOf(stroke("KeyG"), false)).toEqual({ kind: "prefix" });
    expect(shortcutOf(stroke("KeyD"), true)).toEqual({ kind: "go", href: "/dashboard/" });
    expect(shortcutOf(stroke("KeyD"), false)).toBeNull();
    expect(shortcutOf(stroke("KeyJ"), true)).toBeNull();
  });

  it("work on a Korean layout, where the letter is another one", () => {
    expect(shortcutOf(stroke("KeyJ", { key: "ㅓ" }), false)).toEqual({ kind: "next" });
  });

  it("tell the help sheet from the search", () => {
    expect(shortcutOf(stroke("Slash", { key: "/" }), false)).toEqual({ kind: "search" });
    expect(shortcutOf(stroke("Slash", { key: "?", shiftKey: true }), false)).toEqual({ kind: "help" });
    expect(shortcutOf(stroke("Minus", { key: "?", shiftKey: true }), false)).toEqual({ kind: "help" });
  });

  it("leave the browser's own keys alone", () => {
    for (const modifier of ["ctrlKey", "metaKey", "altKey"] as const) expect(shortcutOf(stroke("KeyJ", { [modifier]: true }), false)).toBeNull();
    expect(shortcutOf(stroke("KeyJ", { shiftKey: true }), false)).toBeNull();
  });

  it("walk symbols in a ring", () => {
    const ring = ["A", "B", "C"];
    expect([neighbour(ring, "A", 1), neighbour(ring, "C", 1), neighbour(ring, "A", -1)]).toEqual(["B", "A", "C"]);
    expect(neighbour(ring, "X", 1)).toBe("A");
    expect(neighbour([], "A", 1)).toBeNull();
  });
});

describe("the symbol of a path", () => {
  it("is read from the address and nothing else passes", () => {
    expect(symbolOfPath("/symbol/BTCUSDT/")).toBe("BTCUSDT");
    expect(symbolOfPath("/symbol/btcusdt")).toBe("BTCUSDT");
    expect(symbolOfPath("/symbol/1000PEPEUSDT/")).toBe("1000PEPEUSDT");
    for (const path of ["/symbol/_/", "/symbol/", "/symbol/a b/", "/symbol/%2e%2e/", "/symbol/%/", "/dashboard/", null]) expect(symbolOfPath(path)).toBeNull();
    expect(symbolOfPath(symbolHref("ETHUSDT"))).toBe("ETHUSDT");
  });
});

describe("order", () => {
  const rows = [{ k: "a", v: 1 }, { k: "b", v: null }, { k: "c", v: 3 }, { k: "d", v: 1 }];
  const key = (row: { k: string }) => row.k;

  it("puts missing values last in both directions and keeps ties", () => {
    expect(sortedKeys(rows, key, (row) => row.v, true)).toEqual(["c", "a", "d", "b"]);
    expect(sortedKeys(rows, key, (row) => row.v, false)).toEqual(["a", "d", "c", "b"]);
    expect(compareValues(Number.NaN, 1, true)).toBeGreaterThan(0);
  });

  it("holds still while values move, appends new rows and forgets gone ones", () => {
    const later = [{ k: "c" }, { k: "e" }, { k: "a" }];
    expect(inOrder(later, key, ["a", "b", "c"]).map(key)).toEqual(["a", "c", "e"]);
  });
});

describe("preferences", () => {
  it("survive damage one by one", () => {
    expect(parsePrefs('{"theme":"light","language":"fr"}', DEFAULT_PREFS)).toEqual({ ...DEFAULT_PREFS, theme: "light" });
    for (const raw of [null, "{", "null", "7", "[]"]) expect(parsePrefs(raw, DEFAULT_PREFS)).toEqual(DEFAULT_PREFS);
  });
});

describe("filters in the URL", () => {
  beforeEach(() => window.history.replaceState(null, "", "/dashboard/"));

  it("are set and taken out without touching the others", () => {
    setUrlParams({ filter: "blocked", q: "BTC" });
    expect(window.location.search).toBe("?filter=blocked&q=BTC");
    setUrlParams({ filter: null });
    expect(window.location.search).toBe("?q=BTC");
    setUrlParams({ q: "" });
    expect(window.location.pathname + window.location.search).toBe("/dashboard/");
  });
});
