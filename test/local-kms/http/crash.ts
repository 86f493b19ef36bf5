import { setTimeout as delay } from "node:timers/promises"
import { CreateAliasCommand, CreateKeyCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms"
import { expect } from "vitest"
import { LocalKms } from "../../../src/local-kms/index.ts"
import { commandPath } from "../../cli/command.ts"
import { type ServerProcess, startServer } from "../../support/kms-server.ts"
import { ACCOUNT, bytes, sendTo } from "../helpers.ts"

interface Acknowledged {
  readonly keyId: string
  readonly alias: string
  readonly blob: Uint8Array
}

const credentials = { accessKeyId: "crash", secretAccessKey: "crash-crash" }
const IN_FLIGHT = 4

/**
 * Starts servers on one store, keeps all of them busy, and kills them with SIGKILL at a random moment; so many times. Then the
 * store must hold all that was acknowledged, nothing half done, and a trail that verifies.
 */
export async function crashLoop(dir: string, options: { readonly kills: number; readonly processes: number }) {
  const command = await commandPath()
  const kms = await LocalKms.open(dir)
  await kms.seed({ accessKeys: [{ ...credentials, principal: `arn:aws:iam::${ACCOUNT}:root` }] })
  await kms.close()
  const acknowledged: Acknowledged[] = []
  let requests = 0
  for (let kills = 0; kills < options.kills; kills += options.processes) {
    const starting = Array.from({ length: options.processes }, () => startServer(command, ["--kms", `local:${dir}`]))
    const servers = await Promise.all(starting)
    const before = acknowledged.length
    const load = servers.map((server, i) => keepBusy(server, `${kills}-${i}`, acknowledged, () => requests++))
    while (acknowledged.length <= before + options.processes) await delay(5)
    await delay(150 * Math.random())
    for (const { child } of servers) child.kill("SIGKILL")
    await Promise.all([...load, ...servers.map(({ exited }) => exited)])
  }
  await checkStore(dir, acknowledged, requests)
  return acknowledged.length
}

/** Makes keys, names and ciphertexts until the server is gone. */
async function keepBusy(
  { endpoint }: ServerProcess,
  prefix: string,
  acknowledged: Acknowledged[],
  onReply: () => void,
): Promise<void> {
  const client = new KMSClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 })
  let n = 0
  const worker = async (): Promise<void> => {
    for (;;) {
      const alias = `alias/${prefix}-${n++}`
      const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
      onReply()
      const keyId = KeyMetadata!.KeyId!
      await client.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: keyId }))
      onReply()
      const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: alias, Plaintext: bytes(8) }))
      onReply()
      acknowledged.push({ keyId, alias, blob: CiphertextBlob! })
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, worker))
  client.destroy()
  // The only way out is that nobody answers any more.
  for (const { reason } of ends as PromiseRejectedResult[]) expect(reason.$metadata?.httpStatusCode).toBeUndefined()
}

async function checkStore(dir: string, acknowledged: readonly Acknowledged[], requests: number): Promise<void> {
  await using kms = await LocalKms.open(dir)
  const send = sendTo(kms.directClient())
  for (const { keyId, alias, blob } of acknowledged) {
    const { KeyId, Plaintext } = await send("Decrypt", { KeyId: alias, CiphertextBlob: blob })
    expect(KeyId).toContain(keyId)
    expect(Plaintext).toEqual(bytes(8))
  }
  const created = await kms.events({ eventName: "CreateKey", errorCode: null })
  const keys: string[] = []
  let Marker: string | undefined
  do {
    const page = await send("ListKeys", { Limit: 1000, Marker })
    keys.push(...page.Keys.map(({ KeyArn }: { KeyArn: string }) => KeyArn))
    Marker = page.NextMarker
  } while (Marker !== undefined)
  expect(created.map(({ resources }) => resources![0]!.ARN).sort()).toEqual(keys.sort())
  expect((await kms.usage()).requests).toBeGreaterThanOrEqual(requests + acknowledged.length)
  expect(await kms.verifyAudit()).toMatchObject({ valid: true, problems: [] })
}
