"""From tokens to the sandbox's spelling, checked on the way: every mistake is found here, where its place is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.errors import ConfigError, Place
from relay.recipes.arguments import LITERAL_WORDS, leading, literals
from relay.recipes.filters import FILTERS, Filter
from relay.recipes.paths import At, Ref
from relay.recipes.tables import Table
from relay.recipes.tokens import Token
from relay.recipes.words import nearest, unknown

_KNOWN_WORDS = ("true", "false", "null", "and", "or", "not", "in", "if", "else", "now()")
_BINARY = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "//", "%")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Translated:
    """source for the sandbox, the paths it looks up by number, and where each filter stands."""

    source: str
    refs: tuple[Ref, ...]
    filters: dict[str, Place]


@dataclass(slots=True)
class _Frame:
    """An open bracket: what kind it is, and how many arguments it has so far."""

    kind: str  # group, list, item, object, filter, call
    opened: Token
    filter: Filter | None = None
    commas: int = 0
    is_empty: bool = True
    ifs: int = 0
    start: int = 0


def translate(tokens: list[Token], at: At, tables: Mapping[str, Table]) -> Translated:
    """Raises ConfigError at the token that is out of place."""
    return _Translation(tokens, at, tables).run()


@dataclass
class _Translation:
    tokens: list[Token]
    at: At
    tables: Mapping[str, Table]
    pieces: list[str] = field(default_factory=list)
    refs: list[Ref] = field(default_factory=list)
    filters: dict[str, Place] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    position: int = 0
    needs_value: bool = True

    def run(self) -> Translated:
        base = _Frame("group", self.tokens[0])
        self.stack.append(base)
        while self.position < len(self.tokens):
            token = self.tokens[self.position]
            self.stack[-1].is_empty = self.stack[-1].is_empty and self._closes(token)
            if self.needs_value:
                self._value(token)
            else:
                self._after_value(token)
            self.position += 1
        last = self.tokens[-1]
        if len(self.stack) > 1:
            opened = self.stack[-1].opened
            raise ConfigError(f"this `{opened.value}` is never closed{self._yaml_comma()}", self.at(opened.offset))
        if self.needs_value:
            raise ConfigError(f"a value is missing after `{self._spelt(last)}`", self.at(last.offset))
        self._end_of_ifs(base, last)
        return Translated(" ".join(self.pieces), tuple(self.refs), self.filters)

    def _yaml_comma(self) -> str:
        return "; inside { } of YAML a value that holds a comma has to be in quotes" if self.stack[-1].filter else ""

    def _closes(self, token: Token) -> bool:
        return token.is_sign(")", "]", "}")

    def _spelt(self, token: Token) -> str:
        return (
            token.value.text
            if token.kind == "ref"
            else f'"{token.value}"'
            if token.kind == "text"
            else str(token.value)
        )

    # --- where a value is expected ---

    def _value(self, token: Token) -> None:
        if token.kind == "ref":
            self.pieces.append(f"_({len(self.refs)})")
            self.refs.append(token.value)
            self.needs_value = False
        elif token.kind in ("text", "number"):
            self.pieces.append(_escaped(token.value) if token.kind == "text" else repr(token.value))
            self.needs_value = False
        elif token.kind == "word":
            self._word(token)
        elif token.is_sign("(", "[", "{"):
            self._open({"(": "group", "[": "list", "{": "object"}[token.value], token)
            self.pieces.append(token.value)
        elif token.is_sign("-", "+"):
            self.pieces.append(token.value)
        elif (
            self._closes(token)
            and self.stack[-1].is_empty
            and self.stack[-1].kind in ("list", "object", "filter", "call")
        ):
            self._close(token)
        else:
            raise ConfigError(f"a value is missing before `{token.value}`", self.at(token.offset))

    def _word(self, token: Token) -> None:
        word = token.value
        if word in LITERAL_WORDS:
            self.pieces.append("none" if word == "null" else word)
            self.needs_value = False
        elif word == "not":
            self._not(token)
        elif word == "now" and self._next_is("("):
            self.position += 1
            self._open("call", self.tokens[self.position])
            self.pieces.append("_now(")
        elif self._next_is("("):
            hint = f": write it after a value, as in $.name | {word}" if word in FILTERS else ""
            raise ConfigError(f"`{word}` is not a function{hint}; the only one is now()", self.at(token.offset))
        else:
            raise ConfigError(self._unknown_word(token), self.at(token.offset))

    def _not(self, token: Token) -> None:
        before = self.tokens[self.position - 1] if self.position else None
        if before is not None and before.is_sign(*_BINARY):
            # The engine would take it for a name.
            raise ConfigError(f"`not` behind `{before.value}` is put in brackets: (not …)", self.at(token.offset))
        if before is not None and before.is_word("in"):
            raise ConfigError("`not` stands before `in`: `not in`", self.at(token.offset))
        self.pieces.append("not")

    def _unknown_word(self, token: Token) -> str:
        word = token.value
        if self.position >= 2 and self.tokens[self.position - 1].is_sign("-"):
            before = self.tokens[self.position - 2]
            if before.kind == "ref" and before.end + 1 == token.offset:
                return f'a key with a dash is written in brackets: ["{before.value.last_key}-{word}"]'
        guess = nearest(word, _KNOWN_WORDS)
        if guess and abs(len(guess) - len(word)) < 2:
            return f"`{word}` has no meaning here: did you mean `{guess}`?"
        return f'`{word}` has no meaning here: a picked value is `${word}`, text is "{word}"'

    # --- where an operator is expected ---

    def _after_value(self, token: Token) -> None:
        if token.is_sign(*_BINARY) or token.is_word("and", "or", "in"):
            self._binary(token.value)
        elif token.is_word("not"):
            self._not_in(token)
        elif token.is_word("if", "else"):
            self._conditional(token)
        elif token.is_sign("|"):
            self._filter(token)
        elif token.is_sign(")", "]", "}"):
            self._close(token)
        elif token.is_sign(","):
            self._comma(token)
        elif token.is_sign(":"):
            if self.stack[-1].kind != "object":
                raise ConfigError("`:` has no meaning here", self.at(token.offset))
            self._binary(":")
        elif token.is_sign("["):
            self._item(token)
        elif token.is_word("is"):
            raise ConfigError("write `==` for `is`", self.at(token.offset))
        else:
            previous = self._spelt(self.tokens[self.position - 1])
            raise ConfigError(
                f"something is missing between `{previous}` and `{self._spelt(token)}`, such as `|`, `==` or `and`; "
                "text with values in it is written with {{ … }}, and text that starts with a dollar sign with `$$`",
                self.at(token.offset),
            )

    def _item(self, token: Token) -> None:
        before = self.tokens[self.position - 1]
        if before.kind == "ref" and before.value.segments is not None:
            # RFC 9535 lets a path go on behind a space, which would take this item of each match.
            raise ConfigError(
                "a path has no spaces in it; for an item of all that it matches, put it in brackets: "
                f"({before.value.text})[0]",
                self.at(token.offset),
            )
        self._open("item", token)
        self.pieces.append("[")

    def _binary(self, spelling: str) -> None:
        self.pieces.append(spelling)
        self.needs_value = True

    def _not_in(self, token: Token) -> None:
        following = self.tokens[self.position + 1] if self.position + 1 < len(self.tokens) else None
        if following is None or not following.is_word("in"):
            raise ConfigError("`not` stands before a value, or is part of `not in`", self.at(token.offset))
        self.position += 1
        self._binary("not in")

    def _conditional(self, token: Token) -> None:
        frame = self.stack[-1]
        if token.value == "if" and frame.ifs:
            raise ConfigError("an `if` inside of an `if` is put in brackets", self.at(token.offset))
        if token.value == "if":
            frame.ifs += 1
        elif frame.ifs == 0:
            raise ConfigError("`else` needs an `if` before it", self.at(token.offset))
        else:
            frame.ifs -= 1
        self._binary(token.value)

    def _end_of_ifs(self, frame: _Frame, token: Token) -> None:
        if frame.ifs:
            raise ConfigError("`if` needs an `else`: say what it is otherwise", self.at(token.offset))

    def _comma(self, token: Token) -> None:
        frame = self.stack[-1]
        if frame.kind not in ("list", "object", "filter"):
            raise ConfigError("a comma has no meaning here", self.at(token.offset))
        self._end_of_ifs(frame, token)
        frame.commas += 1
        self._binary(",")

    # --- brackets and filters ---

    def _next_is(self, sign: str) -> bool:
        return self.position + 1 < len(self.tokens) and self.tokens[self.position + 1].is_sign(sign)

    def _open(self, kind: str, token: Token, one: Filter | None = None) -> None:
        if len(self.stack) > _MAX_DEPTH:
            raise ConfigError("this expression is nested too deeply", self.at(token.offset))
        self.stack.append(_Frame(kind, token, one, start=self.position + 1))
        self.needs_value = True

    def _close(self, token: Token) -> None:
        frame = self.stack[-1]
        if len(self.stack) == 1 or _CLOSING[frame.opened.value] != token.value:
            raise ConfigError(f"`{token.value}` closes nothing", self.at(token.offset))
        self.stack.pop()
        self._end_of_ifs(frame, token)
        if frame.kind == "call" and not frame.is_empty:
            raise ConfigError("now() takes nothing between its brackets", self.at(token.offset))
        if frame.filter is not None:
            count = 0 if frame.is_empty else frame.commas + 1
            self._check_arguments(frame.filter, count, frame.start)
        self.pieces.append(token.value)
        self.needs_value = False

    def _filter(self, token: Token) -> None:
        self.position += 1
        name = self.tokens[self.position] if self.position < len(self.tokens) else None
        if name is None or name.kind != "word":
            raise ConfigError("after `|` comes the name of a filter", self.at(token.offset))
        one = FILTERS.get(name.value)
        if one is None:
            raise ConfigError(unknown("filter", name.value, FILTERS), self.at(name.offset))
        self._check_operand(one, self.position - 1)
        self.filters.setdefault(one.name, self.at(name.offset))
        self.pieces.append(f"|{one.name}")
        bound = ",".join(one.bound("_z", "_t"))
        if self._next_is("("):
            self.position += 1
            self._open("filter", self.tokens[self.position], one)
            follows = self.position + 1 < len(self.tokens) and not self.tokens[self.position + 1].is_sign(")")
            self.pieces.append("(" + bound + ("," if bound and follows else ""))
        else:
            self._check_arguments(one, 0, self.position + 1)
            if bound:
                self.pieces.append(f"({bound})")

    def _check_operand(self, one: Filter, bar: int) -> None:
        """A filter on what is written out, behind an operator, was meant for all that stands before it."""
        if bar < 3:
            return
        before, operator, operand = self.tokens[bar - 3 : bar]
        is_value = before.kind in ("ref", "text", "number") or before.is_sign(")", "]", "}")
        between = operator.is_sign(*_BINARY) or operator.is_word("in")
        if is_value and between and operand.kind in ("text", "number"):
            raise ConfigError(
                f"`{one.name}` is used on {self._spelt(operand)} alone, for filters come before `{operator.value}`: "
                "put brackets around all that it is meant for",
                self.at(self.tokens[bar + 1].offset),
            )

    def _check_arguments(self, one: Filter, count: int, start: int) -> None:
        place = self.filters[one.name] if start > len(self.tokens) - 1 else self.at(self.tokens[start].offset)
        if not one.least <= count <= one.most:
            raise ConfigError(f"`{one.name}` takes {one.arity()}, not {count}: {one.signature}", place)
        if one.check is None or not count:
            return
        arguments, _ = literals(self.tokens, start - 1)
        if arguments is None and one.check_leading:
            arguments = leading(self.tokens, start) or None
        if arguments is not None:
            try:
                one.check(*((self.tables,) if one.tabled else ()), *arguments)
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{one.name}: {error}", place) from None


def _escaped(text: str) -> str:
    """A literal that the sandbox's own lexer can't misread: all but letters and digits spelt as code points."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + '"'
