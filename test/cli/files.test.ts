import { chmodSync, linkSync, mkdirSync, readdirSync, statSync, symlinkSync, truncateSync, utimesSync } from "node:fs"
import { expect, it } from "vitest"
import { outcome, type Sandbox, sandboxWithKey } from "./sandbox.ts"

const MIB = 1024 * 1024

/** Waits for the temporary file of a running command and gives its name. */
async function temporaryFile(box: Sandbox, folder = "."): Promise<string> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const name = readdirSync(box.path(folder)).find((file) => file.startsWith(".envelope-"))
    if (name !== undefined) return name
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error("no temporary file appeared")
}

/** A command that has written some of its output and waits for more input. */
async function startHalfWay(box: Sandbox, args: readonly string[]) {
  const child = box.start(args)
  const ended = outcome(child)
  child.stdin!.write(Buffer.alloc(2 * MIB, 1))
  const temporary = await temporaryFile(box)
  return { child, ended, temporary }
}

it("writes the output with mode 0600 and leaves no temporary file", async () => {
  const box = await sandboxWithKey()
  box.write("plain", "hello")
  await box.ok(["encrypt", "plain", "-o", "message"])
  await box.ok(["decrypt", "message", "-o", "copy"])
  expect(statSync(box.path("message")).mode & 0o777).toBe(0o600)
  expect(statSync(box.path("copy")).mode & 0o777).toBe(0o600)
  expect(box.files().sort()).toEqual(["copy", "message", "plain"])
})

it("keeps the mode of a file it replaces", async () => {
  const box = await sandboxWithKey()
  box.write("plain", "hello")
  chmodSync(box.write("message", "old"), 0o640)
  await box.ok(["encrypt", "plain", "-o", "message", "--force"])
  expect(statSync(box.path("message")).mode & 0o777).toBe(0o640)
})

it("does not replace a file without --force, and does not read the input either", async () => {
  const box = await sandboxWithKey()
  box.write("message", "precious")
  const result = await box.run(["encrypt", "-o", "message"], { input: "hello" })
  expect(result.code).toBe(4)
  expect(result.stderr).toContain("message exists already")
  expect(box.read("message").toString()).toBe("precious")
})

it("does not replace a file that somebody else made meanwhile", async () => {
  const box = await sandboxWithKey()
  const { child, ended } = await startHalfWay(box, ["encrypt", "-o", "message"])
  box.write("message", "precious")
  child.stdin!.end()
  expect((await ended).code).toBe(4)
  expect(box.read("message").toString()).toBe("precious")
  expect(box.files()).toEqual(["message"])
})

it("lets one of two commands have the name, whole", async () => {
  const box = await sandboxWithKey()
  const inputs = ["first", "second"]
  const results = await Promise.all(inputs.map((input) => box.run(["encrypt", "-o", "message"], { input })))
  expect(results.map(({ code }) => code).sort()).toEqual([0, 4])
  const winner = inputs[results.findIndex(({ code }) => code === 0)]
  expect((await box.ok(["decrypt", "message"])).stdout.toString()).toBe(winner)
  expect(box.files()).toEqual(["message"])
})

it("replaces its own input when forced, after all of it was read", async () => {
  const box = await sandboxWithKey()
  box.write("file", Buffer.alloc(3 * MIB, 7))
  expect((await box.run(["encrypt", "file", "-o", "file"])).code).toBe(4)
  await box.ok(["encrypt", "file", "-o", "file", "--force"])
  await box.ok(["decrypt", "file", "-o", "file", "--force"])
  expect(box.read("file").equals(Buffer.alloc(3 * MIB, 7))).toBe(true)
})

it("refuses standard output that is the input file", async () => {
  const box = await sandboxWithKey()
  box.write("file", "hello")
  const result = await box.shell("envelope encrypt file >> file")
  expect(result.code).toBe(2)
  expect(result.stderr).toContain("input and output are the same file")
  expect(box.read("file").toString()).toBe("hello")
})

it("follows a symbolic link to the file it names, and replaces that", async () => {
  const box = await sandboxWithKey()
  mkdirSync(box.path("elsewhere"))
  box.write("elsewhere/real", "old")
  symlinkSync("elsewhere/real", box.path("link"))
  await box.ok(["encrypt", "-o", "link", "--force"], { input: "hello" })
  expect((await box.ok(["decrypt", "elsewhere/real"])).stdout.toString()).toBe("hello")
  expect(readdirSync(box.path("elsewhere"))).toEqual(["real"])
})

it("leaves other names of a replaced file with the old content", async () => {
  const box = await sandboxWithKey()
  box.write("file", "old")
  linkSync(box.path("file"), box.path("other"))
  await box.ok(["encrypt", "-o", "file", "--force"], { input: "hello" })
  expect(box.read("other").toString()).toBe("old")
})

it.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const)(
  "leaves nothing behind when %s ends it",
  async (signal) => {
    const box = await sandboxWithKey()
    const { child, ended } = await startHalfWay(box, ["encrypt", "-o", "message"])
    child.kill(signal)
    // Ended by the signal itself, so that a shell script stops as well.
    expect((await ended).signal).toBe(signal)
    expect(box.files()).toEqual([])
  },
)

it("sweeps what a killed process left, and nothing of a living one", async () => {
  const box = await sandboxWithKey()
  const killed = await startHalfWay(box, ["encrypt", "-o", "first"])
  killed.child.kill("SIGKILL")
  await killed.ended
  expect(box.files()).toEqual([killed.temporary])

  const living = box.start(["encrypt", "-o", "second"])
  const livingEnded = outcome(living)
  living.stdin!.write(Buffer.alloc(2 * MIB))
  while (box.files().length !== 1 || box.files()[0] === killed.temporary) {
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const [temporary] = box.files()
  await box.ok(["encrypt", "-o", "third"], { input: "hello" })
  expect(box.files().sort()).toEqual([temporary, "third"])
  living.stdin!.end()
  expect((await livingEnded).code).toBe(0)
  expect(box.files().sort()).toEqual(["second", "third"])
})

it("leaves alone temporary files that another machine may be writing, and files that only look like them", async () => {
  const box = await sandboxWithKey()
  const names = [".envelope-00000000-1-1-0123456789abcdef.tmp", ".envelope-notes.tmp"]
  for (const name of names) utimesSync(box.write(name, "x"), 0, 0)
  await box.ok(["encrypt", "-o", "message"], { input: "hello" })
  expect(box.files().sort()).toEqual([...names, "message"].sort())
})

it("puts nothing under the target's name for a message that was changed or cut", async () => {
  const box = await sandboxWithKey()
  box.write("plain", Buffer.alloc(3 * MIB, 5))
  await box.ok(["encrypt", "plain", "-o", "message"])
  const message = box.read("message")
  message[message.length - 100_000]! ^= 1
  box.write("changed", message)
  box.write("cut", message)
  truncateSync(box.path("cut"), 2 * MIB)
  box.write("old", "precious")

  expect((await box.run(["decrypt", "changed", "-o", "new"])).code).toBe(11)
  expect((await box.run(["decrypt", "changed", "-o", "old", "--force"])).code).toBe(11)
  expect((await box.run(["decrypt", "cut", "-o", "new"])).code).toBe(12)
  expect(box.read("old").toString()).toBe("precious")
  expect(box.files().sort()).toEqual(["changed", "cut", "message", "old", "plain"])
})

it("works a large file on all processors, with the same result and the same care", async () => {
  const box = await sandboxWithKey()
  const plain = Buffer.alloc(34 * MIB + 5, 5)
  box.write("plain", plain)
  const { stdout } = await box.ok(["encrypt", "plain", "-o", "message", "--json"])
  expect(JSON.parse(stdout.toString())).toMatchObject({
    inputLength: plain.length,
    outputLength: statSync(box.path("message")).size,
  })
  await box.ok(["decrypt", "message", "-o", "copy"])
  expect(box.read("copy").equals(plain)).toBe(true)
  expect((await box.ok(["decrypt", "message"])).stdout.equals(plain)).toBe(true)

  const message = box.read("message")
  message[20 * MIB]! ^= 1
  box.write("changed", message)
  expect((await box.run(["decrypt", "changed", "-o", "new"])).code).toBe(11)
  box.write("cut", message)
  truncateSync(box.path("cut"), 33 * MIB)
  expect((await box.run(["decrypt", "cut", "-o", "new"])).code).toBe(12)
  expect((await box.run(["encrypt", "plain", "-o", "new", "--key", "alias/none"])).code).toBe(21)
  expect(box.files().sort()).toEqual(["changed", "copy", "cut", "message", "plain"])
})

it("leaves nothing behind when a signal ends work on a large file", async () => {
  const box = await sandboxWithKey()
  box.write("plain", "")
  // A hole of this size costs no disk, and keeps the command busy for seconds.
  truncateSync(box.path("plain"), 8192 * MIB)
  const child = box.start(["encrypt", "plain", "-o", "message"])
  const ended = outcome(child)
  await temporaryFile(box)
  child.kill("SIGINT")
  expect((await ended).signal).toBe("SIGINT")
  expect(box.files()).toEqual(["plain"])
})

it("sends authentic frames into a pipe and ends with an error at the first that is not", async () => {
  const box = await sandboxWithKey()
  const plain = Buffer.alloc(3 * MIB, 5)
  box.write("plain", plain)
  await box.ok(["encrypt", "plain", "-o", "message"])
  const message = box.read("message")
  message[message.length - 100_000]! ^= 1
  box.write("changed", message)
  const { code, stdout } = await box.run(["decrypt", "changed"])
  expect(code).toBe(11)
  expect(stdout.length).toBeGreaterThan(MIB)
  expect(plain.subarray(0, stdout.length).equals(stdout)).toBe(true)
})

it("reports a full disk", async () => {
  const box = await sandboxWithKey()
  const result = await box.shell("echo hello | envelope encrypt > /dev/full")
  expect(result.code).toBe(3)
  expect(result.stderr).toBe("envelope: cannot write standard output: no space left on device\n")
})

it("writes to a device as it is", async () => {
  const box = await sandboxWithKey()
  await box.ok(["encrypt", "-o", "/dev/null"], { input: "hello" })
  expect((await box.run(["encrypt", "-o", "/dev/full"], { input: "hello" })).code).toBe(3)
})

it("ends quietly when the reader goes away", async () => {
  const box = await sandboxWithKey()
  const result = await box.shell(
    "{ head -c 20000000 /dev/zero | envelope encrypt; echo $? >code; } | head -c 5; cat code",
  )
  expect(result.stdout.subarray(5).toString()).toBe("141\n")
  expect(result.stderr).toBe("")
})

it("names what it cannot read or write", async () => {
  const box = await sandboxWithKey()
  mkdirSync(box.path("folder"))
  box.write("plain", "hello")
  symlinkSync("nowhere", box.path("dangling"))
  const failures: [string[], string][] = [
    [["encrypt", "missing"], "cannot read missing: no such file or directory"],
    [["encrypt", "folder"], "cannot read folder: it is a folder"],
    [["encrypt", "plain", "-o", "folder"], "cannot write folder: it is a folder"],
    [["encrypt", "plain", "-o", "missing/message"], "cannot write missing/message: no such file or directory"],
    [["encrypt", "plain", "-o", "plain/message"], "cannot write plain/message: not a directory"],
    [
      ["encrypt", "plain", "-o", "dangling"],
      "cannot write dangling: it is a symbolic link to nowhere, which does not exist",
    ],
  ]
  for (const [args, message] of failures) {
    const { code, stderr } = await box.run(args)
    expect(stderr.split("\n")[0]).toBe(`envelope: ${message}`)
    expect(code).toBe(3)
  }
})

it("names a file that it may not read", async (test) => {
  if (process.getuid?.() === 0) test.skip("root may read everything")
  const box = await sandboxWithKey()
  chmodSync(box.write("secret", "hello"), 0)
  const { code, stderr } = await box.run(["encrypt", "secret"])
  expect(code).toBe(3)
  expect(stderr).toBe("envelope: cannot read secret: permission denied\n")
})

it("reports an input that breaks off while it is read", async (test) => {
  if (process.platform !== "linux") test.skip("needs a file that exists and cannot be read")
  const box = await sandboxWithKey()
  const { code, stderr } = await box.run(["encrypt", "/proc/self/mem", "-o", "message"])
  expect(code).toBe(3)
  expect(stderr).toBe("envelope: cannot read /proc/self/mem: i/o error\n")
  expect(box.files()).toEqual([])
})
