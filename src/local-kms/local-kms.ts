import { randomUUID } from "node:crypto"
import type { KMSClient } from "@aws-sdk/client-kms"
import { EnvelopeError } from "../core/index.ts"
import type { Bill } from "../cost/index.ts"
import { type AccessKeys, accessKeys, endAccessKey } from "./access-keys.ts"
import type { AuditEvent } from "./audit.ts"
import { actualBill, type BillOptions } from "./bill.ts"
import { type Caller, type DirectClient, directClient, sdkClient } from "./clients.ts"
import { listAccessKeys } from "./credentials.ts"
import { createDispatcher, type Dispatch } from "./dispatcher.ts"
import {
  type ExplainedRequest,
  type ExplainRequest,
  existingKey,
  explainRequest,
  replayPolicy,
} from "./explain-request.ts"
import { type KmsServer, type ListenOptions, listen } from "./http/listen.ts"
import { type MayAssumeRole, trustOwnAccount } from "./http/sts.ts"
import { iamEvent } from "./iam-events.ts"
import { createLifetime, type Lifetime } from "./lifetime.ts"
import { readUsage, type Usage } from "./meter.ts"
import { type OpenedStore, openStore, type RootKeyOptions } from "./open-store.ts"
import {
  type CallerOptions,
  type ClientOptions,
  checkPlace,
  DEFAULT_ACCOUNT,
  DEFAULT_REGION,
  type InMemoryOptions,
  type LocalKmsOptions,
  type OpenOptions,
  propagationMs,
  readMaxEvents,
  type ServiceClientOptions,
  type ServiceHandle,
} from "./options.ts"
import type { Replay } from "./policy/index.ts"
import { parsePrincipal } from "./principal.ts"
import { type PolicyInput, type Principals, principals } from "./principals/manage.ts"
import { mayAssumeRole } from "./principals/trust.ts"
import { readQuotas } from "./quotas.ts"
import { applySeed, type SeedResult } from "./seed/apply.ts"
import { readSeed, type Seed } from "./seed/read.ts"
import { awsService, SERVICE_ACCOUNT } from "./services.ts"
import { memoryStore } from "./store/memory.ts"
import { appendEvent } from "./trail/append.ts"
import { type Delivery, deliverTrail } from "./trail/deliver.ts"
import { type SignedDigest, signDigest, signingKey } from "./trail/digest.ts"
import type { EventQuery } from "./trail/query.ts"
import {
  type EventPage,
  findEvents,
  type PageOptions,
  readEventPage,
  type StreamOptions,
  streamEvents,
} from "./trail/search.ts"
import type { DeliverySink } from "./trail/sink.ts"
import { type AuditReport, type VerifyAuditOptions, verifyTrail } from "./trail/verify.ts"
import { temporaryVault } from "./vault.ts"

const PARTITION = "aws"

/**
 * A KMS that runs in the process, for development, tests and use without an AWS account. It answers the AWS SDK's own
 * client, with AWS's key states, errors and checks, and records every request as a CloudTrail-shaped event.
 *
 * @example
 * ```ts
 * await using kms = await LocalKms.open("./kms-data")
 * const client = kms.client()
 * const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
 * ```
 */
export class LocalKms {
  readonly accountId: string
  readonly region: string
  /** Who may sign requests that come over HTTP. */
  readonly accessKeys: AccessKeys
  /** Users, roles and groups with identity policies. */
  readonly principals: Principals
  readonly #vault: OpenedStore["vault"]
  readonly #storeId: string
  readonly #clock: () => number
  readonly #keepEvents: number
  readonly #dispatch: Dispatch
  readonly #lifetime: Lifetime
  /** For work that takes many steps: it ends with the KMS. */
  readonly #store: OpenedStore["store"]

  private constructor(opened: OpenedStore, options: LocalKmsOptions, keepEvents: number) {
    const { store, vault, storeId } = opened
    const { accountId = DEFAULT_ACCOUNT, region = DEFAULT_REGION, clock = Date.now } = options
    checkPlace(accountId, region)
    this.accountId = accountId
    this.region = region
    this.#lifetime = createLifetime(opened)
    this.#store = this.#lifetime.store
    this.#vault = vault
    this.#storeId = storeId
    this.#clock = clock
    this.#keepEvents = keepEvents
    const dispatch = createDispatcher({
      store,
      vault,
      partition: PARTITION,
      quotas: readQuotas(options.quotas),
      grantPropagationMs: propagationMs(options.grantPropagationSeconds),
      registeredOnly: options.registeredPrincipalsOnly ?? false,
      clock,
      keepEvents,
    })
    this.#dispatch = (request) => this.#lifetime.run(() => dispatch(request))
    const trail = this.#trail
    this.accessKeys = accessKeys(this.#store, vault, trail, clock)
    this.principals = principals(this.#store, {
      accountId,
      partition: PARTITION,
      clock,
      onDelete(tx, arn) {
        for (const { accessKeyId } of listAccessKeys(tx, arn)) endAccessKey(tx, accessKeyId, trail, clock())
      },
      note: (tx, change) => appendEvent(tx, iamEvent(clock(), change), trail),
    })
  }

  /**
   * Opens a durable KMS in a folder, or makes one there. Needs the package lmdb. Several processes may have the same
   * folder open; it must be on a local disk. Key material is encrypted at rest.
   *
   * @throws EnvelopeError `KmsStore`: wrong root key, a root key file that others may read, a store of a newer version,
   * a damaged store, or lmdb not installed
   */
  static async open(dir: string, options: OpenOptions = {}): Promise<LocalKms> {
    checkPlace(options.accountId ?? DEFAULT_ACCOUNT, options.region ?? DEFAULT_REGION)
    const rootKey: RootKeyOptions = options
    return new LocalKms(await openStore(dir, rootKey), options, Number.POSITIVE_INFINITY)
  }

  /** Makes a KMS that is gone when it is closed. */
  static inMemory(options: InMemoryOptions = {}): LocalKms {
    const keepEvents = readMaxEvents(options)
    return new LocalKms({ store: memoryStore(), vault: temporaryVault(), storeId: randomUUID() }, options, keepEvents)
  }

  /**
   * A `KMSClient` of the AWS SDK that calls this KMS. Needs the package `@aws-sdk/client-kms`.
   *
   * @throws TypeError for a principal that is no ARN of a root, user, role or session
   */
  client(options: ClientOptions = {}): KMSClient {
    return sdkClient(this.#dispatch, this.#caller(options), options.config ?? {})
  }

  /** The same without the AWS SDK: `send(command)` with the SDK's commands or lookalikes, the SDK's outputs and errors. */
  directClient(options: CallerOptions = {}): DirectClient {
    return directClient(this.#dispatch, this.#caller(options))
  }

  /**
   * Acts as an AWS service: `kms:ViaService` is the service's, events say `invokedBy`, and the service's AWS managed key is
   * made by its first write. No request can claim this: whoever has the handle has the service.
   *
   * @param name `s3`, `ebs`, another service's name, or a host name such as `s3.us-east-1.amazonaws.com`
   * @throws TypeError
   */
  service(name: string): ServiceHandle {
    const service = awsService(name)
    const caller = ({ onBehalfOf, sourceArn, ...options }: ServiceClientOptions): Caller => ({
      ...this.#caller({ ...options, principal: onBehalfOf ?? `arn:${PARTITION}:iam::${SERVICE_ACCOUNT}:root` }),
      service,
      ...(sourceArn === undefined ? {} : { sourceArn }),
    })
    return {
      name: service.name,
      client: (options = {}) => sdkClient(this.#dispatch, caller(options), options.config ?? {}),
      directClient: (options = {}) => directClient(this.#dispatch, caller(options)),
    }
  }

  /**
   * Serves this KMS, and STS's GetCallerIdentity and AssumeRole, over HTTP: for any AWS SDK and the AWS CLI. Requests
   * must be signed with one of `accessKeys`, unless `open` says otherwise. Ends with `close()` of either.
   *
   * @throws TypeError for a host that other machines can reach without `tls` or `insecure`
   */
  async listen(options: ListenOptions = {}): Promise<KmsServer> {
    this.#lifetime.requireOpen()
    const { accountId, region } = this
    const served = {
      dispatch: this.#dispatch,
      store: this.#store,
      vault: this.#vault,
      clock: this.#clock,
      partition: PARTITION,
      accountId,
      region,
      record: (events: readonly AuditEvent[]) =>
        this.#store.transaction((tx) => {
          for (const event of events) appendEvent(tx, event, this.#trail)
        }),
      mayAssumeRole: ((request) =>
        this.#store.read((reader) => mayAssumeRole(reader, request, this.#clock())) ??
        trustOwnAccount(request)) satisfies MayAssumeRole,
    }
    const server = await this.#lifetime.run(() => listen(served, options))
    this.#lifetime.addDoor(server)
    return server
  }

  /**
   * Makes the keys, aliases and access keys of a start-up file, and leaves what is there already as the file says.
   *
   * @throws TypeError that names the place in the file and what is wrong there; nothing is changed then
   */
  async seed(seed: Seed): Promise<SeedResult> {
    const checked = readSeed(seed)
    const { accountId, region } = this
    return this.#store.transaction((tx) =>
      applySeed(tx, checked, { ...this.#trail, accountId, region, partition: PARTITION, now: this.#clock() }),
    )
  }

  /**
   * Why a request is, or would be, allowed or refused: the decision, and of every statement of every policy what matched.
   * Nothing is recorded.
   *
   * @throws TypeError for an action, principal or policy that is none; RangeError for a key that is not there, and for a
   * grant token without a grant
   */
  async explain(request: ExplainRequest): Promise<ExplainedRequest> {
    const { principal } = this.#caller(request)
    const scope = { partition: PARTITION, region: request.region ?? this.region, accountId: principal.accountId }
    const service = request.service === undefined ? undefined : awsService(request.service)
    const origin = { scope, principal, service, now: this.#clock(), vault: this.#vault }
    return this.#store.read((reader) => explainRequest(reader, request, origin))
  }

  /**
   * Which of the recorded calls about a key another key policy would refuse, and which refused ones it would allow; with
   * the identity policies and grants of today.
   *
   * @param keyId id, ARN, alias or alias ARN, of the KMS's account and Region where it does not say
   * @throws TypeError for a policy that is none; RangeError for a key that is not there
   */
  async replayPolicy(keyId: string, policy: PolicyInput, query: Omit<EventQuery, "keyArn"> = {}): Promise<Replay> {
    const scope = { partition: PARTITION, region: this.region, accountId: this.accountId }
    const keyArn = this.#store.read((reader) => existingKey(reader, keyId, scope).arn)
    const events = await this.events({ ...query, keyArn })
    return this.#store.read((reader) => replayPolicy(reader, keyId, policy, events, scope))
  }

  /**
   * The audit trail, oldest event first. Every request is there, refused ones too, from the moment it is answered.
   *
   * @throws EnvelopeError `Closed`
   */
  async events(query: EventQuery & Pick<StreamOptions, "last"> = {}): Promise<AuditEvent[]> {
    return findEvents(this.#store, query, query.last)
  }

  /** The same in pages, for long trails. @throws EnvelopeError `Closed`; RangeError for a limit or cursor that is none */
  async eventPage(query: EventQuery = {}, options: PageOptions = {}): Promise<EventPage> {
    return readEventPage(this.#store, query, options)
  }

  /** The same one by one, and with `follow` those to come. @throws EnvelopeError `Closed`; the signal's reason */
  streamEvents(query: EventQuery = {}, options: StreamOptions = {}): AsyncGenerator<AuditEvent, void, undefined> {
    return streamEvents(this.#store, query, options)
  }

  /**
   * Compares the audit trail with what this KMS wrote, and names the events that were removed, edited, moved or added
   * since. What was cut off together with everything after it, by whoever put an older copy of the whole store in
   * place, shows only against a digest that was kept elsewhere.
   *
   * @throws EnvelopeError `Closed`
   */
  async verifyAudit(options: VerifyAuditOptions = {}): Promise<AuditReport> {
    return verifyTrail(this.#store, this.#trail, options)
  }

  /**
   * Signs what the trail holds now (RSASSA-PKCS1-v1_5 with SHA-256 under a 2,048-bit key of the store). When nothing is
   * new, that is the last digest again, and `undefined` while there is no event.
   *
   * @throws EnvelopeError `KmsStore` for a trail that was changed, `Closed`
   */
  async signAudit(): Promise<SignedDigest | undefined> {
    return signDigest(this.#store, this.#trail, this.#digestOptions())
  }

  /** The key that verifies digests, as PEM (SubjectPublicKeyInfo). @throws EnvelopeError `KmsStore`, `Closed` */
  async auditPublicKey(): Promise<string> {
    const { publicKey } = await signingKey(this.#store, this.#vault)
    return publicKey.export({ format: "pem", type: "spki" }) as string
  }

  /**
   * Delivers the events that a destination has not got yet as CloudTrail log files with signed digest files. May be
   * interrupted at any time: the next delivery goes on, and no event is there twice.
   *
   * @param destination a folder's path, or another sink
   * @throws EnvelopeError `KmsStore` for a trail that was changed, `Closed`; the destination's own errors
   */
  async deliverAudit(destination: string | DeliverySink): Promise<Delivery> {
    return deliverTrail(this.#store, this.#trail, destination, this.#digestOptions())
  }

  /** Requests counted by operation, key and month. @throws EnvelopeError `Closed` */
  async usage(): Promise<Usage> {
    return this.#store.read(readUsage)
  }

  /**
   * What AWS KMS would have charged for the requests and the keys of a month.
   *
   * @throws RangeError for no month or one without known prices; EnvelopeError `Closed`
   */
  async bill({ month, accountId = this.accountId }: BillOptions = {}): Promise<Bill> {
    const now = new Date(this.#clock())
    return this.#store.read((reader) => actualBill(reader, accountId, now, month))
  }

  /**
   * Copies a durable KMS, as it is at one moment, into a new or empty folder, while it goes on working. A root key file is not
   * copied: keep it elsewhere, and open the copy with `rootKeyFile`, or with the same passphrase.
   *
   * @throws EnvelopeError `KmsStore` for a folder that is not empty or cannot be written, and for a KMS in memory; `Closed`
   */
  async backup(folder: string): Promise<void> {
    if (this.#store.backup === undefined) throw new EnvelopeError("KmsStore", "a KMS in memory has no files to copy")
    await this.#store.backup(folder)
  }

  /** Closes the HTTP doors, waits for running requests, closes the store and overwrites the key that seals all key material. */
  close(): Promise<void> {
    return this.#lifetime.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #trail() {
    return { vault: this.#vault, keepEvents: this.#keepEvents }
  }

  #digestOptions = () => ({ storeId: this.#storeId, now: this.#clock() })

  #caller({ principal, region = this.region }: CallerOptions): Caller {
    checkPlace(this.accountId, region)
    const caller = parsePrincipal(principal ?? `arn:${PARTITION}:iam::${this.accountId}:root`)
    return { principal: caller, region, ...(caller.type === "AssumedRole" && { session: { issuedAt: this.#clock() } }) }
  }
}
