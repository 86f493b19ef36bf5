import { type FailureClass, failureClasses } from "./failures.ts"

export const commandGroups = {
  messages: "Messages:",
  objects: "Objects:",
  volumes: "Volumes:",
  keys: "Keys:",
  server: "The embedded KMS:",
}

export const help = {
  program: `Encrypts files and streams with envelope encryption: a data key of their own for each, wrapped by a KMS key.
Messages are those of the AWS Encryption SDK. The KMS is one embedded in this command, or AWS.`,
  help: "explain a command",
  encrypt: "encrypt a file or standard input",
  decrypt: "decrypt a file or standard input",
  inspect: "show a message's header, without any key",
  reencrypt: "decrypt and encrypt again under other keys, without a file in the clear",
  key: "make and manage KMS keys",
  keyCreate: "make a key and print its ARN; the first one makes the embedded KMS",
  keyList: "list the keys",
  keyDescribe: "show a key: ARN, id or alias/NAME",
  keyEnable: "let a disabled key be used again",
  keyDisable: "stop a key from encrypting and decrypting",
  alias: "give keys names",
  aliasCreate: "name a key",
  aliasList: "list the names",
  aliasUpdate: "let a name stand for another key",
  aliasDelete: "forget a name; its key stays",
  kms: "run the embedded KMS for other programs",
  kmsServe: "serve it over HTTP, as AWS KMS, until a signal ends it",
  kmsBackup: "copy it into a new folder, while it is in use; without the root key file",
  principal: "users, roles and groups with identity policies, and access keys for calls over HTTP",
  principalCreateUser: "register a user and print its ARN",
  principalCreateRole: "register a role",
  principalCreateGroup: "register a group, whose policies its users have",
  principalAdd: "put a user (ARN) into a group (name)",
  principalRemove: "take a user out of a group",
  principalPolicy: "give a user, role or group an identity policy, or replace it; - reads standard input",
  principalDeletePolicy: "take an identity policy away",
  principalTrust: "say by a trust policy who may assume a role",
  principalShow: "print a user, role or group with its policies (JSON)",
  principalList: "list them",
  principalDelete: "delete one; access keys end with it",
  accessKey: "access keys, which sign requests",
  accessKeyCreate: "make one for a user, role or root ARN; the secret is shown once",
  accessKeyList: "list them, without their secrets",
  accessKeyEnable: "let a disabled one sign again",
  accessKeyDisable: "refuse what it signs",
  accessKeyDelete: "forget one",
}

export const after = {
  program: `
To begin with:
  envelope key create --alias default
  envelope encrypt report.pdf -o report.pdf.enc
  envelope inspect report.pdf.enc
  envelope decrypt report.pdf.enc -o report.pdf

envelope COMMAND --help explains a command, with examples.
`,
  encrypt: `Without --key it is ENVELOPE_KEY, or else alias/default of the embedded KMS.

Examples:
  envelope encrypt report.pdf -o report.pdf.enc
  envelope encrypt report.pdf -o report.pdf.enc --key alias/app --context tenant=42
  tar -c photos | envelope encrypt > photos.tar.enc
  TOKEN=$(printf %s "$SECRET" | envelope encrypt --base64)
  envelope encrypt report.pdf -o report.pdf.enc --kms aws --key arn:aws:kms:eu-west-1:111122223333:key/...`,
  decrypt: `Without --key any key of the embedded KMS may decrypt; for AWS say whose: --key or --account.
To a file nothing appears before all of it is authentic. Into a pipe each frame goes once it is
authentic, and a bad one ends the command with an error: check its exit code.

Examples:
  envelope decrypt report.pdf.enc -o report.pdf
  envelope decrypt report.pdf.enc -o report.pdf --context tenant=42
  envelope decrypt < photos.tar.enc | tar -x
  echo "$TOKEN" | envelope decrypt --base64
  envelope decrypt report.pdf.enc -o report.pdf --kms aws --account 111122223333`,
  inspect: `Nothing it shows is authenticated: anybody can write a header.

Examples:
  envelope inspect report.pdf.enc
  envelope inspect --json report.pdf.enc | jq .encryptionContext`,
  reencrypt: `Encryption context and signature are taken over unless given anew.

Examples:
  envelope reencrypt old.enc -o new.enc --key alias/app-2026
  envelope reencrypt local.enc -o aws.enc --from-kms local --kms aws --key arn:aws:kms:...`,
  key: `Examples:
  envelope key create --alias app --description "invoices"
  envelope key list
  envelope key disable alias/app
  envelope key rotate alias/app --every 365
  envelope key rotations alias/app
  openssl rand 32 > material && envelope key import alias/external material
  envelope key delete alias/app --days 7`,
  alias: `Examples:
  envelope alias create app 1234abcd-12ab-34cd-56ef-1234567890ab
  envelope alias update app alias/app-2026`,
  kms: `Examples:
  envelope kms serve --seed kms.json
  AWS_ENDPOINT_URL_KMS=http://127.0.0.1:4599 aws kms list-keys`,
  kmsServe: `Prints the address that it serves, and ends with SIGINT or SIGTERM once running requests are answered.

Examples:
  envelope kms serve --kms local:./kms --port 4599
  envelope kms serve --memory --seed kms.json
  envelope kms serve --memory --open
  envelope kms serve --host 0.0.0.0 --tls-cert server.pem --tls-key server.key`,
  principal: `Nobody needs to be registered to call: whoever is not has no identity policies.

Examples:
  envelope principal create-group KeyAdmins
  envelope policy new manage | envelope principal policy arn:aws:iam::111122223333:group/KeyAdmins manage -
  envelope principal create-user Carol --group KeyAdmins
  envelope principal access-key create arn:aws:iam::111122223333:user/Alice
  envelope principal access-key list`,
}

export const environmentHelp = `Environment:
  ENVELOPE_KMS             where --kms is not given
  ENVELOPE_KEY             where encrypt is given no --key
  ENVELOPE_KMS_PASSPHRASE  encrypts the embedded KMS's keys, instead of a root key file
  ENVELOPE_KMS_ROOT_KEY    the root key file, instead of root.key in the embedded KMS's folder
  ENVELOPE_S3_CONFIG       the file with the default encryption of buckets
  ENVELOPE_DEBUG=1         shows where an error comes from
`

/** The table of exit codes, from the one place that has them. */
export function exitCodeHelp(): string {
  const rows: FailureClass[] = [{ exitCode: 0, description: "all went well" }, ...Object.values(failureClasses)]
  return `Exit codes:\n${rows.map(({ exitCode, description }) => `  ${String(exitCode).padStart(3)}  ${description}`).join("\n")}`
}
