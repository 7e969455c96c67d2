"""The address of a process and its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from connectors.common.encode import to_text
from connectors.stutalk.config import NAME, Process, Slash, StutalkConfig
from relay.errors import PermanentError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def path_of(fields: Process, config: StutalkConfig) -> str:
    slash = fields.slash or config.slash
    parts = [fields.process]
    for name, value in fields.keys.items():
        parts += [_name(name), _segment(name, as_sits(value), slash)]
    return "/" + "/".join(parts)


def _name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise PermanentError(f"{name[:60]!r} isn't the name of a field", cause="stutalk key")
    return name


def _segment(name: str, value: Any, slash: Slash) -> str:
    """A value in the address: nothing in it may start another field or lead elsewhere."""

    def refused(why: str) -> PermanentError:
        return PermanentError(f"the key {name} {why}", cause="stutalk key")

    if isinstance(value, (Mapping, list, tuple)):
        raise refused("must be one value, not a list or a mapping")
    text = to_text(value)
    if not text.strip():
        raise refused("is empty: the address would name another record")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text) or "\\" in text:
        raise refused("holds a control character or a backslash")
    if not text.strip("."):
        raise refused("holds dots alone, which lead to another address")
    # Else two keys would be one address: a&&b and a/b.
    if slash in text and (slash == "&&" or "/" in text):
        raise refused(f"holds {slash}, which stands for a slash here: say another `slash`")
    try:
        return slash.join(quote(part, safe="") for part in text.split("/"))
    except UnicodeEncodeError:
        raise refused("holds half a character") from None


def as_sits(value: Any) -> Any:
    """Dates as SITS shows them, whatever the machine's language is."""
    if isinstance(value, date):
        return f"{value.day:02}-{_MONTHS[value.month - 1]}-{value.year % 100:02}"
    return value
