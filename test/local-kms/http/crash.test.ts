import { expect, test } from "vitest"
import { temporaryFolder } from "../helpers.ts"
import { crashLoop } from "./crash.ts"

// The heavier suite kills more of them.
test("servers that are killed while they work lose nothing that they acknowledged", { timeout: 120_000 }, async () => {
  expect(await crashLoop(await temporaryFolder(), { kills: 4, processes: 2 })).toBeGreaterThan(4)
})
