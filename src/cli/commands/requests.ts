import { type Kms, type OpenKmsOptions, openKms } from "../kms.ts"
import { kmsAddress } from "../kms-address.ts"

export async function withKms(
  options: { readonly kms?: string },
  open: OpenKmsOptions,
  work: (kms: Kms) => Promise<void>,
): Promise<void> {
  const kms = await openKms(kmsAddress(options.kms), open)
  try {
    await work(kms)
  } finally {
    await kms.close()
  }
}

interface Page {
  readonly Truncated?: boolean
  readonly NextMarker?: string
}

/** Everything of a list that comes in pages. */
export async function allPages<T>(kms: Kms, operation: string, member: string, input: object = {}): Promise<T[]> {
  const items: T[] = []
  let Marker: string | undefined
  do {
    const page = await kms.send<Page & Record<string, T[] | undefined>>(operation, {
      ...input,
      ...(Marker !== undefined && { Marker }),
    })
    items.push(...(page[member] ?? []))
    Marker = page.Truncated ? page.NextMarker : undefined
  } while (Marker !== undefined)
  return items
}

const IN_FLIGHT = 8

/** In order, with so many at a time as KMS's request rates allow. */
export async function mapLimited<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at]!)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  return results
}
