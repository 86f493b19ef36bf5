import { startS3Server } from "../support/s3-server/index.ts"
import { s3Contract } from "./contract.ts"

s3Contract("the small server of the tests", async () => {
  const server = await startS3Server()
  return { client: server.client(), close: () => server.close() }
})
