"""`respond:` — what the sender is answered, from what the steps have saved."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from relay.errors import Place, RecipeError
from relay.jsontext import dumps
from relay.model import JSON
from relay.recipes.filters import FILTERS
from relay.recipes.names import Names
from relay.recipes.operators import to_text
from relay.recipes.reader import Reader
from relay.recipes.render import Value, compile_value, is_expression
from relay.recipes.scope import Scope
from relay.recipes.words import kind_of
from relay.recipes.yaml_tree import Mapping, Node, Scalar, plain

Form = Literal["json", "xml", "form", "text"]

KEYS = ("wait", "as", "root", "status", "headers", "keep_empty", "body", "late")
LATE_KEYS = ("status", "body")

DEFAULT_WAIT = timedelta(seconds=8)

#: Senders give up after some ten seconds, proxies in between after a minute.
_LONGEST = timedelta(minutes=1)

CONTENT_TYPES: dict[str, str] = {
    "json": "application/json",
    "xml": "application/xml; charset=utf-8",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}

#: HTTP gives these no body: what is sent all the same is taken for the beginning of the next answer.
BODILESS = (204, 205, 304)

_NOTHING = Value(lambda values: None, (), True)


@dataclass(frozen=True, slots=True)
class SenderAnswer:
    """What goes back to the sender."""

    status: int
    content_type: str
    body: bytes
    headers: Map[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Respond:
    """An answer to the sender, made when the steps that it uses have been delivered.

    wait   how long the sender is kept waiting for them
    uses   these steps
    hard   of these, the ones whose values it can't do without
    late   the answer where they were not delivered in time, or failed, or were skipped
    """

    wait: timedelta
    form: Form
    root: str
    status: int
    headers: Map[str, Value]
    body: Value
    late_status: int
    late_body: Value
    uses: tuple[str, ...]
    hard: frozenset[str]
    place: Place

    def answer(self, scope: Scope) -> SenderAnswer:
        """Raises RecipeError."""
        headers = {}
        for name, value in self.headers.items():
            headers[name] = self._header(name, to_text(value.run(scope.values)))
        return replace(self._written(self.status, self.body.run(scope.values)), headers=headers)

    def late(self, scope: Scope) -> SenderAnswer:
        """Raises RecipeError."""
        return self._written(self.late_status, self.late_body.run(scope.values))

    def _header(self, name: str, text: str) -> str:
        """Raises RecipeError."""
        for character in text:
            code = ord(character)
            if code < 32 or code == 127:
                raise RecipeError(f"the header {name} would hold a line break or another control character", self.place)
            if code > 255:
                shown = character if character.isprintable() else f"U+{code:04X}"
                message = f"the header {name} would hold `{shown}`, and a header holds Western European letters only"
                raise RecipeError(f"{message}; put it into the body, or write `| url_encode` behind it", self.place)
        return text

    def _written(self, status: int, body: JSON) -> SenderAnswer:
        if status in BODILESS:
            return SenderAnswer(status, CONTENT_TYPES[self.form], b"")
        try:
            content = _encoded(self.form, body, self.root)
        except ValueError as error:
            raise RecipeError(f"respond: {error}", self.place) from error
        return SenderAnswer(status, CONTENT_TYPES[self.form], content)


def _encoded(form: Form, body: JSON, root: str) -> bytes:
    """Raises ValueError."""
    if form == "json":
        return dumps(body)
    if form == "text":
        return b"" if body is None else to_text(body).encode("utf-8", "replace")
    if body is None:
        return b""
    if form == "xml":
        return str(FILTERS["xml"].run(body, root)).encode("utf-8", "replace")
    if not isinstance(body, dict):
        raise ValueError(f"a form is written as `name: value`, and this is {kind_of(body)}")
    return urlencode([pair for name, value in body.items() for pair in _pairs(name, value)]).encode()


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    """A list repeats its name."""
    if isinstance(value, list):
        return [pair for one in value for pair in _pairs(name, one)]
    return [(name, "" if value is None else to_text(value).encode("utf-8", "replace").decode())]


def read_respond(reader: Reader, node: Node | None, names: Names) -> Respond | None:
    """None where there is none."""
    mapping = reader.mapping(node, "`respond`")
    if mapping is None:
        return None
    reader.known_keys(mapping, KEYS)
    wait = reader.duration(mapping.get("wait"), DEFAULT_WAIT)
    if wait > _LONGEST:
        reader.error(mapping.values["wait"].place, "a sender is kept waiting for at most 1m")
    form: Any = reader.choice(mapping.get("as"), "as", tuple(CONTENT_TYPES))
    keep_empty = reader.boolean(mapping.get("keep_empty"), "keep_empty")
    body = _body(reader, mapping, form, names, keep_empty=keep_empty)
    status = _status(reader, mapping, 200)
    late_status = 202
    late = reader.mapping(mapping.get("late"), "`late`")
    late_body = Value(lambda values: {"status": "pending"} if form != "text" else "pending", (), True)
    if late is not None:
        reader.known_keys(late, LATE_KEYS)
        late_body = _late_body(reader, late, form, names, keep_empty=keep_empty)
        late_status = _status(reader, late, late_status)
    headers = _headers(reader, mapping.get("headers"), names)
    used = [ref for value in (body, *headers.values()) for ref in value.refs if ref.root in names.saves]
    return Respond(
        wait=wait,
        form=form,
        root=reader.text(mapping.get("root"), "root") or "response",
        status=status,
        headers=headers,
        body=body,
        late_status=late_status,
        late_body=late_body,
        uses=tuple(dict.fromkeys(ref.root for ref in used)),
        hard=frozenset(ref.root for ref in used if not ref.optional),
        place=mapping.place,
    )


def _body(reader: Reader, mapping: Mapping, form: Form, names: Names, *, keep_empty: bool) -> Value:
    node = mapping.get("body")
    if node is None:
        return _NOTHING
    if form in ("xml", "form") and not isinstance(node, Mapping) and not _may_be_object(node):
        reader.error(node.place, f"a body `as: {form}` is written as `name: value`")
    if form == "text" and not isinstance(node, Scalar):
        reader.error(node.place, 'a body `as: text` is one text, such as "Thank you, {{ $name }}"')
    value = reader.compiled(node.place, lambda: compile_value(node, names, keep_empty=keep_empty))
    return value or _NOTHING


def _may_be_object(node: Node) -> bool:
    """An expression may give one."""
    return isinstance(node, Scalar) and is_expression(node.text)


def _late_body(reader: Reader, late: Mapping, form: Form, names: Names, *, keep_empty: bool) -> Value:
    value = _body(reader, late, form, names, keep_empty=keep_empty)
    for ref in value.refs:
        if ref.root in names.saves:
            message = f"`late` is answered without the steps: it can't use what `{ref.root}` saves"
            reader.error(ref.place, message)
    return value


def _headers(reader: Reader, node: Node | None, names: Names) -> dict[str, Value]:
    mapping = reader.mapping(node, "`headers`")
    found = {}
    for name, key, value in mapping.items() if mapping is not None else ():
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            reader.error(key.place, f"`{name}` can't be the name of a header: letters, digits and `-`")
        elif name.lower() in ("content-length", "content-type", "transfer-encoding", "connection"):
            reader.error(key.place, f"the header {name} comes from `as`; leave it out")
        else:
            compiled = reader.compiled(value.place, lambda value=value: compile_value(value, names))  # type: ignore[misc]
            found[name] = compiled or _NOTHING
    return found


def _status(reader: Reader, mapping: Mapping, default: int) -> int:
    """The status that is written beside a body."""
    node = mapping.get("status")
    if node is None:
        return default
    status = plain(node)
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        reader.error(node.place, "a status is a number from 200 to 599")
        return default
    if status == 410:
        reader.error(node.place, "410 makes senders switch their webhook off; choose another status")
    if status in BODILESS and "body" in mapping.values:
        message = (
            f"an answer with the status {status} has no body; leave `body` out, or choose another status, such as 200"
        )
        reader.error(mapping.values["body"].place, message)
    return status
