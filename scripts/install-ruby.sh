#!/usr/bin/env bash
# Installs Ruby with its AWS SDK, whose S3 Encryption Client the heavier suite talks to, from Debian's packages. Where that
# cannot be done it says so and succeeds, and the tests skip.
set -euo pipefail
packages=(ruby ruby-aws-sdk-s3 ruby-aws-sdk-kms)
if ruby -e 'require "aws-sdk-s3"; require "aws-sdk-kms"' 2>/dev/null; then exit; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "no apt-get, or not root: the tests with Ruby will be skipped; they take ${packages[*]}" >&2
  exit
fi
export DEBIAN_FRONTEND=noninteractive
if ! { timeout 600 apt-get update -qq && timeout 600 apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; }; then
  echo "apt-get could not install ${packages[*]}: the tests with Ruby will be skipped" >&2
fi
