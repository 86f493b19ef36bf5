/**
 * NBD servers, and fio as their client, for the parts of the benchmark that measure them. `scripts/install-nbd-clients.sh`
 * installs what is needed.
 */
import { execFile, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"
import { quick } from "./harness.mjs"

const run = promisify(execFile)
const TICKS_A_SECOND = 100
const SECONDS = quick ? 1 : 2

/** Where sockets and images go: in memory where there is such a place, since no disk is to be measured. */
export const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "nbd-bench-"))
const children = []

/** Programs of those given that are not here. */
export const missing = (programs) =>
  programs.filter((program) => {
    try {
      execFileSync("which", [program])
      return false
    } catch {
      return true
    }
  })

/**
 * @param {string} name
 * @param {(socket: string) => [string, string[]]} command what to start so that it serves on a Unix socket
 * @returns {Promise<import("./harness.mjs").Candidate & { uri: string, pid: number }>}
 */
export async function startServer(name, command, ours = false) {
  const socket = join(folder, `${children.length}.sock`)
  const [program, args] = command(socket)
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] })
  children.push(child)
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error(`${name} does not start`)
    await delay(50)
  }
  await delay(200)
  return { name, ours, uri: `nbd+unix:///?socket=${socket}`, pid: child.pid }
}

/** Of all threads of a process, in user and system mode; 0 where there is no /proc. */
function processorSeconds(pid) {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return 0
  const fields = readFileSync(path, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

/** @returns operations a second, and microseconds of processor time that the server took for one */
export async function fio({ uri, pid }, { rw, bs, depth, size }) {
  const job = [`--uri=${uri}`, `--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`, `--size=${size}`, "--norandommap"]
  const time = ["--time_based", `--runtime=${SECONDS}`, "--output-format=json"]
  const before = processorSeconds(pid)
  const { stdout } = await run("fio", ["--name=job", "--ioengine=nbd", ...job, ...time], { maxBuffer: 2 ** 24 })
  const [result] = JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs
  const { iops, total_ios: operations } = rw.endsWith("read") ? result.read : result.write
  return { rate: iops, processor: ((processorSeconds(pid) - before) * 1e6) / operations }
}

export async function stopServers() {
  for (const child of children) child.kill("SIGTERM")
  await delay(200)
  rmSync(folder, { recursive: true, force: true })
}
