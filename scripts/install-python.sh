#!/usr/bin/env bash
# Makes a Python environment with the official AWS Encryption SDK (and its required contexts) in the folder given.
set -euo pipefail
folder=$1
requirements=$(dirname "$0")/python-requirements.txt
if ! cmp -s "$requirements" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$folder/requirements.txt"
fi
"$folder/bin/python" -c 'import aws_encryption_sdk, aws_cryptographic_material_providers'
