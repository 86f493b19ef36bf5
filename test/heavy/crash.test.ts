import { expect, test } from "vitest"
import { temporaryFolder } from "../local-kms/helpers.ts"
import { crashLoop } from "../local-kms/http/crash.ts"

const kills = Number(process.env.KMS_KILLS ?? 52)

test(`${kills} kills of 4 servers on one store lose nothing that was acknowledged, and the trail verifies`, async () => {
  expect(await crashLoop(await temporaryFolder(), { kills, processes: 4 })).toBeGreaterThan(kills)
})
