import {
  DeleteObjectCommand,
  type DeleteObjectCommandInput,
  type DeleteObjectCommandOutput,
  type DeleteObjectsCommandInput,
  type DeleteObjectsCommandOutput,
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
} from "@aws-sdk/client-s3"
import { collect, nodeBody } from "./bodies.ts"
import { type Call, send, sendAs, sharedInput } from "./call.ts"
import { INSTRUCTION_FILE_METADATA, instructionFileKey, MAX_INSTRUCTION_FILE_LENGTH } from "./s3ec/index.ts"

/**
 * Writes an object's instruction file, after the object: before it, an object that is then refused, by a condition or
 * otherwise, would have taken the key of the one that stays.
 */
export async function putInstructionFile(call: Call, body: string | undefined): Promise<void> {
  if (body === undefined) return
  const shared = sharedInput(call.input)
  const Key = instructionFileKey(shared.Key)
  await send(call, new PutObjectCommand({ ...shared, Key, Body: body, Metadata: { ...INSTRUCTION_FILE_METADATA } }))
}

/** The instruction file of an object. @returns undefined when there is none; too long a file is cut, and refused by its reader */
export async function fetchInstructionFile(call: Call): Promise<Uint8Array | undefined> {
  const shared = sharedInput(call.input)
  try {
    const suffix = call.session.settings.s3ecPlan?.instructionFileSuffix
    const command = new GetObjectCommand({ ...shared, Key: instructionFileKey(shared.Key, suffix) })
    const { Body, ContentLength = 0 } = await send<GetObjectCommandOutput>(call, command)
    const body = nodeBody(Body)
    if (ContentLength <= MAX_INSTRUCTION_FILE_LENGTH) return await collect(body, ContentLength)
    body.destroy()
    return new Uint8Array(MAX_INSTRUCTION_FILE_LENGTH + 1)
  } catch (error) {
    if ((error as Error)?.name === "NoSuchKey") return undefined
    throw error
  }
}

const writesFiles = ({ session }: Call): boolean => session.settings.s3ecPlan?.instructionFile === true

/** DeleteObject: with the instruction file, where the client writes such. A version alone leaves it. */
export async function deleteObject(call: Call<DeleteObjectCommandInput>): Promise<DeleteObjectCommandOutput> {
  const { input } = call
  const output = await sendAs<typeof input, DeleteObjectCommandOutput>(call, input)
  if (writesFiles(call) && input.VersionId === undefined) {
    const shared = sharedInput(input)
    await send(call, new DeleteObjectCommand({ ...shared, Key: instructionFileKey(shared.Key) }))
  }
  return output
}

/** DeleteObjects: likewise, and what is said of instruction files is left out. */
export async function deleteObjects(call: Call<DeleteObjectsCommandInput>): Promise<DeleteObjectsCommandOutput> {
  const { input } = call
  const objects = input.Delete?.Objects ?? []
  if (!writesFiles(call)) return sendAs(call, input)
  const files = objects
    .filter(({ VersionId }) => VersionId === undefined)
    .map(({ Key }) => ({ Key: instructionFileKey(Key!) }))
  const output = await sendAs<typeof input, DeleteObjectsCommandOutput>(call, input)
  if (files.length > 0) await sendAs(call, { ...input, Delete: { ...input.Delete, Objects: files, Quiet: true } })
  return output
}
