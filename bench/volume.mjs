/** An encrypted volume, in process: what the block device itself gives, without NBD. Run after `npm run build`. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rawAesKeyring } from "../dist/index.js"
import { attachVolume, createVolume } from "../dist/volume.js"
import { MiB, quick, report, spread } from "./harness.mjs"

const SIZE = (quick ? 128 : 512) * MiB
const SECONDS = quick ? 0.7 : 3
const ROUNDS = quick ? 2 : 4

/** Keeps `depth` calls under way. @returns calls a second */
async function rate(depth, call) {
  const start = performance.now()
  const end = start + SECONDS * 1000
  let calls = 0
  const lane = async () => {
    while (performance.now() < end) {
      await call(calls++)
    }
  }
  await Promise.all(Array.from({ length: depth }, lane))
  return (calls * 1000) / (performance.now() - start)
}

const random = (size) => Math.floor((Math.random() * SIZE) / size) * size

async function measure(blockSize) {
  const folder = await mkdtemp(join(tmpdir(), "volume-bench-"))
  const keyring = rawAesKeyring({ keyNamespace: "bench", keyName: "k", wrappingKey: new Uint8Array(32).fill(1) })
  const small = new Uint8Array(4096).fill(7)
  const large = new Uint8Array(MiB).fill(9)
  try {
    await createVolume(folder, { size: SIZE, keyring, blockSize })
    const volume = await attachVolume(folder, { keyring })
    for (let at = 0; at < SIZE; at += MiB) await volume.write(at, large)
    await volume.flush()
    const sequence = (i) => (i * MiB) % SIZE
    const works = [
      ["4 KiB random reads, depth 16", "/s", 1, () => rate(16, () => volume.read(random(4096), 4096))],
      ["4 KiB random writes, depth 16", "/s", 1, () => rate(16, () => volume.write(random(4096), small))],
      [
        "4 KiB writes, each flushed, depth 1",
        "/s",
        1,
        () => rate(1, () => volume.write(random(4096), small).then(() => volume.flush())),
      ],
      [
        "1 MiB reads in order, depth 1",
        "MiB/s",
        1,
        () => rate(1, (i) => volume.read(sequence(i), MiB).then((data) => volume.release(data))),
      ],
      [
        "1 MiB reads in order, depth 16",
        "MiB/s",
        1,
        () => rate(16, (i) => volume.read(sequence(i), MiB).then((data) => volume.release(data))),
      ],
      ["1 MiB writes in order, depth 1", "MiB/s", 1, () => rate(1, (i) => volume.write(sequence(i), large))],
      ["1 MiB writes in order, depth 16", "MiB/s", 1, () => rate(16, (i) => volume.write(sequence(i), large))],
    ]
    for (const [what, unit, scale, work] of works) {
      const values = []
      for (let round = -1; round < ROUNDS; round++) {
        const value = await work()
        if (round >= 0) values.push(value)
      }
      report({
        measure: `volume of ${blockSize / 1024} KiB blocks: ${what}`,
        unit,
        scale,
        results: [spread("kms-envelope", values, true)],
      })
    }
    await volume.detach()
  } finally {
    await rm(folder, { recursive: true })
  }
}

const only = process.argv.find((argument) => argument.startsWith("--block-size="))
for (const blockSize of only ? [Number(only.split("=")[1])] : [4096, 16_384]) await measure(blockSize)
