"""The official SDK for Python, timed: a JSON request a line on standard input, calls a second a line on standard output."""

import json
import sys
import time

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

CONTEXT = {"tenant": "42", "purpose": "bench"}

client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
keyring = AwsCryptographicMaterialProviders(MaterialProvidersConfig()).create_raw_aes_keyring(
    CreateRawAesKeyringInput(
        key_namespace="bench",
        key_name="key",
        wrapping_key=bytes([7]) * 32,
        wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    )
)


def encrypt(plaintext, frame_length):
    ciphertext, _ = client.encrypt(
        source=plaintext,
        keyring=keyring,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        encryption_context=CONTEXT,
        frame_length=frame_length,
    )
    return ciphertext


def measure(request):
    plaintext = b"\1" * request["size"]
    if request["direction"] == "encrypt":
        call = lambda: encrypt(plaintext, request["frameLength"])
    else:
        message = encrypt(plaintext, request["frameLength"])
        call = lambda: client.decrypt(source=message, keyring=keyring)
    call()
    calls, elapsed, start = 0, 0, time.perf_counter()
    while calls == 0 or elapsed * 1000 < request["milliseconds"]:
        call()
        calls += 1
        elapsed = time.perf_counter() - start
    return calls / elapsed


for line in sys.stdin:
    print(json.dumps(measure(json.loads(line))), flush=True)
