import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// So that "local" differs from UTC wherever the tests run; workers inherit it.
process.env.TZ = "Asia/Seoul";

// One registry of modules for all files of a project: importing them anew cost more than the tests. Tests get what other
// processes leave over of the processor (make test): how long they take is no claim of theirs.
const shared = { restoreMocks: true, unstubGlobals: true, isolate: false, testTimeout: 180_000, hookTimeout: 180_000 };

export default defineConfig({
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  test: {
    pool: "threads",
    // A browser is imitated only where something is rendered: it costs more than most tests.
    projects: [
      { extends: true, test: { ...shared, name: "lib", environment: "node", include: ["src/**/*.test.ts", "scripts/**/*.test.mjs"] } },
      { extends: true, test: { ...shared, name: "desk", environment: "jsdom", setupFiles: ["./vitest.setup.ts"], include: ["src/**/*.test.tsx"] } },
    ],
  },
});
