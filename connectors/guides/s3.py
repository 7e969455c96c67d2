"""What the page of the S3 connector says."""

from __future__ import annotations

from relay.connector.guide import Guide, Trouble


def _held(code: str, means: str, do: str) -> Trouble:
    return Trouble(f"s3 {code}", f"{means}; the lane is held.", "admin", do)


def _again(code: str, means: str) -> Trouble:
    return Trouble(f"s3 {code}", f"{means}. It is tried again.", "nobody")


_KEYS = "Check `access_key_id` and `secret_access_key`, then resume the connection."
_RENEW = (
    "Give the connection a new `session_token`; better, the access key of a user of its own, which doesn't run out."
)
_PLACE = "Write the bucket's own region into `region` (the message names it where the server does)."

GUIDE = Guide(
    setup=(
        "AWS: in the console open S3, Create bucket, and keep Block all public access on. Note its name and region.",
        ("In IAM create a user of its own for the relay, without console access. Give it a policy that allows "
        "`s3:PutObject` and `s3:GetObject` on `arn:aws:s3:::BUCKET/PREFIX/*` and `s3:ListBucket` on "
        "`arn:aws:s3:::BUCKET`; for tags also `s3:PutObjectTagging`, for a KMS key `kms:GenerateDataKey`."),
        ("At that user, Security credentials, Create access key: the id goes into `access_key_id`, the secret, which "
        "is shown once, into the secret that `secret_access_key` names."),
        ("Cloudflare R2: R2, Manage API tokens, Create with Object Read & Write on the one bucket. `base_url` is "
        "`https://ACCOUNT.r2.cloudflarestorage.com`, `region` is `auto`."),
        ("MinIO or Ceph: an access key of a user who may write the bucket; `base_url` is the server's address. A "
        "server inside your network also needs `allow_private: true`."),
        "Run `relay connections test NAME`: it looks at the bucket and writes nothing.",
    ),
    repeats=(
        "A delivery's key holds a piece of the delivery's id and is the same for every attempt, and the object is "
        "written only where nothing has that key (`If-None-Match: *`). Where a retry finds it, its content is compared "
        "and the delivery ends as delivered. With `unique: false` and `only_new: false` an object of the same key is "
        "overwritten, somebody else's too."
    ),
    limits=(
        "A key has at most 1,024 bytes, metadata 2 KB, and an object ten tags; more is refused before it is sent.",
        "An object is sent in one request, so it is complete or not there.",
        "AWS takes 3,500 writes a second for each prefix and says SlowDown beyond; the relay tries again later.",
    ),
    also=('file',),
    troubles=(
        Trouble(
            "not utf-8",
            "A name or text holds half of a character, which no encoding has.",
            "author",
            "Correct the value in the dead letter and replay it.",
            "dead",
        ),
        _held("AccessDenied", "The credentials may not write", "Allow `s3:PutObject` and what the message names."),
        _held("InvalidAccessKeyId", "There is no such access key", _KEYS),
        _held("SignatureDoesNotMatch", "The secret isn't the access key's", _KEYS),
        _held("InvalidSecurity", "The credentials aren't valid", _KEYS),
        _held("UnauthorizedAccess", "The credentials may not do this", _KEYS),
        _held("ExpiredToken", "The temporary credentials have run out", _RENEW),
        _held("InvalidToken", "The session token isn't valid", _RENEW),
        _held("TokenRefreshRequired", "The session token must be renewed", _RENEW),
        _held("NoSuchBucket", "There is no such bucket", "Check `bucket`, `region` and `base_url`, or create it."),
        _held("InvalidBucketName", "No bucket can be called so", "Correct `bucket`."),
        _held("PermanentRedirect", "The bucket is in another region", _PLACE),
        _held("AuthorizationHeaderMalformed", "The region isn't the bucket's", _PLACE),
        _held("IllegalLocationConstraintException", "The region isn't the bucket's", _PLACE),
        _held("InvalidRegion", "The region isn't the bucket's", _PLACE),
        _held("RequestTimeTooSkewed", "This machine's clock is wrong", "Set it with NTP."),
        _held("RequestExpired", "This machine's clock is wrong", "Set it with NTP."),
        _held("NotImplemented", "The server lacks something", "Say `only_new: false`, or leave out what it lacks."),
        _held("InvalidStorageClass", "There is no such storage class", "Correct `storage_class`."),
        _held("KMS.*", "The KMS key can't be used", "Check `kms_key`, and allow `kms:GenerateDataKey`."),
        Trouble("s3 AccountProblem", "The account is blocked; the lane is held.", "vendor", "Ask the vendor."),
        Trouble("s3 AllAccessDisabled", "The bucket is blocked; the lane is held.", "vendor", "Ask the vendor."),
        Trouble("s3 NotSignedUp", "The account has no S3; the lane is held.", "vendor", "Sign up."),
        _again("SlowDown*", "Too many requests"),
        _again("InternalError", "The server has an error"),
        _again("ServiceUnavailable", "The server can't answer"),
        _again("RequestTimeout", "The object didn't arrive in time"),
        _again("BadDigest", "The object arrived changed"),
        _again("no etag", "Something answered that is no S3 server; check `base_url` if it lasts"),
        _again("object can't be seen", "An earlier attempt's object couldn't be looked at"),
        Trouble("object is there already", "Another object has that key, and is left as it is. A dead letter.",
                "author", "Put something of the event into `path`, or leave `unique` on.", fate="dead"),
        Trouble("path refused", "The key is too long, or `path` climbs or holds a control character. A dead letter.",
                "author", "Correct `path`.", fate="dead"),
        Trouble("s3 *", "The server doesn't take the object, for the reason its code names. A dead letter.", "author",
                "Look the code up in the vendor's list of S3 errors."),
    ),
    verified="Signatures against botocore's signer; requests and answers against moto's S3 server and a strict fake. "
    "Not tried against AWS, Cloudflare R2, MinIO or Ceph themselves.",
)  # fmt: skip
