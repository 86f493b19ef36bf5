#!/bin/sh
# Makes the virtual environment of the Python interoperability tests, in .cache/python of the project.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .cache/python
.cache/python/bin/pip install --quiet --disable-pip-version-check \
  "aws-encryption-sdk[MPL]==4.0.7" "aws-cryptographic-material-providers==1.11.3"
.cache/python/bin/python -c "import aws_encryption_sdk, aws_cryptographic_material_providers"
echo "ready: .cache/python"
