// Adds to package-lock.json the optional packages for other platforms that the registry at hand did not serve when
// `npm install` wrote it. npm leaves those out, and then `npm ci` refuses the file. Run it after changing dependencies.
import { readFileSync, writeFileSync } from "node:fs"

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"]

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"))
const { packages } = lock
let added = 0
// Packages at the top first: their companions belong at the top as well.
const byDepth = Object.keys(packages).sort((a, b) => a.split("node_modules/").length - b.split("node_modules/").length)
for (const path of byDepth) {
  const { dev, optionalDependencies = {} } = packages[path]
  for (const [name, version] of Object.entries(optionalDependencies)) {
    // A package of ours or of any platform was served.
    if (!/^\d/.test(version) || candidates(path, name).some((place) => packages[place]?.version === version)) continue
    const place = packages[`node_modules/${name}`] === undefined ? `node_modules/${name}` : besides(path, name)
    const { cpu, os, libc } = platformOf(name)
    packages[place] = { version, cpu, dev, libc, optional: true, os }
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en")))
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added} packages added`)

/** Where Node.js would look for a package from another one. */
function candidates(path, name) {
  const parts = path.split("/node_modules/")
  return parts
    .map((_, index) => `${parts.slice(0, parts.length - index).join("/node_modules/")}/node_modules/${name}`)
    .concat(`node_modules/${name}`)
}

function besides(path, name) {
  return `${path.slice(0, path.lastIndexOf("node_modules/"))}node_modules/${name}`
}

/** By the name, as all these packages have it there. */
function platformOf(name) {
  const words = name.split(/[/.-]/)
  const os = words.filter((word) => systems.includes(word))
  const cpu = words.filter((word) => processors.includes(word))
  const libc = words.includes("musl") ? ["musl"] : words.includes("gnu") ? ["glibc"] : []
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`for which platform is ${name}?`)
  return { cpu, os, ...(libc.length > 0 && { libc }) }
}
