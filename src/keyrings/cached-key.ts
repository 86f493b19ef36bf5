import type { DecryptionMaterials, EncryptionMaterials } from "../core/index.ts"
import type { Usage } from "./cache-limits.ts"
import type { Instant } from "./stopwatch.ts"

/**
 * A data key that several users share. It is overwritten when nobody uses it and no cache stores it, whichever comes
 * last: evicting a key never pulls it from under a running stream.
 */
export class CachedKey<
  M extends EncryptionMaterials | DecryptionMaterials = EncryptionMaterials | DecryptionMaterials,
> {
  readonly materials: M
  /** When the call to the keyring began. */
  readonly since: Instant
  readonly usage: Usage
  #users = 0
  #stored = false

  constructor(materials: M, since: Instant, usage: Usage) {
    this.materials = materials
    this.since = since
    this.usage = usage
  }

  /** @returns what the user calls when done; further calls do nothing */
  acquire(): () => void {
    this.#users++
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#users--
      this.#wipeIfUnused()
    }
  }

  /** Only a cache calls this. */
  set stored(stored: boolean) {
    this.#stored = stored
    this.#wipeIfUnused()
  }

  #wipeIfUnused(): void {
    if (this.#users === 0 && !this.#stored) this.materials.release()
  }
}
