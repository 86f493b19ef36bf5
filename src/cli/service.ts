/** Settles with the name of the signal that ends a service. A second one ends the process at once. */
export const endOfService = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    const signals = ["SIGINT", "SIGTERM"] as const
    for (const signal of signals) {
      process.once(signal, () => {
        for (const other of signals) process.removeAllListeners(other)
        resolve(signal)
      })
    }
  })
