"""Every `cause` that a connector's code can give an error, gathered from its source.

A cause is the `cause=` of an error, the second argument of what Said makes errors of, or what a variable `cause` is set
to. What differs in it is `*`. What only `check` says is left out: no delivery has it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from pathlib import Path

_FATES = {
    "RetryableError": "retry",
    "HoldError": "hold",
    "PermanentError": "dead",
    "UnknownOutcomeError": "unknown",
    "retry": "retry",
    "hold": "hold",
    "permanent": "dead",
    "unknown": "unknown",
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Causes:
    """fates: what becomes of a delivery, by each cause as a pattern; unread: places whose cause isn't understood."""

    fates: dict[str, set[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def add(self, other: Causes) -> None:
        for cause, fates in other.fates.items():
            self.fates.setdefault(cause, set()).update(fates)
        self.unread += other.unread


def modules_of(connector: type) -> list[Path]:
    """The modules of a connector's package, or its one module; and what they use of other connectors' modules."""
    name = connector.__module__
    package = name.rpartition(".")[0]
    module = importlib.import_module(name if package == "connectors" else package)
    own = [Path(str(module.__file__))]
    if package != "connectors":
        own = [Path(str(module.__path__[0])) / f"{found.name}.py" for found in pkgutil.iter_modules(module.__path__)]
    for path in own:  # grows while it is gone through
        own += [found for found in _imported(path) if found not in own]
    return own


def _imported(path: Path) -> list[Path]:
    root = next(parent for parent in path.parents if parent.name == "connectors")
    modules = [node.module for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom) and node.module]
    parts = [module.split(".")[1:] for module in modules if module.startswith("connectors.")]
    files = [root.joinpath(*names).with_suffix(".py") for names in parts if names[0] not in ("common", "guides")]
    return list(dict.fromkeys(file for file in files if file.exists()))


def gathered(paths: Iterable[Path]) -> Causes:
    """Of some modules; a cause that is handed on as a parameter is looked for where the function is called."""
    trees = [_tree(path) for path in paths]
    found = Causes()
    for path, tree in zip(paths, trees, strict=True):
        found.add(_Reader(path, tree, trees).read())
    return found


@cache
def _tree(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


class _Reader:
    def __init__(self, path: Path, tree: ast.Module, trees: list[ast.Module]) -> None:
        self.path, self.tree, self.trees = path, tree, trees

    def read(self) -> Causes:
        found = Causes()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and any(_is(target, "cause") for target in node.targets):
                for pattern in self._patterns(node.value, 0):
                    found.fates.setdefault(pattern, set())
            cause = self._cause_of(node) if isinstance(node, ast.Call) else None
            if cause is None or _only_checks(node):
                continue
            assert isinstance(node, ast.Call)
            fates = self._fates(node.func)
            patterns = set(self._patterns(cause, 0))
            if not patterns and not _handed_on(cause):
                found.unread.append(f"{self.path.name}:{node.lineno}: {ast.unparse(cause)}")
            for pattern in patterns:
                found.fates.setdefault(pattern, set()).update(fates)
        return found

    def _cause_of(self, call: ast.Call) -> ast.expr | None:
        name = _name(call.func)
        for keyword in call.keywords:
            if keyword.arg == "cause" and name not in ("__init__", "NewDelivery", "Outcome"):
                return keyword.value
        if isinstance(call.func, ast.Attribute) and name in ("retry", "hold", "permanent", "unknown"):
            return call.args[1] if len(call.args) > 1 else None
        if name.endswith("Error") and name in _FATES and call.args and not call.keywords:
            return call.args[0]  # without a cause, the message is
        return None

    def _fates(self, func: ast.expr) -> set[str]:
        name = _name(func)
        if name in _FATES:
            return {_FATES[name]}
        values = self._assigned(func, name) if isinstance(func, ast.Name) else []
        branches = [branch for value in values for branch in _branches(value)]
        return {_FATES[_name(branch)] for branch in branches if _name(branch) in _FATES}

    def _patterns(self, node: ast.expr, depth: int) -> Iterator[str]:
        if depth > 4:
            return
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value:
                yield node.value
        elif isinstance(node, (ast.JoinedStr, ast.BinOp)):
            yield from (re.sub(r"\*+", "*", pattern) for pattern in self._composed(node, depth))
        elif isinstance(node, (ast.IfExp, ast.BoolOp)):
            for branch in _branches(node):
                yield from self._patterns(branch, depth + 1)
        elif isinstance(node, ast.Name):
            for value in self._assigned(node, node.id):
                yield from self._patterns(value, depth + 1)
            yield from self._given(node, depth)
        elif isinstance(node, ast.Call) and _name(node.func) in ("strip", "rstrip", "lower"):
            assert isinstance(node.func, ast.Attribute)
            yield from self._patterns(node.func.value, depth + 1)
        elif isinstance(node, ast.Call):
            yield from self._returned(node, depth)

    def _composed(self, node: ast.JoinedStr | ast.BinOp, depth: int) -> Iterator[str]:
        if isinstance(node, ast.BinOp):
            yield from (f"{left}*" for left in self._patterns(node.left, depth + 1))
        else:
            yield from map("".join, product(*(list(self._piece(part, depth)) for part in node.values)))

    def _piece(self, part: ast.expr, depth: int) -> Iterable[str]:
        """What stands at a place of an f-string: the values of a name, where they are known to be all."""
        if isinstance(part, ast.Constant):
            return [str(part.value)]
        value = part.value if isinstance(part, ast.FormattedValue) else part
        return dict.fromkeys(self._patterns(value, depth + 1)) or ["*"] if isinstance(value, ast.Name) else ["*"]

    def _assigned(self, at: ast.expr, name: str) -> Iterator[ast.expr]:
        """What a name is set to in the functions around, or in the module."""
        scope = _function(at) or self.tree
        for node in [*ast.walk(scope), *self.tree.body]:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if _is(target, name):
                        yield node.value
                    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        for one, value in zip(target.elts, node.value.elts, strict=True):
                            if _is(one, name):
                                yield value
                    elif isinstance(target, ast.Tuple) and name in map(_name, target.elts):
                        yield ast.JoinedStr([ast.FormattedValue(node.value, -1)])

    def _given(self, node: ast.Name, depth: int) -> Iterator[str]:
        """A parameter's values, from the calls of its function."""
        function = _function(node)
        while function is not None and _position(function, node.id) is None:
            function = _function(function)
        if function is None:
            return
        at = _position(function, node.id)
        assert at is not None
        for tree in self.trees:
            for call in ast.walk(tree):
                if not isinstance(call, ast.Call) or _name(call.func) != function.name or _only_checks(call):
                    continue
                index = at - 1 if _is_method(function) and isinstance(call.func, ast.Attribute) else at
                values = [keyword.value for keyword in call.keywords if keyword.arg == node.id]
                values += call.args[index : index + 1] if index >= 0 else []
                reader = _Reader(self.path, tree, self.trees)
                for value in values:
                    yield from reader._patterns(value, depth + 1)

    def _returned(self, call: ast.Call, depth: int) -> Iterator[str]:
        """What a function of the connector's own returns; anything for what isn't."""
        name = _name(call.func)
        for tree in self.trees:
            for function in ast.walk(tree):
                if isinstance(function, _Function) and function.name == name:
                    reader = _Reader(self.path, tree, self.trees)
                    for node in ast.walk(function):
                        if isinstance(node, ast.Return) and node.value is not None:
                            yield from reader._patterns(node.value, depth + 1)
                    return
        yield "*"


def _only_checks(node: ast.AST) -> bool:
    """Within `check`, or `ask`, which does its asking."""
    function = _function(node)
    while function is not None and function.name not in ("check", "ask"):
        function = _function(function)
    return function is not None


def _handed_on(cause: ast.expr) -> bool:
    """`error.cause`, or a parameter nobody of these modules gives: it is counted where it was made."""
    return isinstance(cause, (ast.Attribute, ast.Name))


def _branches(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _branches(node.body)
        yield from _branches(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _branches(value)
    else:
        yield node


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _function(node: ast.AST) -> _Function | None:
    while (node := getattr(node, "parent", None)) is not None:  # type: ignore[assignment]
        if isinstance(node, _Function):
            return node
    return None


def _position(function: _Function, name: str) -> int | None:
    arguments = [*function.args.posonlyargs, *function.args.args]
    for index, argument in enumerate(arguments):
        if argument.arg == name:
            return index
    return -1 if any(argument.arg == name for argument in function.args.kwonlyargs) else None


def _is_method(function: _Function) -> bool:
    return bool(function.args.args) and function.args.args[0].arg in ("self", "cls")


def covers(row: str, cause: str) -> bool:
    """Whether a row of a table tells of all that a cause in the code stands for."""
    return row == cause if row == "*" else fnmatchcase(cause, row)


def exists(row: str, cause: str) -> bool:
    """Whether a cause in the code can be what a row tells of."""
    if cause == "*":
        return row == "*" or row[:1].isupper()
    return fnmatchcase(row, cause) or covers(row, cause)
