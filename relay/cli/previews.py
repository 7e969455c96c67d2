"""What would be sent, for people: a request as a request, rows as a table, a text as itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from relay.jsontext import clean
from relay.recipes.filters import FILTERS
from relay.recipes.masking.xml_text import laid_out
from relay.recipes.operators import to_json, to_text

#: Of a long body, and of a table, so many lines are shown.
_LINES = 60
_ROWS = 20

_LONGEST = 2_000
_SHORT = 90
_LABEL = 12

#: Key of a preview → how what stands there is shown, below the rest.
_BODIES = ("json", "form", "xml", "text", "records", "rows")


def shown(preview: Mapping[str, Any], fields: Mapping[str, Any], width: int) -> Iterator[Text]:
    """The lines of what a connector says it would send.

    fields  the rendered `with`
    width   of the terminal, which a table should fit into
    """
    rest = dict(preview)
    if "method" in rest and "url" in rest:
        yield Text(clean(f"{rest.pop('method')} {rest.pop('url')}"), "bold")
        for name, value in dict(rest.pop("headers", {})).items():
            yield Text.assemble((f"{name}: ", "dim"), (clean(to_text(value)), "dim"))
    bodies = {key: rest.pop(key) for key in _BODIES if key in rest}
    columns = rest.pop("columns", None)
    for key, value in rest.items():
        yield from _labelled(key, value)
    if "rows" in bodies:
        yield Text("")
        yield from table(bodies["rows"], columns, width)
        if "text" in bodies and "format" in fields:
            yield Text("")
            yield Text("as it is written:", "dim")
            yield from _lines(bodies["text"])
        return
    if "records" in bodies and "text" in bodies:
        del bodies["records"]
    for key, value in bodies.items():
        yield Text("")
        yield from _BODY_LINES.get(key, as_json)(value)


def as_json(value: Any) -> Iterator[Text]:
    yield from _lines(_laid_out(value, ""))


def _laid_out(value: Any, margin: str) -> str:
    """JSON, what is short on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(margin) + len(text) <= _SHORT or not isinstance(value, (dict, list)):
        return text
    deeper = margin + "  "
    if isinstance(value, dict):
        inner = [f"{json.dumps(str(key), ensure_ascii=False)}: {_laid_out(one, deeper)}" for key, one in value.items()]
    else:
        inner = [_laid_out(one, deeper) for one in value]
    opens, closes = "{}" if isinstance(value, dict) else "[]"
    lines = f",\n{deeper}".join(inner)
    return f"{opens}\n{deeper}{lines}\n{margin}{closes}"


def body_lines(content_type: str, body: bytes, value: Any) -> Iterator[Text]:
    """The body of an answer. value: what it was made of."""
    kind = content_type.partition(";")[0]
    if kind == "application/json":
        yield from as_json(value)
    elif kind == "application/xml":
        yield from _lines(laid_out(body.decode(errors="replace")))
    else:
        yield from _lines(body.decode(errors="replace"))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None, width: int) -> Iterator[Text]:
    """Rows below their columns; each row as lines of its own where they are too wide for that."""
    names = list(columns or dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in names] for row in rows[:_ROWS]]
    widths = [max(cell_len(one) for one in column) for column in zip(names, *cells, strict=True)]
    if sum(widths) + 2 * len(widths) <= width:
        yield _row(names, widths, "bold")
        for row in cells:
            yield _row(row, widths)
    else:
        label = max(map(cell_len, names))
        for number, row in enumerate(cells):
            if number:
                yield Text("")
            for name, value in zip(names, row, strict=True):
                yield Text.assemble((_padded(name, label), "bold"), "  ", value)
    if len(rows) > _ROWS:
        yield Text(f"… and {len(rows) - _ROWS:,} more rows", "dim")


def pairs(values: Mapping[str, Any]) -> Iterator[Text]:
    """`name  value`, the values one below the other."""
    label = max(map(cell_len, values), default=0)
    for name, value in values.items():
        # What can't be seen would be taken for what isn't there.
        text = to_json(value) if value in (None, "") else to_text(value)
        yield Text.assemble((_padded(name, label), "dim"), "  ", _cell(text[:300] + ("…" if len(text) > 300 else "")))


def _row(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    padded = [_padded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return Text("  ".join(padded).rstrip(), style)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _cell(value: Any) -> str:
    """One line: a line break within would tear the table."""
    return clean(to_text(value)).replace("\r\n", "⏎").replace("\n", "⏎").replace("\r", "⏎").replace("\t", " ")


def _labelled(key: str, value: Any) -> Iterator[Text]:
    label = f"{key:<{_LABEL}} "
    if isinstance(value, (dict, list)) and value:
        yield Text(f"{key}:", "dim")
        for line in as_json(value):
            yield Text("  ").append_text(line)
        return
    text = clean(to_text(value))
    if "\n" in text:
        yield Text(f"{key}:", "dim")
        for line in _lines(text):
            yield Text("  ").append_text(line)
        return
    yield Text.assemble((label, "dim"), text)


def _lines(text: str) -> Iterator[Text]:
    lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n")
    for line in lines[:_LINES]:
        one = clean(line.removesuffix("\r"))
        yield Text(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}… ({len(one):,} characters)")
    if len(lines) > _LINES:
        yield Text(f"… and {len(lines) - _LINES:,} more lines", "dim")


def _form(value: Any) -> Iterator[Text]:
    """As a form's fields, one a line: `a[b]=1`, a list repeats its name."""
    yield from pairs_in_lines(_form_pairs("", value))


def pairs_in_lines(found: Iterator[tuple[str, str]]) -> Iterator[Text]:
    for name, value in found:
        yield Text.assemble(clean(name), ("=", "dim"), _cell(value))


def _form_pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _form_pairs(f"{name}[{key}]" if name else str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _form_pairs(name, inner)
    elif value is not None:
        yield name, to_text(value)


def _xml(value: Any) -> Iterator[Text]:
    """As its elements, indented. What is a text is the file's own, and stays as it is."""
    if isinstance(value, str):
        yield from _lines(value)
        return
    try:
        yield from _lines(laid_out(FILTERS["xml"].run(value)))
    except ValueError:
        yield from as_json(value)


_BODY_LINES: Mapping[str, Callable[[Any], Iterator[Text]]] = {"form": _form, "xml": _xml, "text": _lines}
