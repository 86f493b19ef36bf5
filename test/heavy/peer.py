"""The Python AWS Encryption SDK as a peer: one JSON request a line on standard input, one JSON answer a line back."""

import base64
import io
import json
import logging
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateDefaultCryptographicMaterialsManagerInput,
    CreateMultiKeyringInput,
    CreateRawAesKeyringInput,
    CreateRawRsaKeyringInput,
    CreateRequiredEncryptionContextCMMInput,
)
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

# Its log repeats every error that is answered below.
logging.disable(logging.CRITICAL)
PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CHUNK = 1000


def client(suite_id):
    if suite_id >= 0x0400:
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    else:
        policy = CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def one_keyring(key):
    if key["type"] == "aes":
        wrapping_key = base64.b64decode(key["key"])
        return PROVIDERS.create_raw_aes_keyring(
            CreateRawAesKeyringInput(
                key_namespace=key["namespace"],
                key_name=key["name"],
                wrapping_key=wrapping_key,
                wrapping_alg=f"ALG_AES{len(wrapping_key) * 8}_GCM_IV12_TAG16",
            )
        )
    return PROVIDERS.create_raw_rsa_keyring(
        CreateRawRsaKeyringInput(
            key_namespace=key["namespace"],
            key_name=key["name"],
            padding_scheme=key["padding"],
            public_key=key["publicKey"].encode(),
            private_key=key["privateKey"].encode(),
        )
    )


def keyring_of(keys):
    keyrings = [one_keyring(key) for key in keys]
    if len(keyrings) == 1:
        return keyrings[0]
    return PROVIDERS.create_multi_keyring(CreateMultiKeyringInput(generator=keyrings[0], child_keyrings=keyrings[1:]))


def materials(request):
    keyring = keyring_of(request["keys"])
    required = request["requiredContextKeys"]
    if not required:
        return {"keyring": keyring}
    default = PROVIDERS.create_default_cryptographic_materials_manager(
        CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring)
    )
    cmm = PROVIDERS.create_required_encryption_context_cmm(
        CreateRequiredEncryptionContextCMMInput(underlying_cmm=default, required_encryption_context_keys=required)
    )
    return {"materials_manager": cmm}


def run(request):
    sdk = client(request["suiteId"])
    source = base64.b64decode(request["input"])
    options = {**materials(request), "encryption_context": request["encryptionContext"]}
    mode = request["mode"]
    if mode == "e":
        options["algorithm"] = AlgorithmSuite.get_by_id(request["suiteId"])
        options["frame_length"] = request["frameLength"]
    if not request["stream"]:
        call = sdk.encrypt if mode == "e" else sdk.decrypt
        output, _header = call(source=source, **options)
        return output
    pieces = []
    with sdk.stream(mode=mode, source=io.BytesIO(source), **options) as stream:
        while True:
            piece = stream.read(CHUNK)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


for line in sys.stdin:
    try:
        answer = {"output": base64.b64encode(run(json.loads(line))).decode()}
    except Exception as error:  # Any failure is an answer.
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
