"""What a connection says."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.api import ApiConfig
from connectors.common.vendor_words import HeaderSecret
from connectors.s3.sign import Credentials, encoded

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_WORD = re.compile(r"[A-Za-z0-9_.:/+=@-]+")


class S3Config(ApiConfig):
    base_url: str = Field(
        "",
        description="Where the S3 API lives, without the bucket; empty is AWS in the connection's region. Cloudflare "
        "R2: `https://ACCOUNT.r2.cloudflarestorage.com`; MinIO or Ceph: the server's address.",
        examples=["https://minio.example.ac.uk:9000"],
    )
    bucket: str = Field(description="The bucket.", examples=["example-drops"])
    region: str = Field("us-east-1", description="The bucket's region; `auto` at Cloudflare R2.")
    access_key_id: str = Field(description="The access key's id.")
    secret_access_key: SecretStr = Field(description="Its secret.")
    session_token: HeaderSecret | None = Field(None, description="The token that goes with temporary credentials.")
    addressing: Literal["auto", "virtual", "path"] = Field(
        "auto",
        description="Where the bucket's name stands: `virtual` in the host, `path` in the path. `auto`: in the host at "
        "AWS (in the path where the name has a dot, which no certificate covers), in the path elsewhere.",
    )
    prefix: str = Field("", description="What every key starts with: a folder, as it were.", examples=["relay/in"])
    only_new: bool = Field(
        True,
        description="Never take the place of another object (`If-None-Match: *`). AWS, MinIO, Cloudflare R2 and new "
        "versions of Ceph know it; a server that doesn't says 501, or overwrites: switch it off only then.",
    )
    encryption: Literal["AES256", "aws:kms"] | None = Field(
        None, description="Encryption at rest to ask for; without, the bucket's own setting holds."
    )
    kms_key: str | None = Field(None, description="The KMS key's id or ARN, with `encryption: aws:kms`.")
    storage_class: str | None = Field(None, description="Where it isn't the usual one.", examples=["STANDARD_IA"])

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, value: str) -> str:
        if not _BUCKET.fullmatch(value):
            raise ValueError("a bucket's name has 3 to 63 letters, digits, dots and hyphens")
        return value

    @field_validator("region", "access_key_id", "kms_key", "storage_class")
    @classmethod
    def _is_a_word(cls, value: str | None) -> str | None:
        if value is not None and not _WORD.fullmatch(value):
            raise ValueError("is empty, or holds a space or a character that isn't in any")
        return value

    @field_validator("base_url")
    @classmethod
    def _has_no_query(cls, value: str) -> str:
        if "?" in value:
            raise ValueError("an address without a query is meant")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _a_key_goes_with_kms(self) -> S3Config:
        if self.kms_key is not None and self.encryption != "aws:kms":
            raise ValueError("kms_key goes with encryption: aws:kms")
        return self

    @property
    def bucket_url(self) -> str:
        """Ends without a slash."""
        base = self.base_url or f"https://s3.{self.region}.amazonaws.com"
        virtual = (
            not self.base_url and "." not in self.bucket
            if self.addressing == "auto"
            else (self.addressing == "virtual")
        )
        if not virtual:
            return f"{base}/{self.bucket}"
        parts = urlsplit(base)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"

    def url(self, key: str) -> str:
        return f"{self.bucket_url}/{encoded(key)}"

    def credentials(self) -> Credentials:
        token = self.session_token.get_secret_value() if self.session_token is not None else ""
        return Credentials(self.access_key_id, self.secret_access_key.get_secret_value(), self.region, token)
