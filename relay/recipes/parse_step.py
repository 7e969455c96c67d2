"""One step of a recipe, read and compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any, cast

from relay.errors import Place
from relay.recipes.batches import read_batch
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.paths import Ref
from relay.recipes.policies import read_policy
from relay.recipes.reader import Reader
from relay.recipes.recipe import DEFAULT_TIMEOUT, Condition, OnFail, OnUnknown, Step
from relay.recipes.render import Value, compile_fields, is_expression
from relay.recipes.words import unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence
from relay.retry import RetryPolicy

KEYS = (
    *("to", "do", "with", "save", "after", "when", "foreach", "batch", "order_by"),
    *("timeout", "retry", "on_fail", "on_unknown", "keep_empty"),
)

_NAME = re.compile(r"^[^\W\d]\w*$")
_NOTHING = Value(lambda values: {}, (), True)


class StepReader:
    def __init__(
        self, reader: Reader, names: Names, retries: Map[str, RetryPolicy] | None, steps: tuple[str, ...]
    ) -> None:
        self.reader = reader
        self.names = names
        self.retries = retries
        self.steps = steps

    def read(self, name: str, place: Place, node: Node) -> Step | None:
        """None where it isn't a step at all; its single mistakes are noted."""
        reader = self.reader
        mapping = reader.mapping(node, f"the step `{name}`")
        if mapping is None:
            return None
        reader.known_keys(mapping, KEYS)
        # Its own values are known only after it has run.
        names = replace(self.names, saves={key: saved for key, saved in self.names.saves.items() if key != name})
        keep_empty = reader.boolean(mapping.get("keep_empty"), "keep_empty")
        to = reader.text(reader.required(mapping, "to", "name a connection"), "to")
        do_node = mapping.get("do")
        foreach = self.foreach(mapping, names)
        if "foreach" in mapping:
            names = replace(names, within=names.within | {"item", "index"})
        when = read_condition(reader, mapping.get("when"), names)
        order_by = self.order_by(mapping, names)
        batch = read_batch(reader, mapping.get("batch"))
        with_node = self.with_of(mapping)
        in_call = replace(names, within=names.within | {"batch"}) if "batch" in mapping else names
        fields = reader.compiled_all(
            with_node, in_call, lambda: compile_fields(with_node, in_call, keep_empty=keep_empty)
        )  # fmt: skip
        save = self.save(mapping, names, name, place)
        after = self.after(mapping, name)
        needs, hard = self.needs(after, [*(fields or _NOTHING).refs], when, save)
        return Step(
            id=name,
            to=to or "",
            do=reader.text(do_node, "do"),
            place=mapping.values["to"].place if "to" in mapping else place,
            timeout=reader.duration(mapping.get("timeout"), DEFAULT_TIMEOUT),
            retry=read_policy(reader, mapping.get("retry"), self.retries),
            on_fail=cast("OnFail", reader.choice(mapping.get("on_fail"), "on_fail", ("dead_letter", "ignore"))),
            on_unknown=cast("OnUnknown", reader.choice(mapping.get("on_unknown"), "on_unknown", ("retry", "hold"))),
            keep_empty=keep_empty,
            after=after,
            needs=needs,
            hard_needs=hard,
            when=when,
            fields=fields or _NOTHING,
            save=save,
            with_node=with_node,
            do_place=do_node.place if do_node is not None else place,
            foreach=foreach,
            batch=batch,
            order_by=order_by,
            batch_place=mapping.keys["batch"].place if "batch" in mapping else None,
        )

    def foreach(self, step: Mapping, names: Names) -> Expression | None:
        return self.routed(step, names, "foreach", "$.items or $.items[*]")

    def order_by(self, step: Mapping, names: Names) -> Expression | None:
        if "order_by" in step and "batch" in step:
            self.reader.error(
                step.keys["order_by"].place,
                "`order_by` and `batch` exclude each other: a batch keeps its rows in order",
            )
        return self.routed(step, names, "order_by", "$.contact.id")

    def routed(self, step: Mapping, names: Names, key: str, example: str) -> Expression | None:
        """An expression that is worked out when the event is routed, before any step has run."""
        node = step.get(key)
        if node is None:
            return None
        if not isinstance(node, Scalar) or not is_expression(node.text):
            self.reader.error(node.place, f"`{key}` is an expression, such as {example}", "expression")
            return None
        expression = self.reader.compiled(
            node.place, lambda: compile_expression(node.text, node.place, names, node.at)
        )  # fmt: skip
        for ref in expression.refs if expression is not None else ():
            if ref.root in names.saves:
                message = f"`{key}` is worked out before any step runs: it can't use what `{ref.root}` saves"
                self.reader.error(ref.place, message)
        return expression

    def with_of(self, step: Mapping) -> Mapping:
        node = step.get("with")
        if isinstance(node, Scalar) and node.value is None:
            node = None
        # In the place of one that can't be read, an empty one that stands where that stood.
        empty = Mapping(node.place if node else step.keys["with"].place if "with" in step else step.place, {}, {})
        return self.reader.mapping(node, "`with`") or empty

    def save(self, step: Mapping, names: Names, name: str, place: Place) -> dict[str, Expression]:
        mapping = self.reader.mapping(step.get("save"), "`save`")
        if mapping is None:
            return {}
        if not _NAME.match(name):
            better = re.sub(r"\W", "_", name)
            message = (
                f"a step that saves is named with letters, digits and `_`, for it is used as `$name`: write `{better}`"
            )
            self.reader.error(place, message, "wrong-name")
        saved = {}
        for key, key_node, node in mapping.items():
            if not _NAME.match(key):
                self.reader.error(key_node.place, "the name of a saved value is letters, digits and `_`", "wrong-name")
            elif not isinstance(node, Scalar) or not is_expression(node.text):
                self.reader.error(node.place, "what is saved is a path into the reply, such as $.id", "expression")
            else:
                expression = self.reader.compiled(
                    node.place, lambda node=node: compile_expression(node.text, node.place, names, node.at)  # type: ignore[misc]
                )  # fmt: skip
                if expression is not None:
                    saved[key] = expression
        return saved

    def after(self, step: Mapping, name: str) -> tuple[str, ...]:
        node = step.get("after")
        nodes: list[Any] = node.items if isinstance(node, Sequence) else [node] if node is not None else []
        found: dict[str, None] = {}
        for one in nodes:
            if not isinstance(one, Scalar) or one.text == name or one.text not in self.steps:
                text = one.text if isinstance(one, Scalar) else "…"
                others = [step for step in self.steps if step != name]
                message = "a step can't wait for itself" if text == name else unknown("step", text, others)
                if not others and text != name:
                    message = f"unknown step `{text}`: the recipe has no other step to wait for"
                self.reader.error(one.place, message, "circle" if text == name else "unknown-step")
            else:
                found[one.text] = None
        return tuple(found)

    def needs(
        self, after: tuple[str, ...], refs: list[Ref], when: Condition | None, save: Map[str, Expression]
    ) -> tuple[tuple[str, ...], frozenset[str]]:
        for expression in [*save.values(), *([when.expression] if when else [])]:
            refs.extend(expression.refs)
        used = [ref for ref in refs if ref.root in self.names.saves and ref.root not in self.names.picks]
        needs = dict.fromkeys([*after, *(ref.root for ref in used)])
        return tuple(needs), frozenset(ref.root for ref in used if not ref.optional)


def read_condition(reader: Reader, node: Node | None, names: Names) -> Condition | None:
    """A `when`. It is an expression as a whole, whatever it starts with."""
    if node is None:
        return None
    if not isinstance(node, Scalar) or not isinstance(node.value, (str, bool)):
        reader.error(node.place, "`when` is a condition, such as $.rating < 3", "expression")
        return None
    if "{{" in node.text:
        reader.error(node.place, "`when` is a condition as it stands, without {{ }}", "expression")
        return None
    expression = reader.compiled(node.place, lambda: compile_expression(node.text, node.place, names, node.at))
    return Condition(expression) if expression is not None else None


def step_roots(step: Step) -> set[str]:
    """The names that a step reads."""
    refs: list[Any] = [*step.fields.refs]
    if step.when is not None:
        refs.extend(step.when.expression.refs)
    for expression in (*step.save.values(), step.foreach, step.order_by):
        refs.extend(expression.refs if expression is not None else ())
    return {ref.root for ref in refs}
