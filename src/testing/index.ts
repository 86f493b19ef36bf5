export type { Failure } from "./failures.ts"
export {
  type CreateKeyOptions,
  type FailureOptions,
  type KmsCall,
  type MockKms,
  type MockKmsOptions,
  mockKms,
} from "./mock-kms.ts"
