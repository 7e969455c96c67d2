"""`${NAME}` and `${file:path}` of relay.yaml: the environment, and files beside it (Docker secrets)."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.errors import Place, UnsetSecretError
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence
from relay.sources.fields import STAND_IN

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

#: A credential is not longer; what is was named by mistake.
_MAX_BYTES = 1_000_000


@dataclass
class Resolver:
    """Fills in references. What is unset is noted, and a stand-in put in its place."""

    folder: Path
    env: Map[str, str]
    unset: list[UnsetSecretError] = field(default_factory=list)
    nodes: set[int] = field(default_factory=set)

    def resolve(self, node: Node) -> Any:
        match node:
            case Scalar():
                return self._scalar(node)
            case Mapping():
                return {key: self.resolve(value) for key, value in node.values.items()}
            case Sequence():
                return [self.resolve(item) for item in node.items]
        raise AssertionError(node)

    def is_unset(self, node: Node) -> bool:
        """Whether the node or a part of it lacks its value."""
        match node:
            case Mapping():
                return any(self.is_unset(value) for value in node.values.values())
            case Sequence():
                return any(self.is_unset(item) for item in node.items)
            case _:
                return id(node) in self.nodes

    def _scalar(self, node: Scalar) -> Any:
        if not isinstance(node.value, str) or "${" not in node.text:
            return node.value

        def value_of(match: re.Match[str]) -> str:
            place = node.at(match.start())
            try:
                return self._value(match[1].strip(), place)
            except UnsetSecretError as error:
                self.unset.append(error)
                self.nodes.add(id(node))
                return STAND_IN

        return _REFERENCE.sub(value_of, node.text)

    def _value(self, name: str, place: Place) -> str:
        if name.startswith("file:"):
            return self._file(name.removeprefix("file:").strip(), place)
        if not _NAME.match(name):
            raise UnsetSecretError(f"${{{name}}} is neither the name of a setting nor ${{file:path}}", place)
        value = self.env.get(name)
        if not value:
            what = "is empty" if value is not None else "isn't set"
            raise UnsetSecretError(f"${{{name}}} {what}: set {name} in the relay's environment", place)
        return value

    def _file(self, name: str, place: Place) -> str:
        try:
            content = (self.folder / name).read_bytes()[: _MAX_BYTES + 1]
            if len(content) > _MAX_BYTES:
                raise UnsetSecretError(f"${{file:{name}}} is larger than {_MAX_BYTES} bytes", place)
            # Editors end a file with a line break; no secret does.
            text = content.decode().rstrip("\r\n")
        except FileNotFoundError:
            raise UnsetSecretError(f"${{file:{name}}} isn't there: put the file into {self.folder}", place) from None
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it isn't text"
            raise UnsetSecretError(f"${{file:{name}}} can't be read: {reason}", place) from None
        if not text:
            raise UnsetSecretError(f"${{file:{name}}} is empty", place)
        return text
