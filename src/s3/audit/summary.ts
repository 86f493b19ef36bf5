import type { AuditEntry, AuditedFormat, ServerSideEncryption } from "./entry.ts"

interface Tally {
  readonly objects: number
  /** Bytes as stored. */
  readonly size: number
}

export interface AuditSummary extends Tally {
  readonly formats: Readonly<Partial<Record<AuditedFormat, Tally>>>
  readonly serverSide: Readonly<Partial<Record<ServerSideEncryption, Tally>>>
  /** By suite, for instance `0x0478`. */
  readonly suites: Readonly<Record<string, Tally>>
  /** By key ARN, or by what wrapped the data key where the object names no ARN. An object with two keys is in both. */
  readonly keys: Readonly<Record<string, Tally>>
  readonly problems: number
  readonly uploads: { readonly count: number; readonly size: number; readonly oldest?: Date }
  /** With the option `underKey`. */
  readonly underKey?: { readonly yes: number; readonly no: number; readonly unknown: number }
}

/** Adds up what `auditObjects` yields, in a few counters however many objects there are. */
export interface AuditCounter {
  add(entry: AuditEntry): void
  summary(): AuditSummary
}

export function auditCounter(): AuditCounter {
  const formats = tallies()
  const serverSide = tallies()
  const suites = tallies()
  const keys = tallies()
  const total = tallies()
  const underKey = { yes: 0, no: 0, unknown: 0 }
  let asked = false
  let problems = 0
  const uploads = { count: 0, size: 0, oldest: undefined as Date | undefined }
  return {
    add(entry) {
      if (entry.kind === "upload") {
        uploads.count++
        uploads.size += entry.size
        const { initiated } = entry
        if (initiated !== undefined && (uploads.oldest === undefined || initiated < uploads.oldest)) {
          uploads.oldest = initiated
        }
        return
      }
      const { size } = entry
      total.add("all", size)
      formats.add(entry.format, size)
      serverSide.add(entry.serverSide, size)
      if (entry.suite !== undefined) suites.add(entry.suite, size)
      for (const key of new Set(entry.keys.map(({ keyArn, wrappedBy }) => keyArn ?? wrappedBy))) keys.add(key, size)
      if (entry.problem !== undefined) problems++
      if (entry.underKey !== undefined) {
        asked = true
        underKey[entry.underKey]++
      }
    },
    summary() {
      const { oldest, ...counted } = uploads
      return {
        ...(total.get().all ?? { objects: 0, size: 0 }),
        formats: formats.get(),
        serverSide: serverSide.get(),
        suites: suites.get(),
        keys: keys.get(),
        problems,
        uploads: { ...counted, ...(oldest !== undefined && { oldest }) },
        ...(asked && { underKey: { ...underKey } }),
      }
    },
  }
}

// --- internal ---

function tallies() {
  const counts = new Map<string, { objects: number; size: number }>()
  return {
    add(name: string, size: number): void {
      const tally = counts.get(name) ?? { objects: 0, size: 0 }
      tally.objects++
      tally.size += size
      counts.set(name, tally)
    },
    get: (): Record<string, Tally> => Object.fromEntries([...counts].map(([name, tally]) => [name, { ...tally }])),
  }
}
