"""`xml` and `charset`: what is read back is what was written, and what can't be written is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import compile_expression
from relay.recipes.filters import FILTERS
from relay.sources.xml_body import decode_xml

Evaluate = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "body", "xml"),
    [
        ('$ | xml("a")', "x < y & z", "<a>x &lt; y &amp; z</a>"),
        ('$ | xml("a")', "", "<a/>"),
        ('$ | xml("a")', {}, "<a/>"),
        ('$ | xml("a")', [], "<a/>"),
        ('$ | xml("a")', 1.5, "<a>1.5</a>"),
        ('$ | xml("a")', True, "<a>true</a>"),
        ('$ | xml("a")', 12345678901234567890, "<a>12345678901234567890</a>"),
        ('$ | xml("a")', [1, [2, 3]], "<a><item>1</item><item><item>2</item><item>3</item></item></a>"),
        ('$ | xml("a")', {"b": [{"c": 1}, {"c": 2}]}, "<a><b><c>1</c></b><b><c>2</c></b></a>"),
        ('$ | xml("a")', {"b": None, "c": [], "d": [None, 1]}, "<a><d>1</d></a>"),
        ('$ | xml("a")', {"c": 1, "@b": 'say "<hi>"\n'}, '<a b="say &quot;&lt;hi&gt;&quot;&#10;"><c>1</c></a>'),
        ('$ | xml("a")', {"@b": None, "#text": "t"}, "<a>t</a>"),
        ('$ | xml("a")', {"#text": ""}, "<a/>"),
        ('$ | xml("soap:Body")', {"@xmlns:soap": "urn:x"}, '<soap:Body xmlns:soap="urn:x"/>'),
        ("$ | xml", {"größe": {"ß": "€"}}, "<größe><ß>€</ß></größe>"),
        ('$ | xml("a")', "tab\tline\nreturn\r\0\ud800end", "<a>tab\tline\nreturn&#13;��end</a>"),
        ('now() | date("[x]") | xml("a")', {}, "<a>x</a>"),
        ('$ | parse_date("DD/MM/YYYY") | xml("a")', "03/04/2026", "<a>2026-04-03T00:00:00Z</a>"),
    ],
)
def test_values_are_written_as_xml(evaluate: Evaluate, text: str, body: Any, xml: str) -> None:
    assert evaluate(text, body) == xml


@pytest.mark.parametrize(
    ("text", "body", "message"),
    [
        ("$ | xml", [1], 'XML has one element around all: name it, as in xml("order"), for a list of 1'),
        ("$ | xml", {"a": 1, "b": 2}, "XML has one element around all"),
        ("$ | xml", "x", "XML has one element around all"),
        ("$ | xml", {"first name": 1}, '"first name" can\'t be the name of an element or attribute of XML'),
        ('$ | xml("a")', {"2b": 1}, '"2b" can\'t be the name'),
        ('$ | xml("a")', {"b": {"": 1}}, '"" can\'t be the name'),
        ('$ | xml("a")', {"a:b:c": 1}, "can't be the name"),
        ('$ | xml("a")', {"b>": 1}, "can't be the name"),
        ('$ | xml("a")', {"@": 1}, "can't be the name"),
        ('$ | xml("a")', {"@b": [1]}, "the attribute @b is text or a number, and this is a list"),
        ('$ | xml("a")', {"#text": {}}, "#text is text or a number, and this is an object"),
    ],
)
def test_what_xml_cannot_hold_is_said_in_words(evaluate: Evaluate, text: str, body: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(text, body)
    assert message in str(caught.value)


@pytest.mark.parametrize("root", ["an order", "", "1st", "<a>", "a:b:c"])
def test_a_root_that_cannot_be_one_is_found_when_the_recipe_is_read(root: str) -> None:
    with pytest.raises(ConfigError, match="can't be the name of an element"):
        compile_expression(f'$ | xml("{root}")', Place("f"))


def test_xml_has_an_end_in_depth_and_length(evaluate: Evaluate) -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(RecipeError, match="nested deeper than 100 levels"):
        evaluate("$ | xml", deep)
    started = time.perf_counter()
    with pytest.raises(RecipeError, match="the text gets longer than"):
        evaluate("$ | xml", {"a": {"b" * 4000: [1] * 500_000}})
    assert time.perf_counter() - started < 2


# What XML can say in two ways is left out: a list of one, empty objects, text beside elements that is white space.
NAMES = st.from_regex(r"[A-Za-z_é][A-Za-z0-9_.\-é]{0,5}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\n\t\r<&>\"']")
)
BESIDE = TEXTS.filter(lambda text: bool(text) and text == text.strip())
PLAIN_VALUES = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        lambda attributes, text, elements: (
            {**{f"@{name}": value for name, value in attributes.items()}, **text, **elements}
        ),
        st.dictionaries(NAMES, TEXTS, max_size=2),
        BESIDE.map(lambda text: {"#text": text}) | st.just({}),
        st.dictionaries(NAMES, inner | st.lists(inner, min_size=2, max_size=3), max_size=3),
    ).filter(lambda value: bool(value.keys() - {"#text"})),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(NAMES, PLAIN_VALUES)
def test_what_is_written_as_xml_is_read_as_it_was(root: str, value: Any) -> None:
    written = FILTERS["xml"].run(value, root)
    assert decode_xml(written.encode()) == {root: value}
    assert FILTERS["xml"].run({root: value}) == written


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_any_value_is_well_formed_xml_or_refused_in_words(value: Any) -> None:
    try:
        written = FILTERS["xml"].run(value, "a")
    except ValueError as error:
        assert str(error).startswith("xml: ")  # noqa: PT017
        return
    if written is not None and written.isascii():
        # Beyond ASCII the names of the XML specification are more than expat's.
        decode_xml(written.encode())


# --- character sets ---


@pytest.mark.parametrize(
    ("text", "body", "value"),
    [
        ('$ | charset("cp1252")', "Zoë €5 – ok", "Zoë €5 – ok"),
        ('$ | charset("latin-1")', "e\u0301", "é"),
        ('$ | charset("utf-8")', "Łódź 😀", "Łódź 😀"),
        ('$ | charset("cp1252", "plain")', "Łódź é “x” 😀", "Lódz é “x” ?"),
        ('$ | charset("ascii", "plain")', "Łódź é “x” … €5 ﬁ ½ Ⅷ", 'Lodz e "x" ... EUR5 fi 1/2 VIII'),
        ('$ | charset("ascii", "plain")', "a\u0301\u0323bc\u200d", "abc?"),
        ('$ | charset("ascii", "replace")', "é😀x", "??x"),
        ('$ | charset("iso-8859-2")', "Łódź", "Łódź"),
        ('$ | charset("shift_jis")', "日本語", "日本語"),
        ('$ | charset("ascii")', 7, "7"),
    ],
)
def test_text_is_made_fit_for_a_character_set(evaluate: Evaluate, text: str, body: Any, value: str) -> None:
    assert evaluate(text, body) == value


@pytest.mark.parametrize(
    ("text", "body", "message"),
    [
        (
            '$ | charset("cp1252")',
            "Łódź 😀",
            "charset: `Ł` (U+0141), `ź` (U+017A), `😀` (U+1F600) can't be written in cp1252; say charset(",
        ),
        ('$ | charset("ascii")', "áéíóúàè", "`ú` (U+00FA) and 2 more can't be written in ascii"),
        ('$ | charset("ascii")', "\u200b", "a character that can't be seen (U+200B) can't be written"),
        ('$ | charset("utf-8")', "\ud800", "a character that can't be seen (U+D800) can't be written"),
        ('$ | charset("ascii")', [1], "needs text, and this is a list"),
    ],
)
def test_what_a_character_set_lacks_is_named(evaluate: Evaluate, text: str, body: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(text, body)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"cp125"', '"cp125" is not a character set that is known here: did you mean `cp1252`?'),
        ('"windows"', '"windows" is not a character set that is known here'),
        ('"zip"', '"zip" is not a character set'),
        ('"base64"', '"base64" is not a character set'),
        ('"punycode"', '"punycode" is not a character set'),
        ('"unicode_escape"', "is not a character set"),
        ('"utf-7"', "is not a character set"),
        ('"a\\nb"', "is not a character set"),
        ("1252", "1252 is not a character set"),
        ('"cp1252", "plane"', 'did you mean `plain`? what is not in the set is "refuse", "replace" or "plain"'),
    ],
)
def test_a_character_set_that_is_none_is_found_when_the_recipe_is_read(arguments: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression(f"$ | charset({arguments})", Place("f"))
    assert message in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=20),
    st.sampled_from(
        ["ascii", "cp1252", "iso-8859-15", "cp437", "shift_jis", "gb18030", "utf-8", "utf-16", "iso-2022-jp"]
    ),
    st.sampled_from(["refuse", "replace", "plain"]),
)
def test_what_is_made_fit_can_be_written_in_the_set(text: str, name: str, policy: str) -> None:
    try:
        fit = FILTERS["charset"].run(text, name, policy)
    except ValueError as error:
        assert policy == "refuse"
        assert "can't be written in" in str(error)  # noqa: PT017
    else:
        fit.encode(name)
