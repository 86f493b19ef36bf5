// Small messages in memory beside the official SDKs and a loop of the bare primitives.
import { decrypt, encrypt } from "kms-envelope"
import { primitives } from "../bare.mjs"
import { compare, effort, KiB, MiB, report } from "../harness.mjs"
import { startPython } from "../peers.mjs"
import * as subjects from "../subjects.mjs"

const { encryptionContext, official, OFFICIAL_DEFAULT, wrappingKey } = subjects
const theirName = subjects.officialName(OFFICIAL_DEFAULT)
const bare = "bare primitives"
const python = startPython()

/** What must hold for messages of this size. */
const checksOf = (size) =>
  size > 4 * KiB
    ? []
    : [
        { against: theirName, atLeast: 8, stretch: 12 },
        { against: bare, atLeast: 0.7 },
      ]

const pythonCandidate = (direction, size) => ({
  name: "official for Python",
  measure: (milliseconds) => python.measure({ direction, size, frameLength: OFFICIAL_DEFAULT, milliseconds }),
})

for (const [label, size] of [
  ["256 B", 256],
  ["1 KiB", KiB],
  ["4 KiB", 4 * KiB],
  ["64 KiB", 64 * KiB],
  ["1 MiB", MiB],
]) {
  const plaintext = Buffer.alloc(size, 1)
  const [unit, scale] = size >= MiB ? ["MB/s", size / 1e6] : ["/s", 1]
  for (const cached of [false, true]) {
    const keyring = cached ? subjects.cached : subjects.keyring
    const theirs = cached ? subjects.officialCache : subjects.officialKeyring
    const loop = primitives(plaintext, wrappingKey, { cached })
    const message = await encrypt(plaintext, { keyring, encryptionContext })
    const theirMessage = await subjects.officialEncrypt(plaintext, OFFICIAL_DEFAULT, theirs)
    const runs = {
      encrypt: [
        { name: "kms-envelope", ours: true, run: () => encrypt(plaintext, { keyring, encryptionContext }) },
        { name: theirName, run: () => subjects.officialEncrypt(plaintext, OFFICIAL_DEFAULT, theirs) },
        { name: bare, run: loop.encrypt },
      ],
      decrypt: [
        { name: "kms-envelope", ours: true, run: () => decrypt(message, { keyring, encryptionContext }) },
        { name: theirName, run: () => official.decrypt(theirs, theirMessage) },
        { name: bare, run: loop.decrypt },
      ],
    }
    for (const [direction, candidates] of Object.entries(runs)) {
      if (python && !cached && (size === 256 || size === MiB)) candidates.push(pythonCandidate(direction, size))
      report({
        measure: `${direction} ${label}, ${cached ? "cached" : "uncached"}`,
        unit,
        scale,
        results: await compare(candidates, effort),
        checks: checksOf(size),
        ...(!cached && { chart: { name: `size-${direction}`, x: size } }),
      })
    }
  }
}
subjects.cached.close()
await python?.close()
