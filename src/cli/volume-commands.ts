import type { Command } from "commander"
import type { CreateVolumeOptions } from "../volume/index.ts"
import { command, common } from "./command.ts"
import type { TcpPlace } from "./commands/volume-attach.ts"
import { usageError } from "./failures.ts"
import { collect, parseGrace } from "./options.ts"
import { parseSize } from "./text.ts"

const help = {
  volume: "encrypted volumes: block devices for virtual machines, file systems and backups",
  create: "make an empty volume in a folder and print its id",
  info: "show a volume's header: size, state, wrapped keys; needs no key",
  attach: "serve a volume as a block device (NBD) until a signal ends it",
  scrub: "verify every block, without a change",
  resize: "let a volume grow",
  settle: "give the space of rewritten and trimmed blocks back",
}

const after = {
  volume: `Every block is encrypted and authenticated under the volume's own data key, which a KMS key wraps.

Examples:
  envelope volume create disk.vol --size 64GiB
  envelope volume info disk.vol
  envelope volume attach disk.vol
  envelope volume scrub disk.vol`,
  create: `Without --key it is ENVELOPE_KEY, or else alias/default of the embedded KMS. An empty volume takes kilobytes.

Examples:
  envelope volume create disk.vol --size 64GiB
  envelope volume create disk.vol --size 1TiB --block-size 16KiB --key alias/app --context tenant=42`,
  attach: `Asks the KMS once, prints the URI for NBD clients, and the command lines to use it. SIGINT and SIGTERM make all
durable, detach the volume and overwrite its key; a second one quits at once. SIGUSR2 begins a new epoch, which is
due before the first write after the machine was resumed from an image of its memory.

Examples:
  envelope volume attach disk.vol
  envelope volume attach disk.vol --read-only --unix /run/disk.sock
  envelope volume attach disk.vol --anchor /elsewhere/disk.anchor --advance-anchor flush
  envelope volume attach disk.vol --tcp 0.0.0.0:10809 --tls-cert s.pem --tls-key s.key --tls-client-ca ca.pem`,
  scrub: `Ends with exit code 40 when it finds damage, and prints the ranges.`,
  resize: `Examples:
  envelope volume resize disk.vol --size 128GiB`,
}

/** Each command's code is loaded when it is called. */
export function addVolumeCommands(program: Command): void {
  const volume = command(program, "volume", help.volume, after.volume)
  const load = () => import("./commands/volume.ts")
  common(command(volume, "create <path>", help.create, after.create))
    .requiredOption("-s, --size <size>", "what the volume offers, for instance 64GiB", parseVolumeSize)
    .option("--block-size <size>", "4KiB (default), 16KiB or 64KiB: what is sealed at a time", parseBlockSize)
    .option("-k, --key <key>", "KMS key to wrap under: ARN, id or alias/NAME; repeat it for more keys", collect)
    .option("-c, --context <name=value>", "pair for the encryption context, in the clear; may be repeated", collect)
    .action(async (path, options) => (await load()).volumeCreateCommand(path, options))
  command(volume, "info <path>", help.info)
    .option("--json", "print JSON")
    .action(async (path, options) => (await load()).volumeInfoCommand(path, options))
  addAttachCommand(volume)
  opening(command(volume, "scrub <path>", help.scrub, after.scrub))
    .option("--max-rate <size>", "verify at most so much a second, for instance 100MiB", parseRate)
    .action(async (path, options) => (await load()).volumeScrubCommand(path, options))
  opening(command(volume, "resize <path>", help.resize, after.resize))
    .requiredOption("-s, --size <size>", "the new size, for instance 128GiB", parseVolumeSize)
    .action(async (path, options) => (await load()).volumeResizeCommand(path, options))
  opening(command(volume, "settle <path>", help.settle)).action(async (path, options) =>
    (await load()).volumeSettleCommand(path, options),
  )
}

// --- internal ---

function addAttachCommand(volume: Command): void {
  opening(command(volume, "attach <path>", help.attach, after.attach))
    .option("--unix <socket>", "serve on this Unix socket (default: nbd.sock in the volume's folder)")
    .option("--tcp <host:port>", "serve on TCP instead; port 0 takes a free one", parseTcp)
    .option("--tls-cert <file>", "serve over TLS with this certificate and its chain (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--tls-client-ca <file>", "let in only clients with a certificate from this authority (PEM)")
    .option("--insecure", "allow a --tcp host that other machines reach without TLS")
    .option("--read-only", "attach for reading only, which changes nothing")
    .option("--advance-anchor <when>", "with each checkpoint (default) or each flush", parseAdvance)
    .option(
      "--stats-every <seconds>",
      "a line about what happens, without a terminal (default: 60; 0: never)",
      parseGrace,
    )
    .action(async (path, options) => (await import("./commands/volume-attach.ts")).volumeAttachCommand(path, options))
}

const opening = (made: Command): Command =>
  common(made)
    .option("-k, --key <key>", "only this key may unwrap: ARN, id or alias/NAME; may be repeated", collect)
    .option("--account <id>", "any key of this AWS account may unwrap, or of any; may be repeated", collect)
    .option("--anchor <file>", "detect that the volume was set back by this file, kept on other storage")

const SIZES = "a multiple of 512 bytes up to 1024TiB, for instance 64GiB"

function parseVolumeSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined && bytes > 0 && bytes <= 2 ** 50 && bytes % 512 === 0) return bytes
  throw usageError(`'${text}' is no size of a volume`, SIZES)
}

function parseBlockSize(text: string): NonNullable<CreateVolumeOptions["blockSize"]> {
  const bytes = parseSize(text)
  if (bytes === 4096 || bytes === 16_384 || bytes === 65_536) return bytes
  throw usageError(`'${text}' is no block size`, "4KiB, 16KiB or 64KiB")
}

function parseRate(text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined && bytes > 0) return bytes
  throw usageError(`'${text}' is no rate`, "bytes a second, for instance 100MiB")
}

function parseTcp(text: string): TcpPlace {
  const [, bracketed, plain, digits] = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host !== undefined && Number(digits) <= 65_535) return { host, port: Number(digits) }
  throw usageError(`'${text}' is no place to listen on`, "HOST:PORT, for instance 127.0.0.1:10809 or [::1]:10809")
}

function parseAdvance(text: string): "checkpoint" | "flush" {
  if (text === "checkpoint" || text === "flush") return text
  throw usageError(`the anchor cannot advance with '${text}'`, "checkpoint or flush")
}
