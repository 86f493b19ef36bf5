/**
 * Works on several items at a time and yields the results in the order of the items. What is not asked for is not begun:
 * at most `concurrency` items are ahead of the reader.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  concurrency: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = []
  try {
    for await (const item of items) {
      const one = work(item)
      // A failure is the reader's once its turn comes; until then it must not count as unhandled.
      one.catch(() => {})
      running.push(one)
      if (running.length >= concurrency) yield await running.shift()!
    }
    while (running.length > 0) yield await running.shift()!
  } finally {
    await Promise.allSettled(running)
  }
}

const MOST = 1000

/** @throws RangeError */
export function checkConcurrency(concurrency: number): number {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= MOST) return concurrency
  throw new RangeError(`concurrency must be a whole number from 1 to ${MOST}`)
}
