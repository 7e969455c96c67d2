"""What a connection to an SFTP server may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.files.placeholders import MANIFEST, NAME, checked
from connectors.sftp.hostkey import pinned
from connectors.sftp.pgp import Pgp
from relay.connector import ConnectionConfig, Duration, Fields

TEMPORARY = ".{filename}.{key}.part"


class Manifest(Fields):
    name: str = Field(
        "{stem}.DONE",
        description="Its name, beside the file; `{filename}` is the file's, `{stem}` that without its extension.",
        examples=["{filename}.done"],
    )
    content: str = Field(
        "{filename}\n",
        description="What it holds: text with {filename}, {stem}, {count} or {count:6} (rows), {lines}, {bytes}, "
        "{sha256}, {md5}, {date}, {time}, {key}. May be empty.",
    )

    @field_validator("name")
    @classmethod
    def _is_the_files_own(cls, value: str) -> str:
        if "{filename}" not in value and "{stem}" not in value:
            raise ValueError("must have {filename} or {stem} in it, or one file's manifest takes another's place")
        if "/" in value or value == "{filename}":
            raise ValueError("is a name beside the file, other than the file's")
        return checked(value, NAME)

    @field_validator("content")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return checked(value, MANIFEST)


class Archive(Fields):
    folder: str = Field(
        min_length=1,
        description="Where copies go: relative to the data folder, or with `at: server` to the connection's `folder`.",
        examples=["archive/sits"],
    )
    at: Literal["relay", "server"] = Field("relay", description="On this machine, or at the server.")


class SftpConfig(ConnectionConfig):
    host: str = Field(description="The server.", examples=["sftp.example.ac.uk"])
    port: int = Field(22, ge=1, le=65535, description="Its port.")
    username: str = Field(description="Who the relay is there.")
    password: SecretStr | None = Field(None, description="The password, where the server wants one.")
    private_key: SecretStr | None = Field(None, description="The private key's text, in OpenSSH or PEM form.")
    passphrase: SecretStr | None = Field(None, description="What opens the private key.")
    host_key: str | list[str] = Field(
        description="The server's public key as `ssh-keyscan HOST` prints it, or the fingerprint `SHA256:…` of its "
        "ed25519 key (of another kind where it has none). A list while the server changes its key."
    )
    folder: str = Field("", description="The folder there that paths start from; empty is the login's own.")
    create_folders: bool = Field(False, description="Make folders that are not there.")
    temporary: str = Field(
        TEMPORARY,
        description="The file's name until it is complete; with `/` in it, in another folder, counted from the file's, "
        "on the same disk. Keep {key} in it wherever the server's rules let you: then no two deliveries share one.",
        examples=["{filename}.partial", "../uploading/{filename}.{key}"],
    )
    checksums: list[Literal["sha256", "md5"]] = Field(
        [], description="Put `NAME.sha256` or `NAME.md5` beside the file, as `sha256sum` writes them, after it."
    )
    manifest: Manifest | None = Field(
        None, description="A file that says that the file is complete; it is sent last.", examples=[{}]
    )
    pgp: Pgp | None = Field(None, description="Encrypt files by the system's `gpg`.")
    archive: Archive | None = Field(
        None, description="Keep a copy of what is sent, as it is sent; written before the file gets its name."
    )
    taken: list[str] = Field(
        [],
        description="Where the server's owner moves files that were read, counted from the file's folder: what a retry "
        "finds there is not sent a second time.",
        examples=[["processed/{filename}"]],
    )
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    connect_timeout: Duration = Field(timedelta(seconds=20), description="How long logging in may take.")

    @field_validator("host_key")
    @classmethod
    def _can_be_read(cls, value: str | list[str]) -> str | list[str]:
        if not as_list(value):
            raise ValueError("name at least one key")
        for text in as_list(value):
            pinned(text)
        return value

    @field_validator("temporary")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = value.rpartition("/")[2]
        if "{filename}" not in name and "{key}" not in name:
            raise ValueError("must have {filename} or {key} in its last part")
        if value == "{filename}":
            raise ValueError("must differ from the file's own name")
        return checked(value, ("filename", "stem", "extension", "key"))

    @field_validator("taken")
    @classmethod
    def _are_names(cls, value: list[str]) -> list[str]:
        for one in value:
            if "{filename}" not in one and "{stem}" not in one:
                raise ValueError("must have {filename} or {stem} in it")
            checked(one, NAME)
        return value

    @model_validator(mode="after")
    def _some_way_in(self) -> SftpConfig:
        if self.password is None and self.private_key is None:
            raise ValueError("say password or private_key")
        return self


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
