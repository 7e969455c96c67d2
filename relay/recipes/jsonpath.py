"""What may follow `$` or `$name` in a path: RFC 9535's segments, read here by place and spelt anew for jsonpath-ng.

jsonpath-ng takes more than the RFC (bare words as text, `=`, sorting, sums, functions of its own), and some of that
means something else than it looks. So nothing is passed on as it was written: what is not understood here is refused.
docs/jsonpath.md tells the differences from the RFC, and the RFC's own test suite holds the page to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError, Place

#: From an offset in an expression's text to its place in the file.
At = Callable[[int], Place]

#: No path of a person is longer.
MAX_PATH = 1000
#: Each `..` multiplies what is looked through by the depth of the body, which a sender chooses.
MOST_DESCENTS = 2
#: RFC 9535 2.1: integers beyond this are not exact everywhere.
_MAX_INDEX = 2**53 - 1

#: What needs no quotes. XML has keys with `@` and `#`.
KEY = re.compile(r"[@#]?\w+")
_SPACE = re.compile(r"[ \t\r\n]*")
_INTEGER = re.compile(r"-?\d+")
_WORD = re.compile(r"[^\W\d]\w*")

_INSIDE = 'inside [ ] stands a number, a "key", `*`, or a condition such as ?(@.qty > 1)'


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path.

    kind   names, indexes, every, slice or condition
    value  the names, the indexes or the slice's three numbers; a condition's is jsonpath-ng's, when it is prepared
    deep   whether it stands after `..`
    spelt  as jsonpath-ng is given it
    """

    kind: str
    value: Any
    deep: bool
    spelt: str

    @property
    def one(self) -> str | int | None:
        """The key or index of a segment that can match no more than one value; None for any other."""
        alone = self.kind in ("names", "indexes") and len(self.value) == 1 and not self.deep
        return self.value[0] if alone else None


class PathReader:
    """Reads segments at an offset of an expression's text. Every method raises ConfigError at the offending place.

    root       the name that the path starts from; "" for the body
    condition  reads a condition, from the offsets of its `[` and after its `?`: gives it as jsonpath-ng is to have it,
               and the offset after it
    """

    def __init__(
        self, text: str, at: At, root: str, condition: Callable[[PathReader, int, int], tuple[str, int]]
    ) -> None:
        self.text = text
        self.at = at
        self.root = root
        self.condition = condition

    def wrong(self, message: str, position: int) -> ConfigError:
        return ConfigError(message, self.at(position))

    def after_space(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        assert match is not None
        return match.end()

    def segments(self, position: int, *, spaced: bool = False) -> tuple[list[Segment], int]:
        """As many as follow, and the offset after them. `spaced` where white space may stand between them."""
        found: list[Segment] = []
        while True:
            start = self.after_space(position) if spaced else position
            if self.text.startswith("..", start):
                segment, position = self._after_dots(start + 2)
            elif self.text.startswith(".", start):
                segment, position = self._after_dot(start + 1)
            elif self.text.startswith("[", start):
                segment, position = self._bracket(start, deep=False)
            else:
                return found, position
            found.append(segment)

    def _after_dot(self, position: int) -> tuple[Segment, int]:
        if self.text.startswith("*", position):
            return Segment("every", None, False, "[*]"), position + 1
        key = KEY.match(self.text, position)
        if not key:
            raise self.wrong('after `.` comes a key; one with other signs is written ["like-this"]', position - 1)
        return names((key[0],)), key.end()

    def _after_dots(self, position: int) -> tuple[Segment, int]:
        if self.text.startswith("*", position):
            return Segment("every", None, True, "..[*]"), position + 1
        if self.text.startswith("[", position):
            return self._bracket(position, deep=True)
        key = KEY.match(self.text, position)
        if not key:
            raise self.wrong("after `..` comes a key, as in $..id", position)
        return names((key[0],), deep=True), key.end()

    # --- brackets ---

    def _bracket(self, opened: int, *, deep: bool) -> tuple[Segment, int]:
        position = self.after_space(opened + 1)
        self.not_the_end(position, opened)
        character = self.text[position]
        dots = ".." if deep else ""
        if character == "?":
            spelt, position = self.condition(self, opened, position + 1)
            segment = Segment("condition", None, deep, f"{dots}[?{spelt}]")
        elif character == "*":
            segment, position = Segment("every", None, deep, f"{dots}[*]"), position + 1
        elif character in "\"'":
            keys, position = self._several(position, self.quoted)
            segment = names(keys, deep=deep)
        elif character in "-:0123456789":
            segment, position = self._numbers(position, deep=deep)
        else:
            raise self._no_selector(position)
        position = self.after_space(position)
        self.not_the_end(position, opened)
        if self.text[position] in ",:":
            raise self.wrong(
                "one pair of brackets takes keys, or numbers, or one slice, or one condition; "
                "conditions are joined with `||`",
                position,
            )
        if self.text[position] != "]":
            raise self.wrong(f"`{self.text[position]}` has no meaning here: a `]` is missing, or quotes", position)
        return segment, position + 1

    def not_the_end(self, position: int, opened: int) -> None:
        if position >= len(self.text):
            raise self.wrong(f"this `{self.text[opened]}` is never closed", opened)

    def _no_selector(self, position: int) -> ConfigError:
        word = _WORD.match(self.text, position)
        hint = f'; a key is in quotes: ["{word[0]}"]' if word else ""
        if self.text[position] == "$":
            hint = "; for a key or number that is a value itself, put the path in brackets, as in ($.items)[$index]"
        if self.text[position] == "(":
            hint = "; the last item is [-1]"
        return self.wrong(_INSIDE + hint, position)

    def _several(self, position: int, read: Callable[[int], tuple[Any, int]]) -> tuple[tuple[Any, ...], int]:
        """What stands between commas, as long as it is of one kind."""
        found: list[Any] = []
        while True:
            value, end = read(position)
            found.append(value)
            comma = self.after_space(end)
            following = self.after_space(comma + 1)
            if not self.text.startswith(",", comma) or not self._same_kind(value, following):
                return tuple(found), end
            position = following

    def _same_kind(self, value: Any, position: int) -> bool:
        character = self.text[position : position + 1]
        return character in ('"', "'") if isinstance(value, str) else character.isdigit() or character == "-"

    def _numbers(self, position: int, *, deep: bool) -> tuple[Segment, int]:
        dots = ".." if deep else ""
        parts: list[int | None] = [None]
        if self.text[position] != ":":
            indexes, position = self._several(position, self._index)
            if not self.text.startswith(":", self.after_space(position)) or len(indexes) > 1:
                spelt = ",".join(map(str, indexes))
                return Segment("indexes", indexes, deep, f"{dots}[{spelt}]"), position
            parts = [indexes[0]]
        while len(parts) < 3 and self.text.startswith(":", self.after_space(position)):
            position = self.after_space(self.after_space(position) + 1)
            number: int | None = None
            if _INTEGER.match(self.text, position):
                number, position = self._index(position)
            parts.append(number)
        spelt = ":".join("" if part is None else str(part) for part in parts)
        return Segment("slice", (*parts, None)[:3], deep, f"{dots}[{spelt}]"), position

    def _index(self, position: int) -> tuple[int, int]:
        match = _INTEGER.match(self.text, position)
        if not match:
            raise self.wrong(_INSIDE, position)
        digits = match[0].removeprefix("-")
        if (digits[0] == "0" and len(match[0]) > 1) or len(digits) > 16 or int(digits) > _MAX_INDEX:
            raise self.wrong(f"{match[0]} is not the number of an item; the first is [0], the last [-1]", position)
        return int(match[0]), match.end()

    # --- text in quotes ---

    def quoted(self, start: int) -> tuple[str, int]:
        r"""Text with JSON's escapes, `\'` among them, and the offset after it."""
        quote = self.text[start]
        pieces: list[str] = []
        position = start + 1
        while position < len(self.text):
            character = self.text[position]
            if character == quote:
                return "".join(pieces), position + 1
            if character < " ":
                raise self.wrong(r"a line break or a tab in a path is written \n or \t", position)
            if character == "\\":
                character, position = self._escape(position)
            else:
                position += 1
            pieces.append(character)
        raise self.wrong(f"the quote {quote} that opens here is never closed", start)

    def _escape(self, position: int) -> tuple[str, int]:
        following = self.text[position + 1 : position + 2]
        if following in _ESCAPES:
            return _ESCAPES[following], position + 2
        if match := _UNICODE.match(self.text, position):
            code = int(match[1], 16)
            low = _UNICODE.match(self.text, match.end())
            if 0xD800 <= code < 0xDC00 and low and 0xDC00 <= int(low[1], 16) < 0xE000:
                return chr(0x10000 + (code - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00), low.end()
            if not 0xD800 <= code < 0xE000:
                return chr(code), match.end()
        raise self.wrong(rf"`\{following}` has no meaning in a path; a backslash itself is written \\", position)


_UNICODE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"', "'": "'"}


def names(keys: tuple[str, ...], *, deep: bool = False) -> Segment:
    return Segment("names", keys, deep, f"{'..' if deep else ''}[{','.join(map(spelt_text, keys))}]")


def spelt_text(text: str) -> str:
    """In quotes, as jsonpath-ng reads them: a backslash takes the sign after it as it stands."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
