import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../shared/vectors/esdk")

export const vectorFile = (path: string): Buffer => readFileSync(join(root, path))
export const vectorJson = (path: string): unknown => JSON.parse(vectorFile(path).toString("utf8"))

/** A suite over the published vectors, skipped where they are not at `../shared/vectors` beside the project. */
export const describeVectors = (name: string, tests: () => void): void => {
  if (existsSync(root)) describe(name, tests)
  else describe.skip(`${name} (skipped: no published vectors at ../shared/vectors)`, tests)
}
