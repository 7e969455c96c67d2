"""What StuTalk answers: rows, and what a put is told."""

from __future__ import annotations

import json
import re
from typing import Any

from connectors.common.encode import to_text
from relay.errors import PermanentError, RetryableError
from relay.model import Reply

_WHOLE = re.compile(r"-?[0-9]+")


def read(body: Any) -> Any:
    """JSON, however it is labelled; one process is known to leave out the braces around an object."""
    if not isinstance(body, str):
        return body
    for text in (body, f"{{{body}}}"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            continue
    return body


def rows_of(reply: Reply, process: str) -> list[dict[str, Any]]:
    """The list of lists, whose first has the columns, as objects."""
    if "cut" in reply.received:
        if "broke off" in reply.received["cut"]:
            raise RetryableError(
                "the answer broke off", status=reply.status, cause="answer broke off", received=dict(reply.received)
            )
        raise not_rows(reply, process, f"{reply.received['cut']}: ask for less by further keys")
    table = read(reply.body)
    if table is None or table == []:
        return []
    if not isinstance(table, list) or not all(isinstance(row, list) for row in table):
        raise not_rows(reply, process, "it is no list of lists")
    columns, *rows = table
    if not all(isinstance(column, str) for column in columns) or len(set(columns)) < len(columns):
        raise not_rows(reply, process, "its first row isn't the names of columns, each once")
    if any(len(row) != len(columns) for row in rows):
        raise not_rows(reply, process, "a row has more or fewer values than there are columns")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def not_rows(reply: Reply, process: str, why: str) -> PermanentError:
    return PermanentError(
        f"the process {process} answered {reply.summary}, but not with rows: {why}",
        status=reply.status,
        cause="stutalk not rows",
        received=dict(reply.received),
    )


def divided(value: Any) -> Any:
    """5055 as 50.55, exactly; what is no whole number stays."""
    text = to_text(value)
    if isinstance(value, bool) or not _WHOLE.fullmatch(text):
        return value
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.rjust(3, "0")
    return f"{sign}{digits[:-2].lstrip('0') or '0'}.{digits[-2:]}"
