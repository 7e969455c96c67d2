"""What an editor shows where an expression can stand: how it is written, and every filter with its sentence."""

from __future__ import annotations

from functools import cache

from relay.recipes.filters import FILTERS

HOW = """\
| you write | you get |
|---|---|
| `$.contact.name` | the body's `name` inside `contact`; `?` behind it where it may be absent |
| `$.lines[0].sku`, `$.lines[*].sku` | the first line's sku; a list of all |
| `$name` | what was picked under that name |
| `$ticket.number` | what the step `ticket` saved |
| `$event.id` `$event.received_at` `$event.sent_at` `$event.type` | of the event itself |
| `$headers["x-id"]` `$query.token` | of the request |
| `$.total \\| round(2)` | a value changed by a filter |
| `"{{ $name }} left"` | text with values in it, in quotes |
| `"$$5"` | a dollar sign |
"""


@cache
def filters_markdown() -> str:
    """Every filter in a line, by group."""
    lines = ["**Filters**, as in `$.contact.name | trim | title`:", ""]
    for group in dict.fromkeys(one.group for one in FILTERS.values()):
        lines += [f"*{group}*", ""]
        lines += [f"- `{one.signature}` {_first_sentence(one.doc)}" for one in FILTERS.values() if one.group == group]
        lines.append("")
    return "\n".join(lines).rstrip()


def about_expression(description: str) -> str:
    """Markdown: the description, how expressions are written, and the filters."""
    return f"{description}\n\n{HOW}\n{filters_markdown()}"


def _first_sentence(doc: str) -> str:
    head, dot, _ = doc.replace("\n", " ").partition(". ")
    return head + "." if dot else head
