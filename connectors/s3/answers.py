"""What S3's error codes mean for a delivery. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

from __future__ import annotations

import re

from connectors.common.api import Said
from relay.errors import DeliveryError

_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9_.]{1,80})\s*</Code>")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_CLOCK = "the clocks differ by more than the server takes: set this machine's clock (NTP)"

_HOLD = {
    "AccessDenied": "the credentials may not do this: allow s3:PutObject on the bucket's objects (with tags also "
    "s3:PutObjectTagging, with a KMS key kms:GenerateDataKey)",
    "AccountProblem": "the account is blocked; ask the vendor",
    "AllAccessDisabled": "the bucket is blocked; ask the vendor",
    "AuthorizationHeaderMalformed": "the connection's region is not the bucket's",
    "ExpiredToken": "the session_token has run out; give the connection a new one, or lasting credentials",
    "IllegalLocationConstraintException": "the connection's region is not the bucket's",
    "InvalidAccessKeyId": "there is no such access_key_id; check it, and that base_url is the right vendor's",
    "InvalidBucketName": "the bucket can't be called so; check `bucket`",
    "InvalidSecurity": "the credentials are not valid; check them",
    "InvalidStorageClass": "there is no such storage class; check storage_class",
    "InvalidToken": "the session_token isn't valid; give the connection a new one",
    "InvalidRegion": "the connection's region is not the bucket's",
    "NoSuchBucket": "there is no such bucket; check `bucket`, `region` and base_url, or create it",
    "NotImplemented": "the server lacks something that was asked for; say only_new: false if it is an old one, and "
    "check encryption and storage_class",
    "NotSignedUp": "the account isn't signed up for S3",
    "PermanentRedirect": "the bucket lives elsewhere; check `region` and base_url",
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "SignatureDoesNotMatch": "the secret_access_key is not the one of this access_key_id, or a proxy changes requests",
    "TokenRefreshRequired": "the session_token must be renewed",
    "UnauthorizedAccess": "the credentials may not do this; check them",
}
_RETRY = {
    "BadDigest": "the object arrived changed",
    "ConditionalRequestConflict": "another write to the same key was under way",
    "IncompleteBody": "the object arrived cut",
    "InternalError": "it has an internal error",
    "OperationAborted": "another operation on the bucket was under way",
    "RequestTimeout": "the object didn't arrive in time",
    "ServerBusy": "it is busy",
    "ServiceUnavailable": "it can't answer at the moment",
    "SlowDown": "too many requests; lower the connection's limit if it lasts",
    "SlowDownRead": "it is busy",
    "SlowDownWrite": "it is busy",
    "TemporaryRedirect": "the bucket is being moved",
    "ThrottlingException": "too many requests; lower the connection's limit if it lasts",
    "TooManyRequests": "too many requests; lower the connection's limit if it lasts",
    "XAmzContentSHA256Mismatch": "the object arrived changed",
    "XMinioStorageFull": "its disks are full",
}


def code_of(said: Said) -> str:
    """From the error's XML, whatever content type it came with; '' where there is none, as after a HEAD."""
    found = _CODE.search(said.received.body[:20_000])
    return found.group(1).decode() if found else ""


def judged(said: Said) -> DeliveryError | None:
    """None where the status alone tells."""
    if 200 <= said.status < 300:
        # A gateway or a login page may say 200; an object that was stored has an ETag.
        if not said.header("etag"):
            return said.retry("no ETag, so it is no S3 server that answered; check base_url if it lasts", "s3 no etag")
        return None
    code = code_of(said)
    cause = f"s3 {code}"
    region = said.header("x-amz-bucket-region") or ""
    if code in _HOLD:
        words = _HOLD[code]
        if "region" in words and _REGION.fullmatch(region):
            words = f"the bucket is in the region {region}; write that into the connection's `region`"
        return said.hold(f"{words} ({code})", cause)
    if code.startswith("KMS."):
        return said.hold(f"the KMS key can't be used; check kms_key and what the credentials may ({code})", cause)
    if code in _RETRY:
        return said.retry(f"{_RETRY[code]} ({code})", cause)
    if said.status == 301 or (said.status == 400 and not code and _REGION.fullmatch(region)):
        return said.hold("the bucket lives elsewhere; check `region` and base_url", "s3 PermanentRedirect")
    if said.status in (401, 403):
        return said.hold(f"the credentials may not do this{f' ({code})' if code else ''}", cause.strip())
    if code and said.status < 500 and said.status not in (408, 410, 425, 429):
        # Its message can repeat the key, a tag or a header.
        return said.permanent(f"it doesn't take the object ({code})", cause)
    return None
