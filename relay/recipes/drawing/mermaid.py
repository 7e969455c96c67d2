"""A workspace as Mermaid: a flowchart that GitHub, GitLab and most wikis draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from relay.recipes.drawing.diagram import Drawing, DrawnRecipe

#: Mermaid's own limits, unless whoever shows the page has raised them (`maxEdges`, `maxTextSize`).
MOST_EDGES = 500
MOST_CHARACTERS = 50_000

#: In a label in quotes: what would end it, begin Markdown or HTML, or be taken for one of Mermaid's own codes.
_SPECIAL = re.compile(r"""["#&<>`\\*_~|{}\[\]()@%;:$=\x00-\x1f\x7f]""")
_LONGEST = 80

_CLASSES = (
    "classDef source fill:#dbeafe,stroke:#2563eb,color:#0f172a",
    "classDef recipe fill:#fef9c3,stroke:#a16207,color:#0f172a",
    "classDef step fill:#f8fafc,stroke:#64748b,color:#0f172a",
    "classDef connection fill:#dcfce7,stroke:#15803d,color:#0f172a",
    "classDef broken fill:#fee2e2,stroke:#b91c1c,color:#7f1d1d,stroke-dasharray:5 4",
    "classDef idle fill:#f1f5f9,stroke:#94a3b8,color:#475569,stroke-dasharray:3 3",
)


def mermaid(drawing: Drawing) -> str:
    return "\n".join(_lines(drawing)) + "\n"


def edges(drawing: Drawing) -> int:
    """How many lines between boxes it has: beyond MOST_EDGES Mermaid draws nothing."""
    return sum(1 + sum(2 + len(step.needs) for step in recipe.steps) for recipe in drawing.recipes)


def _lines(drawing: Drawing) -> Iterator[str]:
    yield "flowchart LR"
    sources = {name: f"s{number}" for number, name in enumerate(drawing.sources, 1)}
    connections = {name: f"c{number}" for number, name in enumerate(drawing.connections, 1)}
    for name, node in sources.items():
        yield f"  {node}([{_label([name])}]):::source"
    for number, recipe in enumerate(drawing.recipes, 1):
        yield from _recipe(recipe, f"r{number}", sources, connections)
    for name, node in connections.items():
        yield f"  {node}[({_label([name], drawing.connections[name])})]:::connection"
    if drawing.idle_sources or drawing.idle_connections:
        yield f"  subgraph idle[{_label(['Not in use'])}]"
        for number, name in enumerate(drawing.idle_sources, 1):
            yield f"    is{number}([{_label([name], 'no recipe catches it')}]):::idle"
        for number, (name, kind) in enumerate(drawing.idle_connections.items(), 1):
            yield f"    ic{number}[({_label([name], f'{kind}: nothing is sent to it')})]:::idle"
        yield "  end"
    yield from (f"  {each}" for each in _CLASSES)


def _recipe(recipe: DrawnRecipe, node: str, sources: dict[str, str], connections: dict[str, str]) -> Iterator[str]:
    if recipe.broken is not None:
        yield f"  {node}[{_label([recipe.id, 'broken'], recipe.broken)}]:::broken"
    else:
        yield f"  {node}[{_label([recipe.id], recipe.about, *recipe.marks)}]:::recipe"
    if recipe.source in sources:
        yield f"  {sources[recipe.source]} {'-.->' if recipe.broken else '-->'} {node}"
    steps = {step.name: f"{node}s{number}" for number, step in enumerate(recipe.steps, 1)}
    for step in recipe.steps:
        yield f"  {steps[step.name]}[{_label([step.name], step.action, *step.marks)}]:::step"
        if not step.needs:
            yield f"  {node} --> {steps[step.name]}"
        for need, how in step.needs.items():
            yield f"  {steps[need]} -. {how} .-> {steps[step.name]}"
        yield f"  {steps[step.name]} --> {connections[step.connection]}"


def _label(names: Iterable[str], *details: str) -> str:
    """In quotes; the name in bold, each detail on a line of its own."""
    first, *rest = (_escaped(name) for name in names)
    lines = [f"<b>{first}</b>", *rest, *(_escaped(detail) for detail in details if detail)]
    return '"' + "<br>".join(lines) + '"'


def _escaped(text: str) -> str:
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};" if found[0] >= " " else "", text)
