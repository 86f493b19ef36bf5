import { CliError } from "./failures.ts"

export function isMissingPackage(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return (
    code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || (cause !== undefined && isMissingPackage(cause))
  )
}

/** lmdb and the AWS SDK are optional, because only the command and tests need both. */
export const missingPackage = (
  what: string,
  name: string,
  cause: unknown,
  failure: "kmsUnreachable" | "s3Unreachable" = "kmsUnreachable",
): CliError =>
  new CliError(failure, `${what} takes the package ${name}, which is not installed`, {
    hint: `npm install ${name}, beside kms-envelope (with -g where that was installed with -g)`,
    cause,
  })
