"""The expression engine: Jinja2's sandbox with everything taken away that an expression over JSON doesn't need.

No attributes, no blocks, no macros, no globals, no tests, no filters but ours; operators are this language's own
(relay.recipes.operators), which convert nothing and bound their results.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from jinja2 import StrictUndefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from relay.recipes import operators

#: What an expression may call: a path's value, by its number, and now(). Their names can't be written by a person.
FUNCTIONS = ("_", "_now")

_BINARY = frozenset({"+", "-", "*", "/", "//", "%", "**"})
_UNARY = frozenset({"+", "-"})
_SYMBOLS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}


class _Generator(CodeGenerator):
    """Compiles comparisons and logic to calls of the sandbox, so that they mean what they mean in JSON."""

    environment: Sandbox

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        if len(node.ops) > 1:
            self.fail("compare two values at a time, joined with `and`", node.lineno)
        self.write(f"environment.compare({_SYMBOLS[node.ops[0].op]!r}, ")
        self.visit(node.expr, frame)
        self.write(", ")
        self.visit(node.ops[0].expr, frame)
        self.write(")")

    def visit_Not(self, node: nodes.UnaryExpr, frame: Frame) -> None:  # noqa: N802
        self.write("(not environment.truth(")
        self.visit(node.node, frame)
        self.write("))")

    def visit_And(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802
        self._either(node, frame, "if not")

    def visit_Or(self, node: nodes.BinExpr, frame: Frame) -> None:  # noqa: N802
        self._either(node, frame, "if")

    def _either(self, node: nodes.BinExpr, frame: Frame, keep_left: str) -> None:
        left = self.temporary_identifier()
        self.write(f"({left} {keep_left} environment.truth({left} := (")
        self.visit(node.left, frame)
        self.write(")) else ")
        self.visit(node.right, frame)
        self.write(")")

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> None:  # noqa: N802
        if node.expr2 is None:
            self.fail("`if` needs an `else`", node.lineno)
        self.write("(")
        self.visit(node.expr1, frame)
        self.write(" if environment.truth(")
        self.visit(node.test, frame)
        self.write(") else ")
        self.visit(node.expr2, frame)
        self.write(")")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802
        """The functions are ours and named: who is called is known here, and nothing has to be asked at run time."""
        known = isinstance(node.node, nodes.Name) and node.node.name in FUNCTIONS
        if not known or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            self.fail("nothing can be called in an expression", node.lineno)
        self.visit(node.node, frame)
        self.write("(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


class _Context:
    """What compiled code asks of Jinja2's context, which takes longer to make than most expressions to work out."""

    __slots__ = ("exported_vars", "resolve_or_missing", "vars")

    def __init__(self, names: dict[str, Any]) -> None:
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()
        self.resolve_or_missing = partial(_resolve, names)


def _resolve(names: dict[str, Any], name: str) -> Any:
    return names.get(name, missing)


class Sandbox(ImmutableSandboxedEnvironment):
    """Never renders a template: it compiles expressions, whose filters are given once."""

    code_generator_class = _Generator
    intercepted_binops = _BINARY
    intercepted_unops = _UNARY

    def __init__(self, filters: dict[str, Any]) -> None:
        # Without the optimizer nothing is calculated while a recipe is being read.
        super().__init__(undefined=StrictUndefined, optimized=False, cache_size=0, autoescape=False)
        self.globals.clear()
        self.tests.clear()
        self.filters.clear()
        self.filters.update(filters)

    def compare(self, symbol: str, left: Any, right: Any) -> bool:
        return operators.COMPARISONS[symbol](left, right)

    def truth(self, value: Any) -> bool:
        return operators.truth(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return operators.arithmetic(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return operators.negative(arg) if operator == "-" else arg

    def getitem(self, obj: Any, argument: Any) -> Any:
        return operators.item_of(obj, argument)

    def getattr(self, obj: Any, attribute: str) -> NoReturn:
        raise SecurityError(f"attributes such as `{attribute}` are not part of an expression")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def expression(self, source: str) -> Callable[[dict[str, Any]], Any]:
        """A function from names to the value. Raises TemplateSyntaxError."""
        parser = Parser(self, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"`{parser.stream.current.value}` has no meaning here")
        expression.set_environment(self)
        result = nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)
        root: Any = self.from_string(nodes.Template([result], lineno=1)).root_render_func

        def run(names: dict[str, Any]) -> Any:
            context = _Context(names)
            for _ in root(context):
                pass  # An expression puts nothing out.
            return context.vars["result"]

        return run
