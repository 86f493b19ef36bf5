/** An error as S3 answers it. */
export class S3Fault extends Error {
  readonly code: string
  readonly status: number

  constructor(status: number, code: string, message: string) {
    super(message)
    this.code = code
    this.status = status
  }
}

export const noSuchKey = (): S3Fault => new S3Fault(404, "NoSuchKey", "The specified key does not exist.")
export const noSuchBucket = (): S3Fault => new S3Fault(404, "NoSuchBucket", "The specified bucket does not exist")
export const noSuchVersion = (): S3Fault => new S3Fault(404, "NoSuchVersion", "The specified version does not exist.")
export const noSuchUpload = (): S3Fault =>
  new S3Fault(404, "NoSuchUpload", "The specified upload does not exist. It may have been aborted or completed.")
export const preconditionFailed = (): S3Fault =>
  new S3Fault(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
export const notModified = (): S3Fault => new S3Fault(304, "NotModified", "Not Modified")
export const invalidRange = (): S3Fault => new S3Fault(416, "InvalidRange", "The requested range is not satisfiable")
export const invalidRequest = (message: string): S3Fault => new S3Fault(400, "InvalidRequest", message)
export const invalidArgument = (message: string): S3Fault => new S3Fault(400, "InvalidArgument", message)
export const invalidPart = (): S3Fault =>
  new S3Fault(400, "InvalidPart", "One or more of the specified parts could not be found or has another entity tag.")
export const accessDenied = (): S3Fault => new S3Fault(403, "AccessDenied", "Access Denied")
