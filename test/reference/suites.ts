/**
 * A second, tiny implementation of the message format for tests: written from the facts of the format alone, without the
 * library's own code, so that the two can contradict each other.
 */
export interface ReferenceSuite {
  readonly id: number
  readonly version: 1 | 2
  readonly keyBits: 128 | 192 | 256
  readonly kdf: "none" | "sha256" | "sha384" | "sha512"
  readonly curve?: "P-256" | "P-384"
}

export const referenceSuites: readonly ReferenceSuite[] = [
  { id: 0x0014, version: 1, keyBits: 128, kdf: "none" },
  { id: 0x0046, version: 1, keyBits: 192, kdf: "none" },
  { id: 0x0078, version: 1, keyBits: 256, kdf: "none" },
  { id: 0x0114, version: 1, keyBits: 128, kdf: "sha256" },
  { id: 0x0146, version: 1, keyBits: 192, kdf: "sha256" },
  { id: 0x0178, version: 1, keyBits: 256, kdf: "sha256" },
  { id: 0x0214, version: 1, keyBits: 128, kdf: "sha256", curve: "P-256" },
  { id: 0x0346, version: 1, keyBits: 192, kdf: "sha384", curve: "P-384" },
  { id: 0x0378, version: 1, keyBits: 256, kdf: "sha384", curve: "P-384" },
  { id: 0x0478, version: 2, keyBits: 256, kdf: "sha512" },
  { id: 0x0578, version: 2, keyBits: 256, kdf: "sha512", curve: "P-384" },
]

export function referenceSuite(id: number): ReferenceSuite {
  const suite = referenceSuites.find((row) => row.id === id)
  if (suite === undefined) throw new Error(`no suite ${id.toString(16)}`)
  return suite
}

export const hex4 = (id: number): string => id.toString(16).padStart(4, "0")
