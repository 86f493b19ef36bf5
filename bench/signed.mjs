// Signed messages against the bare P-384 operations and the official SDK: `npm run bench:signed [-- --quick]`.
import { createSign, createVerify, generateKeyPairSync } from "node:crypto"
import {
  AlgorithmSuiteIdentifier,
  buildDecrypt,
  buildEncrypt,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node"
import { decrypt, encrypt, rawAesKeyring } from "kms-envelope"
import { compare, effort, printComparison } from "./harness.mjs"

const wrappingKey = new Uint8Array(32).fill(7)
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
const keyring = rawAesKeyring({ keyNamespace: "bench", keyName: "key", wrappingKey })
const officialKeyring = new RawAesKeyringNode({
  keyNamespace: "bench",
  keyName: "key",
  unencryptedMasterKey: wrappingKey.slice(),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})
const official = { ...buildEncrypt(), ...buildDecrypt() }

const plaintext = Buffer.alloc(256, 1)
const newPair = () => generateKeyPairSync("ec", { namedCurve: "secp384r1" })
const sign = (pair) => createSign("sha384").update(plaintext).sign(pair.privateKey)
const pair = newPair()
const signature = sign(pair)

printComparison(
  "encrypt 256 B, signed",
  await compare(
    [
      { name: "kms-envelope", ours: true, run: () => encrypt(plaintext, { keyring, signed: true }) },
      { name: "bare P-384 key generation and signature", run: () => sign(newPair()) },
      { name: "official", run: () => official.encrypt(officialKeyring, plaintext, { suiteId }) },
    ],
    effort,
  ),
)
const message = await encrypt(plaintext, { keyring, signed: true })
printComparison(
  "decrypt 256 B, signed",
  await compare(
    [
      { name: "kms-envelope", ours: true, run: () => decrypt(message, { keyring }) },
      {
        name: "bare P-384 verification",
        run: () => createVerify("sha384").update(plaintext).verify(pair.publicKey, signature),
      },
      { name: "official", run: () => official.decrypt(officialKeyring, message) },
    ],
    effort,
  ),
)
