/** What readers of the guides bring along. */
declare const keyArn: string
declare const keyring: import("../../src/index.ts").Keyring
declare const message: Uint8Array
declare const client: import("@aws-sdk/client-kms").KMSClient
declare const order: { readonly id: string }
declare function saveOrder(value: typeof order): Promise<void>
