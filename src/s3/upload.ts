import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  type CreateMultipartUploadCommandOutput,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  UploadPartCommand,
  type UploadPartCommandOutput,
} from "@aws-sdk/client-s3"
import { type Call, omit, pick, send, sharedInput } from "./call.ts"
import { CHECKSUMS, DIGESTS } from "./digests.ts"

/** A multipart upload of our own making, behind one PutObject of the caller's. */
export interface Sending {
  /**
   * Sends a part, or waits until there is room for it. Rejects with the first failure of any part.
   *
   * @param sent called when S3 has the part
   */
  part(bytes: Uint8Array, mostAtOnce: number, sent?: () => void): Promise<void>
  complete(): Promise<PutObjectCommandOutput>
}

const NOT_FOR_CREATE = ["Body", "ContentLength", "IfMatch", "IfNoneMatch", ...DIGESTS, "WriteOffsetBytes"] as const

/** What CompleteMultipartUpload wants to hear about a part. */
export const completedPart = (PartNumber: number, output: UploadPartCommandOutput): CompletedPart => ({
  PartNumber,
  ETag: output.ETag,
  ...pick(output, CHECKSUMS),
})

/** S3 refuses checksums of parts that were not announced, and the SDK computes them where it may. */
export async function announcedChecksum(
  { session }: Call,
  given: CreateMultipartUploadCommandInput["ChecksumAlgorithm"],
): Promise<Pick<CreateMultipartUploadCommandInput, "ChecksumAlgorithm">> {
  if (given !== undefined) return { ChecksumAlgorithm: given }
  const calculation = await session.inner.config.requestChecksumCalculation?.()
  return calculation === "WHEN_REQUIRED" ? {} : { ChecksumAlgorithm: "CRC32" }
}

/**
 * Uploads parts and puts them together with `work`; aborts the upload when that fails (OBJ-4.7).
 *
 * @param metadata of the object, ours included
 */
export async function uploading(
  call: Call<PutObjectCommandInput>,
  metadata: Record<string, string>,
  work: (sending: Sending) => Promise<PutObjectCommandOutput>,
): Promise<PutObjectCommandOutput> {
  const { input, signal } = call
  const create = new CreateMultipartUploadCommand({
    ...(omit(input, NOT_FOR_CREATE) as CreateMultipartUploadCommandInput),
    ...(await announcedChecksum(call, input.ChecksumAlgorithm)),
    Metadata: metadata,
  })
  const { UploadId } = await send<CreateMultipartUploadCommandOutput>(call, create)
  const failed = new AbortController()
  const onAbort = () => failed.abort(signal!.reason)
  signal?.addEventListener("abort", onAbort, { once: true })
  try {
    signal?.throwIfAborted()
    return await work(sendingTo(call, UploadId!, failed))
  } catch (error) {
    failed.abort(error)
    // Without the caller's signal: parts that stay cost money. What fails here must not hide why the upload failed.
    const abort = new AbortMultipartUploadCommand({ ...sharedInput(input), UploadId })
    await send({ session: call.session, http: undefined }, abort).catch(() => {})
    throw error
  } finally {
    signal?.removeEventListener("abort", onAbort)
  }
}

function sendingTo(call: Call<PutObjectCommandInput>, UploadId: string, failed: AbortController): Sending {
  const { input } = call
  const shared = { ...sharedInput(input), UploadId }
  const parts: CompletedPart[] = []
  const underway = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined

  const sendPart = async (PartNumber: number, Body: Uint8Array, done?: () => void): Promise<void> => {
    const algorithm = pick(input, ["ChecksumAlgorithm"])
    const command = new UploadPartCommand({ ...shared, ...algorithm, PartNumber, Body, ContentLength: Body.length })
    try {
      const output = await send<UploadPartCommandOutput>(call, command, { abortSignal: failed.signal })
      parts.push(completedPart(PartNumber, output))
      done?.()
    } catch (error) {
      failure ??= { error }
      failed.abort(error)
    }
  }

  const settle = async (most: number): Promise<void> => {
    while (underway.size > most) await Promise.race(underway)
    if (failure !== undefined) throw failure.error
    failed.signal.throwIfAborted()
  }

  let next = 1
  return {
    async part(bytes, mostAtOnce, done) {
      await settle(mostAtOnce - 1)
      const sent: Promise<void> = sendPart(next++, bytes, done).finally(() => underway.delete(sent))
      underway.add(sent)
    },
    async complete() {
      await settle(0)
      parts.sort((a, b) => a.PartNumber! - b.PartNumber!)
      const command = new CompleteMultipartUploadCommand({
        ...shared,
        ...pick(input, ["IfMatch", "IfNoneMatch"]),
        MultipartUpload: { Parts: parts },
      })
      const output = await send<CompleteMultipartUploadCommandOutput>(call, command)
      return omit(output, ["Bucket", "Key", "Location"])
    },
  }
}
