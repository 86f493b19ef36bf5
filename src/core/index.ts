export * from "./bytes.ts"
export * from "./diagnostics.ts"
export * from "./errors.ts"
export * from "./types.ts"
