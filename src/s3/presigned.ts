import type { S3Client } from "@aws-sdk/client-s3"

/** Commands whose request or answer carries what an object holds, or decides how it is stored. */
const GUARDED = [
  "GetObjectCommand",
  "HeadObjectCommand",
  "PutObjectCommand",
  "CopyObjectCommand",
  "CreateMultipartUploadCommand",
  "UploadPartCommand",
  "UploadPartCopyCommand",
  "CompleteMultipartUploadCommand",
]

type Stack = S3Client["middlewareStack"]

/**
 * OBJ-2.6: a request that is signed and sent by somebody else passes this library by: it would write plaintext, or hand
 * out ciphertext for plaintext. Presigners take a client's stack as it is, and meet an error in this one.
 */
export function guardedStack(stack: Stack): Stack {
  const guarded = (): Stack => {
    const clone = stack.clone()
    clone.add(
      (next, context) => async (args) => {
        if (GUARDED.includes(String(context.commandName))) throw refused(String(context.commandName))
        return next(args)
      },
      { step: "initialize", name: "kmsEnvelopeGuard" },
    )
    return clone
  }
  return { ...stack, clone: guarded, concat: (from) => guarded().concat(from) } as Stack
}

const refused = (commandName: string): TypeError =>
  new TypeError(
    `${commandName} would pass encryption by: a presigned URL carries ciphertext only, so presign with the property ciphertext of this client, and encrypt or decrypt apart`,
  )
