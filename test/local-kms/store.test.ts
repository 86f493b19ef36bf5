import { describe, expect, onTestFinished, test } from "vitest"
import { lmdbStore } from "../../src/local-kms/store/lmdb.ts"
import { memoryStore } from "../../src/local-kms/store/memory.ts"
import type { RangeOptions, Store } from "../../src/local-kms/store/store.ts"
import { temporaryFolder } from "./helpers.ts"

const engines: Record<string, () => Promise<Store>> = {
  memory: async () => memoryStore(),
  lmdb: async () => lmdbStore(await temporaryFolder()),
}

describe.each(Object.entries(engines))("the %s store", (_name, open) => {
  async function opened(): Promise<Store> {
    const store = await open()
    onTestFinished(() => store.close())
    return store
  }
  const keysIn = (store: Store, prefix: string, options?: RangeOptions): string[] =>
    store.read((reader) => [...reader.range(prefix, options)].map(([key]) => key))

  test("gives back what a transaction put, as a copy", async () => {
    const store = await opened()
    const value = { text: "ключ", list: [1, { a: null }] }
    await store.transaction((tx) => tx.put("a/1", value))
    value.list.push(2)
    const read = store.read((reader) => reader.get("a/1"))
    expect(read).toEqual({ text: "ключ", list: [1, { a: null }] })
    expect(store.read((reader) => reader.get("a/2"))).toBeUndefined()
  })

  test("a transaction sees its own writes and returns its result", async () => {
    const store = await opened()
    const result = await store.transaction((tx) => {
      tx.put("a/1", { n: 1 })
      tx.put("a/2", { n: 2 })
      tx.remove("a/1")
      return [tx.get("a/1"), tx.get("a/2"), [...tx.range("a/")].length]
    })
    expect(result).toEqual([undefined, { n: 2 }, 1])
  })

  test("a transaction that throws leaves nothing behind, and the next one works", async () => {
    const store = await opened()
    await store.transaction((tx) => tx.put("a/1", { n: 1 }))
    const failing = store.transaction((tx) => {
      tx.put("a/1", { n: 2 })
      tx.put("a/2", { n: 2 })
      tx.remove("a/1")
      throw new RangeError("no")
    })
    await expect(failing).rejects.toThrow(RangeError)
    expect(store.read((reader) => [reader.get("a/1"), reader.get("a/2")])).toEqual([{ n: 1 }, undefined])
    await store.transaction((tx) => tx.put("a/3", { n: 3 }))
    expect(keysIn(store, "a/")).toEqual(["a/1", "a/3"])
  })

  test("an attempt that throws is undone, and the rest of its transaction stands", async () => {
    const store = await opened()
    await store.transaction((tx) => {
      tx.put("a/1", { n: 1 })
      expect(() =>
        tx.attempt(() => {
          tx.put("a/1", { n: 2 })
          tx.put("a/2", { n: 2 })
          throw new RangeError("no")
        }),
      ).toThrow(RangeError)
      tx.put("a/3", { n: 3 })
    })
    expect(store.read((reader) => [...reader.range("a/")])).toEqual([
      ["a/1", { n: 1 }],
      ["a/3", { n: 3 }],
    ])
  })

  test("ranges stop at their prefix and obey limit, order and position", async () => {
    const store = await opened()
    await store.transaction((tx) => {
      for (const key of ["k/b", "k/a/2", "k/c", "j/z", "l/a", "k/a", "k/a/1", "kk/a"]) tx.put(key, { key })
    })
    expect(keysIn(store, "k/")).toEqual(["k/a", "k/a/1", "k/a/2", "k/b", "k/c"])
    expect(keysIn(store, "k/a/")).toEqual(["k/a/1", "k/a/2"])
    expect(keysIn(store, "k/", { limit: 2 })).toEqual(["k/a", "k/a/1"])
    expect(keysIn(store, "k/", { limit: 0 })).toEqual([])
    expect(keysIn(store, "k/", { after: "k/a/1" })).toEqual(["k/a/2", "k/b", "k/c"])
    expect(keysIn(store, "k/", { after: "k/a/1", limit: 1 })).toEqual(["k/a/2"])
    expect(keysIn(store, "k/", { after: "k/aa" })).toEqual(["k/b", "k/c"])
    expect(keysIn(store, "k/", { reverse: true })).toEqual(["k/c", "k/b", "k/a/2", "k/a/1", "k/a"])
    expect(keysIn(store, "k/", { reverse: true, limit: 2 })).toEqual(["k/c", "k/b"])
    expect(keysIn(store, "k/", { reverse: true, after: "k/b", limit: 1 })).toEqual(["k/a/2"])
    expect(keysIn(store, "none/")).toEqual([])
  })

  test("concurrent transactions do not lose each other's updates", async () => {
    const store = await opened()
    const increment = (): Promise<void> =>
      store.transaction((tx) => tx.put("n/1", { n: (tx.get<{ n: number }>("n/1")?.n ?? 0) + 1 }))
    await Promise.all(Array.from({ length: 200 }, increment))
    expect(store.read((reader) => reader.get("n/1"))).toEqual({ n: 200 })
  })

  test("a read after a transaction sees it", async () => {
    const store = await opened()
    for (let n = 0; n < 50; n++) {
      await store.transaction((tx) => tx.put("n/1", { n }))
      expect(store.read((reader) => reader.get("n/1"))).toEqual({ n })
    }
  })
})
