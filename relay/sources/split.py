"""A body that holds many events, taken apart: `split: $[*]`, `split: $.events[*]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.model import JSON
from relay.sources.units import wrong

_SPLIT = re.compile(r"\$((?:\.[\w-]+)*)\[\*\]")


@dataclass(frozen=True, slots=True)
class Split:
    """keys: the way from the body to its list."""

    keys: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Split:
        """Raises a validation error that shows the right form."""
        match = _SPLIT.fullmatch(text.strip())
        if match is None:
            message = f"{text!r} isn't the way to a list; it is $[*] where the body is one, or such as $.events[*]"
            raise wrong("split", message)
        return cls(tuple(match[1].split(".")[1:]))

    def items(self, body: JSON) -> list[JSON]:
        """The list's items; none where the body has no list there, which keeps it one event."""
        found: JSON = body
        for key in self.keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, list) else []
