import { LocalKms } from "../../../src/local-kms/index.ts"
import { command } from "../command.ts"

/* Makes requests, signs and delivers the trail for ever. Prints the number of events after each delivery. */
const [dir, logs] = process.argv.slice(2)
const kms = await LocalKms.open(dir!)
const client = kms.directClient()
for (;;) {
  await Promise.all(Array.from({ length: 20 }, () => client.send(command("GenerateRandom", { NumberOfBytes: 1 }))))
  const { lastEvent } = await kms.deliverAudit(logs!)
  process.stdout.write(`${lastEvent}\n`)
}
