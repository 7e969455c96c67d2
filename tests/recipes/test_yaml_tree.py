"""YAML by 1.2's rules, with places, and traps explained."""

from __future__ import annotations

import pytest

from relay.errors import ConfigError
from relay.recipes.yaml_tree import Mapping, Scalar, parse, plain


@pytest.mark.parametrize(
    "text", ["no", "on", "off", "yes", "0123", "18:30", "+441234", "2026-04-03", "1_000", ".inf", "+1"]
)
def test_what_people_mean_as_text_stays_text(text: str) -> None:
    assert plain(parse(f"a: {text}", "f.yaml")) == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("12", 12), ("-3", -3), ("0x1F", 31),
     ("1.5", 1.5), ("1e3", 1000.0), ("9007199254740993", 9007199254740993), ("'12'", "12"), ('"true"', "true")],
)  # fmt: skip
def test_core_schema_values_have_their_types(text: str, value: object) -> None:
    assert plain(parse(f"a: {text}", "f.yaml")) == {"a": value}


def test_an_integer_too_long_for_python_stays_text() -> None:
    assert plain(parse("a: " + "9" * 5000, "f.yaml")) == {"a": "9" * 5000}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: x $here", "f.yaml:1:6"),
        ('a: "x\\ty $here"', "f.yaml:1:10"),
        ("a: 'it''s $here'", "f.yaml:1:11"),
        ("a: |\n  one\n  two $here\n", "f.yaml:3:7"),
        ("a: >-\n  one\n  two $here\n", "f.yaml:3:7"),
        ("a: one\n  two $here\n", "f.yaml:2:7"),
        ('a: "\\u00e9 $here"', "f.yaml:1:12"),
    ],
)
def test_a_place_inside_a_scalar_is_found_through_quotes_escapes_and_folding(text: str, place: str) -> None:
    tree = parse(text, "f.yaml")
    assert isinstance(tree, Mapping)
    node = tree.values["a"]
    assert isinstance(node, Scalar)
    assert str(node.at(node.text.index("$"))) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: `a` is written twice here, first in line 1"),
        ("text: {{ $name }}\n", "f.yaml:1:7: text with {{ … }} has to be in quotes"),
        ("text: {{ $name }} left\n", "f.yaml:1:7: text with {{ … }} has to be in quotes"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: YAML is indented with spaces; this line has a tab"),
        ("a: @home\n", "f.yaml:1:4: a value can't start with `@` in YAML: put the whole value in quotes"),
        ("a: %d\n", "f.yaml:1:4: a value can't start with `%`"),
        ("a: `x`\n", "f.yaml:1:4: a value can't start with a backtick"),
        ("a: *important*\n", "f.yaml:1:4: `*` at the start of a value means something else in YAML"),
        ("a: &x 1\nb: *x\n", "f.yaml:1:4: `*name` repeats another part"),
        ("when: $.a == 'x': y\n", "there is a second `: ` in this line"),
        ('a: "\\d+"\n', "in double quotes a backslash is special in YAML: use single quotes"),
        ('a: "x" and more\n', "f.yaml:1:8: there is more text after the closing quote"),
        ("a: 'x\n", "f.yaml:1:4: the quote that opens here is never closed"),
        ('r: {a: $x | pad(3, "0")}\n', "f.yaml:1:4: the `{` here isn't closed properly"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: `---` starts a second document"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: tags such as `!!python/object:os.system` are not used here"),
        ("a: \x00\n", "a character that YAML forbids"),
        ("", "f.yaml:1:1: the file is empty"),
        ("? [a]\n: 1\n", "a key has to be text"),
    ],
)
def test_what_commonly_goes_wrong_is_explained_at_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert message in str(caught.value)


def test_a_tree_that_is_too_deep_is_refused() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("[" * 100 + "]" * 100, "f.yaml")
