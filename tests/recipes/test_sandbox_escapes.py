"""Nothing that is written in a recipe, and nothing that a sender sends, reaches Python.

Published escapes from template sandboxes are tried as expressions, as text, and as what an event holds, while the
interpreter's own audit events are listened to: no file, no process, no socket, no import and no code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import compile_expression, yaml_tree
from relay.recipes.expression import _sandbox
from relay.recipes.filters import FILTERS
from relay.recipes.operators import to_text
from relay.recipes.paths import At
from relay.recipes.render import compile_value
from relay.recipes.tokens import tokenise
from relay.recipes.translate import translate
from tests.recipes.grammar import EXPRESSIONS, NAMES, PLACE, values_of

SECRET = "only-the-environment-knows"

#: Advisories of Jinja2, with what they were shown with.
ADVISORIES = {
    "CVE-2016-10745: str.format": [
        '"{0.__class__.__mro__}".format(1)',
        '"{a.__class__.__base__.__subclasses__}".format(a=1)',
        "$.a.format($.b)",
        '("{0.__class__}" | format(1))',
    ],
    "CVE-2019-10906: str.format_map": [
        '"{a.__class__}".format_map({"a": 1})',
        '$.a.format_map({"a": $})',
        '"{a}" | format_map({"a": 1})',
    ],
    "CVE-2024-56326: a reference to format, called by something else": [
        '["{0.__class__}".format] | map("call")',
        '($.a)["format"]',
        '$.a["format"]($)',
        '"{0.__class__}" | attr("format")',
        '$ | map("format", "{0.__class__}")',
        '$.list | map(attribute="format")',
        '$.list | map("attr", "format")',
    ],
    "CVE-2025-27516: |attr gives the method itself": [
        '"{0.__class__.__init__.__globals__}" | attr("format")',
        '($.a | attr("format"))($)',
        '$.a | attr("form" + "at")',
        '$.list | map("attr", "__class__") | list',
    ],
    "CVE-2024-56201: text that ends up in the compiled code": [
        "$.a | default('''\\nimport os\\n''')",
        '$.a == "\\"); import os; (\\""',
        "$.a == \"'\\\\n__import__('os').system('id')\\n'\"",
        '"\\x22);__import__(\\x22os\\x22)" == $.a',
        '{"a\\"]: __import__(\\"os\\"), \\"": 1}',
    ],
    "CVE-2014-1402, CVE-2014-0012: a cache of compiled code on disk": ["$.a"],
    "CVE-2020-28493: urlize": ["$.a | urlize", "$.a | urlize(10, true)"],
    "CVE-2024-22195, CVE-2024-34064: xmlattr": ['{"a b": 1} | xmlattr', '$ | xmlattr(true)'],
}  # fmt: skip

#: What penetration testers try on a template engine of Python.
PAYLOADS = r"""
7*7
7*'7'
{{7*7}}
{{ 7*'7' }}
${7*7}
#{7*7}
{%print(7*7)%}
{% debug %}
{{config}}
{{config.items()}}
{{ config.SECRET_KEY }}
{{self}}
{{self.__dict__}}
{{request}}
{{url_for}}
{{''.__class__.__mro__[1].__subclasses__()}}
{{ ''.__class__.__base__.__subclasses__() }}
{{[].__class__.__base__.__subclasses__()[59]('/etc/passwd').read()}}
{{().__class__.__bases__[0]}}
{{ config.__class__.__init__.__globals__['os'].popen('id').read() }}
{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}
{{ self._TemplateReference__context.joiner.__init__.__globals__.os.environ }}
{{ cycler.__init__.__globals__.os.popen('id').read() }}
{{ joiner.__init__.__globals__.os }}
{{ namespace.__init__.__globals__.os.environ }}
{{ lipsum.__globals__.os.popen('id').read() }}
{{ lipsum.__globals__['__builtins__']['__import__']('os').environ }}
{{ dict.__base__.__subclasses__() }}
{{ request['application']['\x5f\x5fglobals\x5f\x5f'] }}
{{ range.__class__ }}
{{ range(10**9)|list }}
{{ request|attr('application')|attr('\x5f\x5fglobals\x5f\x5f') }}
{{ ()|attr('__class__') }}
{{ (''|attr(['_'*2,'class','_'*2]|join)) }}
{{ ''['\x5f\x5fclass\x5f\x5f'] }}
{{ ''['__cla' + 'ss__'] }}
{{ ''[dict(__clas=a,s__=b)|join] }}
{{ ''|attr('\u005f\u005fclass\u005f\u005f') }}
{{ ''['__class__'] }}
{% set x = ''.__class__ %}{{ x }}
{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}
{% if ''.__class__ %}x{% endif %}
{% include '/etc/passwd' %}
{% import 'os' as os %}{{ os.environ }}
{% extends '/etc/passwd' %}
{% from 'os' import environ %}
{% macro a() %}{% endmacro %}{{ a.__globals__ }}
{% with a=''.__class__ %}{{ a }}{% endwith %}
{% filter attr('__class__') %}x{% endfilter %}
{% call(x) a() %}{% endcall %}
{% raw %}{{ 1 }}{% endraw %}
{% do ''.__class__ %}
{# comment #}
{{ get_flashed_messages.__globals__.__builtins__.open('/etc/passwd').read() }}
{{ g.pop.__globals__ }}
{{ x.__init__.__builtins__.__import__('os').popen('id').read() }}
{{ abc.__init__.__globals__ }}
{{ (x for x in ().__class__.__base__.__subclasses__()) }}
{{ [x for x in [1]] }}
{{ (lambda: 1)() }}
{{ now.__globals__ }}
{{ now.__wrapped__ }}
{{ now().__class__ }}
{{ now()['tzinfo'] }}
{{ now }}
{{ _(0) }}
{{ _.__globals__ }}
{{ _z.__class__ }}
{{ _t }}
{{ _now() }}
{{ environment }}
{{ context }}
{{ resolve('os') }}
{{ undefined() }}
{{ missing }}
{{ Undefined }}
{{ l_0_ }}
{{ $.__class__ }}
{{ $.a.__class__? }}
{{ $["__class__"]["__mro__"] }}
{{ $..__class__ }}
{{ ($)["__class__"] }}
{{ ($.a)['__len__'] }}
{{ ($.list)['append'] }}
{{ $.a | map('__class__') }}
{{ $.list[?(@.__class__)] }}
{{ $.`this` }}
{{ $.a.`sub(/(a+)+$/, x)` }}
{{ $.list.`sorted` }}
{{ $[?(@ =~ "(a+)+$")] }}
{{ $.list[(@.length-1)] }}
{{ $.a[?(@.constructor)] }}
{{ $['__proto__'] }}
{{ $.a | tojson | safe }}
{{ $.a | pprint }}
{{ $.list | tojson(indent=2) }}
{{ $.a | string }}
{{ $.a | format(1) }}
{{ '%(x)s' % {'x': 1} }}
{{ $.a % $.list }}
{{ '%x' | format(10) }}
{{ $.list | groupby('__class__') }}
{{ $.list | selectattr('__class__') }}
{{ $.a | filesizeformat }}
{{ $.list | batch(2) }}
{{ $.list | random }}
{{ $.a | lookup('../../etc/passwd') }}
{{ '/etc/passwd' | lookup('/etc/passwd') }}
{{ $.a | charset("../x") }}
{{ $.a | charset('idna') }}
{{ $.a | to_timezone('../../../etc/passwd') }}
{{ $.a | to_timezone('/etc/localtime') }}
{{ ${RELAY_TEST_SECRET} }}
${RELAY_TEST_SECRET}
{{ $env.RELAY_TEST_SECRET }}
{{ $environ }}
{{ $secrets }}
{{ $event.__class__ }}
{{ $headers.__class__ }}
{{ $name.__class__ }}
<%= 7*7 %>
{php}echo 1{/php}
#set($x=1)
{{=7*7}}
@(7*7)
__import__('os').system('id')
{{ print($) }}
{{ exec('1') }}
{{ eval('1') }}
{{ open('/etc/passwd') }}
{{ globals() }}
{{ vars() }}
{{ help() }}
{{ breakpoint() }}
{{ input() }}
{{ type($) }}
{{ super() }}
{{ caller() }}
{{ loop }}
""".strip().splitlines()
EVERY = [*PAYLOADS, *(text for texts in ADVISORIES.values() for text in texts)]

BODY = {
    "a": "x{0.__class__}",
    "b": 1,
    "list": ["{0.__class__}", {"a": 1}],
    "__class__": {"__mro__": "the sender's own"},
}

#: What must not be seen in anything that is made.
LEAKS = (
    SECRET,
    "root:",
    "<class",
    "object at 0x",
    "built-in",
    "subprocess",
    "uid=",
    "<function",
    "Undefined",
    "environ(",
)

_heard: list[str] | None = None
_FORBIDDEN = (
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "import",
    "exec",
    "compile",
    "ctypes.",
    "shutil.",
    "marshal.",
    "pty.",
)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard is not None and event.startswith(_FORBIDDEN):
        _heard.append(f"{event} {str(arguments)[:100]}")


sys.addaudithook(_hook)


@contextmanager
def listening() -> Iterator[list[str]]:
    """The audit events of what runs inside that no evaluation may cause."""
    global _heard
    _heard = heard = []
    try:
        yield heard
    finally:
        _heard = None


@pytest.fixture(autouse=True)
def _a_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_TEST_SECRET", SECRET)


def check(made: Any, source: str) -> None:
    """Nothing of Python's in what was made, beyond what was written or sent."""
    text = to_text(made)
    known = source + json.dumps(BODY)
    assert not [leak for leak in LEAKS if leak in text and leak not in known], text


def check_place(error: ConfigError | RecipeError) -> None:
    assert error.place is not None


def attempt(compile_one: Any, source: str) -> bool:
    """Whether it was refused. What isn't is evaluated, with nobody's help."""
    try:
        run = compile_one()
    except ConfigError as error:
        check_place(error)
        return True
    with listening() as heard:
        try:
            made = run(values_of(BODY))
        except RecipeError as error:
            check_place(error)
            made = str(error)
    assert heard == []
    check(made, source)
    return False


def inside(text: str) -> str:
    return text.removeprefix("{{").removesuffix("}}").strip()


@pytest.mark.parametrize("text", EVERY)
def test_as_an_expression_it_is_refused_or_harmless(text: str) -> None:
    attempt(lambda: compile_expression(inside(text), PLACE, NAMES).of, text)


@pytest.mark.parametrize("text", EVERY)
def test_as_text_of_a_recipe_it_is_refused_or_harmless(text: str) -> None:
    for written in (text, f"a {text} b", f"{{{{ {text} }}}}", f"$.a {text}"):
        node = yaml_tree.parse(json.dumps(written), "recipe.yaml")
        attempt(lambda node=node: compile_value(node, NAMES).run, written)


@pytest.mark.parametrize("text", EVERY)
def test_as_what_a_sender_sends_it_is_text_and_stays_what_it_was(text: str) -> None:
    body = {"a": text, "list": [text], text: {text: text}}
    node = yaml_tree.parse(json.dumps("{{ $.a }}|{{ $.list[0] | trim | upper | lower | default('') }}"), "recipe.yaml")
    run = compile_value(node, NAMES).run
    with listening() as heard:
        made = run(values_of(body))
        again = compile_expression("$.a if $.a == $.list[0] else null", PLACE, NAMES).of(values_of(body))
    assert made == f"{text}|{text.strip().upper().lower()}"
    assert again == text
    assert [one for one in heard if not one.startswith(("compile", "exec"))] == []


@pytest.mark.parametrize("name", sorted(FILTERS))
@pytest.mark.parametrize(
    "text", [*ADVISORIES["CVE-2016-10745: str.format"], "{0.__class__.__init__.__globals__}", "%(a)s"]
)
def test_no_filter_takes_what_a_sender_sends_for_a_template(name: str, text: str) -> None:
    one = FILTERS[name]
    for arguments in ([text] * one.least, [text] * one.most if one.most < 5 else [text] * one.least):
        for value in (text, [text], {text: text}, [{text: text}]):
            try:
                made = one.run(value, *one.bound(NAMES.zone, NAMES.tables), *arguments)
            except ValueError as error:
                made = str(error)
            check(made if not hasattr(made, "tzinfo") else "", text)


# --- what the sandbox is given at all ---

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.Name, nodes.Const, nodes.List, nodes.Dict, nodes.Pair, nodes.CondExpr,
    nodes.Filter, nodes.Call, nodes.Getitem, nodes.Compare, nodes.Operand, nodes.BinExpr, nodes.UnaryExpr, nodes.Tuple,
)  # fmt: skip


def _source(text: str) -> str | None:
    at: At = lambda offset: Place("f", 1, offset + 1)  # noqa: E731
    try:
        return translate(tokenise(text, at), at, NAMES.tables).source
    except ConfigError:
        return None


def check_source(source: str) -> None:
    """Calls of our two functions, our filters, items by brackets and operators: nothing else gets to the engine."""
    try:
        tree = ImmutableSandboxedEnvironment(optimized=False).parse("{{ " + source + " }}")
    except jinja2.TemplateSyntaxError:
        return
    for node in tree.find_all(nodes.Node):
        assert isinstance(node, (*_ALLOWED, nodes.Operand)), node
        assert not isinstance(node, (nodes.Getattr, nodes.Test, nodes.Pow)), node
        if isinstance(node, nodes.Name):
            assert node.name in ("_", "_z", "_t", "_now")
        if isinstance(node, nodes.Call):
            assert isinstance(node.node, nodes.Name)
            assert node.node.name in ("_", "_now")
            assert not node.kwargs
            assert node.dyn_args is None
            assert node.dyn_kwargs is None
        if isinstance(node, nodes.Filter):
            assert node.name in FILTERS
            assert not node.kwargs
            assert node.dyn_args is None
            assert node.dyn_kwargs is None


@pytest.mark.parametrize("text", EVERY)
def test_of_a_payload_only_the_language_gets_to_the_engine(text: str) -> None:
    source = _source(inside(text)) if inside(text) else None
    if source is not None:
        check_source(source)


@settings(max_examples=500, deadline=None)
@given(EXPRESSIONS)
def test_of_any_expression_only_the_language_gets_to_the_engine(text: str) -> None:
    source = _source(text)
    if source is not None:
        check_source(source)


@settings(max_examples=1000, deadline=None)
@given(st.text(alphabet="$.[]()|{}%#'\"\\_ ,:=<>+-*/~!@&^;`abcdefisx019\n", min_size=1, max_size=40))
def test_of_any_text_only_the_language_gets_to_the_engine(text: str) -> None:
    source = _source(text) if text.strip() else None
    if source is not None:
        check_source(source)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_a_literal_is_itself_whatever_stands_in_it(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    # The brackets lead it through the engine.
    assert compile_expression(f"({quoted})", PLACE, NAMES).of(values_of({})) == text


def test_nothing_is_kept_on_disk_and_nothing_is_there_to_be_called() -> None:
    assert _sandbox.bytecode_cache is None
    assert _sandbox.loader is None
    assert not _sandbox.globals
    assert not _sandbox.tests
    assert not _sandbox.extensions
    assert set(_sandbox.filters) == set(FILTERS)
