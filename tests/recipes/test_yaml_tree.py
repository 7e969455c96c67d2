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
        ("text: {{ $name }}\n", "f.yaml:1:7: a value with {{ … }} needs quotes around it"),
        ("text: {{ $name }} left\n", "f.yaml:1:7: a value with {{ … }} needs quotes around it"),
        ("text:\n  - {{ $name }}\n", "f.yaml:2:5: a value with {{ … }} needs quotes around it"),
        ("a: {b: {{ $x }}, c: 1}\n", "f.yaml:1:8: a value with {{ … }} needs quotes around it"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: YAML is indented with spaces; this line has a tab"),
        ("a: @home\n", "f.yaml:1:4: a value can't start with `@` in YAML: put the whole value in quotes"),
        ("a: %d\n", "f.yaml:1:4: a value can't start with `%`"),
        ("a: `x`\n", "f.yaml:1:4: a value can't start with a backtick"),
        ("a: *important*\n", "f.yaml:1:4: `*` at the start of a value means something else in YAML"),
        ("a: & b\n", "f.yaml:1:4: `&` at the start of a value means something else in YAML"),
        ("a: &x 1\nb: *x\n", "f.yaml:1:4: `&` at the start of a value means something else in YAML"),
        ("a: &x\n", "f.yaml:1:4: `&` at the start of a value means something else in YAML"),
        ("a: > 3\n", "f.yaml:1:4: `>` at the start of a value begins a block of lines"),
        ("a: | trim\n", "f.yaml:1:4: `|` at the start of a value begins a block of lines"),
        ("a: - x\n", "f.yaml:1:4: `- ` begins a list, which starts in the line below its key"),
        ("a: , x\n", "f.yaml:1:4: a value can't start with `,` in YAML"),
        ("%x\n", "f.yaml:1:1: a value can't start with `%` in YAML"),
        ("a: note: this\n", "f.yaml:1:4: a colon with a space behind it can't stand in a value as it is"),
        ("a: see this:\n", "f.yaml:1:4: a colon with a space behind it can't stand in a value as it is"),
        ("a:1\nb: 2\n", "f.yaml:1:2: a space is missing after the colon: `a: 1`"),
        ("a: 1\nb:2\n", "f.yaml:2:2: a space is missing after the colon: `b: 2`"),
        ("a:\n  b: 1\n  c:2\n  d: 3\n", "f.yaml:3:4: a space is missing after the colon: `c: 2`"),
        ("a:\n  -b: 1\n   c: 2\n", "f.yaml:2:4: a space is missing after the `-`"),
        ("a = 1\nb: 2\n", "f.yaml:1:1: a key is followed by a colon: `a: 1`"),
        ("a\nb: 1\n", "f.yaml:1:1: there is no colon in this line: `a:`"),
        (": x\n", "f.yaml:1:1: there is no key before this colon"),
        ("a: 1\n  b: 2\n", "f.yaml:2:3: this line is indented too far: the one above has its value already"),
        (
            "a:\n    b: 1\n  c: 2\n",
            "f.yaml:3:3: the indent of this line fits none of the lines above: start it in column 1 or 5",
        ),
        ("a:\n  - b\n - c\n", "f.yaml:3:2: the indent of this line fits none of the lines above"),
        ("a: |\n  x\n y\n", "f.yaml:3:2: the indent of this line fits none of the lines above"),
        ("a:\n  b: 1\n  - c\n", "f.yaml:3:3: `- ` begins an item of a list, and the lines above are `key: value`"),
        ("a:\n  - b\n  c: 1\n", "f.yaml:3:3: this line stands beside the items of a list: start it with `- `"),
        ("a:\n  \tb: 1\n", "f.yaml:2:3: YAML is indented with spaces; this line has a tab"),
        ("a:\n\u00a0\u00a0b: 1\n  c: 2\n", "f.yaml:2:1: here is a non-breaking space (U+00A0)"),
        ("a:\n \u00a0b: 1\n", "f.yaml:2:2: here is a non-breaking space (U+00A0)"),
        ("a:\u00a0b\nc: 1\n", "f.yaml:1:3: here is a non-breaking space (U+00A0)"),
        ("a: b\u00a0\n", "f.yaml:1:5: here is a non-breaking space (U+00A0)"),
        ("a\u00a0: b\n", "f.yaml:1:2: here is a non-breaking space (U+00A0)"),
        ("a: \u200bb\n", "f.yaml:1:4: here is a zero-width space (U+200B)"),
        ("a: 1\n\ufeffb: 2\n", "f.yaml:2:1: here is a byte order mark (U+FEFF)"),
        ("a: “b”\n", "f.yaml:1:4: `“` is not a quote in YAML"),
        ("a: “b: c”\n", "f.yaml:1:4: `“` is not a quote in YAML"),
        ("a: {b: ‘c’}\n", "f.yaml:1:8: `‘` is not a quote in YAML"),
        ("“a”: b\n", "f.yaml:1:1: `“` is not a quote in YAML"),
        ('a: "b”\n', 'f.yaml:1:4: the quote " that opens here is closed by `”`, which is not a quote in YAML'),
        ("when: $.a == 'x': y\n", "f.yaml:1:7: a colon with a space behind it can't stand in a value as it is"),
        ('a: "\\d+"\n', "in double quotes a backslash is special in YAML: use single quotes"),
        ('a: "x" and more\n', "f.yaml:1:8: the quote before this ends the value"),
        ("a: 'x' | trim\n", "f.yaml:1:8: the quote before this ends the value"),
        ('a: "x\nb: "y"\n', "f.yaml:1:4: the quote \" that opens here isn't closed in this line"),
        ("a: 'x\n", "f.yaml:1:4: the quote ' that opens here is never closed"),
        ('r: {a: $x | pad(3, "0")}\n', "f.yaml:1:8: inside { } and [ ], a value with a comma"),
        ("r: {a: $.x[*].y}\n", "f.yaml:1:8: inside { } and [ ], a value with brackets in it"),
        ("r: [$.x[*].y]\n", "f.yaml:1:5: inside { } and [ ], a value with brackets in it"),
        ("r: {a: ${X}}\n", "f.yaml:1:8: inside { } and [ ], `${…}` needs quotes around it"),
        ("r: {a: x\nb: 1\n", "f.yaml:1:4: the `{` that opens here is never closed"),
        ("r: [\n", "f.yaml:1:4: the `[` that opens here is never closed"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: `---` starts a second document"),
        (
            "a: !!python/object:os.system x\n",
            "f.yaml:1:4: `!!python/object:os.system` is a tag, which is not used here",
        ),
        ("a: !\n", "f.yaml:1:4: `!` is a tag, which is not used here"),
        ("a: \x00\n", "f.yaml:1:4: here is a character that YAML forbids (U+0000)"),
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


@pytest.mark.parametrize(
    "text",
    ["“Hello” she said", "the students’", "caf\u00e9\u00a0noir", "\U0001f469\u200d\U0001f4bb", "«oui»", "12\u00a0%"],
)
def test_signs_that_mislead_elsewhere_are_let_be_within_a_text(text: str) -> None:
    assert plain(parse(f"a: {text}\n", "f.yaml")) == {"a": text}


@pytest.mark.parametrize("text", ["“Hello”", "\u00a0x\u00a0", "\u200b"])
def test_in_straight_quotes_every_sign_is_itself(text: str) -> None:
    assert plain(parse(f'a: "{text}"\n', "f.yaml")) == {"a": text}
