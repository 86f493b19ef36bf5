// A file through streams, file to file, against the official SDK: `npm run bench:files [-- --mebibytes=512]`.
import { createReadStream, createWriteStream } from "node:fs"
import { mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import {
  AlgorithmSuiteIdentifier,
  buildDecrypt,
  buildEncrypt,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node"
import { decryptStream, encryptStream, rawAesKeyring } from "kms-envelope"
import { quick } from "./harness.mjs"

const MiB = 1024 * 1024
const asked = process.argv.find((argument) => argument.startsWith("--mebibytes="))?.split("=")[1]
const mebibytes = Number(asked ?? (quick ? 64 : 256))
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
const wrappingKey = new Uint8Array(32).fill(7)
const keyring = rawAesKeyring({ keyNamespace: "bench", keyName: "key", wrappingKey })
const officialKeyring = new RawAesKeyringNode({
  keyNamespace: "bench",
  keyName: "key",
  unencryptedMasterKey: wrappingKey.slice(),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})
const official = { ...buildEncrypt(), ...buildDecrypt() }

const folder = await mkdtemp(join(tmpdir(), "kms-envelope-bench-"))
const at = (name) => join(folder, name)
try {
  const file = await open(at("plain"), "w")
  const chunk = Buffer.alloc(MiB, 1)
  for (let i = 0; i < mebibytes; i++) await file.write(chunk)
  await file.close()

  const contenders = [
    { name: "kms-envelope", seal: () => encryptStream({ keyring }), open: () => decryptStream({ keyring }) },
    ...[4096, MiB].map((frameLength) => ({
      name: `official, frames of ${frameLength / 1024} KiB`,
      seal: () => official.encryptStream(officialKeyring, { suiteId, frameLength }),
      open: () => official.decryptStream(officialKeyring),
    })),
  ]
  const times = contenders.map(() => ({ encrypt: [], decrypt: [] }))
  const timed = async (from, through, to) => {
    const start = performance.now()
    await pipeline(createReadStream(at(from)), through, createWriteStream(at(to)))
    return (performance.now() - start) / 1000
  }
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    for (const [i, { seal, open: unseal }] of contenders.entries()) {
      times[i].encrypt.push(await timed("plain", seal(), "sealed"))
      times[i].decrypt.push(await timed("sealed", unseal(), "opened"))
    }
  }
  for (const direction of ["encrypt", "decrypt"]) {
    console.log(`\n${direction} a file of ${mebibytes} MiB, seconds (best of the rounds)`)
    const best = times.map((time) => Math.min(...time[direction]))
    for (const [i, { name }] of contenders.entries()) {
      const ratio = i === 0 ? "" : `  ours is ${(best[i] / best[0]).toFixed(2)} times as fast`
      console.log(`  ${name.padEnd(44)} ${best[i].toFixed(2).padStart(9)}${ratio}`)
    }
  }
} finally {
  await rm(folder, { recursive: true })
}
