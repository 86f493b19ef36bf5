#!/usr/bin/env bash
# Builds the S3 server that the heavier suite runs beside moto's: the Versity S3 Gateway, from the Go module proxy, into
# bin/ of the folder given. Where that cannot be done it says so and succeeds, and the tests skip.
set -euo pipefail
folder=$1
release=v1.8.0
binary=$folder/bin/versitygw
if ! command -v go >/dev/null; then
  echo "no Go here: the tests over versitygw will be skipped" >&2
elif [ ! -x "$binary" ] || ! go version -m "$binary" | grep -q "versitygw	$release"; then
  mkdir -p "$folder/bin"
  GOBIN=$(cd "$folder/bin" && pwd) timeout 900 go install "github.com/versity/versitygw/cmd/versitygw@$release" ||
    echo "Go could not build versitygw $release: the tests over it will be skipped" >&2
fi
