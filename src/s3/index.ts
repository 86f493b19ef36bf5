export { type ObjectContext, type ObjectPlace, objectArn } from "./context.ts"
