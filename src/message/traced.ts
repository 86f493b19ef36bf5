import { EnvelopeError, type OpenTrace, openTrace } from "../core/index.ts"
import { decryptor } from "./decryptor.ts"
import { encryptor } from "./encryptor.ts"
import { decryptTrace, type ReadPlan } from "./open.ts"
import type { Processor } from "./processor.ts"
import { encryptTrace, type WritePlan } from "./write.ts"

/** `encryptor`, traced from here to its end when anybody listens. */
export function tracedEncryptor(operation: string, plan: WritePlan, plaintextLength: number | undefined): Processor {
  const open = openTrace("encrypt", () => encryptTrace(plan, operation))
  const processor = encryptor(plan, plaintextLength)
  return open === undefined ? processor : tracedProcessor(processor, open, "in")
}

/** `decryptor`, traced from here to its end when anybody listens. */
export function tracedDecryptor(operation: string, plan: ReadPlan, signed: "refuse" | "verify-at-end"): Processor {
  const open = openTrace("decrypt", () => decryptTrace(plan, operation))
  const processor = decryptor(plan, signed)
  return open === undefined ? processor : tracedProcessor(processor, open, "out")
}

/** @param plaintext on which side of the processor the plaintext is */
function tracedProcessor(processor: Processor, open: OpenTrace, plaintext: "in" | "out"): Processor {
  const { trace } = open
  const count = (bytes: Uint8Array) => {
    trace.plaintextLength = (trace.plaintextLength ?? 0) + bytes.length
  }
  processor.header.then(
    ({ suiteId, wrappedKeys }) => Object.assign(trace, { suiteId, wrappedKeyCount: wrappedKeys.length }),
    () => {},
  )
  const counted = async function* (pieces: AsyncGenerator<Uint8Array, void, void>) {
    for await (const piece of withinTrace(open, pieces)) {
      if (plaintext === "out") count(piece)
      yield piece
    }
  }
  return {
    header: processor.header,
    async *write(chunk) {
      if (plaintext === "in") count(chunk)
      yield* counted(processor.write(chunk))
    },
    async *end() {
      yield* counted(processor.end())
      trace.plaintextLength ??= 0
      open.end()
    },
    close(error) {
      processor.close(error)
      open.end(error ?? new EnvelopeError("Closed", "the stream was destroyed"))
    },
  }
}

/** A generator runs in the context of whoever asks for its next piece: here always the trace's. */
async function* withinTrace(open: OpenTrace, pieces: AsyncGenerator<Uint8Array, void, void>) {
  try {
    for (;;) {
      const { done, value } = await open.run(() => pieces.next())
      if (done) return
      yield value
    }
  } finally {
    await open.run(() => pieces.return())
  }
}
