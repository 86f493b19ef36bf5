#!/usr/bin/env bash
# Installs Ruby with its AWS SDK, whose S3 Encryption Client the heavier suite talks to, from Debian's packages: where that
# is not possible, those tests are skipped.
set -euo pipefail
if ruby -e 'require "aws-sdk-s3"; require "aws-sdk-kms"' 2>/dev/null; then exit; fi
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -n)
if command -v apt-get >/dev/null &&
  "${sudo[@]}" apt-get update -qq &&
  "${sudo[@]}" apt-get install -y -qq --no-install-recommends ruby ruby-aws-sdk-s3 ruby-aws-sdk-kms >/dev/null; then
  exit
fi
echo "Ruby's AWS SDK could not be installed: the tests with it are skipped" >&2
