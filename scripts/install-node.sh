#!/usr/bin/env bash
# Installs a release of Node.js from the npm registry into .cache/ and prints the folder of its binary.
set -euo pipefail
release=$1
cd "$(dirname "$0")/.."
prefix=$PWD/.cache/node/$release
package=node-$(node -p 'process.platform + "-" + process.arch')
bin=$prefix/node_modules/$package/bin
if [ "$("$bin/node" --version 2>/dev/null)" != "v$release" ]; then
  mkdir -p "$prefix"
  npm install --prefix "$prefix" --no-save --no-package-lock --no-audit --no-fund "$package@$release" >&2
fi
[ "$("$bin/node" --version)" = "v$release" ]
echo "$bin"
