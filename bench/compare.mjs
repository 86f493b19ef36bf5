/**
 * Two commits side by side: `npm run bench:compare REV_A REV_B [-- --quick]`. Each is built in a worktree of its own, and
 * one process loads both and runs them in turn. What a commit does not have yet is left out.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { temporaryFolder, writeFileOf } from "./files.mjs"
import { compare, effort, KiB, longEffort, MiB, report } from "./harness.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim()
const revisions = process.argv.slice(2).filter((argument) => !argument.startsWith("--"))
if (revisions.length !== 2) throw new Error("usage: npm run bench:compare REV_A REV_B [-- --quick]")

const made = []
process.once("exit", () => {
  for (const folder of made) git("worktree", "remove", "--force", folder)
})

/** Builds a commit with the packages of this checkout. @returns what its library exports */
async function load(revision) {
  const commit = git("rev-parse", "--short", `${revision}^{commit}`)
  const folder = join(root, ".cache", "bench", `${commit}-${process.pid}-${made.length}`)
  mkdirSync(join(root, ".cache", "bench"), { recursive: true })
  git("worktree", "add", "--detach", folder, commit)
  made.push(folder)
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  execFileSync("npm", ["run", "--silent", "build", "--", "--silent"], { cwd: folder, stdio: ["ignore", "ignore", 2] })
  const library = await import(pathToFileURL(join(folder, "dist", "index.js")).href)
  return { name: `${revision} (${commit})`, library }
}

const sides = []
for (const revision of revisions) sides.push(await load(revision))
const at = temporaryFolder()
await writeFileOf(at("plain"), 256 * MiB)
const chunks = Array.from({ length: 64 }, () => Buffer.alloc(MiB, 1))
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
const wrappingKey = new Uint8Array(32).fill(7)

for (const { measure, unit, scale, rounds, prepare } of measures()) {
  const candidates = []
  for (const [i, { name, library }] of sides.entries()) {
    const keyring = library.rawAesKeyring({ keyNamespace: "bench", keyName: "key", wrappingKey })
    const run = await prepare(library, keyring)
    if (run === undefined) console.log(`\n${measure}: ${name} does not have it`)
    else candidates.push({ name, run, ours: i === 1 })
  }
  if (candidates.length === 2)
    report({ measure, unit, scale, who: revisions[1], results: await compare(candidates, rounds) })
}

/** Each `prepare` answers the work, or nothing where a commit cannot do it. */
function* measures() {
  const encryptionContext = { tenant: "42" }
  for (const signed of [false, true]) {
    for (const size of [256, 4 * KiB, 64 * KiB, MiB, 16 * MiB]) {
      const plaintext = Buffer.alloc(size, 1)
      const how = `${size >= MiB ? `${size / MiB} MiB` : size >= KiB ? `${size / KiB} KiB` : `${size} B`}${signed ? ", signed" : ""}`
      const figures =
        size >= MiB ? { unit: "MB/s", scale: size / 1e6, rounds: effort } : { unit: "/s", scale: 1, rounds: effort }
      yield {
        measure: `encrypt ${how}`,
        ...figures,
        prepare: (library, keyring) => () => library.encrypt(plaintext, { keyring, encryptionContext, signed }),
      }
      yield {
        measure: `decrypt ${how}`,
        ...figures,
        async prepare(library, keyring) {
          const message = await library.encrypt(plaintext, { keyring, encryptionContext, signed })
          return () => library.decrypt(message, { keyring, encryptionContext })
        },
      }
    }
  }
  const plaintext = Buffer.alloc(16 * MiB, 1)
  const target = Buffer.alloc(17 * MiB, 1)
  yield {
    measure: "encryptInto 16 MiB",
    unit: "MB/s",
    scale: plaintext.length / 1e6,
    rounds: effort,
    prepare: ({ encryptInto }, keyring) => encryptInto && (() => encryptInto(plaintext, target, { keyring })),
  }
  yield {
    measure: "encryptStream and decryptStream, 64 MiB",
    unit: "MB/s",
    scale: (chunks.length * MiB) / 1e6,
    rounds: longEffort,
    prepare:
      ({ encryptStream, decryptStream }, keyring) =>
      () =>
        pipeline(Readable.from(chunks), encryptStream({ keyring }), decryptStream({ keyring }), sink()),
  }
  yield {
    measure: "encryptFile and decryptFile, 256 MiB",
    unit: "MB/s",
    scale: (256 * MiB) / 1e6,
    rounds: longEffort,
    prepare: ({ encryptFile, decryptFile }, keyring) =>
      encryptFile &&
      (async () => {
        await encryptFile(at("plain"), at("sealed"), { keyring, overwrite: true })
        await decryptFile(at("sealed"), at("opened"), { keyring, overwrite: true })
      }),
  }
}
