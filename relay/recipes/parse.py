"""A recipe's text, read and compiled. What needs the workspace (connections, sources) is checked in `check`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from collections.abc import Mapping as Map
from datetime import UTC, tzinfo

from relay.errors import ConfigError, Place
from relay.model import JSON
from relay.recipes import yaml_tree
from relay.recipes.expression import compile_expression
from relay.recipes.filters.moments import zone_of
from relay.recipes.graph import circle, in_order
from relay.recipes.hints import stray_paths, swallowed, unused_tables
from relay.recipes.names import BUILT_IN, RESERVED, WITHIN, Names
from relay.recipes.parse_step import StepReader, read_condition, step_roots
from relay.recipes.reader import Reader
from relay.recipes.recipe import BrokenRecipe, Condition, Problem, Recipe, RecipeTest, Step
from relay.recipes.render import Value, compile_value
from relay.recipes.respond import Respond, read_respond
from relay.recipes.tables import Table, inline_tables
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence
from relay.retry import RetryPolicy

KEYS = ("recipe", "catch", "types", "when", "timezone", "pick", "tables", "steps", "respond", "tests")
TEST_KEYS = ("name", "event", "change", "headers", "query", "replies", "expect", "answer")

_NAME = re.compile(r"^[^\W\d]\w*$")
_CATCH_LINE = re.compile(r"""^catch:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)

#: An event is known before any step runs: what `$delivery` is, is not.
_EVENT_NAMES = frozenset(BUILT_IN) - {"delivery"}


def version_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse_recipe(
    recipe_id: str,
    text: str,
    file: str = "",
    retries: Map[str, RetryPolicy] | None = None,
    tables: Map[str, Table] | None = None,
) -> Recipe:
    """Compile a recipe, also one whose file has changed since. Raises ConfigError with the first mistake.

    retries  relay.yaml's named policies; without them a named policy is the default one
    tables   the workspace's, for `lookup`
    """
    recipe, problems = read_recipe(recipe_id, text, file or f"{recipe_id}.yaml", retries, tables=tables)
    if recipe is None:
        first = next(problem for problem in problems if problem.severity == "error")
        raise ConfigError(first.message, first.place)
    return recipe


def broken(recipe_id: str, text: str, file: str, problems: list[Problem]) -> BrokenRecipe:
    match = _CATCH_LINE.search(text)
    return BrokenRecipe(recipe_id, tuple(problems), match[1] if match else None, text, file)


def read_recipe(
    recipe_id: str,
    text: str,
    file: str,
    retries: Map[str, RetryPolicy] | None = None,
    also: Callable[[Reader, Recipe], None] | None = None,
    tables: Map[str, Table] | None = None,
) -> tuple[Recipe | None, list[Problem]]:
    """The recipe, None where there is an error, and every problem there is.

    also    a further check, of what could be read; it notes problems too
    tables  the workspace's, for `lookup`
    """
    reader = Reader(recipe_id)
    recipe = None
    with reader.noting(Place(file)):
        root = yaml_tree.parse(text, file)
        if not isinstance(root, Mapping):
            raise ConfigError("a recipe is written as `key: value` lines: recipe, catch, steps", root.place)
        for place, message in swallowed(root, text):
            reader.warning(place, message, "comment")
        for place, message in unused_tables(root.get("tables"), text):
            reader.warning(place, message, "unused-table")
        recipe = _RecipeReader(reader, root, retries, tables or {}).read(recipe_id, text, file)
        if also is not None:
            also(reader, recipe)
    return (None if reader.has_errors else recipe), reader.problems


class _RecipeReader:
    def __init__(
        self, reader: Reader, root: Mapping, retries: Map[str, RetryPolicy] | None, tables: Map[str, Table]
    ) -> None:
        self.reader = reader
        self.root = root
        self.retries = retries
        self.tables = tables
        self.zone: tzinfo = UTC
        self.picks: dict[str, Value] = {}
        self.used: set[str] = set()

    def read(self, recipe_id: str, text: str, file: str) -> Recipe:
        """What could be read; it is a recipe only where no error was noted."""
        reader, root = self.reader, self.root
        reader.known_keys(root, KEYS)
        name = reader.text(reader.required(root, "recipe", "say in a line what the recipe does"), "recipe")
        catch_node = reader.required(root, "catch", "name the source it listens to")
        catch = reader.text(catch_node, "catch")
        self.read_zone()
        self.tables = inline_tables(reader, root.get("tables"), self.tables)
        self.read_picks()
        when = self.read_when()
        steps = self.read_steps()
        respond = self.read_respond(steps)
        tests = self.read_tests(steps, respond)
        self.warn(steps, tests)
        return Recipe(
            id=recipe_id,
            name=name or "",
            catch=catch or "",
            version=version_of(text),
            text=text,
            file=file,
            steps=steps,
            tests=tests,
            zone=str(self.zone) if self.zone is not UTC else "UTC",
            when=when,
            picks=self.picks,
            early=self.early(when),
            catch_place=catch_node.place if catch_node is not None else root.place,
            types=self.read_types(),
            types_place=self.root.values["types"].place if "types" in self.root else None,
            respond=respond,
            tzinfo=self.zone,
        )

    def read_types(self) -> tuple[str, ...]:
        """Names of event types, each perhaps with a `*` for the rest."""
        node = self.root.get("types")
        if node is None:
            return ()
        nodes = node.items if isinstance(node, Sequence) else [node]
        if any(not isinstance(one, Scalar) for one in nodes):
            self.reader.error(node.place, "`types` is a type, such as contact.created, or a list of them")
            return ()
        found = [text for one in nodes if (text := self.reader.text(one, "types")) is not None]
        for one, text in zip(nodes, found, strict=False):
            if re.search(r"[?\[\]]|\*.", text):
                self.reader.error(one.place, "a type is written as it comes, such as contact.created; `*` ends it")
        if not nodes:
            self.reader.error(
                node.place, "name at least one type, or leave `types` out: then the recipe wants them all"
            )
        return tuple(found)

    def read_respond(self, steps: Map[str, Step]) -> Respond | None:
        # A step that was misread has its own message; what it saves is known all the same.
        mapping = self.root.get("steps")
        written = mapping.items() if isinstance(mapping, Mapping) else ()
        saves = {name: _saved_names(node) for name, _, node in written}
        names = Names(
            picks=frozenset(self.picks), saves=saves, built_in=_EVENT_NAMES, zone=self.zone, tables=self.tables
        )
        respond = read_respond(self.reader, self.root.get("respond"), names)
        if respond is not None:
            values = [respond.body, respond.late_body, *respond.headers.values()]
            self.used.update(ref.root for value in values for ref in value.refs)
            for name in respond.uses:
                if name in steps and steps[name].batch is not None:
                    message = f"the answer can't wait for `{name}`: it is sent in a batch"
                    self.reader.error(respond.place, message)
        return respond

    def read_zone(self) -> None:
        node = self.root.get("timezone")
        if node is None:
            return
        try:
            self.zone = zone_of(yaml_tree.plain(node))
        except ValueError as error:
            self.reader.error(node.place, str(error), "wrong-value")

    def read_picks(self) -> None:
        mapping = self.reader.mapping(self.root.get("pick"), "`pick`")
        if mapping is None:
            return
        every = frozenset(mapping.values)
        for name, key, node in mapping.items():
            self.check_name(name, key.place, "a picked value")
            names = Names(
                picks=frozenset(self.picks), later=every - set(self.picks), built_in=_EVENT_NAMES, zone=self.zone,
                tables=self.tables,
            )  # fmt: skip
            value = self.reader.compiled(node.place, lambda node=node, names=names: compile_value(node, names))  # type: ignore[misc]
            # A pick that can't be compiled keeps its name: what uses it is not wrong as well.
            self.picks[name] = value or Value(lambda values: None, (), True)
            self.used.update(ref.root for ref in self.picks[name].refs)

    def check_name(self, name: str, place: Place, what: str) -> None:
        if name in RESERVED:
            self.reader.error(
                place, f"`{name}` always means the relay's own `${name}`: choose another name", "wrong-name"
            )
        elif not _NAME.match(name):
            better = re.sub(r"^(?=\d)", "_", re.sub(r"\W+", "_", name))
            message = f"the name of {what} is letters, digits and `_`, for it is used as `$name`: write `{better}`"
            self.reader.error(place, message, "wrong-name")

    def read_when(self) -> Condition | None:
        node = self.root.get("when")
        names = Names(picks=frozenset(self.picks), built_in=_EVENT_NAMES, zone=self.zone, tables=self.tables)
        condition = read_condition(self.reader, node, names)
        if condition is not None:
            self.used.update(ref.root for ref in condition.expression.refs)
        return condition

    def early(self, when: Condition | None) -> tuple[str, ...]:
        """The picks that the recipe's own `when` reads, in the order they are made."""
        wanted = {ref.root for ref in when.expression.refs} if when is not None else set()
        for name in reversed(self.picks):
            if name in wanted:
                wanted.update(ref.root for ref in self.picks[name].refs)
        return tuple(name for name in self.picks if name in wanted)

    def read_steps(self) -> dict[str, Step]:
        reader = self.reader
        mapping = reader.mapping(reader.required(self.root, "steps", "name at least one step"), "`steps`")
        if mapping is None:
            return {}
        for name, key, _ in mapping.items():
            self.check_step_name(name, key.place)
        saves = {name: _saved_names(node) for name, _, node in mapping.items()}
        names = Names(picks=frozenset(self.picks), saves=saves, zone=self.zone, tables=self.tables)
        steps: dict[str, Step] = {}
        for name, key, node in mapping.items():
            step = StepReader(reader, names, self.retries, tuple(mapping.values)).read(name, key.place, node)
            if step is not None:
                steps[name] = step
                self.used |= step_roots(step)
        needs = {name: step.needs for name, step in steps.items()}
        if found := circle(needs):
            reader.error(
                mapping.keys[found[0]].place,
                f"these steps wait for each other in a circle: {' → '.join(found)}",
                "circle",
            )
            return steps
        return {name: steps[name] for name in in_order(needs)}

    def check_step_name(self, name: str, place: Place) -> None:
        if name in self.picks:
            message = f"`{name}` is picked already: a step and a picked value can't share a name"
            self.reader.error(place, message, "wrong-name")
        elif name in RESERVED:
            self.reader.error(
                place, f"`{name}` always means the relay's own `${name}`: choose another name", "wrong-name"
            )
        elif not re.match(r"^[^\W\d][\w-]{0,99}$", name):
            self.reader.error(place, "the name of a step is letters, digits, `_` and `-`", "wrong-name")

    def read_tests(self, steps: dict[str, Step], respond: Respond | None) -> tuple[RecipeTest, ...]:
        tests = []
        for node in self.reader.items(self.root.get("tests"), "`tests`"):
            mapping = self.reader.mapping(node, "a test")
            if mapping is not None and (test := self.read_test(mapping, steps, respond)) is not None:
                tests.append(test)
        return tuple(tests)

    def read_test(self, node: Mapping, steps: dict[str, Step], respond: Respond | None) -> RecipeTest | None:
        reader = self.reader
        reader.known_keys(node, TEST_KEYS)
        name = reader.text(reader.required(node, "name", "say what the test shows"), "name")
        event = reader.text(reader.required(node, "event", "name a file, such as samples/chat.json"), "event")
        answer = node.get("answer")
        if answer is not None and respond is None:
            reader.error(node.keys["answer"].place, "`answer` is what `respond` gives, and the recipe has no `respond`")
        expect = node.get("expect")
        if expect is None and answer is None:
            expect = reader.required(node, "expect", "say what is sent, or `skipped`")
        change = self.read_change(node)
        replies = reader.mapping(node.get("replies"), "`replies`")
        for mapping in (replies, expect if isinstance(expect, Mapping) else None):
            if mapping is not None:
                reader.known_keys(mapping, steps or mapping.values, what="step")
        if expect is not None and not isinstance(expect, Mapping) and yaml_tree.plain(expect) != "skipped":
            reader.error(expect.place, "`expect` is `skipped`, or steps and what they send", "wrong-value")
        if name is None or event is None or (expect is None and answer is None):
            return None
        return RecipeTest(
            name=name,
            place=node.place,
            event=event,
            change=change,
            replies={step: yaml_tree.plain(reply) for step, _, reply in replies.items()} if replies else {},
            expect=expect,
            headers={key.lower(): value for key, value in reader.texts(node.get("headers"), "headers").items()},
            query=reader.texts(node.get("query"), "query"),
            answer=answer,
        )

    def read_change(self, node: Mapping) -> dict[str, JSON]:
        mapping = self.reader.mapping(node.get("change"), "`change`")
        change = {}
        for path, key, value in mapping.items() if mapping is not None else ():
            with self.reader.noting(key.place, "expression"):
                expression = compile_expression(path, key.place, at=key.at) if path.startswith("$") else None
                if expression is None or not expression.is_path or expression.refs[0].root:
                    raise ConfigError(
                        "a change is made at a path into the body, such as $.conversation.rating", key.place
                    )
                change[path] = yaml_tree.plain(value)
        return change

    def warn(self, steps: Map[str, Step], tests: tuple[RecipeTest, ...]) -> None:
        if not tests and "tests" not in self.root:
            self.reader.warning(self.root.place, "the recipe has no tests", "no-tests")
        if self.reader.has_errors:
            # What couldn't be read may well use what seems unused.
            return
        mapping = self.root.get("pick")
        for name in self.picks:
            if name not in self.used and isinstance(mapping, Mapping):
                self.reader.warning(mapping.keys[name].place, f"`{name}` is picked, and nothing uses it", "unused-pick")
        names = {*self.picks, *BUILT_IN, *WITHIN, *(name for name, step in steps.items() if step.save)}
        for node in (mapping, *(step.with_node for step in steps.values())):
            for place, message in stray_paths(node, names) if node is not None else ():
                self.reader.warning(place, message, "sent-as-text")


def _saved_names(step: Node) -> tuple[str, ...]:
    save = step.get("save") if isinstance(step, Mapping) else None
    return tuple(save.values) if isinstance(save, Mapping) else ()
