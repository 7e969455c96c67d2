"""docs/jsonpath.md, made from the list of differences: `python -m tests.recipes.jsonpath.page > docs/jsonpath.md`."""

from __future__ import annotations

import sys

from tests.recipes.jsonpath.differences import DIFFERENCES, Difference, suite

_HEAD = """# Paths

What starts with `$` in a recipe is a JSONPath, as [RFC 9535](https://www.rfc-editor.org/rfc/rfc9535) describes it.
You need little of it: [Recipes](recipes.md) shows by example what is used every day. This page says what else there
is, and where a recipe's paths differ from the standard.

| in a path | is |
|---|---|
| `$` | the body; under `save`, the reply |
| `$name` | a name that the recipe knows: picked, saved, or the relay's own |
| `.key` `["key"]` | a key of an object; in brackets and quotes it may hold any sign |
| `[0]` `[-1]` | an item of a list: the first, the last |
| `[*]` `.*` | every item of a list, every value of an object |
| `[0:3]` `[::2]` | items from one number up to, and without, another; every second |
| `["a", "b"]` `[0, 2]` | several keys, several items |
| `..key` `..*` | at any depth; at most twice in a path |
| `[?(@.qty > 1)]` | the items for which a condition holds |
| `?` at the end | null where it is missing, instead of an error |

Keys without quotes are letters, digits and `_`, of any language; XML's `@attribute` and `#text` too. In quotes, the
escapes are JSON's: `\\n`, `\\t`, `\\"`, `\\\\`, `\\u00e9`.

## One value, or a list

A path of keys and numbers alone (`$.contact.name`, `$.lines[0].sku`) gives **one value**. Where that is missing,
the event becomes a dead letter that names what is there instead, unless the path ends in `?`. Every other path can
match many, and gives **a list**, which may be empty. In the RFC every path gives a list; what is in it is the same.

A list of all matches has its items by number in brackets: `($.lines[*].sku)[0]`.

## Conditions

A condition compares the item, `@`, or something in it, with text in quotes, a number, `true`, `false`, `null`,
another path from `@`, or a path from the body, `$`. `&&`, `||`, `!` and round brackets join conditions. This is
JSONPath's spelling; outside of `[?…]` the recipe's own is `and`, `or`, `not`.

| condition | holds for |
|---|---|
| `[?(@.qty > 1)]` | items whose qty is a number over 1 |
| `[?(@.kind == "book" && @.qty != 0)]` | books whose qty isn't 0 |
| `[?(@.sku == $.wanted)]` | items whose sku is what the body's `wanted` says |
| `[?(@.email)]` | items that have an email, **whatever it is**: also `false`, `""` and null |
| `[?(!@.email)]` | items without the key email |

Four things surprise people, in every JSONPath:

- `[?(@.active)]` asks whether the key is there. For whether it is true, write `[?(@.active == true)]`.
- Nothing is converted, and nothing fails: `"5" > 1` isn't so, and neither is `"5" == 5`; such an item is simply not
  found. The filter `where` reports it when text is to be smaller than a number.
- What is missing is unequal to everything: `[?(@.kind != "book")]` also finds the items without a kind.
- `[*]` on an object gives its values. XML and forms give one element alone as itself and several as a list, so
  `$.order.line[*].sku` finds nothing in an order of one line. `$.order.line | list` is a list in both cases, and
  `foreach: $.order.line` takes both.

A picked value can't stand inside of a condition. Use a filter behind the path: `$.lines | where("sku", $sku)`.

"""

_BEFORE_TABLE = """## Where this differs from RFC 9535

The paths of recipes are held to the RFC's own Compliance Test Suite. Of its {total} cases {hold} hold, and **none
gives another result than the RFC's**. {refused} are refused when the recipe is read, with a sentence that says what
to write; {taken} that the RFC refuses are taken.

| | RFC 9535 | here | such as | cases |
|---|---|---|---|---|
"""

_TAIL = """
Also refused, though the suite has no case of it that the RFC allows: `..` and several keys inside of a condition,
`..` more than twice, a path of more than 1,000 characters, `$` in a condition behind a name such as
`$items[?(@.a == $.b)]` (the RFC's `$` would be `$items`), and everything that only jsonpath-ng knows: text
without quotes, a single `=`, sums, sorting, `` `parent` `` and patterns (`=~`).

A path looks at no more than ten million values and finds no more than 500,000: what goes beyond that is a dead
letter, not a worker that is busy for ever.
"""


def page() -> str:
    """The whole page, in Markdown."""
    total = len(suite())
    count = {
        here: sum(len(one.names) for one in DIFFERENCES if one.here == here) for here in ("refused", "taken")
    }  # fmt: skip
    numbers = {"total": total, "hold": total - sum(count.values()), **count}
    return _HEAD + _BEFORE_TABLE.format(**numbers) + "".join(map(_row, DIFFERENCES)) + _TAIL


def _row(one: Difference) -> str:
    rfc, here = ("allowed", "refused") if one.here == "refused" else ("refused", "allowed")
    cells = (f"{one.what}. {one.why}", rfc, here, f"`{one.example}`", str(len(one.names)))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
