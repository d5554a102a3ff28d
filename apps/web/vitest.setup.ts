import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";

vi.mock("next/navigation", async () => (await import("./src/testing/navigation")).navigation);

if (typeof document !== "undefined") {
  await import("@testing-library/jest-dom/vitest");
  const { navigation } = await import("./src/testing/navigation");

  beforeEach(() => window.history.replaceState(null, "", "/dashboard/"));

  afterEach(async () => {
    cleanup();
    localStorage.clear();
    (await import("./src/lib/prefs/store")).resetPrefs();
    navigation.pushed.length = 0;
  });

  // What jsdom lacks and Radix asks for.
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  Element.prototype.scrollIntoView ??= () => {};
  Element.prototype.hasPointerCapture ??= () => false;
}
