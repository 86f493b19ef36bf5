"""What an application does with boto3, unmodified, against a KMS whose address is in the environment. Prints JSON."""
import json
import os
import sys

import boto3
from botocore.exceptions import ClientError

kms = boto3.client("kms")
out = {"identity": boto3.client("sts").get_caller_identity()["Arn"]}


def error_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        reply = error.response
        return [type(error).__name__, reply["Error"]["Code"], reply["Error"].get("Message", ""), reply["ResponseMetadata"]["HTTPStatusCode"]]
    return None


context = {"tenant": "42", "ключ": "значение"}
key = kms.create_key(Description="from boto3", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
out["key"] = {name: key[name] for name in ("Arn", "KeyState", "Description", "KeySpec", "Origin")}
out["created"] = key["CreationDate"].isoformat()
kms.create_alias(AliasName="alias/boto3", TargetKeyId=key["KeyId"])
out["aliases"] = [alias["AliasName"] for alias in kms.list_aliases(KeyId=key["KeyId"])["Aliases"]]

encrypted = kms.encrypt(KeyId="alias/boto3", Plaintext=b"hello", EncryptionContext=context)
decrypted = kms.decrypt(CiphertextBlob=encrypted["CiphertextBlob"], EncryptionContext=context)
out["decrypted"] = decrypted["Plaintext"].decode()
data_key = kms.generate_data_key(KeyId=key["Arn"], KeySpec="AES_256", EncryptionContext=context)
opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context, KeyId=key["KeyId"])
out["data_key"] = opened["Plaintext"] == data_key["Plaintext"] and len(opened["Plaintext"]) == 32
without = kms.generate_data_key_without_plaintext(KeyId=key["Arn"], NumberOfBytes=64)
out["without_plaintext"] = ["Plaintext" in without, len(kms.decrypt(CiphertextBlob=without["CiphertextBlob"])["Plaintext"])]
other = kms.create_key()["KeyMetadata"]["Arn"]
moved = kms.re_encrypt(
    CiphertextBlob=encrypted["CiphertextBlob"], SourceEncryptionContext=context, DestinationKeyId=other)
out["moved"] = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["KeyId"] == other
out["random"] = len(kms.generate_random(NumberOfBytes=32)["Plaintext"])

kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=180)
out["rotation"] = kms.get_key_rotation_status(KeyId=key["KeyId"])["RotationPeriodInDays"]
out["policies"] = kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"]
out["tags"] = kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]

kms.disable_key(KeyId=key["KeyId"])
out["errors"] = {
    "disabled": error_of(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x"),
    "wrong_context": error_of(kms.decrypt, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"a": "b"}),
    "unknown": error_of(kms.describe_key, KeyId="11111111-2222-3333-4444-555555555555"),
    "dry_run": error_of(kms.generate_data_key, KeyId=other, KeySpec="AES_256", DryRun=True),
    "validation": error_of(kms.generate_random, NumberOfBytes=1025),
}
kms.enable_key(KeyId=key["KeyId"])

for number in range(5):
    kms.create_alias(AliasName=f"alias/page-{number}", TargetKeyId=other)
pages = list(kms.get_paginator("list_aliases").paginate(KeyId=other, PaginationConfig={"PageSize": 2}))
out["pages"] = [len(page["Aliases"]) for page in pages]

bob = boto3.client(
    "kms", aws_access_key_id="AKIABOB", aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"])
BOB = "arn:aws:iam::111122223333:user/Bob"
grant = {
    "KeyId": other, "GranteePrincipal": BOB, "RetiringPrincipal": BOB, "Operations": ["Encrypt"], "Name": "bob",
    "Constraints": {"EncryptionContextEquals": {"tenant": "42"}},
}
made = kms.create_grant(**grant)
listed = kms.list_grants(KeyId=other, GrantId=made["GrantId"])["Grants"][0]
out["grant"] = {name: listed[name] for name in ("GranteePrincipal", "IssuingAccount", "Operations", "Constraints")}
out["same_grant"] = kms.create_grant(**grant)["GrantId"] == made["GrantId"]
tokens = [made["GrantToken"]]
granted = bob.encrypt(KeyId=other, Plaintext=b"x", EncryptionContext={"tenant": "42"}, GrantTokens=tokens)
refused = error_of(bob.encrypt, KeyId=other, Plaintext=b"x", EncryptionContext={"tenant": "43"}, GrantTokens=tokens)
out["granted"] = [granted["KeyId"] == other, refused[1]]
out["retirable"] = len(kms.list_retirable_grants(RetiringPrincipal=BOB)["Grants"])
bob.retire_grant(KeyId=other, GrantId=made["GrantId"])
grants = [kms.create_grant(KeyId=other, GranteePrincipal=BOB, Operations=["Decrypt"]) for _ in range(5)]
pages = list(kms.get_paginator("list_grants").paginate(KeyId=other, PaginationConfig={"PageSize": 2}))
out["grant_pages"] = [len(page["Grants"]) for page in pages]
for one in grants:
    kms.revoke_grant(KeyId=other, GrantId=one["GrantId"])
out["grants_left"] = len(kms.list_grants(KeyId=other)["Grants"])

deletion = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
out["deletion"] = [deletion["KeyState"], deletion["PendingWindowInDays"]]
json.dump(out, sys.stdout)
