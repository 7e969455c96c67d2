"""Every error of the relay, sorted by what becomes of the work it interrupts.

RelayError
├── ConfigError                 a person has to change a file or a setting; names file, key and remedy
│   └── UnsetSecretError        a `${NAME}` or `${file:…}` that isn't there: the source refuses, the connection holds
├── RefusedError                a request that is not accepted; carries the HTTP status it is answered with
├── BodyError                   an accepted body that can't be decoded: a dead letter, editable
├── RecipeError                 a `when`, `pick` or `with` that can't be made from this event: a dead letter, editable
├── DeliveryError               an attempt that did not deliver
│   ├── RetryableError          may get better by itself
│   ├── PermanentError          will not get better: a dead letter at once
│   ├── HoldError               every delivery of the connection would fail alike: its lane waits for an operator
│   └── UnknownOutcomeError     it may have happened: the recipe's `on_unknown` decides
├── BackupError                 a backup can't be made, or isn't whole
├── NewerDataError              the store's data was written by a newer relay
└── StoreError                  Redis can't do what was asked
    ├── StoreUnavailableError   it can't be reached, is still loading, or too few of its replicas keep up
    └── StoreFullError          it is at its memory limit
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file: path as the user gave it, line and column from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class RelayError(Exception):
    """Base of all errors the relay raises on purpose. `str()` is a sentence fit for an operator."""


class ConfigError(RelayError):
    """A file or a setting is wrong; the message names the key, what was found, and the remedy."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class UnsetSecretError(ConfigError):
    """A `${NAME}` or `${file:path}` names something that isn't there."""


class RefusedError(RelayError):
    """A request that is not accepted.

    `detail` is what the sender reads and tells nothing a stranger could use; `reason` is what the log says; `limit` is
    which limit was reached, where it is one that operators hear of.
    """

    def __init__(
        self, status: int, detail: str, reason: str = "", headers: dict[str, str] | None = None, limit: str = ""
    ) -> None:
        super().__init__(reason or detail)
        self.status = status
        self.detail = detail
        self.reason = reason or detail
        self.headers = headers or {}
        self.limit = limit


class BodyError(RelayError):
    """The body isn't what its content type says; the message says where it stops making sense."""


class RecipeError(RelayError):
    """An expression of a recipe can't be evaluated on this event; the message names the keys that are there."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class DeliveryError(RelayError):
    """An attempt that did not deliver.

    message   one line for operators, without secrets and without the payload
    status    the destination's status, where it has one (HTTP status, SFTP status, …)
    cause     what groups alike failures; the message without its changing parts. Defaults to the message
    received  what came back, redacted and cut, for the attempt's record
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        cause: str | None = None,
        received: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.cause = cause or message
        self.received = received or {}


class RetryableError(DeliveryError):
    """It may get better by itself: no connection, timeout before the body went out, 408, 425, 429, 5xx.

    `retry_after` is how long the destination asked us to wait, where it did.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        status: int | None = None,
        cause: str | None = None,
        received: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, status=status, cause=cause, received=received)
        self.retry_after = retry_after


class PermanentError(DeliveryError):
    """It will not get better by itself: the request is wrong."""


class HoldError(DeliveryError):
    """Every delivery of the connection would fail alike: bad credentials, or switched off by a 410."""


class UnknownOutcomeError(DeliveryError):
    """The request went out and no answer came: it may have happened."""


class BackupError(RelayError):
    """A backup can't be made, or a file isn't a whole one; the message names the file and the remedy."""


class NewerDataError(RelayError):
    """The store's data was written by a newer relay: this one can't go on with it."""


class StoreError(RelayError):
    """Redis can't do what was asked."""


class StoreUnavailableError(StoreError):
    """Redis can't be reached, is still loading its data, or has too few replicas that keep up."""


class StoreFullError(StoreError):
    """Redis is at its memory limit and refuses writes; it never evicts."""
