// @vitest-environment node
import { describe, expect, it } from "vitest";
import { toCsv } from "./csv";
import { arrow, bps, compact, decimalsOf, fixed, money, percent, price, quantity, signOf } from "./number";
import { clock, day, dayMinute, duration, minute, wholeSeconds, zoneName } from "./time";

const EN = { ms: " ms", s: " s", m: "m", h: "h", d: "d" };
const KO = { ms: " ms", s: "초", m: "분", h: "시간", d: "일" };

describe("numbers", () => {
  it("follow the instrument's precision", () => {
    expect(price(109_512.4, "en-US", 1)).toBe("109,512.4");
    expect(price(0.0142, "en-US", 6)).toBe("0.014200");
    expect(price(5, "en-US", 0)).toBe("5");
  });

  it("stay readable without a known precision", () => {
    expect(price(67_890.123, "en-US")).toBe("67,890.12");
    expect(price(0.0000123456, "en-US")).toBe("0.000012346");
    expect(price(0, "en-US")).toBe("0.0000");
  });

  it("carry their sign in the text, zero without one", () => {
    expect(money(12.345, "en-US", true)).toBe("+12.35");
    expect(money(-12.3, "en-US", true)).toBe("−12.30");
    expect(money(0, "en-US", true)).toBe("0.00");
    expect(money(12.3, "en-US")).toBe("12.30");
    expect(percent(-0.0123, "en-US", 2, true)).toBe("−1.23%");
    expect(bps(0.00123, "en-US")).toBe("+12.3");
    expect(fixed(1.5, "en-US", 2, true)).toBe("+1.50");
    expect(compact(1_234_567, "en-US")).toBe("1.2M");
  });

  it.each([null, undefined, Number.NaN, Number.POSITIVE_INFINITY])("show %s as nothing rather than as a number", (value) => {
    for (const format of [price, money, percent, bps, fixed, compact]) expect(format(value as number, "en-US")).toBe("–");
    expect(signOf(value as number)).toBe(0);
    expect(arrow(value as number)).toBe("");
  });

  it("leave a quantity as it is", () => {
    expect([103299, 2.023, 11.5, -0.00000001].map((value) => quantity(value, "en-US"))).toEqual(["103,299", "2.023", "11.5", "−0.00000001"]);
    expect(quantity(null, "en-US")).toBe("–");
  });

  it("read decimals off a step", () => {
    expect([0.1, 0.001, 1e-7, 1, 10, 0.5, 0.25].map(decimalsOf)).toEqual([1, 3, 7, 0, 0, 1, 2]);
    expect(decimalsOf(0)).toBeNull();
    expect(decimalsOf(null)).toBeNull();
  });

  it("point up and down", () => {
    expect([1, -1, 0].map(arrow)).toEqual(["▲", "▼", ""]);
    expect([0.1, -0.1, 0].map(signOf)).toEqual([1, -1, 0]);
  });
});

describe("times", () => {
  const ts = Date.parse("2025-05-26T20:05:07Z");

  it("are in the zone asked for (these tests run in Seoul)", () => {
    expect(clock(ts, "en-US", "utc")).toBe("20:05:07");
    expect(clock(ts, "en-US", "local")).toBe("05:05:07");
    expect(minute(ts, "ko-KR", "utc")).toBe("20:05");
    expect(day(ts, "utc")).toBe("2025-05-26");
    expect(day(ts, "local")).toBe("2025-05-27");
    expect(dayMinute(ts, "utc")).toBe("05-26 20:05");
    expect(dayMinute(ts, "local")).toBe("05-27 05:05");
  });

  it("show midnight as 00, not as 24", () => {
    expect(clock(Date.parse("2025-05-26T00:00:00Z"), "en-US", "utc")).toBe("00:00:00");
  });

  it("say which zone they are in", () => {
    expect(zoneName("utc", 540)).toBe("UTC");
    expect(zoneName("local", 540)).toBe("UTC+9");
    expect(zoneName("local", -210)).toBe("UTC−3:30");
    expect(zoneName("local", 0)).toBe("UTC");
  });

  it.each([
    [850, "850 ms"],
    [12_480, "12.4 s"],
    [59_999, "59.9 s"],
    [200_000, "3m 20s"],
    [7_500_000, "2h 05m"],
    [3 * 86_400_000 + 4 * 3_600_000, "3d 04h"],
  ])("measure %i ms as %s", (ms, text) => expect(duration(ms, EN)).toBe(text));

  it("have the units of the language", () => {
    expect([850, 12_480, 200_000, 7_500_000, 273_600_000].map((ms) => duration(ms, KO))).toEqual(["850 ms", "12.4초", "3분 20초", "2시간 05분", "3일 04시간"]);
  });

  it("tick in whole seconds", () => {
    expect(wholeSeconds(12_980, EN)).toBe("12 s");
    expect(wholeSeconds(90_000, EN)).toBe("1m 30s");
    expect(wholeSeconds(null, EN)).toBe("–");
  });
});

describe("CSV", () => {
  it("quotes what needs it and keeps numbers raw", () => {
    expect(toCsv(["a", "b"], [[1.5, 'say "hi", now'], [null, true], [-3, "x\ny"]])).toBe('a,b\r\n1.5,"say ""hi"", now"\r\n,true\r\n-3,"x\ny"\r\n');
  });

  it("does not let a text run as a formula", () => {
    expect(toCsv(["a"], [["=1+1"], ["@x"], ["-2"]])).toBe("a\r\n'=1+1\r\n'@x\r\n'-2\r\n");
  });
});
