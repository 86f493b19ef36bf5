/** Upper bounds of the latency histogram, in seconds. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** How a request ended: `refused` is the caller's doing (HTTP 4xx), `failed` the server's (5xx). */
type Outcome = "succeeded" | "refused" | "failed"

interface Row {
  readonly outcomes: Record<Outcome, number>
  readonly errors: Map<string, number>
  readonly buckets: number[]
  seconds: number
}

/** HTTP-4.7: counts since the server began. Names of operations and errors, counts and times: nothing a caller wrote. */
export interface Metrics {
  /** @returns to be called when it is answered */
  begin(): (operation: string, statusCode: number, error: string | undefined) => void
  /** Prometheus text format, version 0.0.4. */
  render(): string
}

export function createMetrics(): Metrics {
  const rows = new Map<string, Row>()
  const startedAt = Date.now() / 1000
  let inFlight = 0
  return {
    begin() {
      inFlight++
      const start = performance.now()
      return (operation, statusCode, error) => {
        inFlight--
        const row = rows.get(operation) ?? newRow()
        rows.set(operation, row)
        add(row, (performance.now() - start) / 1000, statusCode, error)
      }
    },
    render: () =>
      renderText(
        [...rows].sort(([a], [b]) => (a < b ? -1 : 1)),
        inFlight,
        startedAt,
      ),
  }
}

const newRow = (): Row => ({
  outcomes: { succeeded: 0, refused: 0, failed: 0 },
  errors: new Map(),
  buckets: BUCKETS.map(() => 0),
  seconds: 0,
})

function add(row: Row, seconds: number, statusCode: number, error: string | undefined): void {
  row.outcomes[statusCode < 400 ? "succeeded" : statusCode < 500 ? "refused" : "failed"]++
  if (error !== undefined) row.errors.set(error, (row.errors.get(error) ?? 0) + 1)
  row.seconds += seconds
  const bucket = BUCKETS.findIndex((bound) => seconds <= bound)
  if (bucket >= 0) row.buckets[bucket]!++
}

const total = ({ outcomes }: Row): number => outcomes.succeeded + outcomes.refused + outcomes.failed

/** A metric's name without prefix, its kind and its explanation, then its samples. */
type Family = readonly [name: string, type: string, help: string, samples: readonly (readonly [string, number])[]]

function renderText(rows: readonly (readonly [string, Row])[], inFlight: number, startedAt: number): string {
  const families: Family[] = [
    ["requests_total", "counter", "Requests answered, by operation and outcome.", rows.flatMap(requestSamples)],
    ["errors_total", "counter", "Error replies, by operation and error name.", rows.flatMap(errorSamples)],
    [
      "request_duration_seconds",
      "histogram",
      "Time from a request's first byte to its answer, by operation.",
      rows.flatMap(durationSamples),
    ],
    [
      "availability_ratio",
      "gauge",
      "Share of requests that did not end in an error of the server, since it began.",
      rows.map(([operation, row]) => [`{operation="${operation}"}`, 1 - row.outcomes.failed / total(row)] as const),
    ],
    ["requests_in_flight", "gauge", "Requests being answered now.", [["", inFlight]]],
    ["start_time_seconds", "gauge", "When the server began, in seconds since 1970.", [["", startedAt]]],
  ]
  return families.map(renderFamily).join("")
}

function renderFamily([name, type, help, samples]: Family): string {
  const full = `kms_envelope_${name}`
  const lines = samples.map(([labels, value]) => `${full}${labels} ${value}\n`)
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`
}

const requestSamples = ([operation, { outcomes }]: readonly [string, Row]) =>
  Object.entries(outcomes).map(
    ([outcome, count]) => [`{operation="${operation}",outcome="${outcome}"}`, count] as const,
  )

const errorSamples = ([operation, { errors }]: readonly [string, Row]) =>
  [...errors].sort().map(([error, count]) => [`{operation="${operation}",error="${error}"}`, count] as const)

function durationSamples([operation, row]: readonly [string, Row]) {
  let count = 0
  const buckets = BUCKETS.map((bound, i) => {
    count += row.buckets[i]!
    return [`_bucket{operation="${operation}",le="${bound}"}`, count] as const
  })
  return [
    ...buckets,
    [`_bucket{operation="${operation}",le="+Inf"}`, total(row)] as const,
    [`_sum{operation="${operation}"}`, row.seconds] as const,
    [`_count{operation="${operation}"}`, total(row)] as const,
  ]
}
