"""Expressions and bodies that are made to take all time or memory, measured: `python -m tests.recipes.bombs`.

Run by test_bounds.py in a process of its own, whose memory the system limits. Prints a line of JSON for each:
expression, seconds, peak_mb (of the process until then), outcome.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import Names, compile_expression
from relay.recipes.tables import table_of

NAMES = Names(tables={"keys": table_of("keys", "a,b\n" + "".join(f"k{n},v\n" for n in range(100_000)), "tables/k.csv")})


def nested(depth: int, inside: Any) -> Any:
    for _ in range(depth):
        inside = [inside]
    return inside


def body() -> dict[str, Any]:
    """As large as a body may be, in all the shapes that cost most."""
    return {
        "long": "a" * 1_000_000,
        "longest": "x" * 4_000_000,
        "digits": "1" * 4_000_000,
        "words": "a " * 2_000_000,
        "spaces": " " * 190 + "x",
        "letters": "a" * 190,
        "marks": "a" + "\u0300\u0316" * 100_000,
        "html": "<!--" * 200_000 + '<a href="' * 60_000,
        "numbers": list(range(200_000)),
        "wanted": list(range(100_000, 200_000)),
        "objects": [{"x": n} for n in range(100_000)],
        "object": {f"k{n}": n for n in range(300_000)},
        "same": {f"k{n}": n for n in range(300_000)} | {"k299999": -1},
        "texts": ["a-" * 900] * 5000,
        "deep": nested(900, 1),
        "huge": 10**4000,
        "json": "[" * 100_000,
    }


_MANY = "[" + ", ".join(["$"] * 2000) + "]"
_HALF = "[" + ", ".join(["$"] * 1000) + "]"

_LINES = r"""
# repetition
"a" * 1000000000
$.long * 1000000
10 ** 10 ** 10
range(1000000000)
$.huge * $.huge
1e308 * 1e308
$.long | pad(10000) | pad(10000, "x", "right")
$.numbers | map("pad", 10000)
$.long | pad(1000000000)
$.long | replace("a", "aaaaaaaaaa")
$.long | replace("a", $.long)
$.long | regex_replace("a", $.long)
$.numbers | map("replace", "1", $.long)
$.numbers | join($.long)
$.words | split
$.words | split("a")
$.longest | url_encode | url_encode
$.longest | base64 | base64
$.longest | to_json | to_json
# nesting
$.deep | to_json
$.deep == $.deep
$.deep | flatten
$.deep | xml("a")
$..*..*
$.deep..*..*
$.json | from_json
# each with each
$.objects | where("x", "in", $.wanted)
$.objects | where("x", "not in", $.wanted)
$.wanted in $.numbers
$.objects[?(@.x == $.wanted[0])]
$.objects[?($.wanted[*])]
$.objects[?(@..x)]
$.objects | sort("x", "desc")
$.object | entries
$.objects | unique
$.numbers | sum
$.numbers | map("lookup", "keys", null, 0)
# what is near it
$.object.nosuch
$.longest | lookup("keys")
$.longest | country
$.marks | lookup("keys")
# patterns
$.texts | map("regex_extract", "(\w+)-(\w+)x")
$.long | regex_extract("(a+)+$")
$.long | regex_extract("a*a*b")
$.letters | regex_extract("(.*)(.*)(.*)(.*)(.*)(.*)x")
$.long | regex_extract("(a|aa)+$")
$.long | regex_extract("(?=(a+))a*b")
$.words | regex_replace("\s+$", "")
$.letters | regex_extract("(a?){50}a{50}")
$[?(@ =~ "(a+)+$")]
$.`sub(/(a+)+$/, x)`
$.letters | parse_date("dddd dddd dddd dddd YYYY MM DD")
$.letters | parse_date("ddddMMMM YYYY DD")
# what a sender sends
$.html | strip_html
$.marks | slug
$.marks | charset("ascii", "plain")
$.digits | number
$.digits | int
$.digits | date("YYYY")
$.digits | from_unix
$.digits | from_json
$.longest | email
$.longest | phone("GB")
$.longest | bool
$.longest | title
$.longest | slug
$.longest | first_word
$.longest | hash
$.huge | format_number(2)
$.huge | round(2)
$.huge | currency("GBP")
$.huge | date("YYYY")
$.huge | phone
$.numbers | map("phone", "GB")
$.numbers | map("email")
$.numbers | map("date", "DD/MM/YYYY")
"""

_LISTS = [
    "to_json", "unique", 'join("")', "csv", "xml('a')", "flatten", "sort('x')", 'map("to_json")', "length",
]  # fmt: skip

EXPRESSIONS = [
    "[0] * 1000000000",
    "9" * 5000,
    " * ".join(["$.huge"] * 500),
    " + ".join(["$.long"] * 500),
    *(line.strip() for line in _LINES.strip().splitlines() if not line.startswith("#")),
    # It takes no room until it is written.
    _MANY,
    f'{{"a": {_MANY}}}',
    *(f"{_MANY} | {one}" for one in _LISTS),
    f"{_HALF} == {_HALF}",
    f"$.object in [{', '.join(['$.same'] * 1000)}]",
    f"$ in {_MANY}",
    f"[{', '.join(['[$, $, $, $]'] * 400)}]",
    "(" * 3000 + "1" + ")" * 3000,
    "[" * 3000 + "]" * 3000,
    "not " * 2400 + "1",
    "-" * 9000 + "1",
    " if 1 else ".join(["1"] * 700),
    " or ".join(["$.x?"] * 1200),
    "$.a" + " | trim" * 1200,
    "$" + "[0]" * 3000,
    "$" + "[0,0]" * 190,
    "$" + "[?(@.a)]" * 100,
    "$[?(" + "(" * 400 + "@.a" + ")" * 400 + ")]",
    f'$.spaces | parse_date("YYYY{" " * 40}MM{" " * 40}DD")',
]


def peak_mb() -> int:
    """Of this process alone: `ru_maxrss` is at least what the one that started it had."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


def main(most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    values = {"": body()}
    for text in EXPRESSIONS:
        started = time.perf_counter()
        try:
            outcome = f"gives {type(compile_expression(text, Place('recipe.yaml'), NAMES).of(values)).__name__}"
        except ConfigError as error:
            outcome = f"refused: {error.message}"
        except RecipeError as error:
            outcome = f"error: {error.message}"
        print(json.dumps({
            "expression": text[:100],
            "seconds": round(time.perf_counter() - started, 3),
            "peak_mb": peak_mb(),
            "outcome": outcome[:200],
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
