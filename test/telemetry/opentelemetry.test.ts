import { AsyncLocalStorage } from "node:async_hooks"
import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { type Context, type ContextManager, context, ROOT_CONTEXT, SpanStatusCode } from "@opentelemetry/api"
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
// @ts-expect-error: JavaScript; test/examples compiles it
import { traceKmsEnvelope } from "../../examples/opentelemetry.mjs"
import { cachingKeyring, decrypt, encrypt, encryptStream, type Keyring, kmsKeyring } from "../../src/index.ts"
import { createWorld, type KmsWorld } from "../keyrings/kms-world.ts"
import { errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { settled } from "./listen.ts"

const exporter = new InMemorySpanExporter()
/** Span ids in order of their start, which clocks are too coarse to tell. */
const started: string[] = []
const order: SpanProcessor = {
  onStart: (span) => void started.push(span.spanContext().spanId),
  onEnd: () => {},
  forceFlush: async () => {},
  shutdown: async () => {},
}
const spanProcessors = [order, new SimpleSpanProcessor(exporter)]
const tracer = new BasicTracerProvider({ spanProcessors }).getTracer("test")

/** What an application has from @opentelemetry/context-async-hooks. */
const storage = new AsyncLocalStorage<Context>()
const contextManager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, fn, self, ...args) => storage.run(active, () => fn.call(self as never, ...args)),
  bind: (_active, target) => target,
  enable: () => contextManager,
  disable: () => contextManager,
}

let world: KmsWorld
let keyring: Keyring
let stop: () => void
beforeAll(async () => {
  world = await createWorld()
  keyring = kmsKeyring({ client: world.home, generatorKeyId: world.keyArn, keyIds: [world.otherArn] })
  context.setGlobalContextManager(contextManager)
  stop = traceKmsEnvelope(tracer)
})
afterEach(() => exporter.reset())
afterAll(() => {
  stop()
  context.disable()
})

/** Spans as lines, children under their parents by two spaces, in order of their start. */
function tree(spans: readonly ReadableSpan[]): string[] {
  const place = (span: ReadableSpan) => started.indexOf(span.spanContext().spanId)
  const sorted = [...spans].sort((a, b) => place(a) - place(b))
  const below = (parent: string | undefined, depth: number): string[] =>
    sorted
      .filter((span) => span.parentSpanContext?.spanId === parent)
      .flatMap((span) => [" ".repeat(depth * 2) + span.name, ...below(span.spanContext().spanId, depth + 1)])
  return below(undefined, 0)
}

const spanNamed = (name: string) => exporter.getFinishedSpans().find((span) => span.name === name)!

describe("the OpenTelemetry recipe", () => {
  test("KMS calls are children of the encryption and decryption that made them", async () => {
    const message = await encrypt(pattern(1000), { keyring })
    await decrypt(message, { keyring })
    expect(tree(exporter.getFinishedSpans())).toEqual([
      "kms-envelope encrypt",
      "  kms-envelope GenerateDataKey",
      "  kms-envelope Encrypt",
      "kms-envelope decrypt",
      "  kms-envelope Decrypt",
    ])
    expect(spanNamed("kms-envelope encrypt").attributes).toEqual({
      "kms_envelope.keyring": keyring.name,
      "kms_envelope.suite": 0x0478,
      "kms_envelope.plaintext_length": 1000,
      "kms_envelope.wrapped_keys": 2,
    })
    expect(spanNamed("kms-envelope Decrypt").attributes).toMatchObject({
      "rpc.method": "Decrypt",
      "aws.kms.key_id": world.keyArn,
      "aws.request_id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  test("spans stand under the application's own, also those begun inside a KMS client", async () => {
    const client = {
      send: (command: object) =>
        tracer.startActiveSpan("client middleware", async (span) => {
          const response = await world.home.send(command as never)
          span.end()
          return response
        }),
    }
    const single = kmsKeyring({ client, generatorKeyId: world.keyArn })
    await tracer.startActiveSpan("request", async (span) => {
      await encrypt("x", { keyring: single })
      span.end()
    })
    expect(tree(exporter.getFinishedSpans())).toEqual([
      "request",
      "  kms-envelope encrypt",
      "    kms-envelope GenerateDataKey",
      "  client middleware",
    ])
  })

  test("concurrent requests keep their spans apart", async () => {
    const request = (name: string) =>
      tracer.startActiveSpan(name, async (span) => {
        await encrypt("x", { keyring })
        span.end()
      })
    await Promise.all(["a", "b", "c"].map(request))
    const roots = exporter.getFinishedSpans().filter((span) => span.parentSpanContext === undefined)
    for (const root of roots) {
      const { traceId } = root.spanContext()
      expect(exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId)).toHaveLength(4)
    }
    expect(roots).toHaveLength(3)
  })

  test("a stream is one span that holds its KMS calls", async () => {
    await buffer(Readable.from([pattern(10), pattern(10)]).pipe(encryptStream({ keyring })))
    await settled()
    expect(tree(exporter.getFinishedSpans())).toEqual([
      "kms-envelope encryptStream",
      "  kms-envelope GenerateDataKey",
      "  kms-envelope Encrypt",
    ])
  })

  test("failures are recorded on the span of the call and on the span of the message", async () => {
    const missing = world.keyArn.replace(/[^/]+$/, "00000000-0000-0000-0000-000000000000")
    await errorOf(() => encrypt("x", { keyring: kmsKeyring({ client: world.home, generatorKeyId: missing }) }))
    for (const name of ["kms-envelope encrypt", "kms-envelope GenerateDataKey"]) {
      const span = spanNamed(name)
      expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: "KmsError" })
      expect(span.events[0]).toMatchObject({ name: "exception", attributes: { "exception.type": "KmsError" } })
      expect(span.ended).toBe(true)
    }
  })

  test("the cache's decisions are events of the message's span", async () => {
    using cached = cachingKeyring(keyring, { maxAgeSeconds: 60 })
    await encrypt("x", { keyring: cached })
    await encrypt("x", { keyring: cached })
    const [first, second] = exporter.getFinishedSpans().filter((span) => span.name === "kms-envelope encrypt")
    expect(first!.events.map(({ name }) => name)).toEqual(["kms-envelope cache miss"])
    expect(second!.events).toMatchObject([{ name: "kms-envelope cache hit", attributes: { side: "encrypt" } }])
  })

  test("after it is stopped, nothing is traced", async () => {
    stop()
    await encrypt("x", { keyring })
    expect(exporter.getFinishedSpans()).toEqual([])
    stop = traceKmsEnvelope(tracer)
  })
})
