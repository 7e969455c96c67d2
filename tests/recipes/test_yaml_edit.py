"""Single values of a YAML file are changed, and nothing else of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError
from relay.recipes.yaml_edit import edited
from relay.recipes.yaml_tree import parse, plain
from relay.recipes.yaml_writing import identical, inline


def changed(text: str, path: Any, value: Any) -> str:
    return edited(text, {tuple(path): value}, "f.yaml")


@pytest.mark.parametrize(
    ("text", "path", "value", "result"),
    [
        # Scalars, in the quotes that are there where they fit.
        ("a: 1 # one\n", "a", 2, "a: 2 # one\n"),
        ("a: Ana\nb: 1\n", "a", "Ben Li", "a: Ben Li\nb: 1\n"),
        ("a: 'x'\n", "a", "it is", "a: 'it is'\n"),
        ("a: 'x'\n", "a", "it's", "a: 'it''s'\n"),
        ('a: "x"\n', "a", "y", 'a: "y"\n'),
        ('a: "x"\n', "a", 'say "y"', "a: 'say \"y\"'\n"),
        ('a: "x"\n', "a", 3, "a: 3\n"),
        ("a: 3\n", "a", "3", 'a: "3"\n'),
        ("a: x\n", "a", "no", 'a: "no"\n'),
        ("a: x\n", "a", None, "a: null\n"),
        ("a: x\n", "a", "$x", "a: $x\n"),
        ("a: x\n", "a", "{{ x }}", 'a: "{{ x }}"\n'),
        ("a: x\n", "a", "a\nb", 'a: "a\\nb"\n'),
        ("a: p\n  q\nb: 1\n", "a", "r", "a: r\nb: 1\n"),
        # Empty ones.
        ("a:\nb: 1\n", "a", 2, "a: 2\nb: 1\n"),
        ("a: # why\nb: 1\n", "a", 2, "a: 2 # why\nb: 1\n"),
        ("{a: , b: 1, c: }", "a", 2, "{a: 2 , b: 1, c: }"),
        ("{a: , b: 1, c: }", "c", {"d": 1}, "{a: , b: 1, c: {d: 1} }"),
        ("a:\n-\n- 2\n", ("a", 0), "x", "a:\n- x\n- 2\n"),
        # Text in lines.
        ("a: |  # kept\n  x\n  y\n\n# c\nb: 1\n", "a", "z", "a: z  # kept\n\n# c\nb: 1\n"),
        ("a: |-\n  x\n  y\nb: 1\n", "a", "p\nq\nr\n", "a: |\n  p\n  q\n  r\nb: 1\n"),
        ("a: |-  # kept\n  x\nb: 1\n", "a", "p\n\nq", "a: |-  # kept\n  p\n\n  q\nb: 1\n"),
        ("a: >\n  x\n  y\n", "a", "p\n q", "a: |-\n  p\n   q\n"),
        ("a: |\n  x\n", "a", " p\nq", 'a: " p\\nq"\n'),
        ("a: |+\n  x\n\n\nb: 1\n", "a", 1, "a: 1\nb: 1\n"),
        # Within { } and [ ].
        ("a: {b: [1, x], c: 'y'}  # z\n", ("a", "b", 1), "p, q", "a: {b: [1, \"p, q\"], c: 'y'}  # z\n"),
        ("a: {b: [1, x], c: 'y'}\n", ("a", "b"), [], "a: {b: [], c: 'y'}\n"),
        ("a: {\n  b: 1,  # one\n  c: 2\n}\n", ("a", "c"), {"d": [1]}, "a: {\n  b: 1,  # one\n  c: {d: [1]}\n}\n"),
        # Objects and lists for values, and the other way round.
        ("a: skipped  # why\nb: 1\n", "a", {"x": 1, "z": [2]}, "a: {x: 1, z: [2]}  # why\nb: 1\n"),
        ("a:\n  # of a\n  x: 1 # one\n  # end\nb: 1\n", "a", "skipped", "a: skipped\n  # of a # one\n  # end\nb: 1\n"),
        ("a:  # note\n  x: 1\n\n# of b\nb: 1\n", "a", [], "a: []  # note\n\n# of b\nb: 1\n"),
        ("a:\n  x: 1\nb: 1\n", "a", {"d": 2, "z": {}}, "a:\n  d: 2\n  z: {}\nb: 1\n"),
        ("a:\n- 1\n- 2\nb: 1\n", "a", {"d": 2}, "a:\n  d: 2\nb: 1\n"),
        ("a:\n  x: 1\nb: 1\n", "a", [1, {"d": 2}], "a:\n  - 1\n  - {d: 2}\nb: 1\n"),
        ("- a: 1\n  b: 2\n# c\n- 3\n", (0,), "x", "- x\n# c\n- 3\n"),
        ("- 1\n# - 2\n\n- x: 1\n", (1,), [3], "- 1\n# - 2\n\n- - 3\n"),
        ("-\n  # why\n  x: 1\n- 2\n", (0,), 7, "- 7\n  # why\n- 2\n"),
        # A key that isn't there.
        ("- name: t\n  answer: 1\n", (0, "expect"), "skipped", "- name: t\n  expect: skipped\n  answer: 1\n"),
        ("- answer: 1\n", (0, "expect"), {"a": 1}, "- expect: {a: 1}\n  answer: 1\n"),
        ("- {name: t, answer: 1}\n", (0, "expect"), "skipped", "- {name: t, expect: skipped, answer: 1}\n"),
        # The ways a file may be written.
        ("a: 1\r\nb:\r\n  c: 1\r\n", ("b", "c"), 2, "a: 1\r\nb:\r\n  c: 2\r\n"),
        ("a: |\r\n  x\r\n  y\r\nb: 1\r\n", "a", "p\nq\n", "a: |\r\n  p\r\n  q\r\nb: 1\r\n"),
        ("\ufeffa: 😀 # 😀\nb: é\n", "b", "👩‍💻", "\ufeffa: 😀 # 😀\nb: \"👩‍💻\"\n"),
        ("? a\n: b\n", "a", "c", "? a\n: c\n"),
        ("a: x", "a", "z", "a: z"),
    ],
)  # fmt: skip
def test_a_value_is_changed_at_its_own_place(text: str, path: Any, value: Any, result: str) -> None:
    assert changed(text, path, value) == result


def test_what_is_too_long_for_a_line_goes_below_its_key() -> None:
    long = {"text": "word " * 20 + "end", "more": {"a": "b" * 30}, "list": ["c" * 60, {"d": "e" * 60}]}
    assert changed("a:\n  b: skipped # why\n  c: 1\n", ("a", "b"), long) == (
        "a:\n"
        "  b: # why\n"
        f"    text: {long['text']}\n"
        f"    more: {{a: {'b' * 30}}}\n"
        "    list:\n"
        f"      - {'c' * 60}\n"
        f"      - {{d: {'e' * 60}}}\n"
        "  c: 1\n"
    )  # fmt: skip


def test_several_are_changed_at_once() -> None:
    text = "a: 1 # one\nb: [1, 2]\nc:\n  d: x\n"
    new = edited(text, {("c", "d"): "z", ("a",): 2, ("b", 1): 3, ("b", 0): 4}, "f.yaml")
    assert new == "a: 2 # one\nb: [4, 3]\nc:\n  d: z\n"


@pytest.mark.parametrize("value", ["\ud800", float("inf"), {"k" * 2000: 1}, 10**5000], ids=range(4))
def test_what_cannot_be_written_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="can't be written in YAML"):
        changed("a: 1\n", "a", value)


@pytest.mark.parametrize("path", [("b", "c"), ("l", 2), ("a", "b")])
def test_a_place_that_is_not_there_is_refused(path: Any) -> None:
    with pytest.raises(ConfigError, match="in the file any more"):
        changed("a: 1\nl: [1, 2]\n", path, 1)


def test_changes_one_within_the_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="the same lines"):
        edited("a: {b: {c: 1}}\n", {("a", "b"): 1, ("a", "b", "c"): 2}, "f.yaml")


_WORDS = (
    "no on y N true null ~ 0123 0x1F 1e5 .5 12:30 2026-01-01 +44 = << $x $$ {{ }} a: a:b #b ... --- 😀 👩\u200d💻 é"
)
TRICKY = st.sampled_from([*_WORDS.split(), *"-?:#!&*|>%@`'\",[]{}\\/", *"\u00a0\u200b\ufeff\u2028\x85\x07\t\r\n"])
TEXT = st.one_of(
    st.lists(TRICKY, max_size=5).map("".join),
    st.lists(TRICKY, max_size=5).map(" ".join),
    st.lists(TRICKY, max_size=4).map("\n".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("ab \n", max_size=120),
)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
VALUE: Any = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


@given(VALUE, st.booleans(), st.sampled_from(["", "'", '"', "|"]))
@settings(max_examples=120)
def test_every_value_reads_back_as_itself(value: Any, flow: bool, like: str) -> None:
    spelt = inline(value, flow=flow, like=like)
    assert "\n" not in spelt
    read = plain(parse(f"[{spelt}]" if flow else f"- {spelt}", "f.yaml"))
    assert identical(read, [value])


class Written:
    """A file of YAML in a random style: blocks and brackets, quotes of all kinds, comments and empty lines."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.count = 0

    def comment(self) -> str:
        self.count += 1
        return self.draw(st.sampled_from(["", "", f"  # note {self.count}: 'x' - {{y}}"]))

    def gap(self, margin: str) -> str:
        self.count += 1
        return self.draw(st.sampled_from(["", "", "", "\n", f"{margin}# - gap {self.count}: z\n"]))

    def scalar(self, value: Any, flow: bool) -> str:
        return inline(value, flow=flow, like=self.draw(st.sampled_from(["", "'", '"'])))

    def block(self, value: Any, margin: str) -> str:
        """What follows `key:` or `-`, with its line break."""
        in_line = not isinstance(value, (dict, list)) or not value or self.draw(st.booleans())
        if isinstance(value, str) and "\n" in value.rstrip("\n") and value.isascii() and self.draw(st.booleans()):
            lines = value.removesuffix("\n").split("\n")
            if all(line.isprintable() and line and line[0] != " " for line in lines):
                header = "|" if value.endswith("\n") else "|-"
                body = "".join(f"{margin}  {line}\n" for line in lines)
                return f" {header}{self.comment()}\n{body}"
        if in_line:
            return f" {self.scalar(value, False)}{self.comment()}\n"
        deeper = margin + "  "
        text = f"{self.comment()}\n"
        parts = value.items() if isinstance(value, dict) else ((None, one) for one in value)
        for key, one in parts:
            head = "-" if key is None else f"{self.scalar(key, False)}:"
            text += f"{self.gap(deeper)}{deeper}{head}{self.block(one, deeper)}"
        return text


KEY = st.text("abcdef", min_size=1, max_size=4)
TREE: Any = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4), max_leaves=12
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in parts:
        found += places(one, (*path, key))
    return found


def lines_of(text: str, path: tuple[Any, ...]) -> tuple[int, int]:
    """The first and the last line that a value and its key stand in."""
    node: Any = yaml.compose(text, Loader=yaml.CSafeLoader)
    first = 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next(pair for pair in node.value if pair[0].value == step)
            first = key.start_mark.line
        else:
            dash, first, node = f"{' ' * node.start_mark.column}-", node.start_mark.line, node.value[step]
            lines = text.split("\n")
            down_to = range(node.start_mark.line, first - 1, -1)
            first = next((n for n in down_to if lines[n].startswith(dash)), first)
    end = node.end_mark
    return first, end.line + (1 if end.column else 0)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_whatever_is_changed_in_whatever_file_the_rest_of_it_is_untouched(data: Any) -> None:
    tree = data.draw(st.dictionaries(KEY, TREE, min_size=1, max_size=4))
    writer = Written(data.draw)
    text = "".join(f"{writer.gap('')}{key}:{writer.block(value, '')}" for key, value in tree.items())
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = text.replace("\n", newline)
    assert identical(plain(parse(text, "f.yaml")), tree), text
    path = data.draw(st.sampled_from(places(tree)))
    value = data.draw(VALUE)
    if data.draw(st.booleans()):
        # As another value of its kind, which is the commonest.
        value = data.draw(TEXT)

    new = edited(text, {path: value}, "f.yaml")

    expected: Any = json.loads(json.dumps(tree))
    target = expected
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert identical(plain(parse(new, "f.yaml")), expected)
    first, last = lines_of(text, path)
    old_lines, new_lines = text.split("\n"), new.split("\n")
    assert new_lines[:first] == old_lines[:first]
    behind = old_lines[last:]
    assert new_lines[len(new_lines) - len(behind) :] == behind
    # Even of the lines that it stands in, comments that don't belong to a block that is gone stay.
    if not isinstance(target := _at(tree, path), (dict, list)):
        assert new.count("# note") == text.count("# note"), (text, new, target)
    assert new.count("# - gap") >= text.count("# - gap", 0, len("\n".join(old_lines[:first])))


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree
