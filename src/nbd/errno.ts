import { ERRNO, type Errno } from "./constants.ts"

/** NBD-4.1: what a device's error is called on the wire; what is not here is an I/O error. */
const byCode: Readonly<Record<string, Errno>> = {
  EPERM: ERRNO.EPERM,
  EACCES: ERRNO.EPERM,
  EROFS: ERRNO.EPERM,
  EINVAL: ERRNO.EINVAL,
  ENOMEM: ERRNO.ENOMEM,
  ENOSPC: ERRNO.ENOSPC,
  EDQUOT: ERRNO.ENOSPC,
  EFBIG: ERRNO.ENOSPC,
  EOVERFLOW: ERRNO.EOVERFLOW,
  ENOTSUP: ERRNO.ENOTSUP,
  EOPNOTSUPP: ERRNO.ENOTSUP,
  ESHUTDOWN: ERRNO.ESHUTDOWN,
  Closed: ERRNO.ESHUTDOWN,
  ReadOnlyVolume: ERRNO.EPERM,
}

/** By the error's own code, or by its cause's, where a device wraps what the system said. */
export const errnoOf = (error: unknown): Errno =>
  byCodeOf(error) ?? byCodeOf((error as Error | undefined)?.cause) ?? ERRNO.EIO

function byCodeOf(error: unknown): Errno | undefined {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === "string" && Object.hasOwn(byCode, code) ? byCode[code] : undefined
}
