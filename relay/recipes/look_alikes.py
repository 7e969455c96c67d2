"""Signs that look like a quote, like a space or like nothing, and are none: word processors bring them along."""

from __future__ import annotations

import re

CURLY = "“”„‟‘’‚‛"

#: Looks like a space or like nothing, and is no space for YAML. (U+200D joins emoji, and stays.)
INVISIBLE = {
    "\u00a0": "a non-breaking space",
    "\u2007": "a figure space",
    "\u202f": "a narrow non-breaking space",
    "\u3000": "a wide space",
    "\u200b": "a zero-width space",
    "\u2060": "a word joiner",
    "\ufeff": "a byte order mark",
}
_ANY = "".join(INVISIBLE)

#: In a line's indent, behind a colon, or before one.
MISLEADING = re.compile(rf"^[ \t]*(?:- *)*([{_ANY}])|:([{_ANY}])|([{_ANY}]):(?:\s|$)")


def invisible_words(character: str) -> str:
    return (
        f"here is {INVISIBLE[character]} (U+{ord(character):04X}), which can't be seen: "
        "delete it, and type a space where one is needed"
    )


def curly_words(character: str) -> str:
    return (
        f'`{character}` is not a quote in YAML: write a straight one, "; where `{character}` itself is to be sent, put '
        "straight quotes around the whole text"
    )


def look_alike(raw: str) -> tuple[int, str] | None:
    """Where in an unquoted scalar such a sign stands, and what to say of it; within a text they are let be."""
    if raw[0] in CURLY and raw[-1] in f"{CURLY}\"'":
        return 0, curly_words(raw[0])
    for offset in (0, len(raw) - 1, raw.find(":") + 1):
        if raw[offset : offset + 1] in INVISIBLE and "\n" not in raw[:offset]:
            return offset, invisible_words(raw[offset])
    return None
