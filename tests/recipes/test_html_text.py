"""`strip_html`: what a browser would show, whatever the markup, in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.recipes.filters.html_text import text_of_html

Evaluate = Callable[..., Any]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain &amp; simple", "plain & simple"),
        ("  spaces  ", "spaces"),
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("One<br>Two<br/>Three<BR />Four", "One\nTwo\nThree\nFour"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<b>a</b><i>b</i>c", "abc"),
        ("a<!-- b > c -->d", "ad"),
        ("<!DOCTYPE html><html><body>x</body></html>", "x"),
        ("<?xml version='1.0'?>x", "x"),
        ("a<script>if (1 < 2) { x('</p>') }</script>b", "ab"),
        ("a<STYLE type='text/css'>p > b {}</Style >b", "ab"),
        ("a<script>never closed", "a"),
        ("<a href=\"x>y\" title='<b>'>link</a>", "link"),
        ("<a title=it's>link</a>", "link"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a <3 b", "a <3 b"),
        ("x <b and c", "x <b and c"),
        ("a <!-- never closed", "a <!-- never closed"),
        ("&lt;b&gt; &euro;5 &#8364; &#x20AC; &nosuch;", "<b> €5 € € &nosuch;"),
        ("&#" + "9" * 5000 + ";<b>x</b>", "\ufffdx"),
        ("line\n  <b>two</b>", "line\ntwo"),
        ("<p>a   b\t c</p>", "a b c"),
        ("<", "<"),
        ("a<>b", "a<>b"),
        ("a</>b", "ab"),
        ("<scripted>x</scripted>", "x"),
        ("", ""),
    ],
)
def test_the_text_of_html(html: str, text: str) -> None:
    assert text_of_html(html) == text


@pytest.mark.parametrize(
    "piece",
    [
        "<", "<!--", "<![CDATA[", "<a ", "</", '<a href="', "<a href='", "<!", "<?", "<script>", "<style></", "&#",
        "&a", "<!--->", "<a b=c", "<a '", '<a "=', "<title></titl", "<a =", "<a= ", "<a b='\"", "<p", "</p", "<a\n",
    ],
)  # fmt: skip
def test_nothing_that_is_never_closed_takes_long(piece: str) -> None:
    started = time.perf_counter()
    for text in (piece * (1_000_000 // len(piece)), "<script>" + piece * 200_000, "<a b=" + piece * 200_000 + "'"):
        text_of_html(text)
    assert time.perf_counter() - started < 8


@given(st.text(alphabet="<>/!-?&#;='\" \npbascript", max_size=60))
def test_any_text_has_a_text_that_is_no_longer_and_stays_as_it_is_without_markup(text: str) -> None:
    found = text_of_html(text)
    assert len(found) <= len(text)
    if "<" not in text and "&" not in text:
        assert found == text.strip()
