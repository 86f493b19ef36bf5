// Messages in memory against the official JavaScript SDK: `npm run bench:messages [-- --quick]`.
import {
  AlgorithmSuiteIdentifier,
  buildDecrypt,
  buildEncrypt,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node"
import { cachingKeyring, decrypt, encrypt, rawAesKeyring } from "kms-envelope"
import { compare, effort, printComparison } from "./harness.mjs"

const wrappingKey = new Uint8Array(32).fill(7)
const encryptionContext = { tenant: "42", purpose: "bench" }
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
const KiB = 1024
const MiB = 1024 * KiB

const keyring = rawAesKeyring({ keyNamespace: "bench", keyName: "key", wrappingKey })
const cached = cachingKeyring(keyring, { maxAgeSeconds: 3600, decrypt: true })
const officialKeyring = new RawAesKeyringNode({
  keyNamespace: "bench",
  keyName: "key",
  unencryptedMasterKey: wrappingKey.slice(),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})
const officialCache = new NodeCachingMaterialsManager({
  backingMaterials: officialKeyring,
  cache: getLocalCryptographicMaterialsCache(1000),
  maxAge: 3_600_000,
})
const official = { ...buildEncrypt(), ...buildDecrypt() }

/** The official SDK's fastest frame length for this size, found by trying. */
async function bestFrameLength(plaintext) {
  const candidates = [64 * KiB, 256 * KiB, MiB, 4 * MiB].map((frameLength) => ({
    name: String(frameLength),
    run: () => official.encrypt(officialKeyring, plaintext, { suiteId, encryptionContext, frameLength }),
  }))
  const results = await compare(candidates, { rounds: 3, milliseconds: 60 })
  return Number(results.sort((a, b) => b.median - a.median)[0].name)
}

for (const [label, size] of [
  ["256 B", 256],
  ["4 KiB", 4 * KiB],
  ["64 KiB", 64 * KiB],
  ["1 MiB", MiB],
  ["16 MiB", 16 * MiB],
]) {
  const plaintext = Buffer.alloc(size, 1)
  const [unit, scale] = size >= MiB ? ["MB/s", size / 1e6] : ["/s", 1]
  const best = size >= MiB ? await bestFrameLength(plaintext) : 4 * KiB
  for (const caching of [false, true]) {
    const ours = caching ? cached : keyring
    const theirs = caching ? officialCache : officialKeyring
    const frameLengths = size >= MiB ? [4 * KiB, best] : [4 * KiB]
    const encryptors = frameLengths.map((frameLength) => ({
      name: `official, frames of ${frameLength / KiB} KiB`,
      run: () =>
        official.encrypt(theirs, plaintext, { suiteId, encryptionContext, frameLength, plaintextLength: size }),
    }))
    const how = `${label}, ${caching ? "cached" : "uncached"}`
    const run = () => encrypt(plaintext, { keyring: ours, encryptionContext })
    printComparison(
      `encrypt ${how}`,
      await compare([{ name: "kms-envelope", ours: true, run }, ...encryptors], effort),
      unit,
      scale,
    )
    const message = await run()
    const decryptors = []
    for (const { name, run: write } of encryptors) {
      const { result } = await write()
      decryptors.push({ name, run: () => official.decrypt(theirs, result) })
      decryptors.push({
        name: `kms-envelope reading ${name}`,
        run: () => decrypt(result, { keyring: ours, encryptionContext }),
      })
    }
    printComparison(
      `decrypt ${how}`,
      await compare(
        [
          { name: "kms-envelope", ours: true, run: () => decrypt(message, { keyring: ours, encryptionContext }) },
          ...decryptors,
        ],
        effort,
      ),
      unit,
      scale,
    )
  }
}
cached.close()
