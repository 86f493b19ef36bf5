// Turns what kms-envelope publishes on node:diagnostics_channel into OpenTelemetry spans and events.
// Needs the package @opentelemetry/api. Call traceKmsEnvelope() once at start-up; call what it returns to stop.
import { AsyncLocalStorage } from "node:async_hooks"
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel"
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"

/** @param tracer an OpenTelemetry tracer; default: that of the provider registered globally */
export function traceKmsEnvelope(tracer = trace.getTracer("kms-envelope")) {
  const spans = new WeakMap()
  /** The innermost span of ours in this asynchronous context, and the context in which it began. */
  const current = new AsyncLocalStorage()

  // A span that the application began inside ours is the closer parent.
  const parentContext = () => {
    const ours = current.getStore()
    return ours !== undefined && ours.began === context.active() ? ours.inside : context.active()
  }

  const spansOf = (name, kind, attributesOf) => {
    const channel = tracingChannel(`kms-envelope:${name}`)
    const begin = (payload) => {
      const parent = parentContext()
      const span = tracer.startSpan(`kms-envelope ${payload.operation}`, { kind }, parent)
      spans.set(payload, span)
      return { began: context.active(), inside: trace.setSpan(parent, span) }
    }
    const onError = (payload) => {
      const span = spans.get(payload)
      span?.recordException(payload.error)
      span?.setStatus({ code: SpanStatusCode.ERROR, message: payload.error?.code ?? payload.error?.name })
    }
    const onEnd = (payload) => {
      const span = spans.get(payload)
      span?.setAttributes(attributesOf(payload))
      span?.end()
    }
    channel.start.bindStore(current, begin)
    channel.error.subscribe(onError)
    channel.asyncEnd.subscribe(onEnd)
    return () => {
      channel.start.unbindStore(current)
      channel.error.unsubscribe(onError)
      channel.asyncEnd.unsubscribe(onEnd)
    }
  }

  // A decision of the cache is an event of the span in which it falls.
  const onCacheDecision = (payload) => {
    const { side, decision, reason } = payload
    const span = trace.getSpan(parentContext())
    span?.addEvent(`kms-envelope cache ${decision}`, reason === undefined ? { side } : { side, reason })
  }
  subscribe("kms-envelope:cache", onCacheDecision)

  const stops = [
    spansOf("encrypt", SpanKind.INTERNAL, messageAttributes),
    spansOf("decrypt", SpanKind.INTERNAL, messageAttributes),
    spansOf("kms", SpanKind.CLIENT, kmsAttributes),
    () => unsubscribe("kms-envelope:cache", onCacheDecision),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

const messageAttributes = ({ keyring, suiteId, plaintextLength, wrappedKeyCount }) => ({
  "kms_envelope.keyring": keyring,
  "kms_envelope.suite": suiteId,
  "kms_envelope.plaintext_length": plaintextLength,
  "kms_envelope.wrapped_keys": wrappedKeyCount,
})

const kmsAttributes = ({ operation, keyId, requestId }) => ({
  "rpc.system": "aws-api",
  "rpc.service": "KMS",
  "rpc.method": operation,
  "aws.kms.key_id": keyId,
  "aws.request_id": requestId,
})
