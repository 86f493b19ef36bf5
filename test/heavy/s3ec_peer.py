"""The official S3 Encryption Client for Python as a peer: one JSON request a line on standard input, one answer a line back."""

import base64
import io
import json
import sys

import boto3
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy


def client(request):
    common = {"region_name": "us-east-1", "aws_access_key_id": request["accessKeyId"]}
    common["aws_secret_access_key"] = request["secretAccessKey"]
    kms = boto3.client("kms", endpoint_url=request["kms"], **common)
    s3 = boto3.client("s3", endpoint_url=request["s3"], **common)
    legacy = request["policy"] != "RequireEncryptRequireDecrypt"
    suite = "ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY"
    if request["policy"] == "ForbidEncryptAllowDecrypt":
        suite = "ALG_AES_256_GCM_IV12_TAG16_NO_KDF"
    config = S3EncryptionClientConfig(
        keyring=KmsKeyring(kms, request["keyId"], enable_legacy_wrapping_algorithms=legacy),
        encryption_algorithm=AlgorithmSuite[suite],
        commitment_policy=CommitmentPolicy(request["policy"]),
        enable_legacy_unauthenticated_modes=legacy,
    )
    return S3EncryptionClient(s3, config)


def run(request):
    s3 = client(request)
    place = {"Bucket": request["bucket"], "Key": request["key"]}
    context = {"EncryptionContext": request["context"]} if request["context"] else {}
    if request["mode"] == "get":
        return s3.get_object(**place, **context)["Body"].read()
    body = base64.b64decode(request["body"])
    if request.get("partSize"):
        s3.upload_fileobj(io.BytesIO(body), place["Bucket"], place["Key"], request["partSize"], **context)
    else:
        s3.put_object(**place, **context, Body=body)
    return b""


for line in sys.stdin:
    try:
        answer = {"body": base64.b64encode(run(json.loads(line))).decode()}
    except Exception as error:  # Any failure is an answer.
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
