import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// So that "local" differs from UTC wherever the tests run; workers inherit it.
process.env.TZ = "Asia/Seoul";

export default defineConfig({
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  test: {
    environment: "jsdom",
    setupFiles: ["./vitest.setup.ts"],
    include: ["src/**/*.test.{ts,tsx}", "scripts/**/*.test.mjs"],
    restoreMocks: true,
    unstubGlobals: true,
    pool: "threads",
  },
});
