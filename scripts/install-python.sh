#!/usr/bin/env bash
# Makes a Python environment in the folder given, with the packages of a list: by default the official AWS Encryption SDK
# and its required contexts; with scripts/aws-requirements.txt the AWS CLI, boto3 and moto's server; with
# scripts/s3ec-requirements.txt the S3 Encryption Client and moto's server.
set -euo pipefail
folder=$1
requirements=${2:-$(dirname "$0")/python-requirements.txt}
if ! cmp -s "$requirements" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  "$folder/bin/pip" check --quiet --disable-pip-version-check
  cp "$requirements" "$folder/requirements.txt"
fi
