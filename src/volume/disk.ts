/** One file of a volume. Positions and lengths are bytes. */
export interface DiskFile {
  /** @returns how many bytes there were, fewer than asked for at the end of the file */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes all parts, one after the other. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  /** Makes what was written, and the file's size, durable. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  /** Gives space inside the file back. @returns false where the system has no means for it */
  deallocate(position: number, length: number): Promise<boolean>
  close(): Promise<void>
}

/** The folder of a volume: files, or a simulation of them. */
export interface Disk {
  readonly readOnly: boolean
  /** @returns undefined when there is no such file */
  open(name: string): Promise<DiskFile | undefined>
  /** An empty file, in place of one that is there. */
  create(name: string): Promise<DiskFile>
  remove(name: string): Promise<void>
  list(): Promise<string[]>
  /** Makes creations and removals durable. */
  syncFolder(): Promise<void>
}
