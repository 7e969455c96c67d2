"""A recipe under another name: its text with a few words replaced, and every comment and space where it was."""

from __future__ import annotations

from collections.abc import Mapping as Map

from relay.errors import ConfigError, Place
from relay.recipes.drafting.spelling import Said, scalar
from relay.recipes.words import unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, parse


def copied(text: str, file: str, title: str, source: str | None = None, to: Map[str, str] | None = None) -> str:
    """The recipe's text, changed.

    title   for its `recipe:` line
    source  for its `catch`; None leaves it
    to      connection → the one to take in its place

    Raises ConfigError where the text isn't a recipe, or sends nothing to a connection that is to be replaced.
    """
    text = text.removeprefix("\ufeff")
    root = parse(text, file)
    if not isinstance(root, Mapping) or not isinstance(root.get("recipe"), Scalar):
        raise ConfigError("a recipe that is copied has a `recipe:` line", root.place)
    changes: list[tuple[Scalar, str]] = [(_scalar(root, "recipe"), title)]
    if source is not None:
        changes.append((_scalar(root, "catch"), source))
    steps = root.get("steps")
    used: dict[str, list[Scalar]] = {}
    for _, _, step in steps.items() if isinstance(steps, Mapping) else ():
        node = step.get("to") if isinstance(step, Mapping) else None
        if isinstance(node, Scalar):
            used.setdefault(node.text, []).append(node)
    for old, new in (to or {}).items():
        if old not in used:
            raise ConfigError(f"--to {old}={new}: {unknown('connection of this recipe', old, used)}")
        changes.extend((node, new) for node in used[old])
    # From the end, so that no change moves the place of the next.
    for node, word in sorted(changes, key=lambda change: (change[0].place.line, change[0].place.column), reverse=True):
        start = _offset(text, node.place)
        # Text over several lines takes its last line break along.
        end = "\n" if node.raw.endswith("\n") else ""
        text = text[:start] + scalar(Said(word)) + end + text[start + len(node.raw) :]
    return text


def _scalar(root: Mapping, key: str) -> Scalar:
    node: Node | None = root.get(key)
    if not isinstance(node, Scalar):
        place = root.keys[key].place if key in root else root.place
        raise ConfigError(f"`{key}:` is missing, so it can't be replaced", place)
    return node


def _offset(text: str, place: Place) -> int:
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: place.line - 1])) + place.column - 1
