"""Plain placeholders, `{count}` and the like, in header and trailer records, manifests and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from relay.errors import PermanentError

_PLACE = re.compile(r"\{([a-z0-9_]+)(?::([^{}]*))?\}")
_MOMENTS = {"date": "%Y%m%d", "time": "%H%M%S"}
_NUMBERS = ("count", "lines", "bytes")

#: What a record may say, and what a manifest may say besides.
RECORD = ("filename", "stem", "count", "lines", "date", "time", "key")
MANIFEST = (*RECORD, "bytes", "sha256", "md5")
NAME = ("filename", "stem", "extension", "key", "date", "time")


def checked(text: str, known: Sequence[str]) -> str:
    """For validators. Raises ValueError that names the wrong placeholder."""
    for name, spec in _PLACE.findall(text):
        if name not in known:
            raise ValueError(f"there is no {{{name}}} here; there are {', '.join(f'{{{one}}}' for one in known)}")
        if spec and name in _NUMBERS and not re.fullmatch(r"[0-9]{1,2}", spec):
            raise ValueError(f"{{{name}:{spec}}}: after a number comes its width, as in {{{name}:6}}")
        if spec and name in _MOMENTS and not re.fullmatch(r"(%[YymdHMSjbB]|[^%])+", spec):
            raise ValueError(f"{{{name}:{spec}}}: a date is made of %Y %y %m %d %H %M %S %j %b %B")
        if spec and name not in _NUMBERS and name not in _MOMENTS:
            raise ValueError(f"{{{name}}} takes nothing after a colon")
    if re.search(r"[{}]", _PLACE.sub("", text)):
        raise ValueError("a brace belongs to a placeholder such as {filename}")
    return text


def filled(text: str, values: Mapping[str, Any], moment: datetime | None) -> str:
    """A checked text with its values. Dates are those of the event's receipt, in UTC, and so the same in a retry."""

    def one(match: re.Match[str]) -> str:
        name, spec = match[1], match[2]
        if name in _MOMENTS:
            if moment is None:
                raise PermanentError(f"{{{name}}} isn't known here", cause="no time for a placeholder")
            return moment.strftime(spec or _MOMENTS[name])
        value = str(values[name])
        if spec and name in _NUMBERS:
            value = value.zfill(int(spec))
            if len(value) > int(spec):
                raise PermanentError(f"{{{name}:{spec}}} has no room for {value}", cause="count is too wide")
        return value

    return _PLACE.sub(one, text)
