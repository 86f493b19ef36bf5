import { Readable } from "node:stream"
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { collect } from "./bodies.ts"

type Body = NonNullable<GetObjectCommandOutput["Body"]>

const USED = "The stream has already been transformed."

/** A Node stream with the methods that the SDK gives the bodies of its outputs. @param length bytes, where known */
export function sdkBody(stream: Readable, length?: number): Body {
  let used = false
  const use = () => {
    if (used) throw new Error(USED)
    used = true
  }
  const bytes = (): Promise<Uint8Array> => (length === undefined ? concatenated(stream) : collect(stream, length))
  return Object.assign(stream, {
    async transformToByteArray() {
      use()
      return bytes()
    },
    async transformToString(encoding = "utf8") {
      use()
      const all = await bytes()
      if (encoding !== "utf8" && encoding !== "utf-8" && !Buffer.isEncoding(encoding)) {
        return new TextDecoder(encoding).decode(all)
      }
      return Buffer.from(all.buffer, all.byteOffset, all.length).toString(encoding as BufferEncoding)
    },
    transformToWebStream() {
      use()
      return Readable.toWeb(stream) as ReadableStream
    },
  }) as unknown as Body
}

async function concatenated(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

/** Plaintext that is there already. */
export function bytesBody(bytes: Uint8Array): Body {
  const stream = new Readable({
    read() {
      this.push(bytes.length === 0 ? null : bytes)
      if (bytes.length > 0) this.push(null)
    },
  })
  return sdkBody(stream, bytes.length)
}
