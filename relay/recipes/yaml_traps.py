"""What commonly goes wrong in YAML, each told in a sentence at the place where it is mended.

The parser notices a mistake where it can go on no longer, which is often lines after it was made: the lines around are
looked at before its words are believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from relay.errors import ConfigError, Place
from relay.recipes.look_alikes import CURLY, MISLEADING, curly_words, invisible_words

QUOTE_IT = "put the whole value in quotes"
BRACES = 'a value with {{ … }} needs quotes around it, as in text: "{{ $name }} left"'

#: Where a value may start: at the start of a line, or after a key's colon, a dash, a bracket or a comma.
_BRACES = re.compile(r"(?:[:\-\[,{]\s+|^\s*)\{\{")
_AFTER_QUOTE = re.compile(r"""[:\-]\s+(?:"[^"]*"|'[^']*')\s*\S""")
_KEY = re.compile(r"""^\s*(?:- +)*(?:[^\s:#"'\[{][^:#]*?|"[^"]*"|'[^']*'):(?=\s|$)""")
_NO_SPACE = re.compile(r"^\s*(?:- +)*([\w.-]+):(\S.*?)\s*$")
_EQUALS = re.compile(r"^\s*([\w.-]+)\s*=\s*([^=].*?)\s*$")

_CURLY_VALUE = re.compile(rf"(?:^|[:\-\[,{{]\s+)\s*([{CURLY}])")

#: YAML's own idea of where a line ends, which marks count by.
_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


def explained(error: yaml.MarkedYAMLError, text: str, file: str) -> ConfigError:
    """The parser's error in words that name the remedy, at the place where the mistake was made."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return ConfigError(f"this is not YAML: {error.problem}", Place(file))
    context = error.context_mark
    trap = _Trap(
        lines=_LINE_END.split(text),
        line=mark.line,
        column=mark.column,
        start_line=context.line if context is not None else mark.line,
        start_column=context.column if context is not None else mark.column,
        problem=error.problem or "",
        context=error.context or "",
    )
    for found in trap.findings():
        line, column, message = found
        return ConfigError(message, Place(file, line + 1, column + 1))
    message = f"this can't be read as YAML ({error.problem}): {QUOTE_IT} where it is text"
    return ConfigError(message, Place(file, mark.line + 1, mark.column + 1))


def forbidden(error: yaml.reader.ReaderError, text: str, file: str) -> ConfigError:
    """A character that no YAML file may hold."""
    before = _LINE_END.split(text[: error.position])
    code = ord(text[error.position]) if error.position < len(text) else 0
    message = f"here is a character that YAML forbids (U+{code:04X}) and that can't be seen: delete it"
    return ConfigError(message, Place(file, len(before), len(before[-1]) + 1))


#: Line and column, from 0, and what to say there.
_Found = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class _Trap:
    """Where the parser stopped (`line`, `column`) and where what it was reading began (`start_…`), from 0."""

    lines: list[str]
    line: int
    column: int
    start_line: int
    start_column: int
    problem: str
    context: str

    @property
    def text(self) -> str:
        return self.line_at(self.line)

    @property
    def here(self) -> str:
        return self.text[self.column : self.column + 1]

    def line_at(self, number: int) -> str:
        return self.lines[number] if 0 <= number < len(self.lines) else ""

    def findings(self) -> Iterator[_Found]:
        """The first is what is told."""
        every: tuple[Callable[[], Iterator[_Found]], ...] = (
            *(self.invisible, self.tab, self.braces, self.curly, self.alias_or_anchor, self.bad_start),
            *(self.unclosed_quote, self.bad_escape, self.after_quote, self.flow, self.second_colon, self.simple_key),
            *(self.block_text, self.list_in_line, self.dash, self.indent, self.document),
        )
        for find in every:
            yield from find()

    # --- what can't be seen ---

    def invisible(self) -> Iterator[_Found]:
        for number in range(min(self.line, len(self.lines) - 1), -1, -1):
            if match := MISLEADING.search(self.lines[number]):
                at = next(index for index in (1, 2, 3) if match[index])
                yield number, match.start(at), invisible_words(match[at])
                return

    def tab(self) -> Iterator[_Found]:
        indent = self.text[: len(self.text) - len(self.text.lstrip())]
        if "\t" in indent or self.here == "\t":
            column = indent.index("\t") if "\t" in indent else self.column
            yield self.line, column, "YAML is indented with spaces; this line has a tab"

    # --- signs that mean something else ---

    def braces(self) -> Iterator[_Found]:
        for number in dict.fromkeys((self.line, self.start_line)):
            if match := _BRACES.search(self.line_at(number)):
                yield number, match.end() - 2, BRACES

    def curly(self) -> Iterator[_Found]:
        for number in dict.fromkeys((self.line, self.start_line)):
            if match := _CURLY_VALUE.search(self.line_at(number)):
                yield number, match.start(1), curly_words(match[1])

    def alias_or_anchor(self) -> Iterator[_Found]:
        column = self.start_column if "scanning a" in self.context else self.column
        if "alias" in self.problem + self.context:
            if within := re.search(r"[^\s:,\[{][^\s,]*\[ *$", self.text[:column]):
                yield self.line, within.start(), _BRACKETS_INSIDE
            yield self.line, column, f"`*` at the start of a value means something else in YAML: {QUOTE_IT}"
        if "anchor" in self.problem + self.context:
            yield self.line, column, f"`&` at the start of a value means something else in YAML: {QUOTE_IT}"

    def bad_start(self) -> Iterator[_Found]:
        starts = ("cannot start any token", "expected node content", "mapping keys are not allowed", "directive")
        if any(words in self.problem + self.context for words in starts):
            line, column = self.line, self.column
            if "directive" in self.context:
                line, column = self.start_line, self.start_column
            sign = self.line_at(line)[column : column + 1]
            if sign and not sign.isspace():
                shown = "a backtick" if sign == "`" else f"`{sign}`"
                yield line, column, f"a value can't start with {shown} in YAML: {QUOTE_IT}"

    def bad_escape(self) -> Iterator[_Found]:
        if "escape" in self.problem or "hexdecimal" in self.problem:
            message = "in double quotes a backslash is special in YAML: use single quotes, or write it twice"
            yield self.line, self.column, message

    # --- quotes ---

    def unclosed_quote(self) -> Iterator[_Found]:
        if "quoted scalar" in self.context and "escape" not in self.problem and "hexdecimal" not in self.problem:
            quote = self.line_at(self.start_line)[self.start_column : self.start_column + 1]
            rest = self.line_at(self.start_line)[self.start_column + 1 :]
            curly = next((sign for sign in rest if sign in CURLY), None)
            if curly:
                closed = f"is closed by `{curly}`, which is not a quote in YAML"
                message = f"the quote {quote} that opens here {closed}: write {quote}"
            else:
                message = f"the quote {quote} that opens here is never closed"
            yield self.start_line, self.start_column, message

    def after_quote(self) -> Iterator[_Found]:
        if "expected key" not in self.problem and "comment or line break" not in self.problem:
            return
        if _AFTER_QUOTE.search(self.text):
            column = self.start_column if "block scalar" in self.context else self.column
            message = (
                "the quote before this ends the value: put the whole value in quotes, and use the other kind, ' or \", "
                "inside"
            )
            yield self.line, column, message
        quote = self.text[self.column - 1 : self.column]
        if quote and quote in "'\"":
            # This quote was meant to open a value, and has closed an earlier one.
            for number in range(self.line - 1, -1, -1):
                if self.lines[number].count(quote) % 2:
                    message = f"the quote {quote} that opens here isn't closed in this line"
                    yield number, self.lines[number].rindex(quote), message
                    return

    # --- brackets ---

    def flow(self) -> Iterator[_Found]:
        if "flow" not in self.context:
            return
        before = self.text[: self.column]
        if self.line == self.start_line and self.here == "[" and re.search(r"[^\s:,\[{]$", before):
            yield self.line, self._value_start(self.column), _BRACKETS_INSIDE
        elif self.line == self.start_line and "${" in self.text[self._value_start(self.column) : self.column + 1]:
            message = 'inside { } and [ ], `${…}` needs quotes around it: "${NAME}"'
            yield self.line, self._value_start(self.column), message
        elif self.line == self.start_line and self.column < len(self.text.rstrip()):
            message = (
                "inside { } and [ ], a value with a comma, a colon, brackets or quotes in it needs quotes around it"
            )
            yield self.line, self._value_start(self.column), message
        else:
            line, column = self._opening()
            yield line, column, f"the `{self.line_at(line)[column : column + 1]}` that opens here is never closed"

    def _opening(self) -> tuple[int, int]:
        """The bracket that the parser was in. Where it names what follows instead, the last one before that."""
        if self.line_at(self.start_line)[self.start_column : self.start_column + 1] in ("[", "{"):
            return self.start_line, self.start_column
        for number in range(min(self.start_line, len(self.lines) - 1), -1, -1):
            found = max(self.lines[number].rfind("["), self.lines[number].rfind("{"))
            if found >= 0:
                return number, found
        return self.start_line, self.start_column

    def _value_start(self, column: int) -> int:
        """Where the value begins that the column is in: after the last colon, or the list's bracket."""
        before = self.text[:column]
        start = max(before.rfind(": ") + 2, self.start_column + 1 if self.line == self.start_line else 0)
        if "sequence" in self.context:
            start = max(start, before.rfind(", ") + 2)
        return min(start + len(before[start:]) - len(before[start:].lstrip(" [{")), column)

    # --- colons ---

    def second_colon(self) -> Iterator[_Found]:
        if "mapping values are not allowed" not in self.problem:
            return
        key = _KEY.match(self.text[: self.column])
        if key is not None:
            start = key.end() + len(self.text[key.end() :]) - len(self.text[key.end() :].lstrip())
            yield self.line, start, f"a colon with a space behind it can't stand in a value as it is: {QUOTE_IT}"
            return
        above = self._line_above(self.line)
        yield from self._no_colon(above)
        if above is not None and _indent(self.text) > _indent(self.line_at(above)):
            start = _indent(self.text)
            column = _content(self.line_at(above)) + 1
            message = (
                f"this line is indented too far: the one above has its value already; start it in column {column}, "
                f"or, if it goes on as text, {QUOTE_IT}"
            )
            yield self.line, start, message

    def simple_key(self) -> Iterator[_Found]:
        if "expected ':'" in self.problem:
            yield from self._no_colon(self.start_line)
            message = (
                "this line has no colon: it is `key: value`, or goes on with the text above and is indented further"
            )
            yield self.start_line, self.start_column, message
        if "expected key" in self.problem and self.here == ":":
            yield self.line, self.column, "there is no key before this colon"

    def _no_colon(self, number: int | None) -> Iterator[_Found]:
        """What is wrong with a line that was meant as `key: value`, and isn't."""
        line = self.line_at(number) if number is not None else ""
        if number is None or (_KEY.match(line) and not re.match(r"\s*-[^\s-]", line)):
            return
        if re.match(r"\s*-[^\s-]", line):
            yield number, line.index("-") + 1, "a space is missing after the `-`"
        elif match := _NO_SPACE.match(line):
            yield number, match.end(1), f"a space is missing after the colon: `{match[1]}: {match[2]}`"
        elif match := _EQUALS.match(line):
            yield number, _indent(line), f"a key is followed by a colon: `{match[1]}: {match[2]}`"
        elif line.strip() and "mapping values" in self.problem:
            yield number, _indent(line), f"there is no colon in this line: `{line.strip()[:40]}:`"

    def _line_above(self, number: int) -> int | None:
        """The nearest one that says something."""
        for above in range(number - 1, -1, -1):
            if self.lines[above].strip() and not self.lines[above].lstrip().startswith("#"):
                return above
        return None

    # --- blocks ---

    def block_text(self) -> Iterator[_Found]:
        if "block scalar" in self.context:
            sign = self.line_at(self.start_line)[self.start_column : self.start_column + 1]
            message = f"`{sign}` at the start of a value begins a block of lines in YAML: {QUOTE_IT}"
            yield self.start_line, self.start_column, message

    def list_in_line(self) -> Iterator[_Found]:
        if "sequence entries are not allowed" in self.problem:
            message = f"`- ` begins a list, which starts in the line below its key; if it is text, {QUOTE_IT}"
            yield self.line, self.column, message

    def dash(self) -> Iterator[_Found]:
        line = self.text.strip()
        if "'-' indicator" in self.problem:
            if re.match(r"-\S", line):
                yield self.line, self.column, "a space is missing after the `-`"
            message = (
                "this line stands beside the items of a list: start it with `- `, or indent it further if it belongs "
                "to the item above"
            )
            yield self.line, self.column, message
        if "expected key" in self.problem and re.match(r"-(\s|$)", line) and self._fits():
            message = "`- ` begins an item of a list, and the lines above are `key: value`: leave it out or indent more"
            yield self.line, self.column, message

    def indent(self) -> Iterator[_Found]:
        if "expected key" in self.problem and self.column == _indent(self.text):
            columns = [str(column + 1) for column in sorted({_indent(self.line_at(above)) for above in self._open()})]
            where = " or ".join(part for part in (", ".join(columns[:-1]), columns[-1]) if part)
            message = f"the indent of this line fits none of the lines above: start it in column {where}"
            yield self.line, self.column, message

    def _fits(self) -> bool:
        return any(_indent(self.line_at(above)) == _indent(self.text) for above in self._open())

    def _open(self) -> Iterator[int]:
        """The lines above that this one may stand below: each indented less than the one after it."""
        least = None
        for above in range(self.line - 1, -1, -1):
            line = self.lines[above]
            if line.strip() and not line.lstrip().startswith("#") and (least is None or _indent(line) < least):
                least = _indent(line)
                yield above

    def document(self) -> Iterator[_Found]:
        if "another document" in self.problem:
            yield self.line, self.column, "`---` starts a second document; a file holds one"


_BRACKETS_INSIDE = "inside { } and [ ], a value with brackets in it, such as '$.lines[*].sku', needs quotes around it"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _content(line: str) -> int:
    """Where a line's key begins, behind the dash of a list."""
    match = re.match(r" *(?:- +)*", line)
    return match.end() if match else 0
