"""Names of tables and columns: quoted, so that nothing in one is ever read as SQL."""

from __future__ import annotations

import re

#: PostgreSQL cuts longer names, and would then take another table's or column's.
_LONGEST_BYTES = 63
_PART = re.compile(r'"(?:[^"]|"")+"|[^".\s]+')


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def name_parts(text: str) -> tuple[str, ...]:
    """`table`, `schema.table`, `"odd.name"` as their parts. Raises ValueError."""
    parts: list[str] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        if found is None:
            raise ValueError(
                'a name is written `table` or `schema.table`, a part with a dot or a space as `"odd name"`'
            )
        part = found.group()
        parts.append(part[1:-1].replace('""', '"') if part.startswith('"') else part)
        at = found.end()
        if at == len(text):
            break
        if text[at] != "." or len(parts) == 2:
            raise ValueError("a table is named `table` or `schema.table`")
        at += 1
    for part in parts:
        column_name(part)
    return tuple(parts)


def column_name(text: str) -> str:
    """Raises ValueError where PostgreSQL could not have it for a name."""
    if not text or not text.isprintable():
        raise ValueError("a name is empty, or holds a control character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("a name holds half a character") from None
    if size > _LONGEST_BYTES:
        raise ValueError(f"a name of {size} bytes is too long; PostgreSQL takes {_LONGEST_BYTES}")
    return text


def table_name(parts: tuple[str, ...]) -> str:
    return ".".join(quoted(part) for part in parts)
