import { homedir, platform } from "node:os"
import { join, resolve } from "node:path"
import { usageError } from "./failures.ts"

/** Which KMS a command talks to. */
export type KmsAddress =
  | { readonly kind: "local"; readonly dir: string }
  /** Without a Region, that of the key's ARN, else the AWS SDK's own choice (AWS_REGION, the profile). */
  | { readonly kind: "aws"; readonly region: string | undefined }
  /** Anything that speaks the KMS protocol. */
  | { readonly kind: "http"; readonly url: string }

const FORMS = "--kms takes local, local:DIR, aws, aws:REGION, or an http:// or https:// address"

/** What `--kms` says, else `ENVELOPE_KMS`, else the user's own embedded KMS. @throws CliError `usage` */
export const kmsAddress = (option: string | undefined): KmsAddress =>
  parseKmsAddress(option ?? process.env.ENVELOPE_KMS ?? "")

/** @throws CliError `usage` */
function parseKmsAddress(text: string): KmsAddress {
  if (text === "" || text === "local") return { kind: "local", dir: defaultStore() }
  if (text.startsWith("local:")) return { kind: "local", dir: localFolder(text.slice("local:".length)) }
  if (text === "aws") return { kind: "aws", region: undefined }
  if (text.startsWith("aws:")) return { kind: "aws", region: checkRegion(text.slice("aws:".length)) }
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return { kind: "http", url: text }
  throw usageError(`'${text}' is no KMS`, FORMS)
}

/** `local:/var/kms`, `aws`, `aws:eu-west-1`, an address: the way `--kms` takes it. */
export function formatKmsAddress(address: KmsAddress): string {
  if (address.kind === "local") return `local:${address.dir}`
  if (address.kind === "http") return address.url
  return address.region === undefined ? "aws" : `aws:${address.region}`
}

/** The embedded KMS's folder, one for each user. */
function defaultStore(): string {
  return join(userDataFolder(), "kms-envelope", "kms")
}

// --- internal ---

function userDataFolder(): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env
  // The XDG specification has relative paths ignored.
  if (XDG_DATA_HOME?.startsWith("/")) return XDG_DATA_HOME
  if (platform() === "win32") return LOCALAPPDATA ?? join(homedir(), "AppData", "Local")
  if (platform() === "darwin") return join(homedir(), "Library", "Application Support")
  return join(homedir(), ".local", "share")
}

function localFolder(dir: string): string {
  if (dir === "") throw usageError("local: names no folder", "write local:DIR, or local for your own")
  // A shell leaves the tilde of local:~/kms alone.
  return dir === "~" || dir.startsWith("~/") ? join(homedir(), dir.slice(1)) : resolve(dir)
}

function checkRegion(region: string): string {
  if (/^[a-z]{2,}(?:-[a-z]+)+-\d+$/.test(region)) return region
  throw usageError(`'${region}' is no AWS Region`, "for instance aws:eu-west-1")
}
