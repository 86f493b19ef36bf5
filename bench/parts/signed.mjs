// Signed messages against the bare P-384 operations and the official SDK.
import { createSign, createVerify, generateKeyPairSync } from "node:crypto"
import { cachingKeyring, decrypt, encrypt } from "kms-envelope"
import { compare, effort, report } from "../harness.mjs"
import { keyring, official, officialKeyring, signedSuiteId as suiteId } from "../subjects.mjs"

const plaintext = Buffer.alloc(256, 1)
const newPair = () => generateKeyPairSync("ec", { namedCurve: "secp384r1" })
const sign = (pair) => createSign("sha384").update(plaintext).sign(pair.privateKey)
const pair = newPair()
const signature = sign(pair)
const cached = cachingKeyring(keyring, { maxAgeSeconds: 3600, decrypt: true })

report({
  measure: "encrypt 256 B, signed",
  results: await compare(
    [
      { name: "kms-envelope", ours: true, run: () => encrypt(plaintext, { keyring, signed: true }) },
      { name: "bare key generation and signature", run: () => sign(newPair()) },
      { name: "official", run: () => official.encrypt(officialKeyring, plaintext, { suiteId }) },
    ],
    effort,
  ),
  checks: [{ against: "bare key generation and signature", atLeast: 0.85 }],
})
report({
  measure: "encrypt 256 B, signed, cached",
  results: await compare(
    [
      { name: "kms-envelope", ours: true, run: () => encrypt(plaintext, { keyring: cached, signed: true }) },
      { name: "bare signature", run: () => sign(pair) },
    ],
    effort,
  ),
  checks: [{ against: "bare signature", atLeast: 0.85 }],
})
const message = await encrypt(plaintext, { keyring, signed: true })
report({
  measure: "decrypt 256 B, signed",
  results: await compare(
    [
      { name: "kms-envelope", ours: true, run: () => decrypt(message, { keyring }) },
      {
        name: "bare verification",
        run: () => createVerify("sha384").update(plaintext).verify(pair.publicKey, signature),
      },
      { name: "official", run: () => official.decrypt(officialKeyring, message) },
    ],
    effort,
  ),
  checks: [{ against: "bare verification", atLeast: 0.85 }],
})
cached.close()
