#!/usr/bin/env node
import { run } from "./run.ts"

// Handles that a failed command leaves open, such as a pipe nobody reads, must not keep the process.
process.exit(await run(process.argv))
