// A file into a file on tmpfs, process start included, beside age, openssl and the official SDK.
import { writeFileSync } from "node:fs"
import { runJob, temporaryFolder, timeProgram, writeFileOf } from "../files.mjs"
import { alternate, GiB, KiB, MiB, quick, report } from "../harness.mjs"
import { findAge, findOpenssl } from "../peers.mjs"

const size = quick ? 128 * MiB : GiB
const sizeName = `${size / MiB} MiB`
const rounds = quick ? 3 : 5
const at = temporaryFolder()
await writeFileOf(at("plain"), size)

const names = { best: "official, frames of 1 MiB", default: "official, its frames of 4 KiB" }
const officialPair = (frameLength, sealed) => ({
  encrypt: async () =>
    (await runJob({ kind: "officialEncrypt", from: at("plain"), to: at(sealed), frameLength })).seconds,
  decrypt: async () => (await runJob({ kind: "officialDecrypt", from: at(sealed), to: at("opened") })).seconds,
})
const candidates = [
  {
    name: "kms-envelope",
    ours: true,
    encrypt: async () => (await runJob({ kind: "encryptFile", from: at("plain"), to: at("sealed") })).seconds,
    decrypt: async () => (await runJob({ kind: "decryptFile", from: at("sealed"), to: at("opened") })).seconds,
  },
  {
    name: "kms-envelope, as a stream",
    encrypt: async () => (await runJob({ kind: "encryptStream", from: at("plain"), to: at("sealed") })).seconds,
    decrypt: async () => (await runJob({ kind: "decryptStream", from: at("sealed"), to: at("opened") })).seconds,
  },
  { name: names.best, ...officialPair(MiB, "sealed-1m") },
  { name: names.default, ...officialPair(4 * KiB, "sealed-4k") },
]
const tools = { age: findAge(), openssl: findOpenssl() }
if (tools.age) candidates.push({ name: "age", ...(await agePair(tools.age)) })
if (tools.openssl) candidates.push({ name: "openssl enc, AES-256-CTR, no tags", ...opensslPair(tools.openssl) })

for (const direction of ["encrypt", "decrypt"]) {
  report({
    measure: `${direction} a file of ${sizeName}, process start included`,
    unit: "s",
    better: "lower",
    results: await alternate(candidates, rounds, (candidate) => candidate[direction]()),
    checks: [
      { against: "age", atLeast: 1 },
      { against: names.best, atLeast: 1.8, stretch: 3 },
      { against: names.default, atLeast: 6 },
    ],
  })
}

/** To a key pair of its own, as age has no raw keys. */
async function agePair({ age, keygen }) {
  await timeProgram(keygen, ["-o", at("age-key")])
  const { stdout } = await timeProgram(keygen, ["-y", at("age-key")])
  const sealing = ["-r", stdout.trim(), "-o", at("sealed-age"), at("plain")]
  const opening = ["-d", "-i", at("age-key"), "-o", at("opened"), at("sealed-age")]
  return {
    encrypt: async () => (await timeProgram(age, sealing)).seconds,
    decrypt: async () => (await timeProgram(age, opening)).seconds,
  }
}

/** `openssl enc` has no AEAD cipher: the same AES in counter mode, without any tag. */
function opensslPair(openssl) {
  writeFileSync(at("password"), "bench")
  const args = ["enc", "-aes-256-ctr", "-pbkdf2", "-pass", `file:${at("password")}`]
  return {
    encrypt: async () =>
      (await timeProgram(openssl, [...args, "-in", at("plain"), "-out", at("sealed-openssl")])).seconds,
    decrypt: async () =>
      (await timeProgram(openssl, [...args, "-d", "-in", at("sealed-openssl"), "-out", at("opened")])).seconds,
  }
}
