"""Conditions of a path, `[?(@.qty > 1)]`: RFC 9535's grammar of them, less its functions, `..` and unions inside."""

from __future__ import annotations

import re
from decimal import Decimal

from relay.errors import ConfigError
from relay.recipes.jsonpath import PathReader, Segment, spelt_text

#: Brackets and conditions within each other; no person needs more.
_MAX_DEPTH = 10

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[^\W\d]\w*")
_DASHED = re.compile(r"\.(\w+)-$")
_SIGN = re.compile(r"==|!=|<=|>=|=~|&&|\|\||[<>=&|+\-*/%]")
_COMPARISONS = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LITERALS = frozenset({"true", "false", "null"})

#: Words and signs of other languages, and of expressions outside of a path.
_INSTEAD = {
    "and": "inside [?…] write `&&`",
    "or": "inside [?…] write `||`",
    "not": "inside [?…] write `!` before a path, or `!=`",
    "&": "write `&&`",
    "|": "a filter stands behind a path, not inside of its brackets; for «or» write `||`",
    "=": "`=` compares nothing: write `==`",
    "=~": 'a pattern is not part of a path; use a filter behind it, such as where("name", "contains", "Ana")',
    "in": "`in` is not part of a path: compare with `==`, joined with `||`",
    "True": "write `true`",
    "False": "write `false`",
    "None": "write `null`",
    "Null": "write `null`",
}
_NO_SUMS = "nothing is calculated inside of a path; use the filter `where` behind it"
_ROUND = "`!` stands before a path, as in !@.email; to turn a comparison round, write the opposite one"


def read_condition(reader: PathReader, opened: int, position: int) -> tuple[str, int]:
    """The condition after `?`, spelt for jsonpath-ng, and the offset after it. Raises ConfigError."""
    return _Condition(reader, opened, position).read()


class _Condition:
    def __init__(self, reader: PathReader, opened: int, position: int) -> None:
        self.reader = reader
        self.opened = opened
        self.position = position
        self.depth = 0

    def read(self) -> tuple[str, int]:
        return self._either(), self.position

    # --- logic ---

    def _either(self) -> str:
        parts = [self._both()]
        while self._taken("||"):
            parts.append(self._both())
        return " || ".join(parts)

    def _both(self) -> str:
        parts = [self._basic()]
        while self._taken("&&"):
            parts.append(self._basic())
        return " && ".join(parts)

    def _basic(self) -> str:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "!" and self._sign() != "!=":
            self.position += 1
            if self._next() not in ("@", "$"):
                raise self._wrong(_ROUND) if self._next() == "(" else self._misplaced()
            spelt, _ = self._query()
            if self._sign() in _COMPARISONS:
                raise self._wrong(_ROUND)
            return f"!{spelt}"
        if character in ("@", "$"):
            return self._from_query()
        return self._from_literal()

    def _group(self) -> str:
        opened = self.position
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._wrong("this condition is nested too deeply")
        self.position += 1
        inner = self._either()
        if self._next() != ")":
            self.reader.not_the_end(self.position, opened)
            raise self._misplaced()
        self.position += 1
        self.depth -= 1
        return f"({inner})"

    # --- comparisons ---

    def _from_query(self) -> str:
        start = self.position
        left, is_one = self._query()
        sign = self._sign()
        if sign not in _COMPARISONS:
            self._well_placed()
            return left
        if not is_one:
            raise self._wrong("what is compared is one value: a path of keys and numbers", start)
        self.position += len(sign)
        right = self._operand()
        self._well_placed()
        return f"{left} {sign} {right}"

    def _from_literal(self) -> str:
        """`3 < @.qty`: turned round, since jsonpath-ng has literals on the right alone."""
        start = self.position
        literal = self._literal()
        sign = self._sign()
        if sign not in _COMPARISONS:
            self._well_placed()
            raise self._wrong("a condition compares something of the item, as in @.qty > 1", start)
        self.position += len(sign)
        if self._next() not in ("@", "$"):
            raise self._wrong("a condition compares something of the item, as in @.qty > 1")
        right = self._operand()
        self._well_placed()
        return f"{right} {_COMPARISONS[sign]} {literal}"

    def _operand(self) -> str:
        if self._next() not in ("@", "$"):
            return self._literal()
        start = self.position
        spelt, is_one = self._query()
        if not is_one:
            raise self._wrong("what is compared is one value: a path of keys and numbers", start)
        return spelt

    def _query(self) -> tuple[str, bool]:
        """A path from the item (`@`) or the body (`$`); whether it can match no more than one value."""
        start = self.position
        root = self.reader.text[start]
        if root == "$" and (name := _WORD.match(self.reader.text, start + 1)):
            raise self._wrong(
                f"inside [?…] there are the item (@) and the body ($) alone; to compare with ${name[0]}, "
                f'use a filter behind the path, as in | where("key", ${name[0]})'
            )
        if root == "$" and self.reader.root:
            # RFC 9535's `$` is what the path starts from, which here looks like the body and is not.
            raise self._wrong(
                f"inside [?…] behind ${self.reader.root} there is the item (@) alone; to compare with the body, "
                'use a filter behind the path, as in | where("key", $.key)'
            )
        segments, self.position = self.reader.segments(start + 1, spaced=True)
        for segment in segments:
            self._bounded(segment, start)
        is_one = all(segment.one is not None for segment in segments)
        if root == "$" and not is_one:
            # Looked through anew for every item: its time would grow with the square of the body.
            raise self._wrong("a path from $ inside [?…] is one of keys and numbers", start)
        return root + "".join(segment.spelt for segment in segments), is_one

    def _bounded(self, segment: Segment, start: int) -> None:
        if segment.deep:
            raise self._wrong("inside [?…] there is no `..`; put it before the brackets: $..[?(@.qty > 1)]", start)
        if segment.kind in ("names", "indexes") and segment.one is None:
            raise self._wrong("inside [?…] brackets take one key or number; join conditions with `||`", start)

    def _literal(self) -> str:
        character = self._next()
        text = self.reader.text
        if character in ("'", '"'):
            value, self.position = self.reader.quoted(self.position)
            return spelt_text(value)
        if number := _NUMBER.match(text, self.position):
            self.position = number.end()
            return self._spelt_number(number[0], number.start())
        word = _WORD.match(text, self.position)
        if word and word[0] in _LITERALS and text[word.end() : word.end() + 1] != "(":
            self.position = word.end()
            return word[0]
        raise self._misplaced()

    def _spelt_number(self, number: str, start: int) -> str:
        """Without an exponent, which jsonpath-ng doesn't read."""
        exact = Decimal(number)
        if len(number) > 300 or abs(exact.adjusted()) > 300:
            raise self._wrong("this number is too long", start)
        return f"{exact:f}" if set("eE") & set(number) else number

    # --- what stands where ---

    def _next(self) -> str:
        """The next character that is no space; "" at the end."""
        self.position = self.reader.after_space(self.position)
        return self.reader.text[self.position : self.position + 1]

    def _sign(self) -> str:
        self._next()
        match = _SIGN.match(self.reader.text, self.position)
        return match[0] if match else ""

    def _taken(self, sign: str) -> bool:
        if self._sign() != sign:
            return False
        self.position += len(sign)
        return True

    def _well_placed(self) -> None:
        """After a whole condition: its end, or what joins it with another."""
        if self._next() not in ("]", ")", ",", "") and self._sign() not in ("&&", "||"):
            raise self._misplaced()

    def _misplaced(self) -> ConfigError:
        character = self._next()
        self.reader.not_the_end(self.position, self.opened)
        sign = self._sign()
        word = _WORD.match(self.reader.text, self.position)
        spelling = word[0] if word else sign
        if word and self.reader.text[word.end() : word.end() + 1] == "(":
            return self._wrong(f"`{spelling}` is no function of a path; use a filter behind the path, such as `where`")
        if spelling in _INSTEAD:
            return self._wrong(_INSTEAD[spelling])
        if character.isdigit() or character == ".":
            return self._wrong("this is not a number as JSON writes it, such as 7 or 0.5")
        if sign == "-" and (dashed := _DASHED.search(self.reader.text, 0, self.position + 1)):
            rest = _WORD.match(self.reader.text, self.position + 1)
            return self._wrong(f'a key with a dash is written in brackets: ["{dashed[1]}-{rest[0] if rest else ""}"]')
        if sign in ("+", "-", "*", "/", "%"):
            return self._wrong(_NO_SUMS)
        if character in "“”‘’":
            return self._wrong("straight quotes are needed")
        if word:
            return self._wrong(f'text is in quotes: "{spelling}"')
        return self._wrong(f"`{sign or character}` has no meaning in a condition such as ?(@.qty > 1)")

    def _wrong(self, message: str, position: int | None = None) -> ConfigError:
        return self.reader.wrong(message, self.position if position is None else position)
