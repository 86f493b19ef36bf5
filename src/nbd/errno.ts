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
}

export function errnoOf(error: unknown): Errno {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined
  return (typeof code === "string" && Object.hasOwn(byCode, code) ? byCode[code] : undefined) ?? ERRNO.EIO
}
