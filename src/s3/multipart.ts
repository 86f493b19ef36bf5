import type {
  AbortMultipartUploadCommandInput,
  AbortMultipartUploadCommandOutput,
  CompleteMultipartUploadCommandInput,
  CompleteMultipartUploadCommandOutput,
  CreateMultipartUploadCommandInput,
  CreateMultipartUploadCommandOutput,
  ListPartsCommandInput,
  ListPartsCommandOutput,
  UploadPartCommandInput,
  UploadPartCommandOutput,
} from "@aws-sdk/client-s3"
import { UploadPartCommand } from "@aws-sdk/client-s3"
import { concatBytes, copyBytes } from "../core/index.ts"
import { plainBody } from "./bodies.ts"
import { type Call, omit, send, sendAs, sharedInput } from "./call.ts"
import { refuseDigests } from "./digests.ts"
import { putInstructionFile } from "./instruction.ts"
import { MAX_PARTS } from "./part-sizes.ts"
import { writeTarget } from "./target.ts"
import { announcedChecksum, completedPart } from "./upload.ts"
import {
  closeUpload,
  type EncryptedUpload,
  newUpload,
  type SealedPart,
  sealLast,
  takePart,
  uploadOf,
} from "./upload-state.ts"

/** CreateMultipartUpload: the data key comes first, so that a refusal leaves no upload behind. */
export async function createUpload(
  call: Call<CreateMultipartUploadCommandInput>,
): Promise<CreateMultipartUploadCommandOutput> {
  const { session, input } = call
  const target = writeTarget(call)
  if (target === "off") {
    const output = await sendAs<typeof input, CreateMultipartUploadCommandOutput>(call, input)
    session.uploads.set(output.UploadId!, "off")
    return output
  }
  try {
    if (target.stream !== undefined) {
      throw new TypeError("signed messages are not written in parts: PutObject takes streams of any length")
    }
    const writer = await target.open(undefined)
    try {
      const output = await sendAs<typeof input, CreateMultipartUploadCommandOutput>(call, {
        ...input,
        ...(await announcedChecksum(call, input.ChecksumAlgorithm)),
        Metadata: writer.describe(input.Metadata),
      })
      session.uploads.set(output.UploadId!, newUpload(writer))
      return output
    } catch (error) {
      writer.close()
      throw error
    }
  } finally {
    target.close()
  }
}

/** UploadPart: held, or sealed and sent (OBJ-4.2). */
export async function uploadPart(call: Call<UploadPartCommandInput>): Promise<UploadPartCommandOutput> {
  const { session, input } = call
  const upload = uploadOf(session.uploads, input.UploadId)
  if (upload === "off") return sendAs(call, input)
  refuseDigests(input)
  const { PartNumber } = input
  if (!Number.isInteger(PartNumber) || PartNumber! < 1 || PartNumber! > MAX_PARTS) {
    throw new RangeError(`PartNumber must be a whole number from 1 to ${MAX_PARTS}`)
  }
  const plaintext = await wholeBody(input.Body, input.ContentLength)
  return partTaken(call, upload, PartNumber!, plaintext)
}

/** Takes a part, sends what is sealed, and answers for the part. */
export async function partTaken(
  call: Call<UploadPartCommandInput>,
  upload: EncryptedUpload,
  partNumber: number,
  plaintext: Uint8Array,
): Promise<UploadPartCommandOutput> {
  const tag = await takePart(upload, partNumber, plaintext)
  await sendSealed(call, upload)
  if (tag !== undefined) return { ETag: tag, $metadata: { httpStatusCode: 200 } }
  const { sent } = upload.sealed.get(partNumber)!
  return { ...omit(sent!.completed, ["PartNumber"]), $metadata: { httpStatusCode: 200 } }
}

async function wholeBody(body: unknown, announced: number | undefined): Promise<Uint8Array> {
  const plain = plainBody(body)
  const chunks: Uint8Array[] = []
  if ("bytes" in plain) chunks.push(plain.bytes)
  else for await (const chunk of plain.chunks) chunks.push(copyBytes(chunk))
  const bytes = chunks.length === 1 ? chunks[0]! : concatBytes(chunks)
  if (announced !== undefined && announced !== bytes.length) {
    throw new RangeError(`Body has ${bytes.length} bytes, and ContentLength says ${announced}`)
  }
  return bytes
}

/** Sends every sealed part that the server does not have yet. @throws the first failure; what failed is sent again later */
async function sendSealed(call: Call, upload: EncryptedUpload): Promise<void> {
  const parts = [...upload.sealed].filter(([, part]) => part.sent === undefined)
  const results = await Promise.allSettled(parts.map(([partNumber, part]) => sendOne(call, partNumber, part)))
  for (const result of results) if (result.status === "rejected") throw result.reason
}

async function sendOne(call: Call, PartNumber: number, part: SealedPart): Promise<void> {
  // Another call is sealing or sending it.
  while (part.sending !== undefined) await part.sending.catch(() => {})
  if (part.sent !== undefined) return
  part.sending = sendBytes(call, PartNumber, part).finally(() => {
    part.sending = undefined
  })
  await part.sending
}

async function sendBytes(call: Call, PartNumber: number, part: SealedPart): Promise<void> {
  const { UploadId, ChecksumAlgorithm } = call.input as UploadPartCommandInput
  const bytes = part.bytes!
  const output = await send<UploadPartCommandOutput>(
    call,
    new UploadPartCommand({
      ...sharedInput(call.input),
      ...(ChecksumAlgorithm !== undefined && { ChecksumAlgorithm }),
      UploadId,
      PartNumber,
      Body: bytes,
      ContentLength: bytes.length,
    }),
  )
  part.sent = { completed: completedPart(PartNumber, output), length: part.length }
  part.bytes = undefined
}

/** CompleteMultipartUpload: seals the last part with the final frame (OBJ-4.3). */
export async function completeUpload(
  call: Call<CompleteMultipartUploadCommandInput>,
): Promise<CompleteMultipartUploadCommandOutput> {
  const { session, input } = call
  const upload = uploadOf(session.uploads, input.UploadId)
  if (upload === "off") {
    const output = await sendAs<typeof input, CompleteMultipartUploadCommandOutput>(call, input)
    session.uploads.delete(input.UploadId!)
    return output
  }
  refuseDigests(input)
  const listed = input.MultipartUpload?.Parts ?? []
  await sealLast(upload, listed)
  await sendSealed(call, upload)
  const Parts = listed.map(({ PartNumber }) => upload.sealed.get(PartNumber!)!.sent!.completed)
  const { MpuObjectSize: _plaintextSize, ...rest } = input
  const output = await sendAs<typeof input, CompleteMultipartUploadCommandOutput>(call, {
    ...rest,
    MultipartUpload: { Parts },
  })
  await putInstructionFile(call, upload.writer.instructionFile)
  session.uploads.delete(input.UploadId!)
  closeUpload(upload)
  return output
}

export async function abortUpload(
  call: Call<AbortMultipartUploadCommandInput>,
): Promise<AbortMultipartUploadCommandOutput> {
  const { session, input } = call
  const upload = session.uploads.get(input.UploadId ?? "")
  session.uploads.delete(input.UploadId ?? "")
  closeUpload(upload)
  return sendAs(call, input)
}

/** ListParts: sizes in plaintext, and the part that is held, as far as this process knows the upload. */
export async function listParts(call: Call<ListPartsCommandInput>): Promise<ListPartsCommandOutput> {
  const { session, input } = call
  const output = await sendAs<typeof input, ListPartsCommandOutput>(call, input)
  const upload = session.uploads.get(input.UploadId ?? "")
  if (upload === undefined || upload === "off") return output
  const Parts = (output.Parts ?? []).map((part) => {
    const length = upload.sealed.get(part.PartNumber!)?.length
    return length === undefined ? part : { ...part, Size: length }
  })
  const { held } = upload
  if (held !== undefined && !output.IsTruncated && held.partNumber > Number(input.PartNumberMarker ?? 0)) {
    Parts.push({ PartNumber: held.partNumber, ETag: held.tag, Size: held.plaintext.length })
  }
  return { ...output, Parts }
}
