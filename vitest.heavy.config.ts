import { defineConfig } from "vitest/config"

/** Tests that take minutes, or need what `npm ci` does not bring. */
export default defineConfig({
  test: {
    include: ["test/heavy/**/*.test.ts"],
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
})
