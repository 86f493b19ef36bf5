import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { installProject, type Project } from "./installed.ts"

let project: Project
beforeAll(async () => {
  project = await installProject()
})
afterAll(() => project.remove())

const folder = () => join(project.dir, "node_modules/kms-envelope")
const manifest = () => JSON.parse(readFileSync(join(folder(), "package.json"), "utf8"))

test("the package holds the build and its papers: no source, test, source map or key", () => {
  const files = readdirSync(folder(), { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(folder(), path)).isFile())
    .filter((path) => !/^dist\/[\w-]+\.(js|cjs|d\.ts|d\.cts)$/.test(path))
  const papers = ["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "THIRD-PARTY-NOTICES.md", "package.json"]
  expect(files.sort()).toEqual(papers)
})

test("no file points to a source map or names a path of the machine it was built on", () => {
  const here = join(import.meta.dirname, "../..")
  for (const name of readdirSync(join(folder(), "dist"))) {
    const text = readFileSync(join(folder(), "dist", name), "utf8")
    expect([name, text.includes("sourceMappingURL"), text.includes(here)]).toEqual([name, false, false])
  }
})

test("every path that package.json promises is there, with types for each entry in each format", () => {
  const { bin, exports, main, module, types, typesVersions } = manifest()
  const promised = [bin, exports, main, module, types, typesVersions].flatMap(paths)
  expect(promised.filter((path) => !existsSync(join(folder(), path)))).toEqual([])
  for (const entry of [".", "./cost", "./local-kms", "./nbd", "./s3", "./testing", "./volume"]) {
    const { import: esm, require: cjs } = exports[entry]
    expect(
      [esm.default, esm.types, cjs.default, cjs.types].map((path: string) => path.replace(/^\.\/dist\/[\w-]+\./, "")),
    ).toEqual(["js", "d.ts", "cjs", "d.cts"])
  }
})

test("nothing is installed with it: no dependency, every peer optional, no install script", () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, scripts } = manifest()
  expect([dependencies, optionalDependencies]).toEqual([undefined, undefined])
  for (const peer of Object.keys(peerDependencies)) expect(peerDependenciesMeta[peer]).toEqual({ optional: true })
  expect(Object.keys(scripts).filter((name) => /install|^prepare$/.test(name))).toEqual([])
})

test("the command starts", async () => {
  const help = await project.node(join(folder(), manifest().bin.envelope), "--help")
  expect(help).toContain("envelope")
})

function paths(value: unknown): string[] {
  if (typeof value === "string") return [value]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(paths) : []
}
