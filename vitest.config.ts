import { defineConfig } from "vitest/config"

/** Files that replace modules, or watch what a process does as a whole. */
const ownProcess = ["test/local-kms/import-secrets.test.ts", "test/s3/s3ec/keys-wiped.test.ts"]
/** Folders whose files keep to themselves: they share processes, as loading the AWS SDK takes longer than their tests. */
const shared = ["cost", "format", "local-kms", "nbd", "s3", "volume"].map((folder) => `test/${folder}/**/*.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the default leaves on two cores: much of the suite waits for processes it started.
    maxWorkers: "100%",
    projects: [
      { extends: true, test: { name: "shared", include: shared, exclude: ownProcess, isolate: false } },
      { extends: true, test: { name: "own", include: ["test/**/*.test.ts"], exclude: ["test/heavy/**", ...shared] } },
      { extends: true, test: { name: "watched", include: ownProcess } },
    ],
  },
})
