# The S3 Encryption Client of the AWS SDK for Ruby as a peer: one JSON request a line on standard input, one answer a line
# back.

require "base64"
require "json"
require "openssl"
require "aws-sdk-kms"
require "aws-sdk-s3"

WRAPS = { "kms" => :kms_context, "aes" => :aes_gcm, "rsa" => :rsa_oaep_sha1 }.freeze

def encryption_client(request)
  common = {
    region: "us-east-1",
    access_key_id: request["accessKeyId"],
    secret_access_key: request["secretAccessKey"],
  }
  s3 = Aws::S3::Client.new(endpoint: request["s3"], force_path_style: true, **common)
  options = { client: s3 }
  options[:envelope_location] = :instruction_file if request["instructionFile"]
  case request["kind"]
  when "kms"
    options[:kms_client] = Aws::KMS::Client.new(endpoint: request["kms"], **common)
    # This SDK's KMS is older than the KeyId of Decrypt.
    reads = request["mode"] == "get" && request["format"] == "V2"
    options[:kms_key_id] = reads ? :kms_allow_decrypt_with_any_cmk : request["keyId"]
  when "aes" then options[:encryption_key] = Base64.decode64(request["aesKey"])
  when "rsa" then options[:encryption_key] = OpenSSL::PKey::RSA.new(request["rsaKey"])
  end
  return Aws::S3::Encryption::Client.new(**options) if request["format"] == "V1"

  Aws::S3::EncryptionV2::Client.new(
    key_wrap_schema: WRAPS[request["kind"]],
    content_encryption_schema: :aes_gcm_no_padding,
    security_profile: :v2,
    **options,
  )
end

def run(request)
  client = encryption_client(request)
  place = { bucket: request["bucket"], key: request["key"] }
  place[:kms_encryption_context] = request["context"] unless request["context"].empty?
  return client.get_object(**place).body.read if request["mode"] == "get"

  client.put_object(body: Base64.decode64(request["body"]), **place)
  ""
end

$stdout.sync = true
$stdin.each_line do |line|
  answer =
    begin
      { body: Base64.strict_encode64(run(JSON.parse(line))) }
    rescue StandardError => e
      { error: "#{e.class}: #{e.message}" }
    end
  puts JSON.generate(answer)
end
