#!/usr/bin/env bash
# Installs the NBD clients and servers that the heavier suite and the benchmark use, from Debian's or Ubuntu's packages. Where
# that cannot be done it says so and succeeds, and the tests skip.
set -euo pipefail
packages=(fio libnbd-bin nbd-client nbdkit qemu-utils)
programs=(fio nbdcopy nbdinfo nbd-client nbdkit qemu-img qemu-io qemu-nbd)
missing() { for program in "${programs[@]}"; do PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || echo "$program"; done; }
if [ -z "$(missing)" ]; then exit; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "no apt-get, or not root: the tests with NBD clients will be skipped; they take ${packages[*]}" >&2
  exit
fi
export DEBIAN_FRONTEND=noninteractive
if ! { timeout 600 apt-get update -qq && timeout 600 apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; }; then
  echo "apt-get could not install ${packages[*]}: the tests with NBD clients will be skipped" >&2
fi
