/** What sets the kinds of keys apart. */
export interface KeyType {
  readonly type: "customer managed" | "AWS managed" | "AWS owned"
  /** In `DescribeKey`; absent where no customer ever describes the key. */
  readonly keyManager?: "CUSTOMER" | "AWS"
  readonly creator: string
  readonly rotation: string
  readonly deletion: string
  readonly visibleMetadata: string
  readonly scope: string
  /** US dollars, before the free requests of each month. */
  readonly cost: string
}

/** The three types of KMS keys side by side; each statement is tested against this KMS. */
export const keyTypes: readonly KeyType[] = [
  {
    type: "customer managed",
    keyManager: "CUSTOMER",
    creator: "you, with CreateKey",
    rotation: "as you set it: automatic every 90 to 2,560 days (default 365), or on demand up to 25 times",
    deletion: "by you, 7 to 30 days after ScheduleKeyDeletion",
    visibleMetadata:
      "all, with key policy, grants, tags and aliases, which are yours to change; every use is in your trail",
    scope: "one Region of your account, or several as a multi-Region key; other accounts as its policy lets them",
    cost: "1 a month, 1 more for each of the first two rotations; 0.03 for 10,000 requests",
  },
  {
    type: "AWS managed",
    keyManager: "AWS",
    creator: "an AWS service, in your account, at its first write: alias/aws/s3, alias/aws/ebs",
    rotation: "every year, which nobody can change",
    deletion: "never",
    visibleMetadata: "metadata and key policy to look at, nothing to change; every use is in your trail",
    scope: "one Region of your account, through its service only",
    cost: "nothing a month; 0.03 for 10,000 requests",
  },
  {
    type: "AWS owned",
    creator: "an AWS service, in its own account",
    rotation: "by the service; here every year",
    deletion: "not yours to do",
    visibleMetadata: "none; nothing in your lists and trail",
    scope: "the service's own account, for the data of many customers",
    cost: "nothing",
  },
]
