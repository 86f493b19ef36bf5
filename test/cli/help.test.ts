import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { failureClasses } from "../../src/cli/failures.ts"
import { sandbox } from "./sandbox.ts"
import { transcript } from "./transcript.ts"

const guide = readFileSync(new URL("../../docs/guide/cli.md", import.meta.url), "utf8")

const commands = [
  ["encrypt"],
  ["decrypt"],
  ["inspect"],
  ["reencrypt"],
  ...["create", "list", "describe", "enable", "disable"].map((name) => ["key", name]),
  ...["rotate", "rotations", "tag", "untag", "import", "delete", "cancel-deletion", "types"].map((name) => [
    "key",
    name,
  ]),
  ...["create", "list", "update", "delete"].map((name) => ["alias", name]),
  ...["create", "list", "list-retirable", "retire", "revoke"].map((name) => ["grant", name]),
  ["kms", "serve"],
  ...["create", "list", "enable", "disable", "delete"].map((name) => ["principal", "access-key", name]),
  ...["get", "put", "explain", "lint", "new", "replay"].map((name) => ["policy", name]),
  ...["create-user", "create-role", "create-group", "add", "remove", "policy", "trust", "show"].map((name) => [
    "principal",
    name,
  ]),
  ["audit"],
  ...["verify", "digest", "public-key", "deliver", "verify-delivery"].map((name) => ["audit", name]),
  ["cost"],
  ["cost", "estimate"],
]

it("is at hand for every command, with examples where a newcomer needs them", async () => {
  const box = sandbox()
  const top = (await box.ok(["--help"])).stdout.toString()
  expect(top).toContain("To begin with:\n  envelope key create --alias default\n")
  for (const command of commands) {
    const { stdout, stderr } = await box.ok([...command, "--help"])
    expect(stdout.toString()).toContain(`Usage: envelope ${command.join(" ")}`)
    expect(stderr).toBe("")
  }
  for (const command of [
    "encrypt",
    "decrypt",
    "inspect",
    "reencrypt",
    "key",
    "alias",
    "grant",
    "volume",
    "kms",
    "audit",
    "cost",
  ]) {
    expect(top).toMatch(new RegExp(`^  ${command} `, "m"))
    expect((await box.ok(["help", command])).stdout.toString()).toContain("Examples:")
  }
})

it("fits 80 columns, but for examples", async () => {
  const { stdout } = await sandbox().ok(["encrypt", "--help"], { env: { COLUMNS: "80" } })
  const long = stdout
    .toString()
    .split("\n")
    .filter((line) => line.length > 80)
  expect(long.every((line) => line.startsWith("  envelope "))).toBe(true)
})

it("shows itself on standard error, as a mistake, when no command is given", async () => {
  const { code, stdout, stderr } = await sandbox().run([])
  expect(code).toBe(2)
  expect(stdout.length).toBe(0)
  expect(stderr).toContain("Usage: envelope")
})

it("lists every exit code, and so does the guide", async () => {
  const { stdout } = await sandbox().ok(["--help"])
  for (const { exitCode, description } of Object.values(failureClasses)) {
    expect(stdout.toString()).toContain(`${String(exitCode).padStart(5)}  ${description}\n`)
    expect(guide).toContain(`| ${exitCode} | ${description} |`)
  }
})

it("names its version", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
  expect((await sandbox().ok(["--version"])).stdout.toString()).toBe(`${version}\n`)
})

it("has a guide whose sessions happen as they are printed", async () => {
  const box = sandbox()
  const sessions = [...guide.matchAll(/^```console\n(.*?)^```$/gms)].map(([, session]) => session!)
  expect(sessions.length).toBeGreaterThan(2)
  box.write("report.pdf", Buffer.alloc(150_000, "%PDF "))
  await transcript(box, sessions.join("\n"))
})

it("is explained option by option in the guide", async () => {
  const box = sandbox()
  for (const command of commands) {
    const text = (await box.ok([...command, "--help"])).stdout.toString()
    for (const [option] of text.matchAll(/--[a-z0-9-]+/g)) expect(guide).toContain(`\`${option}`)
  }
})
