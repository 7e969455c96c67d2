"""What PostgreSQL's refusals, and the loss of it, mean for a delivery.

The server's own words are never passed on: they quote values ("Key (email)=(…) already exists"). Its code is, and the
column or the constraint. https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import asyncpg

from connectors.postgres.config import PostgresConfig
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError

#: Told as a refusal of the content, a batch is halved until the bad row stands alone.
CONTENT_REFUSED = 422
#: How far a write had come. Only while it is being committed is its outcome unknown.
CONNECTING, WRITING, COMMITTING = "connecting", "writing", "committing"

#: Everything that asyncpg and the network raise; TimeoutError is an OSError.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

_RETRY = {
    "08": "the connection was lost",
    "40": "another transaction was in the way",
    "53": "it lacks memory, disk or connections",
    "57": "it is shutting down, starting, or somebody cancelled the statement",
    "58": "it has trouble with its files",
    "XX": "it has found a fault of its own",
    "55P03": "another transaction holds a lock on the row or table",
    "55006": "the table is in use",
    "57014": "the statement was cancelled, or took longer than the step's timeout",
    "25006": "it only reads at the moment: a standby, or one that is being switched over",
    "53100": "its disk is full",
    "53300": "it has no connection left; lower `connections`, or raise max_connections there",
}
_HOLD = {
    "28": "it refused the login; check user, password and the server's pg_hba.conf",
    "3D": "there is no such database; check the connection's `database`",
    "57P04": "the database has been dropped; check the connection's `database`",
    "42501": "its user may not write this table: GRANT it INSERT, SELECT and, for upsert, UPDATE; and USAGE on the "
    "schema and on the table's sequences",
}
#: About the table or the step, so that every row alike would be refused.
_PERMANENT = {
    "3F": "there is no such schema",
    "42P01": "there is no such table",
    "42P10": "no unique index or primary key covers exactly the columns of `key`; CREATE UNIQUE INDEX there, or name "
    "the right columns",
    "0A": "the table doesn't take this kind of statement",
    "55": "the table doesn't take this kind of statement",
}
_CONTENT = {
    "22": "it can't take a value",
    "23": "a constraint refuses the row",
    "42": "the statement doesn't fit the table",
    "44": "the view's condition refuses the row",
    "54": "the row is too large",
    "P0": "a trigger refuses the row",
    "23502": "a value is missing",
    "23503": "the row refers to one that isn't there",
    "23505": "such a row is there already; say conflict: ignore or use upsert if that is meant to be so",
    "23514": "a check refuses the row",
    "22001": "a text is too long",
    "22003": "a number is too large",
    "21000": "two rows of the statement write the same row",
}
#: Answers to a COMMIT that leave open whether it was done.
_UNCLEAR = ("08", "57", "58", "XX")
_STATEMENT_COMPLETION_UNKNOWN = "40003"


@dataclass(frozen=True, slots=True)
class About:
    """What was being done: for the message, and whether a repeat adds nothing."""

    config: PostgresConfig
    table: str = ""
    repeatable: bool = False
    unchecked: tuple[str, ...] = ()


def sort_error(error: BaseException, about: About, stage: str) -> DeliveryError:
    code = getattr(error, "sqlstate", None) or ""
    unclear = not code or code.startswith(_UNCLEAR) or code == _STATEMENT_COMPLETION_UNKNOWN
    if stage == COMMITTING and unclear:
        what = f"{about.config.host} was lost while it committed"
        if about.repeatable:
            return RetryableError(f"{what}; a repeat makes no second row", cause="lost at commit")
        return UnknownOutcomeError(
            f"{what}: the rows may be there; give the step a delivery_column, and a repeat makes no second row",
            cause="lost at commit",
        )
    if code:
        return _by_code(error, code, about)
    return _lost(error, about.config, stage)


def _by_code(error: BaseException, code: str, about: About) -> DeliveryError:
    parts = {name: getattr(error, f"{name}_name", None) for name in ("schema", "table", "column", "constraint")}
    received: dict[str, Any] = {"sqlstate": code, "condition": _condition(error)}
    received |= {name: value for name, value in parts.items() if value}
    # Row-level security refuses one row with the code of a missing right.
    policy = code == "42501" and getattr(error, "server_source_function", "") == "ExecWithCheckOptions"
    tables: tuple[tuple[type[Any], dict[str, str], int | None], ...] = (
        (HoldError, {} if policy else _HOLD, None),
        (RetryableError, _RETRY, None),
        (PermanentError, _PERMANENT, None),
        (PermanentError, {**_CONTENT, "42501": "a policy of the table refuses the row"}, CONTENT_REFUSED),
    )
    kind, words, status = _found(code, tables)
    where = f" (column {parts['column']})" if parts["column"] else ""
    where += f" (constraint {parts['constraint']})" if parts["constraint"] else ""
    if code.startswith("22") and not where and about.unchecked:
        where = f" (one of the columns {', '.join(about.unchecked)})"
    at = f"{about.config.host}, table {about.table}" if about.table else about.config.host
    cause = f"postgres {code}" + (f" {parts['column'] or parts['constraint'] or ''}".rstrip())
    sorted_: DeliveryError = kind(f"{at}: {words}{where} [{code}]", status=status, cause=cause, received=received)
    return sorted_


def _found(
    code: str, tables: tuple[tuple[type[Any], dict[str, str], int | None], ...]
) -> tuple[type[Any], str, int | None]:
    """The whole code before its class."""
    for key in (code, code[:2]):
        for kind, words, status in tables:
            if key in words:
                return kind, words[key], status
    return PermanentError, "it refuses the statement", CONTENT_REFUSED


def _condition(error: BaseException) -> str:
    """`unique violation` of UniqueViolationError."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _lost(error: BaseException, config: PostgresConfig, stage: str) -> DeliveryError:
    host = config.host
    if isinstance(error, TimeoutError):
        if stage == CONNECTING:
            return RetryableError(f"{host} didn't log us in in time", cause="connect timeout")
        return RetryableError(f"{host} gave no answer in time; nothing was committed", cause="no answer in time")
    if isinstance(error, socket.gaierror):
        return RetryableError(f"the name {host} can't be resolved: {error.strerror}", cause="dns failure")
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", "") or error.reason or "the handshake failed"
        return RetryableError(
            f"no secure connection to {host}: {why}; see the connection's ca_file and sslmode", cause="tls failure"
        )
    if "rejected SSL" in str(error):
        return HoldError(
            f"{host} has no TLS: switch it on there, or say sslmode: disable if it is on this machine",
            cause="server without tls",
        )
    if isinstance(error, OSError) and stage == CONNECTING:
        return RetryableError(
            f"no connection to {host}: {error.strerror or 'it closed at once'}", cause="no connection"
        )
    return RetryableError(f"the connection to {host} was lost; nothing was committed", cause="connection lost")
