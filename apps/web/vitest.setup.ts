import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";
import { resetDoor } from "./src/lib/api/session";
import { loadLanguage } from "./src/lib/i18n/translate";
import { resetPrefs } from "./src/lib/prefs/store";
import { navigation } from "./src/testing/navigation";

vi.mock("next/navigation", async () => (await import("./src/testing/navigation")).navigation);

configure({ asyncUtilTimeout: 60_000 }); // what must appear may take its time on a busy machine

await loadLanguage("ko"); // who reads Korean has fetched it before anything is on the screen

beforeEach(() => window.history.replaceState(null, "", "/dashboard/"));

// Files share their modules: whatever a test left in one is put back.
afterEach(() => {
  cleanup();
  localStorage.clear();
  sessionStorage.clear();
  resetPrefs();
  resetDoor();
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
