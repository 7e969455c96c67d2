"""An expression's words: `$…` paths, literals, names and operators. Everything else is refused here, by place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError
from relay.recipes.paths import At, Ref, scan_ref

#: No expression of a person is longer; it bounds what the engine is given.
MAX_LENGTH = 10_000

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[^\W\d]\w*")
_OPERATORS = (
    "==",
    "!=",
    "<=",
    ">=",
    "//",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "|",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
)
_INSTEAD = {
    "**": "powers are not part of an expression",
    "&&": "`&&` is written `and`",
    "||": "`||` is written `or`",
    "<>": "`<>` is written `!=`",
    "=>": "`=>` is written `>=`",
    "=<": "`=<` is written `<=`",
    "=~": "there is no `=~`: the filter `regex_extract` gives what matches a pattern, or null",
    "=": "`=` compares nothing: write `==`",
    "!": "`!` is written `not`",
    "~": 'to join text, write "{{ $a }} {{ $b }}"',
    "?": "`?` follows a path, as in $.contact.phone?",
    ".": "`.` belongs into a path that starts with `$`, without a space in it; nothing else has parts",
    "“": 'straight quotes are needed: "…"',
    "”": 'straight quotes are needed: "…"',
    "‘": "straight quotes are needed: '…'",
    "’": "straight quotes are needed: '…'",
}
_SIGNS = sorted({*_OPERATORS, *_INSTEAD}, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Token:
    """kind is `ref`, `text`, `number`, `word` or `sign`; `value` is the Ref, the literal, the word or the sign."""

    kind: str
    value: Any
    offset: int
    end: int

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.value in signs

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.value in words


def tokenise(text: str, at: At) -> list[Token]:
    """Raises ConfigError at the first character that has no meaning."""
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"an expression has at most {MAX_LENGTH} characters", at(0))
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        token = _token(text, position, at)
        tokens.append(token)
        position = token.end
    return tokens


def _token(text: str, position: int, at: At) -> Token:
    character = text[position]
    if character == "$":
        if text.startswith("${", position):
            message = "`${…}` is filled in in relay.yaml alone: a secret stands there, at the connection"
            raise ConfigError(message, at(position))
        if amount := re.match(r"\$\d[\d.,]*", text[position:]):
            message = f"text that starts with a dollar sign is written with two: `${amount[0]}`"
            raise ConfigError(message, at(position))
        ref: Ref
        ref, end = scan_ref(text, position, at)
        return Token("ref", ref, position, end)
    if character in "\"'":
        value, end = _string(text, position, at)
        return Token("text", value, position, end)
    if number := _NUMBER.match(text, position):
        spelt = number[0]
        try:
            literal: int | float = float(spelt) if re.search(r"[.eE]", spelt) else int(spelt)
            if literal - literal != 0:
                raise ValueError
        except ValueError:
            raise ConfigError("this number is too long", at(position)) from None
        return Token("number", literal, position, number.end())
    if word := _WORD.match(text, position):
        return Token("word", word[0], position, word.end())
    return _sign(text, position, at)


def _sign(text: str, position: int, at: At) -> Token:
    # The longest first: `==` is no `=`, and `**` no `*`.
    for sign in _SIGNS:
        if text.startswith(sign, position):
            if sign in _INSTEAD:
                raise ConfigError(_INSTEAD[sign], at(position))
            return Token("sign", sign, position, position + len(sign))
    if text[position].isdigit():
        raise ConfigError("a number and a word have to be apart", at(position))
    raise ConfigError(f"`{text[position]}` has no meaning in an expression", at(position))


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


def _string(text: str, start: int, at: At) -> tuple[str, int]:
    r"""A literal and the offset after it. `\n \t \\ \" \'` are escapes; other backslashes stay, so `"\d+"` is `\d+`."""
    quote = text[start]
    pieces: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(pieces), position + 1
        if character == "\\" and position + 1 < len(text):
            following = text[position + 1]
            pieces.append(_ESCAPES.get(following, "\\" + following))
            position += 2
            continue
        pieces.append(character)
        position += 1
    raise ConfigError(f"the quote {quote} that opens here is never closed", at(start))


def expression_end(text: str, start: int) -> int:
    """The offset of the `}}` that ends the expression beginning at `start`; -1 where there is none."""
    depth = 0
    for position, character in _unquoted(text, start):
        if character == "{":
            depth += 1
        elif character == "}":
            if depth == 0 and text.startswith("}}", position):
                return position
            depth -= 1
    return -1


def _unquoted(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The characters that stand outside of quotes, with their offsets."""
    quote = ""
    position = start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        else:
            yield position, character
        position += 1
