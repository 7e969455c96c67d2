"""Where the paths of recipes differ from RFC 9535, case by case of its Compliance Test Suite (cts.json).

Every case that isn't named here holds: what the RFC finds is found, and what it refuses is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Difference:
    """Cases that differ for one reason.

    here     refused: valid by the RFC, and refused here; taken: the other way round
    says     a part of the message, where it is refused
    cases    their names in cts.json, a line each
    """

    what: str
    here: Literal["refused", "taken"]
    why: str
    example: str
    says: str
    cases: str

    @property
    def names(self) -> list[str]:
        return [line.strip() for line in self.cases.strip().splitlines()]


def suite() -> list[dict[str, Any]]:
    """The cases: name and selector; then document and result (or results, any of them), or invalid_selector."""
    tests: list[dict[str, Any]] = json.loads((FOLDER / "cts.json").read_text())["tests"]
    return tests


DIFFERENCES = (
    Difference(
        what="Functions inside conditions: `length()`, `count()`, `value()`, `match()`, `search()`",
        here="refused",
        why='A filter behind the path does it, in bounded time: `$.lines | where("sku", "contains", "A-")`.',
        example="$.lines[?(length(@.sku) > 3)]",
        says="is no function",
        cases=r"""
            filter, equals, special nothing
            filter, equals, empty node list and special nothing
            functions, count, count function
            functions, count, single-node arg
            functions, count, multiple-selector arg
            functions, length, string data
            functions, length, string data, unicode
            functions, length, array data
            functions, length, missing data
            functions, length, number arg
            functions, length, true arg
            functions, length, false arg
            functions, length, null arg
            functions, length, arg is a function expression
            functions, length, arg is special nothing
            functions, match, found match
            functions, match, double quotes
            functions, match, regex from the document
            functions, match, don't select match
            functions, match, not a match
            functions, match, select non-match
            functions, match, non-string first arg
            functions, match, non-string second arg
            functions, match, filter, match function, unicode char class, uppercase
            functions, match, filter, match function, unicode char class negated, uppercase
            functions, match, filter, match function, unicode, surrogate pair
            functions, match, dot matcher on \u2028
            functions, match, dot matcher on \u2029
            functions, match, arg is a function expression
            functions, match, dot in character class
            functions, match, escaped dot
            functions, match, escaped backslash before dot
            functions, match, escaped left square bracket
            functions, match, escaped right square bracket
            functions, match, explicit caret
            functions, match, explicit dollar
            functions, search, at the end
            functions, search, double quotes
            functions, search, at the start
            functions, search, in the middle
            functions, search, regex from the document
            functions, search, don't select match
            functions, search, not a match
            functions, search, select non-match
            functions, search, non-string first arg
            functions, search, non-string second arg
            functions, search, filter, search function, unicode char class, uppercase
            functions, search, filter, search function, unicode char class negated, uppercase
            functions, search, filter, search function, unicode, surrogate pair
            functions, search, dot matcher on \u2028
            functions, search, dot matcher on \u2029
            functions, search, arg is a function expression
            functions, search, dot in character class
            functions, search, escaped dot
            functions, search, escaped backslash before dot
            functions, search, escaped left square bracket
            functions, search, escaped right square bracket
            functions, value, single-value nodelist
            functions, value, multi-value nodelist
            whitespace, functions, space between parenthesis and arg
            whitespace, functions, newline between parenthesis and arg
            whitespace, functions, tab between parenthesis and arg
            whitespace, functions, return between parenthesis and arg
            whitespace, functions, space between arg and comma
            whitespace, functions, newline between arg and comma
            whitespace, functions, tab between arg and comma
            whitespace, functions, return between arg and comma
            whitespace, functions, space between comma and arg
            whitespace, functions, newline between comma and arg
            whitespace, functions, tab between comma and arg
            whitespace, functions, return between comma and arg
            whitespace, functions, space between arg and parenthesis
            whitespace, functions, newline between arg and parenthesis
            whitespace, functions, tab between arg and parenthesis
            whitespace, functions, return between arg and parenthesis
            whitespace, functions, spaces in a relative singular selector
            whitespace, functions, newlines in a relative singular selector
            whitespace, functions, tabs in a relative singular selector
            whitespace, functions, returns in a relative singular selector
            whitespace, functions, spaces in an absolute singular selector
            whitespace, functions, newlines in an absolute singular selector
            whitespace, functions, tabs in an absolute singular selector
            whitespace, functions, returns in an absolute singular selector
        """,
    ),
    Difference(
        what="Selectors of several kinds in one pair of brackets",
        here="refused",
        why='Keys (`["a", "b"]`) or numbers (`[0, 2]`) go together; conditions are joined with `||`.',
        example="$.lines[0, 2:4]",
        says="one pair of brackets takes",
        cases="""
            basic, multiple selectors, name and index, array data
            basic, multiple selectors, name and index, object data
            basic, multiple selectors, index and slice
            basic, multiple selectors, index and slice, overlapping
            basic, multiple selectors, wildcard and index
            basic, multiple selectors, wildcard and name
            basic, multiple selectors, wildcard and slice
            basic, multiple selectors, multiple wildcards
            filter, non-singular existence, multiple
            filter, multiple selectors
            filter, multiple selectors, comparison
            filter, multiple selectors, overlapping
            filter, multiple selectors, filter and index
            filter, multiple selectors, filter and wildcard
            filter, multiple selectors, filter and slice
            filter, multiple selectors, comparison filter, index and slice
        """,
    ),
    Difference(
        what="`!( … )` around a comparison",
        here="refused",
        why="Write the opposite: `!=` for `==`.",
        example="$.lines[?!(@.qty == 1)]",
        says="`!` stands before",
        cases="""
            filter, not expression
            whitespace, operators, space between logical not and parenthesized expression
            whitespace, operators, newline between logical not and parenthesized expression
            whitespace, operators, tab between logical not and parenthesized expression
            whitespace, operators, return between logical not and parenthesized expression
        """,
    ),
    Difference(
        what="A path from `$` inside a condition that can match many",
        here="refused",
        why="It would be looked through anew for every item, and a sender chooses how many there are.",
        example="$.lines[?($.wanted[*])]",
        says="a path from $ inside",
        cases="""
            filter, absolute existence, with segments
        """,
    ),
    Difference(
        what="White space between the steps of a path",
        here="refused",
        why="A path ends at the first space; inside brackets there may be some.",
        example="$ .contact",
        says="without a space in it",
        cases="""
            whitespace, selectors, space between root and dot
            whitespace, selectors, newline between root and dot
            whitespace, selectors, tab between root and dot
            whitespace, selectors, return between root and dot
        """,
    ),
    Difference(
        what="Keys without quotes that hold signs, such as ☺",
        here="refused",
        why="Put them in brackets and quotes.",
        example="$.☺",
        says="after `.` comes a key",
        cases="""
            basic, name shorthand, extended unicode ☺
        """,
    ),
    Difference(
        what="White space around the whole path",
        here="taken",
        why="It is an expression, whose ends don't count.",
        example='" $ "',
        says="",
        cases="""
            basic, no leading whitespace
            basic, no trailing whitespace
        """,
    ),
    Difference(
        what="Keys without quotes that begin with a digit",
        here="taken",
        why="There is nothing else they could mean.",
        example="$.contact.2fa",
        says="",
        cases="""
            basic, name shorthand, number
        """,
    ),
    Difference(
        what="A backslash before the other kind of quote",
        here="taken",
        why="There is nothing else it could mean.",
        example='$["it\\\'s"]',
        says="",
        cases="""
            name selector, double quotes, invalid escaped single quote
            name selector, single quotes, invalid escaped double quote
        """,
    ),
)
