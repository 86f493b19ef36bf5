/** A range of bytes in terms of blocks. */
export interface BlockSpan {
  /** Blocks that lie in it whole: the first, and the one after the last; equal for none. */
  readonly first: number
  readonly end: number
  /** Blocks that lie in it partly: one, two or none. */
  readonly partial: readonly number[]
}

/** The volume's last block is whole as soon as the range reaches the volume's end. */
export function spanOf(offset: number, length: number, blockSize: number, volumeSize: number): BlockSpan {
  const to = offset + length
  const first = Math.ceil(offset / blockSize)
  const end = to === volumeSize ? Math.ceil(to / blockSize) : Math.floor(to / blockSize)
  const head = Math.floor(offset / blockSize)
  const tail = Math.floor((to - 1) / blockSize)
  const partial: number[] = []
  if (head < first) partial.push(head)
  if (tail >= end && tail !== partial[0]) partial.push(tail)
  return { first, end: Math.max(first, end), partial }
}
