import type { EncryptionContext, Keyring, MaybePromise } from "../core/index.ts"
import {
  bucketKeyKeyring,
  bucketKeyReader,
  type ClosableKeyring,
  decryptionMaterials,
  kmsAliasKeyring,
  kmsKeyring,
} from "../keyrings/index.ts"
import { type ChoiceName, choiceOf, customerKeyring, type EncryptionChoice, ruleFor } from "./choices.ts"
import { bucketArn, type ObjectPlace, placePairs } from "./context.ts"
import type { EncryptionSendOptions, Settings } from "./options.ts"

/** The keyring of one call; closed when the call is done. */
export interface LeasedKeyring {
  readonly keyring: Keyring
  /** Overwrites a customer-provided key; keyrings of the client stay. */
  close(): void
}

/** Finds the keyring of an object, by its place and the call's options. */
export interface Keys {
  /** @returns "off" for an object that is not to be encrypted. @throws TypeError */
  forWriting(place: ObjectPlace, own: EncryptionSendOptions): LeasedKeyring | "off"
  forReading(place: ObjectPlace, own: EncryptionSendOptions): LeasedKeyring
  /** Closes the bucket keys. */
  close(): void
}

/** A way to encrypt that the client's options name, with its bucket keys by bucket. */
interface Ring {
  readonly keyring: Keyring
  readonly withBucketKeys: Map<string, ClosableKeyring>
}

const stays = (keyring: Keyring): LeasedKeyring => ({ keyring, close: () => {} })

const leased = (keyring: ClosableKeyring): LeasedKeyring => ({ keyring, close: () => keyring.close() })

/** @throws TypeError for a choice that the options cannot serve (OBJ-6.3) */
export function createKeys(settings: Settings): Keys {
  const { keyring, bucketKey, defaultEncryption } = settings
  const rings = new Map<unknown, Ring>()
  const addRing = (id: unknown, make: () => Keyring): Ring => {
    let ring = rings.get(id)
    if (ring === undefined) {
      ring = { keyring: make(), withBucketKeys: new Map() }
      rings.set(id, ring)
    }
    return ring
  }
  if (keyring !== undefined) addRing(keyring, () => keyring)

  const ringOf = (choice: EncryptionChoice, name: ChoiceName | undefined): Ring => {
    if (name === "kmsKeyId") return addRing(`kms ${choice.kmsKeyId}`, () => kmsRing(settings, choice.kmsKeyId!))
    if (name === "awsOwnedKey") return addRing(name, () => ownedRing(settings))
    if (name === "awsManagedKey") return addRing(name, () => managedRing(settings))
    const own = name === "keyring" ? choice.keyring : keyring
    if (own !== undefined) return addRing(own, () => own)
    throw new TypeError("nothing says how to encrypt: give keyring, a rule in defaultEncryption, or encryption")
  }

  const bucketKeyed = (ring: Ring, bucket: string): Keyring => {
    if (bucketKey === undefined) {
      throw new TypeError("bucketKey: true needs the client's option bucketKey, which says how long one is held")
    }
    let found = ring.withBucketKeys.get(bucket)
    if (found === undefined) {
      found = bucketKeyKeyring(ring.keyring, { ...bucketKey, bucketArn: bucketArn(bucket, settings.partition) })
      ring.withBucketKeys.set(bucket, found)
    }
    return found
  }

  const checkChoice = (choice: EncryptionChoice): ChoiceName | undefined => {
    const name = choiceOf(choice)
    if (name === "off" && !settings.allowUnencrypted) {
      throw new TypeError("encryption off needs the client's option allowUnencrypted: true")
    }
    return name
  }

  // Every rule is tried once here, so that a configuration that cannot work fails at construction.
  for (const { encryption } of defaultEncryption) {
    const name = checkChoice(encryption)
    if (name === "off") continue
    const ring = ringOf(encryption, name)
    if (encryption.bucketKey) bucketKeyed(ring, "any")
  }

  // What a single call names is no promise to read by it ever after.
  const configured = [...rings.values()]
  return {
    forWriting(place, { encryption }) {
      const choice = encryption ?? ruleFor(defaultEncryption, place.bucket, place.key)?.encryption ?? {}
      const name = checkChoice(choice)
      if (name === "off") return "off"
      if (name === "customerKey") return leased(customerKeyring(choice.customerKey!))
      const ring = ringOf(choice, name)
      const wanted = choice.bucketKey ?? (name === undefined && bucketKey !== undefined)
      return stays(wanted ? bucketKeyed(ring, place.bucket) : ring.keyring)
    },
    forReading(place, { encryption = {} }) {
      const name = choiceOf(encryption)
      if (name === "customerKey") return leased(customerKeyring(encryption.customerKey!))
      const arn = bucketArn(place.bucket, settings.partition)
      const given = name === undefined || name === "off" ? [] : [ringOf(encryption, name)]
      const readers = [...new Set([...given, ...configured])].map((ring) =>
        bucketKey === undefined || ring.keyring.materials !== undefined
          ? bucketKeyReader(ring.keyring, arn)
          : bucketKeyed(ring, place.bucket),
      )
      if (readers.length === 0) throw new TypeError("nothing says how to decrypt: give keyring or defaultEncryption")
      return stays(firstOf(readers))
    },
    close() {
      for (const { withBucketKeys } of rings.values()) {
        for (const one of withBucketKeys.values()) one.close()
        withBucketKeys.clear()
      }
    },
  }
}

/** The context of an object, to write it or to hold it to. */
export function contextOf(settings: Settings, place: ObjectPlace, own: EncryptionSendOptions): EncryptionContext {
  const { objectContext = settings.objectContext, encryptionContext } = own
  return {
    ...settings.encryptionContext,
    ...encryptionContext,
    ...placePairs(objectContext, place, settings.partition),
  }
}

function kmsRing({ kms }: Settings, keyId: string): Keyring {
  if (kms === undefined) throw new TypeError("kmsKeyId needs the client's option kms, a KMS client")
  if (!/^alias\/|:alias\//.test(keyId)) return kmsKeyring({ client: kms, generatorKeyId: keyId })
  const client = typeof kms === "function" ? kms(keyId.split(":")[3] ?? "") : kms
  if (client === undefined) throw new TypeError(`kms gives no KMS client for the Region of ${keyId}`)
  return kmsAliasKeyring(client, keyId)
}

const S3_ALIAS = "alias/aws/s3"

function ownedRing(settings: Settings): Keyring {
  const instead = 'the input ServerSideEncryption: "AES256", or a customer managed key with kmsKeyId'
  return kmsAliasKeyring(serviceOf(settings, "an AWS owned key", instead).directClient(), S3_ALIAS)
}

function managedRing(settings: Settings): Keyring {
  const instead = 'the input ServerSideEncryption: "aws:kms", or a customer managed key with kmsKeyId'
  const service = serviceOf(settings, "the AWS managed key alias/aws/s3", instead)
  if (settings.onBehalfOf === undefined) {
    throw new TypeError("the AWS managed key alias/aws/s3 needs onBehalfOf, the principal for whom S3 uses it")
  }
  return kmsAliasKeyring(service.directClient({ onBehalfOf: settings.onBehalfOf }), S3_ALIAS)
}

function serviceOf({ service }: Settings, what: string, instead: string) {
  if (service?.name === "s3" && typeof service.directClient === "function") return service
  throw new TypeError(
    `only the embedded KMS can use ${what}, through its service S3 (option service: kms.service("s3")); against another KMS use ${instead}`,
  )
}

/** Asks one keyring after the other. @throws the one failure, or the first of several when none unwraps */
function firstOf(keyrings: readonly Keyring[]): Keyring {
  const [only] = keyrings
  if (keyrings.length === 1) return only!
  const ask = async <T>(one: (keyring: Keyring) => MaybePromise<T | undefined>): Promise<T | undefined> => {
    let failure: { error: unknown } | undefined
    for (const keyring of keyrings) {
      try {
        const found = await one(keyring)
        if (found !== undefined) return found
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
    return undefined
  }
  return {
    name: keyrings.map(({ name }) => name).join(", "),
    wrap: () => {
      throw new TypeError("this keyring only decrypts")
    },
    unwrap: (request) => ask((keyring) => keyring.unwrap(request)),
    materials: {
      encryption: () => {
        throw new TypeError("this keyring only decrypts")
      },
      decryption: (request) => ask((keyring) => decryptionMaterials(keyring, request)),
    },
  }
}
