// Large messages in memory, into new memory and into memory that is used again, beside the official SDK and bare loops.
import { decrypt, decryptInto, encrypt, encryptInto } from "kms-envelope"
import { openLoops, sealedLength, sealLoops, webCryptoLoops } from "../bare.mjs"
import { compare, KiB, longEffort, MiB, quick, report } from "../harness.mjs"
import { findOpenssl, opensslSpeed } from "../peers.mjs"
import * as subjects from "../subjects.mjs"
import { encryptionContext, keyring, official, officialKeyring } from "../subjects.mjs"

const ours = { keyring, encryptionContext }
const { OFFICIAL_DEFAULT, officialName } = subjects
const SLACK = MiB
const openssl = findOpenssl()

/** What the processor can do without copies, calls and event loop: frames of 256 KiB in one process. */
const opensslCandidates = (size, decrypt) =>
  openssl === undefined
    ? []
    : [
        {
          name: "openssl speed, one process",
          measure: () => opensslSpeed(openssl, { bytes: 256 * KiB, seconds: 1, decrypt }) / size,
        },
      ]

/** The fastest of the loops is what we are held against, found in the same rounds. */
const checksOf = (results, loops, official) => {
  const fastest = results
    .filter(({ name }) => name in loops)
    .reduce((best, result) => (result.median > best.median ? result : best))
  return [
    { ours: "kms-envelope, own memory", against: fastest.name, atLeast: 0.9 },
    { ours: "kms-envelope", against: official.best, atLeast: 1.4, stretch: 2.5 },
    { ours: "kms-envelope, own memory", against: official.best, atLeast: 2.5 },
    { ours: "kms-envelope", against: official.default, atLeast: 8 },
  ]
}

for (const mebibytes of quick ? [16] : [16, 256]) {
  const size = mebibytes * MiB
  const plaintext = Buffer.alloc(size, 1)
  const target = Buffer.alloc(size + SLACK, 1)
  const bestLength = await subjects.bestFrameLength(plaintext)
  const names = { best: officialName(bestLength), default: officialName(OFFICIAL_DEFAULT) }
  const rounds = { ...longEffort, milliseconds: mebibytes === 16 ? 150 : 1 }
  const unit = { unit: "MB/s", scale: size / 1e6 }

  const named = (loops, from, out) =>
    Object.entries(loops).map(([name, loop]) => ({ name, run: () => loop(from, out) }))
  const theirs = [bestLength, OFFICIAL_DEFAULT]

  const sealers = { ...sealLoops, ...webCryptoLoops("encrypt") }
  const sealing = await compare(
    [
      { name: "kms-envelope", ours: true, run: () => encrypt(plaintext, ours) },
      { name: "kms-envelope, own memory", run: () => encryptInto(plaintext, target, ours) },
      ...named(sealers, plaintext, target),
      ...theirs.map((length) => ({
        name: officialName(length),
        run: () => subjects.officialEncrypt(plaintext, length),
      })),
      ...opensslCandidates(size, false),
    ],
    rounds,
  )
  report({
    measure: `encrypt ${mebibytes} MiB`,
    ...unit,
    results: sealing,
    checks: checksOf(sealing, sealers, names),
    chart: { name: "size-encrypt", x: size },
  })

  const message = await encrypt(plaintext, ours)
  const opened = target.subarray(0, size)
  // As long as what the loops expect, with tags that verify: each loop opens what its like sealed.
  const sealed = Buffer.alloc(sealedLength(size))
  await Object.values(sealLoops)[0](plaintext, sealed)
  const openers = { ...openLoops, ...webCryptoLoops("decrypt") }
  const theirMessages = []
  for (const length of theirs) theirMessages.push([length, await subjects.officialEncrypt(plaintext, length)])
  const opening = await compare(
    [
      { name: "kms-envelope", ours: true, run: () => decrypt(message, ours) },
      { name: "kms-envelope, own memory", run: () => decryptInto(message, opened, ours) },
      ...named(openers, sealed, opened),
      ...theirMessages.map(([length, bytes]) => ({
        name: officialName(length),
        run: () => official.decrypt(officialKeyring, bytes),
      })),
      ...opensslCandidates(size, true),
    ],
    rounds,
  )
  report({
    measure: `decrypt ${mebibytes} MiB`,
    ...unit,
    results: opening,
    checks: checksOf(opening, openers, names),
    chart: { name: "size-decrypt", x: size },
  })

  const [, foreign] = theirMessages.at(-1)
  report({
    measure: `decrypt ${mebibytes} MiB that the official SDK wrote, frames of ${OFFICIAL_DEFAULT / KiB} KiB`,
    ...unit,
    results: await compare(
      [
        { name: "kms-envelope", ours: true, run: () => decrypt(foreign, ours) },
        { name: names.default, run: () => official.decrypt(officialKeyring, foreign) },
      ],
      rounds,
    ),
    checks: [{ against: names.default, atLeast: 4 }],
  })
}
