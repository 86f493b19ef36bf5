// Stands in for import.meta.url in the CommonJS build. tsup's own looks at `document`, which Jest's jsdom defines.
import { pathToFileURL } from "node:url"

export const importMetaUrl = /* @__PURE__ */ (() => pathToFileURL(__filename).href)()
