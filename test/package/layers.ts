import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"

/** A folder of src/ imports only folders of lower layers, and those only by their index.ts. biome.json has the order too. */
const layers: Readonly<Record<string, number>> = {
  cli: 6,
  testing: 5,
  s3: 5,
  message: 4,
  volume: 4,
  keyrings: 3,
  framing: 3,
  "local-kms": 3,
  format: 2,
  crypto: 2,
  nbd: 2,
  cost: 1,
  core: 1,
}

/** The one import between equals: the length of a header's fields stands in the table of suites. */
const suiteTable = { from: "format", to: "crypto" }

/** Below the command and the mock, nothing knows the embedded KMS: they meet at the AWS SDK's `KMSClient`. */
const mayUseLocalKms = ["testing", "cli"]

/** Folders and files that import `node:crypto`, and why. */
export const nodeCrypto: Readonly<Record<string, string>> = {
  "crypto/": "what the data path uses of OpenSSL goes through here",
  "local-kms/": "a KMS of its own, not the data path",
  "core/types.ts": "the type KeyObject",
  "cli/temporary.ts": "names of temporary files",
  "keyrings/cache-ids.ts": "digests, under which a cache files its entries",
  "keyrings/wrap-count.ts": "HMAC, to count by key without keeping it",
  "s3/audit/inventory.ts": "MD5, by which the manifest of an S3 Inventory names its files",
}

/** Every TypeScript file under `src`, by its path in it, with its text. */
export function readSources(src: string): Map<string, string> {
  const paths = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"))
  return new Map(paths.sort().map((path) => [path, readFileSync(join(src, path), "utf8")]))
}

/** What the sources do that the layers forbid, one line for each import. */
export function layerViolations(sources: ReadonlyMap<string, string>): string[] {
  return [...sources].flatMap(([path, text]) =>
    importsOf(text).flatMap((specifier) => {
      const problem = specifier.startsWith(".") ? localProblem(path, specifier) : cryptoProblem(path, specifier)
      return problem === undefined ? [] : [`src/${path} imports ${specifier}: ${problem}`]
    }),
  )
}

/** Static, dynamic and type imports alike. */
const importsOf = (text: string): string[] => ts.preProcessFile(text).importedFiles.map((file) => file.fileName)

function localProblem(path: string, specifier: string): string | undefined {
  const target = join(path, "..", specifier)
  const [from, to] = [folderOf(path), folderOf(target)]
  if (to === from) return undefined
  const [fromLayer, toLayer] = [from === "" ? layers.message! : layers[from], layers[to]]
  if (to === "") return "the entry is for users of the package"
  if (fromLayer === undefined) return `the folder ${from} has no layer`
  if (toLayer === undefined) return `the folder ${to} has no layer`
  if (target !== join(to, "index.ts")) return `past the index.ts of ${to}`
  if (to === "local-kms" && !mayUseLocalKms.includes(from)) return "only testing and cli use the embedded KMS"
  const allowed =
    from === "" || (from === suiteTable.from && to === suiteTable.to) ? toLayer <= fromLayer : toLayer < fromLayer
  return allowed ? undefined : `layer ${toLayer} from layer ${fromLayer}`
}

/** The folder of src/ that a path lies in; "" for the entry src/index.ts. */
const folderOf = (path: string): string => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "")

function cryptoProblem(path: string, specifier: string): string | undefined {
  if (specifier !== "node:crypto" && specifier !== "crypto") return undefined
  const allowed = Object.keys(nodeCrypto).some(
    (place) => path === place || (place.endsWith("/") && path.startsWith(place)),
  )
  return allowed ? undefined : "not on the list of files that use node:crypto"
}
