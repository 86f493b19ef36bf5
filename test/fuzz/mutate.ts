import { concatBytes } from "../../src/core/index.ts"
import type { Random } from "../support/random.ts"
import type { Original } from "./pool.ts"

type Mutation = (bytes: Uint8Array, random: Random, from: Original, other: Original) => Uint8Array

const splice = (bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array =>
  concatBytes([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])

const parts = ({ bytes, marks }: Original): Uint8Array[] =>
  marks.slice(0, -1).map((start, i) => bytes.subarray(start, marks[i + 1]))

/** A place: anywhere, or near a boundary between header, frames and footer, where the lengths and numbers stand. */
function place(bytes: Uint8Array, random: Random, { marks }: Original): number {
  const at = random.chance(0.5) ? random.int(bytes.length + 1) : random.pick(marks) + random.int(30) - 4
  return Math.min(Math.max(at, 0), bytes.length)
}

const flipBits: Mutation = (bytes, random, from) => {
  const copy = bytes.slice()
  for (let flips = 1 + random.int(3); flips > 0; flips--) {
    const at = place(bytes, random, from)
    if (at < copy.length) copy[at]! ^= 1 << random.int(8)
  }
  return copy
}

const setByte: Mutation = (bytes, random, from) => {
  const copy = bytes.slice()
  const at = place(bytes, random, from)
  if (at < copy.length) copy[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.int(256)])
  return copy
}

/** Reads 16 or 32 bits anywhere as a length and moves it a little, or to an extreme. */
const editLength: Mutation = (bytes, random, from) => {
  const copy = bytes.slice()
  const at = place(bytes, random, from)
  const width = random.pick([2, 4, 8])
  if (at + width > copy.length) return copy
  const view = new DataView(copy.buffer, copy.byteOffset)
  const most = 2n ** BigInt(width * 8) - 1n
  const old =
    width === 2 ? BigInt(view.getUint16(at)) : width === 4 ? BigInt(view.getUint32(at)) : view.getBigUint64(at)
  const edits = [old + 1n, old - 1n, old * 2n, old + 16n, 0n, most, most - 1n, 0x7fffffffn, BigInt(random.int(70_000))]
  const value = random.pick(edits) & most
  if (width === 2) view.setUint16(at, Number(value))
  else if (width === 4) view.setUint32(at, Number(value))
  else view.setBigUint64(at, value)
  return copy
}

const cutEnd: Mutation = (bytes, random, from) => bytes.slice(0, place(bytes, random, from))
const cutStart: Mutation = (bytes, random, from) => bytes.slice(place(bytes, random, from))
const remove: Mutation = (bytes, random, from) =>
  splice(bytes, place(bytes, random, from), 1 + random.int(40), new Uint8Array(0))
const insert: Mutation = (bytes, random, from) =>
  splice(bytes, place(bytes, random, from), 0, random.bytes(1 + random.int(40)))
const append: Mutation = (bytes, random, _from, other) =>
  concatBytes([bytes, random.chance(0.5) ? random.bytes(1 + random.int(50)) : other.bytes])
const crossOver: Mutation = (bytes, random, from, other) =>
  concatBytes([bytes.subarray(0, place(bytes, random, from)), other.bytes.subarray(place(other.bytes, random, other))])

/** Frames dropped, doubled, exchanged, or taken from another message. */
const rearrange: Mutation = (_bytes, random, from, other) => {
  const list = parts(from)
  const theirs = parts(other)
  const index = random.int(list.length)
  const edits = [
    () => list.splice(index, 1),
    () => list.splice(index, 0, list[index]!),
    () => list.splice(index, 1, theirs[Math.min(index, theirs.length - 1)]!),
    () => list.splice(index, 0, random.pick(theirs)),
    () => list.reverse(),
    () => list.splice(1, 1, ...list.splice(index, 1)),
    () => list.splice(index),
    () => list.splice(0, 1, theirs[0]!),
    () => list.splice(-1, 1, theirs[theirs.length - 1]!),
  ]
  random.pick(edits)()
  return concatBytes(list)
}

/** A regular frame dressed as the final one, or the other way round. */
const redress: Mutation = (_bytes, random, from) => {
  const list = parts(from)
  const index = 1 + random.int(Math.max(1, list.length - 1))
  const frame = list[index]
  if (frame === undefined || frame.length < 24) return concatBytes(list)
  const marker = Uint8Array.of(0xff, 0xff, 0xff, 0xff)
  const isFinal = frame.subarray(0, 4).every((byte) => byte === 0xff)
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, frame.length - 32)
  list[index] = isFinal
    ? concatBytes([frame.subarray(4, 20), frame.subarray(24)])
    : concatBytes([marker, frame.subarray(0, 16), length, frame.subarray(16)])
  if (random.chance(0.7)) list.splice(index + 1)
  return concatBytes(list)
}

const noise: Mutation = (bytes, random) => {
  const kept = bytes.subarray(0, random.pick([0, 1, 3, 20, 40]))
  return concatBytes([kept, random.bytes(random.int(200))])
}

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  flipBits,
  setByte,
  editLength,
  editLength,
  cutEnd,
  cutStart,
  remove,
  insert,
  append,
  crossOver,
  rearrange,
  rearrange,
  redress,
  noise,
]

/** One message changed by one to three mutations; now and then it comes out as it was. */
export function mutate(from: Original, other: Original, random: Random): Uint8Array {
  let bytes = random.pick(MUTATIONS)(from.bytes, random, from, other)
  while (random.chance(0.25) && bytes.length > 0)
    bytes = random.pick(MUTATIONS.slice(0, 10))(bytes, random, from, other)
  return bytes
}
