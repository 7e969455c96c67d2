"""Secrets that stand in a file as they are: by the name of their key, or because text of that shape is nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from relay.errors import Place
from relay.recipes.render import is_dynamic
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence

#: What a key's letters and digits are, or end in, where its value is a credential.
_NAMES = re.compile(
    r"(?:^(?:proxy)?authorization$|^cookie$|(?:apikey|accesskey|secretkey|privatekey|signingkey|token|secret|password|"
    r"passwd|passphrase|credential|credentials)$)"
)
#: Text under such a key that says how rather than what, or stands for nothing.
_NO_SECRET = re.compile(r"^(?:.{0,5}|basic|bearer|none|required|optional|x+|\*+|\.+|…)$", re.IGNORECASE)

#: Vendor, and what its keys look like, from the vendors' own documentation of their prefixes.
_SHAPES = {
    "a live key of Stripe": r"\b[sr]k_live_[0-9A-Za-z]{10,}",
    "a token of Slack": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "the address of a Slack webhook": r"\bhooks\.slack\.com/services/T[0-9A-Z]{6,}/B[0-9A-Z]{6,}/[0-9A-Za-z]{16,}",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[0-9A-Za-z]{20,}|github_pat_[0-9A-Za-z_]{20,})",
    "a token of GitLab": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a key of SendGrid": r"\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}",
    "a key of Google": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a token of Shopify": r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b",
    "a webhook's signing secret": r"\bwhsec_[0-9A-Za-z+/]{20,}",
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----",
    "a signed token (JWT)": r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'{}$]+:[^\s/@\"'{}$]{4,}@",
}
_ANY_SHAPE = re.compile("|".join(f"(?P<s{number}>{shape})" for number, shape in enumerate(_SHAPES.values())))

#: In a recipe, and in relay.yaml.
REMEDY = "put it into relay.yaml, at the connection, as ${NAME}"
IN_RELAY_YAML = "put it into the environment as ${NAME}"


def named_secrets(node: Node, remedy: str = REMEDY) -> Iterator[tuple[Place, str]]:
    """Constant text under a key such as `Authorization` or `api_key`."""
    match node:
        case Mapping():
            for key, _, value in node.items():
                if isinstance(value, Scalar) and _is_secret(key, value):
                    yield value.place, f"`{key}` looks like a secret written in clear: {remedy}"
                else:
                    yield from named_secrets(value, remedy)
        case Sequence():
            for item in node.items:
                yield from named_secrets(item, remedy)


def _is_secret(key: str, value: Scalar) -> bool:
    letters = "".join(character for character in key.lower() if character.isalnum())
    if not _NAMES.search(letters) or not isinstance(value.value, str) or is_dynamic(value) or "${" in value.text:
        return False
    return not _NO_SECRET.match(value.text.strip())


def shaped_secrets(text: str, file: str, remedy: str = REMEDY) -> Iterator[tuple[Place, str]]:
    """Text of a well-known shape, anywhere in a file."""
    for number, line in enumerate(text.splitlines(), 1):
        # Every shape has one of these; most lines have none.
        if any(sign in line for sign in ("_", "-", "AKIA", "ASIA", "AIza", "SG.", "://", "slack.com", "eyJ")):
            for found in _ANY_SHAPE.finditer(line):
                name = list(_SHAPES)[int((found.lastgroup or "s0")[1:])]
                yield Place(file, number, found.start() + 1), f"this looks like {name}, written in clear: {remedy}"
