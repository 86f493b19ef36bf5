// Adds up the JSON reports of vitest in a folder and prints "N passed, N failed, N skipped" as the last line.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folder = process.argv[2]
const files = readdirSync(folder)
const reports = files.filter((name) => name.endsWith(".json"))
const total = { passed: 0, failed: 0, skipped: 0 }
for (const name of reports) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"))
  const skipped = report.numPendingTests + report.numTodoTests
  console.log(`${name.replace(".json", "")}: ${report.numPassedTests} passed, ${report.numFailedTests} failed`)
  total.passed += report.numPassedTests
  total.failed += report.numFailedTests
  total.skipped += skipped
  // A file that does not load has no failed test, and an unhandled rejection belongs to none.
  if (!report.success && report.numFailedTests === 0) total.failed++
}
// A run that ended without a report.
const broken = files.filter((name) => name.endsWith(".failed")).map((name) => name.replace(".failed", ""))
total.failed += broken.filter((name) => !reports.includes(`${name}.json`)).length
if (total.failed === 0) total.failed += broken.length
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
