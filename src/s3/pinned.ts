import { GetObjectCommand, type GetObjectCommandInput, type GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { type Call, send, sharedInput } from "./call.ts"

/** What holds every request of one read to one and the same object (OBJ-5.4). */
export interface Pin {
  readonly IfMatch?: string
  readonly VersionId?: string
}

/** `null` names what stands in the place of the unversioned object, which can be replaced. */
export const pinOf = ({ ETag, VersionId }: Pick<GetObjectCommandOutput, "ETag" | "VersionId">): Pin => ({
  ...(ETag !== undefined && { IfMatch: ETag }),
  ...(VersionId !== undefined && VersionId !== "null" && { VersionId }),
})

/** Bytes `start` to `end`, exclusive, of the object that is pinned. */
export function getPinned(
  call: Pick<Call<GetObjectCommandInput>, "session" | "http" | "input">,
  pin: Pin,
  start: number,
  end: number,
): Promise<GetObjectCommandOutput> {
  const { input } = call
  const version = pin.VersionId ?? input.VersionId
  const command = new GetObjectCommand({
    ...sharedInput(input),
    ...pin,
    ...(version !== undefined && { VersionId: version }),
    Range: `bytes=${start}-${end - 1}`,
  })
  return send(call, command)
}

/** Whether S3 says that the object is another one now. */
export function isChanged(error: unknown): boolean {
  const { name, $metadata } = (error ?? {}) as { name?: unknown; $metadata?: { httpStatusCode?: unknown } }
  return name === "PreconditionFailed" || $metadata?.httpStatusCode === 412
}
