import { COMMAND, COMMAND_FLAGS, ERRNO, type Errno, MAX_PAYLOAD } from "./constants.ts"
import type { Agreement } from "./negotiation.ts"
import type { Request } from "./requests.ts"

const { fua, noHole, dontFragment, requestOne, fastZero } = COMMAND_FLAGS

/** NBD-3.1: the flags that each command knows. */
const FLAGS: ReadonlyMap<number, number> = new Map([
  [COMMAND.read, fua | dontFragment],
  [COMMAND.write, fua],
  [COMMAND.flush, fua],
  [COMMAND.trim, fua],
  [COMMAND.cache, fua],
  [COMMAND.writeZeroes, fua | noHole | fastZero],
  [COMMAND.blockStatus, fua | requestOne],
])

/** Why a request is refused before it reaches the device, or 0. DISC never comes here. */
export function refusalOf(request: Request, agreement: Agreement): Errno | 0 {
  const { type, flags, offset, length } = request
  const known = FLAGS.get(type)
  if (known === undefined || (flags & ~known) !== 0) return ERRNO.EINVAL
  // NBD-3.4.
  if (type === COMMAND.flush) return offset === 0 && length === 0 ? 0 : ERRNO.EINVAL
  // NBD-3.11.
  if (modifies(type) && agreement.export.readOnly) return ERRNO.EPERM
  if (!isOffered(request, agreement)) return ERRNO.EINVAL
  if (offset + length > agreement.export.device.size) {
    return type === COMMAND.write || type === COMMAND.writeZeroes ? ERRNO.ENOSPC : ERRNO.EINVAL
  }
  if (type === COMMAND.read && length > MAX_PAYLOAD)
    return (flags & dontFragment) === 0 ? ERRNO.EINVAL : ERRNO.EOVERFLOW
  return 0
}

const modifies = (type: number): boolean =>
  type === COMMAND.write || type === COMMAND.trim || type === COMMAND.writeZeroes

function isOffered(
  { type, flags, length }: Request,
  { export: { device }, structured, baseAllocation }: Agreement,
): boolean {
  switch (type) {
    case COMMAND.read:
      return structured || (flags & dontFragment) === 0
    case COMMAND.trim:
      return device.trim !== undefined
    case COMMAND.writeZeroes:
      return device.writeZeroes !== undefined
    case COMMAND.blockStatus:
      return baseAllocation && length > 0
    default:
      return true
  }
}
