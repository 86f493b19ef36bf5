import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const root = resolve(import.meta.dirname, "../..")

/** A project somewhere else on the disk, with the packed package installed as from the registry. */
export interface Project {
  readonly dir: string
  /** Writes files by their path in the project. */
  write(files: Readonly<Record<string, string | object>>): void
  /** Runs Node.js there; standard output. */
  node(...args: string[]): Promise<string>
  /** Runs the TypeScript compiler there on tsconfig.json; what it reports, "" when all is well. */
  tsc(): Promise<string>
  remove(): void
}

export interface ProjectOptions {
  readonly type?: "module" | "commonjs"
  /** Packages of the checkout to make available; without them nothing but this package can be resolved. */
  readonly packages?: readonly string[]
}

/** Builds nothing: `npm test` has. */
export async function installProject({ type = "module", packages = [] }: ProjectOptions = {}): Promise<Project> {
  if (!existsSync(join(root, "dist/index.cjs"))) throw new Error("dist/ is not there: npm run build")
  const dir = mkdtempSync(join(tmpdir(), "kms-envelope-package-"))
  const pack = ["pack", root, "--ignore-scripts", "--pack-destination", dir, "--json"]
  const [{ filename }] = JSON.parse((await run("npm", pack, { cwd: dir })).stdout)
  const project: Project = {
    dir,
    write(files) {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(join(dir, path, ".."), { recursive: true })
        writeFileSync(join(dir, path), typeof content === "string" ? content : JSON.stringify(content))
      }
    },
    node: async (...args) => (await run(process.execPath, args, { cwd: dir })).stdout,
    async tsc() {
      const arguments_ = [join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false"]
      return run(process.execPath, arguments_, { cwd: dir }).then(
        () => "",
        (error: { stdout: string }) => error.stdout,
      )
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
  project.write({ "package.json": { type, private: true } })
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(dir, filename)], { cwd: dir })
  for (const name of packages) link(name, dir)
  return project
}

function link(name: string, dir: string): void {
  const place = join(dir, "node_modules", name)
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(join(root, "node_modules", name), place)
}
