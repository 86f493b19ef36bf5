import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/heavy/**"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the default leaves on two cores: much of the suite waits for processes it started.
    maxWorkers: "100%",
  },
})
