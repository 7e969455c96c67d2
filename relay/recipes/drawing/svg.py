"""A workspace as one SVG file that needs nothing else: no script, no font, no picture; light and dark by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from relay.recipes.drawing.diagram import Drawing, DrawnStep
from relay.recipes.drawing.layout import (
    LINE,
    MARGIN,
    TOP,
    Box,
    Bracket,
    Layout,
    PlacedRecipe,
    Section,
    fitted,
    placed,
    width_of,
)

#: What XML can't hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Lines to different connections differ in colour, as far as colours go; each line's step names its connection as well.
_COLOURS = 8

_STYLE = """
.relay{--paper:#fff;--ink:#0f172a;--soft:#475569;--faint:#94a3b8;--card:#f8fafc;--edge:#e2e8f0;--box:#fff;
--source:#dbeafe;--source-edge:#3b82f6;--recipe:#fef9c3;--recipe-edge:#ca8a04;--sink:#dcfce7;--bad:#fef2f2;
--bad-edge:#dc2626;--bad-ink:#991b1b;--chip:#e0e7ff;--chip-ink:#3730a3;
--k0:#2563eb;--k1:#c2410c;--k2:#15803d;--k3:#7c3aed;--k4:#be123c;--k5:#0e7490;--k6:#a16207;--k7:#be185d}
@media (prefers-color-scheme:dark){.relay{--paper:#0b1120;--ink:#e2e8f0;--soft:#a3b1c6;--faint:#64748b;--card:#111a2e;
--edge:#26334d;--box:#1b2740;--source:#172f5c;--source-edge:#60a5fa;--recipe:#3a3210;--recipe-edge:#eab308;
--sink:#12331f;--bad:#3b1418;--bad-edge:#f87171;--bad-ink:#fecaca;--chip:#2b2f63;--chip-ink:#c7d2fe;
--k0:#60a5fa;--k1:#fb923c;--k2:#4ade80;--k3:#a78bfa;--k4:#fb7185;--k5:#22d3ee;--k6:#facc15;--k7:#f472b6}}
.relay text{font-family:"Helvetica Neue",Arial,"Liberation Sans","DejaVu Sans",sans-serif;fill:var(--ink)}
.relay .paper{fill:var(--paper)}.relay .card{fill:var(--card);stroke:var(--edge)}
.relay .soft{fill:var(--soft)}.relay .head{fill:var(--soft);letter-spacing:.04em}
.relay .b{font-weight:bold}.relay rect{stroke-width:1.2}
.relay .source rect{fill:var(--source);stroke:var(--source-edge)}
.relay .recipe rect{fill:var(--recipe);stroke:var(--recipe-edge)}
.relay .step rect{fill:var(--box);stroke:var(--faint)}.relay .chip{fill:var(--chip-ink)}
.relay .broken rect{fill:var(--bad);stroke:var(--bad-edge);stroke-dasharray:6 4}.relay .broken text{fill:var(--bad-ink)}
.relay .idle rect{fill:none;stroke:var(--faint);stroke-dasharray:3 3}.relay .idle text{fill:var(--soft)}
.relay .sink rect{fill:var(--sink)}
.relay path{fill:none;stroke:var(--faint);stroke-width:1.5}.relay .dash{stroke-dasharray:4 3}
.relay .tip{fill:var(--faint);stroke:none}.relay .rule{stroke:var(--edge)}
""" + "".join(f".relay path.k{n},.relay .k{n} rect{{stroke:var(--k{n})}}" for n in range(_COLOURS))


def svg(drawing: Drawing) -> str:
    layout = placed(drawing)
    return "\n".join(_lines(drawing, layout)) + "\n"


def _lines(drawing: Drawing, layout: Layout) -> Iterator[str]:
    width, height = f"{layout.width:g}", f"{layout.height:g}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="relay" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="relay-title relay-desc">'
    )
    yield f'<title id="relay-title">{_text(drawing.title())}</title>'
    yield f'<desc id="relay-desc">{_text(" ".join(drawing.described()))}</desc>'
    yield f"<style>{_STYLE}</style>"
    yield f'<rect class="paper" width="{width}" height="{height}"/>'
    yield f'<text class="b" x="{MARGIN}" y="44" font-size="20">{_text(drawing.title())}</text>'
    for name, x in layout.columns:
        yield f'<text class="head b" x="{x:g}" y="{TOP - 22}" font-size="12">{_text(name.upper())}</text>'
    colours = {name: f"k{place % _COLOURS}" for place, name in enumerate(drawing.connections)}
    for place, section in enumerate(layout.sections):
        if place:
            yield _rule(section.top - 22, layout)
        yield from _section(drawing, section, colours)
    yield from _idle(drawing, layout)
    yield from _legend(layout)
    yield "</svg>"


def _section(drawing: Drawing, section: Section, colours: dict[str, str]) -> Iterator[str]:
    yield from (_rect(one.card, "card", 12) for one in section.recipes)
    yield from _edges(section, colours)
    for name, box in section.sources.items():
        yield from _box(box, "source", name, [(name, "b")], radius=20)
    for one in section.recipes:
        yield from _recipe(one)
    for name, box in section.connections.items():
        lines = [(name, "b"), (drawing.connections[name], "soft")]
        yield from _box(box, f"sink {colours[name]}", f"{name} ({drawing.connections[name]})", lines, radius=10)


def _rule(y: float, layout: Layout) -> str:
    return f'<path class="rule" d="M{MARGIN} {y:g}H{layout.width - MARGIN:g}"/>'


# --- boxes ---


def _recipe(one: PlacedRecipe) -> Iterator[str]:
    recipe = one.recipe
    kind = "broken" if recipe.broken is not None else "recipe"
    about = len(one.lines) - len(recipe.marks)
    head = f"{recipe.id} (broken)" if recipe.broken is not None else recipe.id
    lines = [(head, "b"), *((line, "soft" if place < about else "chip") for place, line in enumerate(one.lines))]
    told = "\n".join([head, recipe.broken or recipe.about, *recipe.marks])
    yield from _box(one.box, kind, told, lines, radius=6, padding=9)
    for step, box in one.steps:
        yield from _step(step, box)


def _step(step: DrawnStep, box: Box) -> Iterator[str]:
    target = f"{step.action} → {step.connection}" if step.action else f"→ {step.connection}"
    inside = box.width - 24
    name = fitted(step.name, inside * 0.55, 13, bold=True)
    start = 12 + width_of(name, 13, bold=True) + 8
    yield from _opened(box, "step", "\n".join([step.name, target, *step.marks]))
    yield _rect(_own(box), "", 6)
    yield _line(name, "b", 12, 7 + 13, 13)
    yield _line(fitted(target, box.width - 12 - start, 12), "soft", start, 7 + 13, 12)
    for place, mark in enumerate(step.marks, 1):
        yield _line(fitted(mark, inside, 12), "chip", 12, 7 + 13 + LINE * place, 12)
    yield "</svg>"


def _box(
    box: Box, kind: str, told: str, lines: list[tuple[str, str]], *, radius: float, padding: float = 0
) -> Iterator[str]:
    """told: what a pointer on it shows, uncut. Lines stand in the middle of the height where no padding is said."""
    yield from _opened(box, kind, told)
    yield _rect(_own(box), "", radius)
    top = padding or (box.height - LINE * len(lines)) / 2
    for place, (text, style) in enumerate(lines):
        size = 13 if place == 0 else 12
        shown = fitted(text, box.width - 24, size, bold="b" in style.split())
        yield _line(shown, style, 12, top + 13 + LINE * place, size)
    yield "</svg>"


def _opened(box: Box, kind: str, told: str) -> Iterator[str]:
    # An inner picture: what is in it is cut at its edge, whatever font a browser takes.
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    yield f'<svg class="{kind}" {place}><title>{_text(told)}</title>'


def _own(box: Box) -> Box:
    """Half a line inside, so that its border isn't cut."""
    return Box(1, 1, box.width - 2, box.height - 2)


def _rect(box: Box, kind: str, radius: float) -> str:
    named = f'class="{kind}" ' if kind else ""
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    return f'<rect {named}{place} rx="{radius:g}"/>'


def _line(text: str, kind: str, x: float, y: float, size: float) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}">{_text(text)}</text>'


# --- lines between them ---


def _edges(section: Section, colours: dict[str, str]) -> Iterator[str]:
    for one in section.recipes:
        source = section.sources.get(one.recipe.source or "")
        if source is not None:
            style = "dash" if one.recipe.broken is not None else ""
            yield from _curve(source.right, source.middle, one.box.x, one.box.middle, style)
        for step, box in one.steps:
            if not step.needs:
                yield from _curve(one.box.right, one.box.middle, box.x, box.middle, "")
        for bracket in one.brackets:
            yield from _bracket(bracket)
    ends: dict[str, list[Box]] = {name: [] for name in section.connections}
    for one in section.recipes:
        for step, box in one.steps:
            ends[step.connection].append(box)
    for name, boxes in ends.items():
        target = section.connections[name]
        for place, box in enumerate(sorted(boxes, key=lambda box: box.middle), 1):
            # Each has an end of its own, so that they can be told apart where they arrive.
            y = target.y + target.height * place / (len(boxes) + 1)
            yield from _curve(box.right, box.middle, target.x, y, colours[name])


def _curve(x1: float, y1: float, x2: float, y2: float, kind: str) -> Iterator[str]:
    bend = (x2 - x1) * 0.55
    style = f' class="{kind}"' if kind else ""
    yield (f'<path{style} d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend - 6:g} {y2:g} {x2 - 6:g} {y2:g}"/>')
    yield _tip(x2, y2)


def _bracket(one: Bracket) -> Iterator[str]:
    y1, y2 = one.start.middle + 5, one.end.middle - 5
    style = ' class="dash"' if one.how == "after" else ""
    yield (
        f'<path{style} d="M{one.start.x:g} {y1:g}H{one.x + 6:g}Q{one.x:g} {y1:g} {one.x:g} {y1 + 6:g}'
        f'V{y2 - 6:g}Q{one.x:g} {y2:g} {one.x + 6:g} {y2:g}H{one.end.x - 6:g}"/>'
    )
    yield _tip(one.end.x, y2)


def _tip(x: float, y: float) -> str:
    return f'<path class="tip" d="M{x:g} {y:g}l-7 -3.5v7z"/>'


# --- below ---


def _idle(drawing: Drawing, layout: Layout) -> Iterator[str]:
    if layout.idle_top is None:
        return
    y = layout.idle_top + 4
    yield _rule(y, layout)
    yield f'<text class="head b" x="{MARGIN}" y="{y + 26:g}" font-size="12">NOT IN USE</text>'
    for name, box in layout.idle_sources.items():
        told = f"{name}: no recipe catches it"
        yield from _box(box, "idle", told, [(name, "b"), ("no recipe catches it", "")], radius=20)
    for name, box in layout.idle_connections.items():
        why = f"{drawing.idle_connections[name]}: nothing is sent to it"
        yield from _box(box, "idle", f"{name}, {why}", [(name, "b"), (why, "")], radius=10)


def _legend(layout: Layout) -> Iterator[str]:
    if layout.legend_top is None:
        return
    y = layout.legend_top + 26
    x = float(MARGIN)
    for kind, words in (("", "uses what it saved"), ("dash", "waits for it (after)")):
        style = f' class="{kind}"' if kind else ""
        yield f'<path{style} d="M{x:g} {y - 4:g}h26"/>'
        yield _tip(x + 33, y - 4)
        yield _line(words, "soft", x + 42, y, 12)
        x += 42 + width_of(words, 12) + 28


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
