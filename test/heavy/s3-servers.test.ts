import { describe, test } from "vitest"
import { s3Contract } from "../s3/contract.ts"
import { moto, versitygw } from "../support/real-s3.ts"

/** The suite that the small server of the tests passes, over servers that others wrote. */
for (const [kind, unlike] of [
  [versitygw, {}],
  [
    moto,
    {
      "holds multipart uploads to If-Match and If-None-Match": "moto ignores them",
      "says of an upload that is over that there is none": "moto answers 500",
      "refuses CopySourceIfMatch of a copy where the source changed": "moto ignores it",
    },
  ],
] as const) {
  if (kind.isInstalled) {
    s3Contract(
      kind.name,
      async () => {
        const server = await kind.start()
        return { client: server.client(), close: server.close }
      },
      unlike,
    )
  } else {
    describe.skip(`S3 by ${kind.name} (skipped: ${kind.how})`, () => {
      test("is not installed", () => {})
    })
  }
}
