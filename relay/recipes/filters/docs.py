"""docs/filters.md, made from the filters' declarations: `python -m relay.recipes.filters.docs > docs/filters.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from relay.recipes.filters import FILTERS, Filter
from relay.recipes.operators import to_json

_HEAD = """# Filters

A filter follows a value and changes it: `$.contact.name | trim | upper`. Filters are used from left to right. Null
passes through every filter unchanged, except `default`. Where a filter can't be used on a value, the event becomes a
dead letter that says why; nothing is guessed.

This page is made from the filters' own declarations, and every example on it is tested.
"""

GROUPS = ("Dates", "Text", "Numbers", "Lists and objects", "Tables", "Encoding", "People and places")

_AFTER = {
    "Dates": """Dates are understood in ISO 8601 (`2026-04-03`, `2026-04-03T09:15:00Z`) and as unix times, in seconds or
milliseconds. Anything else, such as `03/04/2026`, could be day first or month first: read it with `parse_date` and say
which. They are read and written in the recipe's `timezone` (UTC where it has none), summer time included.
A date without a filter after it is ISO 8601 text. `now()` is the present moment: `{{ now() | date("YYYY-MM-DD") }}`.

| in a format | is | in a format | is |
|---|---|---|---|
| `YYYY` `YY` | year: 2026, 26 | `HH` `H` | hour, 00 to 23 |
| `MM` `M` | month: 04, 4 | `hh` `h` | hour, 01 to 12 |
| `MMMM` `MMM` | April, Apr | `mm` | minute |
| `DD` `D` | day: 03, 3 | `ss` `SSS` | second, millisecond |
| `dddd` `ddd` | Friday, Fri | `A` `a` | PM, pm |
| `[text]` | text as it stands | `Z` `ZZ` | +01:00, +0100 |
""",
    "Tables": """A table is a CSV file in the workspace, `tables/courses.csv`, or rows under `tables:` in a recipe. In a
file, the first line names the columns and the first column is the key; it is UTF-8, with commas (or semicolons, or
tabs, where the first line has no commas). Its cells are text, without the blanks around them. Excel calls this
«CSV UTF-8».

```
code,title,school
G100,Mathematics,Science
Q300,English,Humanities
```

```yaml
tables:
  tags: {7: vip, 8: new}
  offices:
    GB: {city: London, phone: "+442079460958"}
    PT: {city: Lisbon, phone: "+351210000000"}
```

A key is compared as it is written: the number 7 finds `7`, blanks around it don't count, small and capital letters do.
A table that isn't there, a column that isn't there, a key that stands twice and a row with a cell too few are found
when the recipe is read. A file and a recipe's own table can't share a name.
""",
    "Text": r"""Regular expressions are Python's, without look-arounds, back references, repeats inside repeats and
alternatives inside repeats: these can take for ever on the wrong text. How long a text may be depends on how many open
repeats (`*`, `+`) the pattern has. In an expression, a backslash needs no second one: `"\d+"`.
""",
}


def page() -> str:
    """The whole page, in Markdown."""
    lines = [_HEAD]
    for group in GROUPS:
        lines.append(f"## {group}\n")
        if group in _AFTER:
            lines.append(_AFTER[group])
        for one in FILTERS.values():
            if one.group == group:
                lines.extend(_section(one))
    return "\n".join(lines).rstrip() + "\n"


def _section(one: Filter) -> Iterator[str]:
    yield f"### {one.name}\n"
    yield f"`{one.signature}`\n"
    yield f"{one.doc}\n"
    yield "| body | expression | gives |"
    yield "|---|---|---|"
    for example in one.examples:
        cells = (to_json(example.body), example.expression, to_json(example.gives))
        yield "| " + " | ".join(_code(cell) for cell in cells) + " |"
    yield ""


def _code(text: str) -> str:
    """A cell of a table: a bar would end it."""
    return "`" + text.replace("|", "\\|") + "`"


if __name__ == "__main__":
    sys.stdout.write(page())
