import { expect, it } from "vitest"
import { attach, KiB, newVolume } from "./support.ts"

it("A volume tells how much a flush has to make durable, in their places and in the log", async () => {
  const volume = await attach(await newVolume())
  const unflushed = async () => (await volume.info()).unflushedBytes
  expect(await unflushed()).toBe(0)
  await volume.write(0, new Uint8Array(4 * KiB).fill(1))
  await volume.write(8 * KiB, new Uint8Array(64 * KiB).fill(1))
  expect(await unflushed()).toBe(68 * KiB)
  await volume.write(0, new Uint8Array(4 * KiB).fill(2))
  expect(await unflushed()).toBe(68 * KiB)
  await volume.flush()
  expect(await unflushed()).toBe(0)
  await volume.detach()
})
