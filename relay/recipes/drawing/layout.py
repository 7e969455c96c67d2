"""Where everything of a drawing stands: four columns, from sources to connections, in pixels from the top left.

The recipes of one source stand below each other, so that its lines don't cross. A step has a line of its own, and what
it waits for is a bracket in the space before the steps: no line passes through a box. A large workspace is drawn in
sections, a source at a time, each with the connections that it needs: lines over pages lead the eye nowhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from relay.recipes.drawing.diagram import Drawing, DrawnRecipe, DrawnStep

#: More recipes than this are drawn in sections, and no section has more.
_MOST_TOGETHER = 12

MARGIN = 28
TOP = 104
_GAP = 14
_STEP_GAP = 7
_PADDING = 12
_LANE = 14
_SOURCE_WIDTH, _RECIPE_WIDTH, _STEP_WIDTH, _CONNECTION_WIDTH = 160, 250, 330, 180
_BETWEEN = 64
_SECTION_GAP = 44
LINE = 17
_LEGEND_HEIGHT = 56

#: How wide the characters from space to `~` are in DejaVu Sans, in twentieths of its size. Verdana is as wide; what
#: browsers take by themselves is narrower, so what fits by this fits there.
_WIDTHS = "79ahdjg688ah7877dddddddddd77hhhbkeeegdcgg66ecifgdgeddfekede878haaddbdd8dd66c6kdddd9b8dchccbd7dh"


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Bracket:
    """A step that waits for another: from the one's left edge to the other's, round the boxes between."""

    start: Box
    end: Box
    x: float
    how: str


@dataclass(frozen=True, slots=True)
class PlacedRecipe:
    """card is what encloses the recipe and its steps; lines are what is written under the recipe's id."""

    recipe: DrawnRecipe
    card: Box
    box: Box
    lines: tuple[str, ...]
    steps: tuple[tuple[DrawnStep, Box], ...]
    brackets: tuple[Bracket, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What is drawn together. A source and a connection may stand in several."""

    sources: dict[str, Box]
    recipes: tuple[PlacedRecipe, ...]
    connections: dict[str, Box]
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    sections: tuple[Section, ...]
    columns: tuple[tuple[str, float], ...]
    idle_top: float | None
    idle_sources: dict[str, Box]
    idle_connections: dict[str, Box]
    legend_top: float | None


def placed(drawing: Drawing) -> Layout:
    most = max((_lanes(recipe.steps)[1] for recipe in drawing.recipes), default=0)
    recipe_x = MARGIN + _SOURCE_WIDTH + _BETWEEN + _PADDING
    step_x = recipe_x + _RECIPE_WIDTH + 40 + most * _LANE
    # The more connections, the more room their lines need to fan out.
    connection_x = step_x + _STEP_WIDTH + _PADDING + 110 + 8 * min(len(drawing.connections), 12)
    width = connection_x + _CONNECTION_WIDTH + MARGIN
    sections: list[Section] = []
    bottom: float = TOP
    for together in _together(drawing.recipes):
        top = bottom + (_SECTION_GAP if sections else 0)
        sections.append(_section(drawing, together, recipe_x, step_x, connection_x, top))
        bottom = sections[-1].bottom
    idle_top, idle_sources, idle_connections, bottom = _idle(drawing, width, bottom + _GAP)
    columns = (("Sources", MARGIN), ("Recipes", recipe_x), ("Steps", step_x), ("Connections", connection_x))
    legend = bottom if most else None
    height = bottom + (_LEGEND_HEIGHT if most else MARGIN)
    return Layout(
        width, height, tuple(sections), columns, idle_top, idle_sources, idle_connections, legend
    )  # fmt: skip


def _together(recipes: Sequence[DrawnRecipe]) -> list[Sequence[DrawnRecipe]]:
    """All of them where they are few; else by source, and of one source in equal parts."""
    if len(recipes) <= _MOST_TOGETHER:
        return [recipes] if recipes else []
    found: list[Sequence[DrawnRecipe]] = []
    for _, group in groupby(recipes, key=lambda recipe: recipe.source):
        own = list(group)
        parts = -(-len(own) // _MOST_TOGETHER)
        size = -(-len(own) // parts)
        found.extend(own[start : start + size] for start in range(0, len(own), size))
    return found


def _section(
    drawing: Drawing, together: Sequence[DrawnRecipe], recipe_x: float, step_x: float, connection_x: float, top: float
) -> Section:
    recipes: list[PlacedRecipe] = []
    y = top
    for recipe in together:
        # A little more room where another source's recipes begin.
        if recipes and recipe.source != recipes[-1].recipe.source:
            y += _GAP
        recipes.append(_recipe(recipe, recipe_x, step_x, y))
        y = recipes[-1].card.bottom + _GAP
    caught = {recipe.source for recipe in together}
    sources = _sources([name for name in drawing.sources if name in caught], recipes)
    used = {step.connection for recipe in together for step in recipe.steps}
    if together[-1] is drawing.recipes[-1]:
        # What no step sends to, such as a connection for alerts, stands in the last section.
        used |= drawing.connections.keys() - {step.connection for one in drawing.recipes for step in one.steps}
    names = [name for name in drawing.connections if name in used]
    connections = _connections(names, recipes, connection_x, top, y - _GAP)
    bottom = max([y - _GAP, *(box.bottom for box in (*sources.values(), *connections.values()))])
    return Section(sources, tuple(recipes), connections, top, bottom)


def _recipe(recipe: DrawnRecipe, x: float, step_x: float, y: float) -> PlacedRecipe:
    # A broken one has no steps that could stand beside it, and much to say.
    width = step_x + _STEP_WIDTH - x if recipe.broken is not None else _RECIPE_WIDTH
    inside = width - 2 * _PADDING
    lines = [*wrapped(recipe.broken or recipe.about, inside, 12, 2)]
    lines += [fitted(mark, inside, 12) for mark in recipe.marks]
    height = 2 * 9 + LINE * (1 + len(lines))
    heights = [_step_height(step) for step in recipe.steps]
    steps_height = sum(heights) + _STEP_GAP * max(0, len(heights) - 1)
    inner = max(height, steps_height)
    card = Box(x - _PADDING, y, step_x + _STEP_WIDTH + 2 * _PADDING - x, inner + 2 * _PADDING)
    top = y + _PADDING + (inner - steps_height) / 2
    steps: list[tuple[DrawnStep, Box]] = []
    for step, each in zip(recipe.steps, heights, strict=True):
        steps.append((step, Box(step_x, top, _STEP_WIDTH, each)))
        top += each + _STEP_GAP
    box = Box(x, y + _PADDING + (inner - height) / 2, width, height)
    return PlacedRecipe(recipe, card, box, tuple(lines), tuple(steps), _brackets(steps, step_x))


def _step_height(step: DrawnStep) -> float:
    return 2 * 7 + LINE * (1 + len(step.marks))


def _lanes(steps: Sequence[DrawnStep]) -> tuple[list[tuple[str, str, str, int]], int]:
    """(what waits for what, and in which lane before the steps; how many lanes): no two brackets in one place."""
    order = {step.name: place for place, step in enumerate(steps)}
    pairs = [(need, step.name, how) for step in steps for need, how in step.needs.items()]
    # Short ones inside of long ones.
    pairs.sort(key=lambda pair: order[pair[1]] - order[pair[0]])
    lanes: list[list[tuple[int, int]]] = []
    found = []
    for need, name, how in pairs:
        low, high = order[need], order[name]
        lane = next(
            (place for place, used in enumerate(lanes) if all(high <= a or low >= b for a, b in used)), len(lanes)
        )
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((low, high))
        found.append((need, name, how, lane))
    return found, len(lanes)


def _brackets(steps: Sequence[tuple[DrawnStep, Box]], step_x: float) -> tuple[Bracket, ...]:
    boxes = {step.name: box for step, box in steps}
    pairs, _ = _lanes([step for step, _ in steps])
    return tuple(
        Bracket(boxes[need], boxes[name], step_x - _LANE * (lane + 1) - 4, how) for need, name, how, lane in pairs
    )


def _sources(names: Iterable[str], recipes: Sequence[PlacedRecipe]) -> dict[str, Box]:
    boxes = {}
    for name in names:
        own = [one.card for one in recipes if one.recipe.source == name]
        middle = (own[0].y + own[-1].bottom) / 2
        boxes[name] = Box(MARGIN, middle - 20, _SOURCE_WIDTH, 40)
    return boxes


def _connections(
    names: Sequence[str], recipes: Iterable[PlacedRecipe], x: float, top: float, bottom: float
) -> dict[str, Box]:
    """Each as near as may be to the middle of what is sent to it."""
    ends: dict[str, list[float]] = {name: [] for name in names}
    for one in recipes:
        for step, box in one.steps:
            ends[step.connection].append(box.middle)
    wanted = {name: sum(found) / len(found) if found else bottom for name, found in ends.items()}
    height, gap = 46.0, 16.0
    ordered = sorted(wanted, key=lambda name: wanted[name])
    tops: list[float] = []
    for name in ordered:
        tops.append(max([wanted[name] - height / 2, top, *([tops[-1] + height + gap] if tops else [])]))
    # What was pushed beyond the end goes back up as far as it can.
    limit = max(bottom, top + len(ordered) * (height + gap) - gap) - height
    for place in range(len(tops) - 1, -1, -1):
        tops[place] = min(tops[place], limit)
        limit = tops[place] - height - gap
    return {name: Box(x, y, _CONNECTION_WIDTH, height) for name, y in zip(ordered, tops, strict=True)}


def _idle(drawing: Drawing, width: float, top: float) -> tuple[float | None, dict[str, Box], dict[str, Box], float]:
    """What is not in use, in rows below all else."""
    if not drawing.idle_sources and not drawing.idle_connections:
        return None, {}, {}, top
    each, height, gap = 216.0, 46.0, 16.0
    in_row = max(1, int((width - 2 * MARGIN + gap) // (each + gap)))
    names = [*drawing.idle_sources, *drawing.idle_connections]
    boxes = [
        Box(MARGIN + place % in_row * (each + gap), top + 44 + place // in_row * (height + gap), each, height)
        for place in range(len(names))
    ]
    count = len(drawing.idle_sources)
    sources = dict(zip(drawing.idle_sources, boxes[:count], strict=True))
    connections = dict(zip(drawing.idle_connections, boxes[count:], strict=True))
    return top, sources, connections, boxes[-1].bottom + _GAP


# --- how wide text is ---


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """At most so many pixels, in the fonts that a browser is likely to take."""
    return sum(map(_width, text)) * size * (1.13 if bold else 1)


def _width(character: str) -> float:
    if " " <= character <= "~":
        return int(_WIDTHS[ord(character) - 32], 36) / 20
    if unicodedata.combining(character):
        return 0.0
    return 1.4 if unicodedata.east_asian_width(character) in "WF" else 0.9


def fitted(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """The text, cut to a width."""
    text = " ".join(text.split())
    if width_of(text, size, bold=bold) <= width:
        return text
    while text and width_of(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, width: float, size: float, most: int) -> list[str]:
    """At most so many lines; the last is cut."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and width_of(f"{line} {words[0]}", size) <= width:
            line += f" {words.pop(0)}"
        lines.append(fitted(line, width, size))
    return [*lines, fitted(" ".join(words), width, size)] if words else lines
