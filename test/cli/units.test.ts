import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decodeBase64, encodeBase64 } from "../../src/cli/base64.ts"
import { classify, failureClasses } from "../../src/cli/failures.ts"
import { type ProgressState, progressLine } from "../../src/cli/progress.ts"
import { isLeftOver, temporaryPath } from "../../src/cli/temporary.ts"
import { formatBytes, formatDuration, parseSize, printable } from "../../src/cli/text.ts"
import type { EnvelopeErrorCode } from "../../src/core/index.ts"

describe("the progress line", () => {
  const state: ProgressState = {
    label: "encrypting report.pdf",
    bytes: 600 * 1024 ** 2,
    total: 1024 ** 3,
    rate: 2 ** 28,
  }

  it("shows share, rate and time left", () => {
    const line = progressLine(state, 120)
    expect(line).toMatch(/^encrypting report\.pdf {2}.{24,26} {3}58 % {4}256 MiB\/s {2}0:02 left {2}600 MiB of 1 GiB$/)
  })

  it("never fills the terminal's line, however narrow", () => {
    for (let columns = 0; columns < 140; columns++) {
      for (const total of [undefined, 0, 1024 ** 3]) {
        expect(progressLine({ ...state, total }, columns).length).toBeLessThanOrEqual(Math.max(0, columns - 3))
      }
    }
  })

  it("gives up details before it gives up the share", () => {
    expect(progressLine(state, 60)).toContain("58 %")
    expect(progressLine(state, 60)).toContain("left")
    expect(progressLine(state, 30)).toContain("58 %")
  })

  it("counts where no total is known, and does not divide by a rate of nothing", () => {
    expect(progressLine({ ...state, total: undefined }, 80)).toBe("encrypting report.pdf    600 MiB    256 MiB/s")
    expect(progressLine({ ...state, rate: 0 }, 120)).toContain("-:-- left")
    expect(progressLine({ ...state, bytes: 2 ** 31 }, 120)).toContain("100 %")
  })
})

describe("text for people", () => {
  it("writes sizes, durations", () => {
    expect([0, 1, 1023, 1024, 1536, 128 * 1024 ** 2, 5.25 * 1024 ** 4].map(formatBytes)).toEqual([
      "0 bytes",
      "1 byte",
      "1023 bytes",
      "1 KiB",
      "1.5 KiB",
      "128 MiB",
      "5.3 TiB",
    ])
    expect([0, 7, 75, 3723].map(formatDuration)).toEqual(["0:00", "0:07", "1:15", "1:02:03"])
  })

  it("reads sizes", () => {
    expect(["4096", "64KiB", "64k", "1M", "2GB", "3TiB", "512 bytes"].map(parseSize)).toEqual([
      4096,
      65536,
      65536,
      2 ** 20,
      2 ** 31,
      3 * 2 ** 40,
      512,
    ])
    expect(["", "x", "-1", "1.5M", "1P", "9".repeat(20)].map(parseSize)).toEqual(Array(6).fill(undefined))
  })

  it("escapes what could steer a terminal, and nothing else", () => {
    expect(printable("a\u001b[31m\n\u202eb\u009b")).toBe("a\\u001b[31m\\n\\u202eb\\u009b")
    expect(printable("Überweisung 貸出 🔑")).toBe("Überweisung 貸出 🔑")
  })
})

describe("temporary files", () => {
  it("belong to this process while it runs", () => {
    expect(isLeftOver(basename(temporaryPath("/anywhere")))).toBe(false)
  })

  it("are left over when their process is gone, or its id is another's now", async () => {
    const child = spawn(process.execPath, ["-e", ""])
    await new Promise((resolve) => child.on("exit", resolve))
    const own = basename(temporaryPath("/anywhere"))
    expect(isLeftOver(own.replace(`-${process.pid}-`, `-${child.pid}-`))).toBe(true)
    if (process.platform === "linux") expect(isLeftOver(own.replace(/-\d+-([0-9a-f]{16})/, "-1-$1"))).toBe(true)
    expect(isLeftOver(own.replace(/-\d+-([0-9a-f]{16})/, "-0-$1"))).toBe(false)
  })

  it("of other machines are nobody's business", () => {
    const own = basename(temporaryPath("/anywhere"))
    expect(isLeftOver(own.replace(/^\.envelope-[0-9a-f]{8}-\d+/, ".envelope-00000000-4194305"))).toBe(false)
  })
})

describe("base64", () => {
  const collect = async (chunks: AsyncIterable<Uint8Array>) => {
    const all: Uint8Array[] = []
    for await (const chunk of chunks) all.push(chunk)
    return Buffer.concat(all)
  }
  async function* inPieces(bytes: Uint8Array, size: number) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }

  it("goes both ways in pieces of any size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 70 }), async (bytes, size) => {
        const text = await collect(encodeBase64(inPieces(bytes, size)))
        expect(text.toString()).toBe(`${Buffer.from(bytes).toString("base64")}\n`)
        expect(await collect(decodeBase64(inPieces(text, size)))).toEqual(Buffer.from(bytes))
      }),
    )
  })

  it.each(["=", "A===", "AB=C", "QQ==QQ==", "QR==", "QUI*", "QUI=QQ==", "QUJD-"])("refuses %s", async (text) => {
    for (const size of [1, 3, 100]) {
      await expect(collect(decodeBase64(inPieces(Buffer.from(text), size)))).rejects.toThrow("base64")
    }
  })
})

describe("exit codes", () => {
  it("are distinct", () => {
    const codes = Object.values(failureClasses).map(({ exitCode }) => exitCode)
    expect(new Set(codes).size).toBe(codes.length)
  })

  it("have a class for every code of EnvelopeError but that of a bug in the command", () => {
    const source = readFileSync(new URL("../../src/core/errors.ts", import.meta.url), "utf8")
    const codes = [...source.matchAll(/^ {2}\| "(\w+)"/gm)].map(([, code]) => code as EnvelopeErrorCode)
    expect(codes.length).toBeGreaterThan(10)
    const classified = Object.values(failureClasses).flatMap((failure) => ("codes" in failure ? failure.codes : []))
    expect([...classified, "Closed"].sort()).toEqual([...codes].sort())
  })

  it("tell an unforeseen error from everything else", () => {
    expect(classify(new Error("boom"))).toMatchObject({ exitCode: 1, message: "boom" })
    expect(classify("boom")).toMatchObject({ exitCode: 1, message: "boom" })
  })
})
