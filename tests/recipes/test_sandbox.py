"""What an expression must never reach: Python, and more time or memory than an event is worth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from jinja2.exceptions import SecurityError, TemplateError

from relay.errors import ConfigError, RecipeError
from relay.recipes.filters import FILTERS
from relay.recipes.sandbox import Sandbox

Evaluate = Callable[..., Any]

#: From Jinja2's advisories and the collections that penetration testers use.
ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "$.a.__class__.__base__",
    '$.a["__class__"]["__base__"]',
    '($.a)["__class__"]',
    '($.a)["__init__"]["__globals__"]["os"]',
    "$.a | attr('__class__')",
    '$.a | attr("\\x5f\\x5fclass\\x5f\\x5f")',
    "request.application.__globals__",
    "self._TemplateReference__context",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "joiner.__init__.__globals__",
    "namespace.__init__.__globals__",
    "lipsum.__globals__['os'].popen('id').read()",
    "range(999999999)",
    "dict(a=1)",
    "config.items()",
    "get_flashed_messages.__globals__",
    "'{0.__class__}'.format(1)",
    "'%s' % $.a",
    "'{a.__class__}' | format(a=1)",
    "$.a | format_map",
    "$.a | map(attribute='__class__')",
    "$.a | xmlattr",
    "$.a | urlize",
    "$.a | tojson | safe",
    "($.a).upper()",
    "now.__globals__",
    "now().__class__",
    "now().tzinfo",
    "now | list",
    "_(0)",
    "_now()",
    "_z",
    "context.environment",
    "environment.globals",
    "{% for x in [1] %}{% endfor %}",
    "{{ 1 }}",
    "{# x #}",
    "$.a is defined",
    "$.a[0].__class__",
    "loop.__class__",
    "caller()",
    "super()",
    "self",
    "true.real",
    "(1).real",
    "1 .__class__",
    "[].append",
    "{}.__class__",
    "(lambda: 1)()",
    "[x for x in $.a]",
    "a := 1",
    "*$.a",
    "print($.a)",
    "__import__('os')",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_published_sandbox_escapes_are_refused(evaluate: Evaluate, text: str) -> None:
    with pytest.raises((ConfigError, RecipeError)):
        evaluate(text, {"a": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "a.b",
        "a.__class__",
        'a["__class__"]',
        "a()",
        "a | attr('x')",
        "a is defined",
        "range(3)",
        "_(*a)",
        "_(a=1)",
        "_.format",
        "_.__self__",
        "[_][0]('x')",
        "(_)(_)(_)",
        "lipsum()",
        "a.format",
    ],
)
def test_the_sandbox_itself_refuses_what_the_translation_would_have_refused_before(text: str) -> None:
    sandbox = Sandbox({})
    with pytest.raises((SecurityError, TemplateError, ValueError)):
        evaluated(sandbox, text)


def evaluated(sandbox: Sandbox, text: str) -> str:
    # An undefined value says so only when it is used.
    return str(sandbox.expression(text)({"a": "x{0}", "range": range, "_": str}))


def test_the_sandbox_holds_nothing_but_our_filters() -> None:
    sandbox = Sandbox({name: one.run for name, one in FILTERS.items()})
    assert not sandbox.globals
    assert not sandbox.tests
    assert set(sandbox.filters) == set(FILTERS)


@pytest.mark.parametrize(
    "text",
    [
        "$.a * 1000000",
        '"x" * 1000000000',
        "[1] * 1000000000",
        "9 ** 9",
        "$.big * $.big * $.big * $.big * $.big",
        "$.a | pad(100000000)",
        '$.long | replace("a", $.long)',
        '$.long | regex_replace("a", $.long)',
        '$.long | split("") | join($.long)',
        "$.list | join($.long)",
        "$.long + $.long + $.long + $.long + $.long + $.long + $.long + $.long + $.long + $.long + $.long",
        "$.n | round(99)",
        "$.n | format_number(999999)",
        "1e308 * 10",
    ],
)
def test_repetition_and_output_are_bounded(evaluate: Evaluate, text: str) -> None:
    body = {"a": "x", "big": 10**400, "long": "a" * 500_000, "list": list(range(1000)), "n": 1.5}
    started = time.perf_counter()
    with pytest.raises((ConfigError, RecipeError)):
        evaluate(text, body)
    assert time.perf_counter() - started < 2


def test_nothing_is_calculated_while_a_recipe_is_read(evaluate: Evaluate) -> None:
    from relay.errors import Place
    from relay.recipes import compile_expression

    expression = compile_expression("1 / 0 + 1", Place("f"))
    with pytest.raises(RecipeError, match="division by zero"):
        expression.of({})


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|aa)+$",
        "(.*)*x",
        "(?=(a+))a*b",
        r"(a)\1+",
        "((a{1,9}){1,9}){1,9}",
        "(a?){30}a{30}",
        "(a?a)*$",
        "(-?[0-9]{3})+x",
        "[",
        "(?P<x",
    ],
)
def test_patterns_that_can_take_for_ever_or_are_wrong_are_refused(evaluate: Evaluate, pattern: str) -> None:
    with pytest.raises(ConfigError):
        evaluate(f"$.a | regex_extract('{pattern}')", {"a": "a" * 40})


@pytest.mark.parametrize(
    ("pattern", "attack"),
    [
        (r"\s+$", " " * 200_000 + "x"),
        (".*.*=.*", "x" * 100_000),
        ("a*a*a*a*b", "a" * 20_000),
        (r"(\w+)-(\w+)-(\w+)x", "a-" * 20_000),
        (r"^(\d+)-(\d+)$", "1" * 90_000),
        ("a.*b.*c.*d", "a" * 2000 + "b" * 2000),
    ],
)
def test_every_pattern_that_is_taken_stays_within_seconds(evaluate: Evaluate, pattern: str, attack: str) -> None:
    started = time.perf_counter()
    for text in (attack, attack[: len(attack) // 20], attack[:300]):
        try:
            evaluate(f"$.a | regex_extract('{pattern}')", {"a": text})
        except RecipeError as error:
            assert "this pattern is used on text of at most" in str(error)  # noqa: PT017
    assert time.perf_counter() - started < 10
