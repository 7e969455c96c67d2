"""Which checks of the public contract each connector is held to, and where it is held to another truth.

`python -m tests.connectors.contract_table` prints the table. A connector's checks are those its test classes inherit;
one that a class writes anew says why in its docstring or in its first comment.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from relay.connector import connector_class, connector_names
from relay.testing import ConnectorContract, HttpConnectorContract

HERE = Path(__file__).parent
#: The test modules that can't be imported, with why: filled by `classes`.
broken: dict[str, str] = {}


@dataclass(frozen=True)
class Held:
    """One check of one test class.

    why  where the class writes the check anew: what is different at this destination
    """

    check: str
    by: type[ConnectorContract]
    anew: bool
    why: str = ""
    skipped: bool = False


def shipped() -> list[str]:
    """The connectors that come with Relay, by their entry points."""
    return [name for name in connector_names() if connector_class(name).__module__.startswith("connectors.")]


@cache
def classes() -> dict[str, list[type[ConnectorContract]]]:
    """Each connector's contract test classes, in the order of their files; also of those without an entry point yet."""
    found: dict[str, list[type[ConnectorContract]]] = {}
    for file in sorted(HERE.glob("test_*.py")):
        if file.stem == "test_contract_table" or "ConnectorContract" not in file.read_text():
            continue
        try:
            module = importlib.import_module(f"tests.connectors.{file.stem}")
        except Exception as error:  # the rows of the others are still made; a test names this one
            broken[file.name] = f"{type(error).__name__}: {error}"
            continue
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and name.startswith("Test") and issubclass(value, ConnectorContract):
                found.setdefault(value.connector.name, []).append(value)
    return found


def checks(contract: type[ConnectorContract]) -> list[str]:
    return [name for base in reversed(contract.__mro__) for name in vars(base) if name.startswith("test_")]


def public(of: type[ConnectorContract]) -> type[ConnectorContract]:
    return HttpConnectorContract if issubclass(of, HttpConnectorContract) else ConnectorContract


def held(by: type[ConnectorContract]) -> Iterator[Held]:
    """Every check of the public contract, as this class has it."""
    contract = public(by)
    for check in dict.fromkeys(checks(contract)):
        ours = inspect.getattr_static(by, check)
        if ours is inspect.getattr_static(contract, check):
            yield Held(check, by, anew=False, skipped=_skipped(by, ours))
        else:
            yield Held(check, by, anew=True, why=reason(by, check), skipped=_skipped(by, ours))


#: A destination whose 2xx needs more than `{}` needs more than `{}` for this one too: one reason is enough.
_WITH = {"test_every_attempt_sends_the_same_request": "test_a_2xx_is_a_delivery"}


def reason(by: type[ConnectorContract], check: str) -> str:
    """The docstring, else the comment at the body's beginning."""
    ours, other = inspect.getattr_static(by, check), _WITH.get(check, "")
    words = _words(ours) if callable(ours) else ""
    replaced = other and inspect.getattr_static(by, other) is not inspect.getattr_static(public(by), other)
    return words or (reason(by, other) if replaced else "")


def _words(check: Any) -> str:
    text = inspect.getdoc(check) or ""
    if not text:
        begin = re.search(r"\)\s*(->[^:]*)?:[^\n]*\n((?:\s*#[^\n]*\n)+)", inspect.getsource(check))
        text = re.sub(r"^\s*# ?", "", begin[2], flags=re.MULTILINE) if begin else ""
    return " ".join(text.split())


def _skipped(by: type[ConnectorContract], check: Any) -> bool:
    if not callable(check):
        return True  # taken away
    marks = [*getattr(by, "pytestmark", []), *getattr(check, "pytestmark", [])]
    calls = re.search(r"pytest\.(skip|xfail|importorskip)\(", inspect.getsource(check))
    return calls is not None or any(mark.name in ("skip", "skipif", "xfail") for mark in marks)


def table() -> str:
    """Markdown: connectors by checks. `=` is the public check; a number is one told otherwise, for the reason below."""
    names = list(dict.fromkeys(check for base in (ConnectorContract, HttpConnectorContract) for check in checks(base)))
    reasons: dict[str, int] = {}
    rows = []
    for connector, tests in sorted(classes().items()):
        for by in tests:
            cells = dict.fromkeys(names, "")
            for one in held(by):
                cells[one.check] = "="
                if one.anew:
                    why = f"{connector}: {one.why}"
                    cells[one.check] = str(reasons.setdefault(why, len(reasons) + 1))
            rows.append(f"| {connector} | {by.__name__} | {' | '.join(cells.values())} |")
    numbers = range(1, len(names) + 1)
    head = [f"| connector | test class | {' | '.join(f'c{n}' for n in numbers)} |", "|---|---|" + "---|" * len(names)]
    legend = [f"c{n}  {name.removeprefix('test_').replace('_', ' ')}" for n, name in zip(numbers, names, strict=True)]
    told = [f"{number:>3}  {why}" for why, number in reasons.items()]
    return "\n".join([*head, *rows, "", *legend, "", "Told otherwise:", *told, ""])


if __name__ == "__main__":
    print(table(), end="")
