import { expect, test } from "vitest"
import type { DiskFile } from "../../src/volume/disk.ts"
import { geometryOf } from "../../src/volume/geometry.ts"
import { volumeKeys } from "../../src/volume/keys.ts"
import { logWriter } from "../../src/volume/log.ts"
import { counting } from "../support/keys.ts"

/** A file whose writes end when the test says so. */
function heldFile() {
  const held: { position: number; length: number; end: (error?: Error) => void }[] = []
  const file = {
    write: (parts: readonly Uint8Array[], position: number) =>
      new Promise<void>((resolve, reject) => {
        const length = parts.reduce((sum, part) => sum + part.length, 0)
        held.push({ position, length, end: (error) => (error ? reject(error) : resolve()) })
      }),
  } as unknown as DiskFile
  return { file, held }
}

function newLog(file: DiskFile) {
  const keys = volumeKeys(counting(32), geometryOf(counting(16), 2 ** 20, 4096))
  keys.use(keys.propose())
  return logWriter(file, 1, 1, keys)
}

// VOL-5.1
test("whoever wants to append while zeros are written ahead has to wait, wanted or not", async () => {
  const { file, held } = heldFile()
  const log = newLog(file)
  expect(log.fill(false)).toBeUndefined()
  const filling = log.fill(true)
  expect(filling).toBeDefined()
  expect(log.fill(false)).toBe(filling)
  expect(held).toHaveLength(1)
  held[0]!.end()
  await filling
  expect(log.fill(true)).toBeUndefined()
  const { mark } = log.append([], 0)
  expect([held[1]!.position, held[1]!.length]).toEqual([0, mark.position])
})

test("zeros that could not be written are not tried again, and hold up nobody", async () => {
  const { file, held } = heldFile()
  const log = newLog(file)
  const filling = log.fill(true)
  held[0]!.end(new Error("full"))
  await filling
  expect(log.fill(true)).toBeUndefined()
})

test("a record takes the place of those after the mark to which the log goes back", () => {
  const { file, held } = heldFile()
  const log = newLog(file)
  const first = log.append([], 0).mark
  const second = log.append([], 0).mark
  log.rewind(first)
  const again = log.append([], 0).mark
  expect([again.sequence, again.position]).toEqual([second.sequence, second.position])
  expect(Buffer.from(again.tag).equals(second.tag)).toBe(false)
  expect(held.map(({ position }) => position)).toEqual([0, first.position, first.position])
})
