#!/usr/bin/env bash
# Brings what `npm run bench` compares with into .cache/: age, built by Go where Go is there, and the Python SDK.
# What cannot be had here is left out with a message; in CI (CI is set) that is a failure. openssl comes with the system.
set -euo pipefail
cd "$(dirname "$0")/.."

age_release=v1.3.1

missing() {
  echo "$1" >&2
  [ -z "${CI:-}" ]
}

if [ -x .cache/age/bin/age ] || command -v age >/dev/null; then
  echo "age: there already"
elif command -v go >/dev/null; then
  GOBIN="$PWD/.cache/age/bin" go install "filippo.io/age/cmd/...@$age_release"
else
  missing "age: neither the program nor Go to build it"
fi

if command -v python3 >/dev/null; then
  scripts/install-python.sh .cache/python
else
  missing "Python SDK: no python3"
fi

command -v openssl >/dev/null || missing "openssl: not on the PATH"
