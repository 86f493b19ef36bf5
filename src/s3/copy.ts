import {
  type CopyObjectCommandInput,
  type CopyObjectCommandOutput,
  GetObjectCommand,
  type GetObjectCommandInput,
  type GetObjectCommandOutput,
  GetObjectTaggingCommand,
  type GetObjectTaggingCommandOutput,
  PutObjectCommand,
  type PutObjectCommandInput,
  type UploadPartCommandInput,
  type UploadPartCopyCommandInput,
  type UploadPartCopyCommandOutput,
} from "@aws-sdk/client-s3"
import { collect, nodeBody } from "./bodies.ts"
import { type Call, omit, pick, send, sendAs } from "./call.ts"
import type { ObjectPlace } from "./context.ts"
import { copyWithinS3 } from "./copy-s3ec.ts"
import { getObject } from "./get.ts"
import { withoutMessageMetadata } from "./metadata.ts"
import { partTaken } from "./multipart.ts"
import { putObject } from "./put.ts"
import { withoutEnvelope } from "./s3ec/index.ts"
import { uploadOf } from "./upload-state.ts"

/** What a copy takes over from its source with `MetadataDirective` COPY. */
export const HEADERS = [
  "CacheControl",
  "ContentDisposition",
  "ContentEncoding",
  "ContentLanguage",
  "ContentType",
  "WebsiteRedirectLocation",
] as const

const NOT_FOR_PUT = [
  "CopySource",
  "CopySourceIfMatch",
  "CopySourceIfModifiedSince",
  "CopySourceIfNoneMatch",
  "CopySourceIfUnmodifiedSince",
  "CopySourceSSECustomerAlgorithm",
  "CopySourceSSECustomerKey",
  "CopySourceSSECustomerKeyMD5",
  "ExpectedSourceBucketOwner",
  "MetadataDirective",
  "TaggingDirective",
] as const

/**
 * OBJ-2.5: CopyObject reads the source and writes another message, under a data key of its own and bound to its new
 * place: a copy of the bytes would be refused there. Objects of the S3 Encryption Client that bind nothing are copied
 * within S3.
 */
export async function copyObject(call: Call<CopyObjectCommandInput>): Promise<CopyObjectCommandOutput> {
  const { input, session, own } = call
  const source = parseCopySource(input.CopySource)
  const within = await copyWithinS3(call, source)
  if (within !== undefined) return within
  const output = await getObject(sourceCall(call, source))
  const body = nodeBody(output.Body)
  try {
    const put: PutObjectCommandInput = {
      ...(omit(input, NOT_FOR_PUT) as CopyObjectCommandInput),
      ...(await describedAs(call, source, output)),
      Body: body,
      ...(output.ContentLength !== undefined && { ContentLength: output.ContentLength }),
    }
    const { encryption } = own
    const target = { ...omit(own, ["boundTo", "copySourceEncryption"]), ...(encryption && { encryption }) }
    const command = new PutObjectCommand(put)
    const { ETag, ...written } = await putObject({ ...call, session, own: target, input: put, command })
    return {
      ...pick(written, [
        "VersionId",
        "Expiration",
        "ServerSideEncryption",
        "SSEKMSKeyId",
        "BucketKeyEnabled",
        "RequestCharged",
      ]),
      ...(output.VersionId !== undefined && { CopySourceVersionId: output.VersionId }),
      CopyObjectResult: { ETag, LastModified: new Date() },
      $metadata: written.$metadata,
    }
  } finally {
    body.destroy()
  }
}

export interface CopySource extends ObjectPlace {
  readonly versionId?: string
}

/** `bucket/key`, encoded as in a URL, with or without a leading slash and a version. @throws TypeError */
function parseCopySource(text: string | undefined): CopySource {
  const [, path, versionId] = /^\/?([^?]*)(?:\?versionId=(.*))?$/.exec(text ?? "") ?? []
  const slash = path?.indexOf("/") ?? -1
  if (path === undefined || slash < 1 || slash === path.length - 1 || path.startsWith("arn:")) {
    throw new TypeError("CopySource must name a bucket and a key, as bucket/key or bucket/key?versionId=...")
  }
  const decode = (part: string) => decodeURIComponent(part.replaceAll("+", "%20"))
  return {
    bucket: decode(path.slice(0, slash)),
    key: decode(path.slice(slash + 1)),
    ...(versionId !== undefined && { versionId }),
  }
}

/** The read of a copy's source, with the source's conditions and keys. */
export function sourceCall(
  call: Call<CopyObjectCommandInput | UploadPartCopyCommandInput>,
  source: CopySource,
  Range?: string,
): Call<GetObjectCommandInput> {
  const { input, own } = call
  const fields: GetObjectCommandInput = {
    Bucket: source.bucket,
    Key: source.key,
    ...(source.versionId !== undefined && { VersionId: source.versionId }),
    ...present({
      IfMatch: input.CopySourceIfMatch,
      IfNoneMatch: input.CopySourceIfNoneMatch,
      IfModifiedSince: input.CopySourceIfModifiedSince,
      IfUnmodifiedSince: input.CopySourceIfUnmodifiedSince,
      SSECustomerAlgorithm: input.CopySourceSSECustomerAlgorithm,
      SSECustomerKey: input.CopySourceSSECustomerKey,
      SSECustomerKeyMD5: input.CopySourceSSECustomerKeyMD5,
      ExpectedBucketOwner: input.ExpectedSourceBucketOwner,
      RequestPayer: input.RequestPayer,
      Range,
    }),
  }
  const { copySourceEncryption } = own
  return {
    ...call,
    input: fields,
    command: new GetObjectCommand(fields),
    own: {
      ...omit(own, ["encryption", "copySourceEncryption"]),
      ...(copySourceEncryption && { encryption: copySourceEncryption }),
    },
  }
}

const present = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** Metadata, headers and tags of the copy, by the directives. */
async function describedAs(
  call: Call<CopyObjectCommandInput>,
  source: CopySource,
  output: GetObjectCommandOutput,
): Promise<Partial<PutObjectCommandInput>> {
  const { input } = call
  const copied = {
    ...present(pick(output, HEADERS)),
    Metadata: withoutEnvelope(withoutMessageMetadata(output.Metadata)),
  }
  const described = input.MetadataDirective === "REPLACE" ? {} : copied
  if (input.TaggingDirective === "REPLACE" || !output.TagCount) return described
  const command = new GetObjectTaggingCommand({
    Bucket: source.bucket,
    Key: source.key,
    ...(output.VersionId !== undefined && { VersionId: output.VersionId }),
  })
  const { TagSet = [] } = await send<GetObjectTaggingCommandOutput>(call, command)
  const tags = new URLSearchParams(TagSet.map(({ Key, Value }): [string, string] => [Key!, Value!]))
  return { ...described, Tagging: tags.toString() }
}

/** UploadPartCopy: the plaintext of the source's range becomes a part as any other. */
export async function uploadPartCopy(call: Call<UploadPartCopyCommandInput>): Promise<UploadPartCopyCommandOutput> {
  const { input, session } = call
  const upload = uploadOf(session.uploads, input.UploadId)
  if (upload === "off") return sendAs(call, input)
  const source = parseCopySource(input.CopySource)
  const output = await getObject(sourceCall(call, source, input.CopySourceRange))
  const plaintext = await collect(nodeBody(output.Body), output.ContentLength!)
  const part = await partTaken(call as unknown as Call<UploadPartCommandInput>, upload, input.PartNumber!, plaintext)
  return {
    CopyPartResult: { ETag: part.ETag, LastModified: new Date() },
    ...(output.VersionId !== undefined && { CopySourceVersionId: output.VersionId }),
    $metadata: part.$metadata,
  }
}
