"""How a source proves itself, what its vendor hears and what to write in relay.yaml, in words.

It is made from `verify` as it is written, in relay.yaml or in a preset: a secret is only ever known by its name. What
is code stands in backticks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.preset import Preset, filled
from relay.units import format_duration

REFERENCE = re.compile(r"\$\{([^{}]*)\}")

#: In place of a secret that stands in relay.yaml itself.
IN_CLEAR = "(in clear in relay.yaml)"

#: What our own answer is, where a vendor doesn't want another.
OUR_ANSWER = "202, with the event's id as JSON"

#: The part of what is signed that a relay alone can't tell: the address as the sender called it.
_SIGNED_ADDRESS = ("{url}", "{path}")


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which a request may prove itself.

    kind     header, query, path_token, basic, bearer, field, hmac, digest, ecdsa, ip_allow, none
    name     of the header, parameter, field or user
    secrets  as they are written: `${NAME}`, `${file:path}`
    short    a few words; `long` says all of it
    address  whether the address that was called is signed as well
    """

    kind: str
    name: str = ""
    secrets: tuple[str, ...] = ()
    short: str = ""
    long: str = ""
    address: bool = False


def ways(verify: Any) -> tuple[Way, ...]:
    """One of them suffices; none at all where `verify` is missing, or nothing that is known."""
    if verify == "none":
        return (Way("none", short="nothing", long="nothing: whoever knows the address is believed"),)
    if not isinstance(verify, Mapping):
        return ()
    if isinstance(verify.get("any"), list | tuple):
        found = [way for one in verify["any"] for way in ways(one)]
    else:
        found = list(_of(verify))
    networks = verify.get("ip_allow")
    if networks is None:
        return tuple(found)
    addresses = f"an address within {_joined(f'`{one}`' for one in _list(networks))}"
    if not found:
        return (Way("ip_allow", short=addresses, long=f"comes from {addresses}"),)
    return tuple(_from_addresses(way, addresses) for way in found)


def in_short(verify: Any) -> str:
    return " or ".join(dict.fromkeys(way.short for way in ways(verify)))


def spelled(secret: Any) -> str:
    """A secret's name as it is written. What isn't a name is never shown."""
    text = secret.strip() if isinstance(secret, str) else ""
    return text if REFERENCE.fullmatch(text) else IN_CLEAR


def answer_words(answer: HandshakeReply | None) -> str:
    if answer is None:
        return OUR_ANSWER
    if not answer.body:
        return f"{answer.status}, empty"
    return f"{answer.status} {answer.content_type}: `{answer.body.decode(errors='replace')}`"


def handshake_words(preset: Preset) -> str:
    """ "" where the vendor asks nothing before it sends events."""
    if preset.handshake_note:
        return preset.handshake_note
    asks = preset.handshake is not None or preset.greeting is not None
    return "the relay answers it by itself" if asks else ""


def patience_words(preset: Preset) -> str:
    """What the vendor does without an answer, and when it gives up."""
    both = (preset.retries, "" if preset.gives_up in preset.retries else preset.gives_up)
    return "; ".join(words for words in both if words)


def sends_briefly(preset: Preset) -> str:
    """Without what is said of it behind a comma: `JSON, as its Payload Type says` is JSON."""
    return re.split(r"[:;]|, (?:as|when|with|made) ", preset.sends)[0]


def waits_words(preset: Preset) -> str:
    return format_duration(preset.answer_in) if preset.answer_in else ""


def default_env(name: str, what: str = "SECRET") -> str:
    """The variable that examples use: `standard-webhooks` has `STANDARD_WEBHOOKS_SECRET`."""
    return f"${{{re.sub(r'[^A-Z0-9]+', '_', name.upper())}_{what}}}"


def example(preset: Preset) -> dict[str, Any]:
    """What a source of this preset says in relay.yaml."""
    secret = default_env(preset.name)
    if preset.example is not None:
        return {"preset": preset.name, **filled(dict(preset.example), secret)}
    return {"preset": preset.name, "secret": secret}


def example_verify(preset: Preset) -> Any:
    """How the example is verified, its secrets by their names."""
    return verify_of(example(preset))


def verify_of(written: Mapping[str, Any]) -> Any:
    """`verify` as it holds for a source as relay.yaml writes it, with the preset's own where it brings one."""
    from relay.sources.presets import PRESETS

    if written.get("verify") is not None:
        return written["verify"]
    preset = PRESETS.get(str(written.get("preset")))
    if preset is None or written.get("secret") is None:
        return None
    return preset.verify_with(written["secret"])


def address_by(url: str, way: Way) -> str:
    """The address to paste for one way: with its token or its parameter, by the secret's name."""
    if way.kind == "path_token" and way.secrets:
        return f"{url}/{way.secrets[0]}"
    if way.kind == "query" and way.secrets:
        return f"{url}?{way.name}={way.secrets[0]}"
    return url


def address_with_proof(url: str, verify: Any) -> str:
    """The same for the first of the ways."""
    return next((address_by(url, way) for way in ways(verify)), url)


def steps(preset: Preset, url: str, secret: str) -> list[str]:
    """What to do at the vendor's."""
    return [placed(step, url, secret) for step in preset.setup]


def placed(text: str, url: str, secret: str) -> str:
    """`{url}` and `{secret}` filled in; the `${url}` of a script is the script's own."""
    for name, value in (("url", url), ("secret", secret)):
        text = re.sub(rf"(?<!\$)\{{{name}\}}", lambda _, value=value: value, text)  # type: ignore[misc]
    return text


def snippet(name: str, written: Mapping[str, Any]) -> str:
    """A source as relay.yaml has it."""
    return "sources:\n" + "".join(_lines(name, written, 2))


# -- the ways


def _of(verify: Mapping[str, Any]) -> Iterator[Way]:
    if "header" in verify:
        name = str(verify["header"])
        yield Way(
            "header", name, _names(verify, "equals"), f"the header `{name}`", f"the header `{name}` holds the secret"
        )
    elif "query" in verify:
        name = str(verify["query"])
        words = f"the query parameter `{name}`"
        yield Way("query", name, _names(verify, "equals"), words, f"{words} holds the secret")
    elif "field" in verify:
        name = str(verify["field"])
        words = f"`{name}` of the body"
        yield Way("field", name, _names(verify, "equals"), words, f"{words} equals the secret")
    elif "token" in verify or "path_token" in verify:
        secrets = _names(verify, "path_token" if "path_token" in verify else "token")
        yield Way("path_token", "", secrets, "a token in the address", "the address ends with the secret")
    elif "bearer" in verify:
        words = "`Authorization: Bearer …`"
        yield Way("bearer", "", _names(verify, "bearer"), words, f"the header {words} holds the secret")
    elif isinstance(verify.get("basic"), Mapping):
        user = str(verify["basic"].get("username", ""))
        words = f"HTTP Basic, user `{user}`"
        yield Way("basic", user, _names(verify["basic"], "password"), words, f"{words}, with the secret as password")
    else:
        for kind in ("hmac", "digest", "ecdsa"):
            if isinstance(verify.get(kind), Mapping):
                yield _signature(kind, verify[kind])


def _signature(kind: str, settings: Mapping[str, Any]) -> Way:
    place = settings.get("header") or settings.get("body") or ""
    default = {"hmac": "{body}", "digest": "{secret}{body}", "ecdsa": "{timestamp}{body}"}[kind]
    signed = str(settings.get("signed", default))
    hash_name = str(settings.get("algorithm", "sha256")).upper()
    maker = {"hmac": f"HMAC-{hash_name}", "digest": f"a plain {hash_name}", "ecdsa": "ECDSA P-256"}[kind]
    timestamp = settings.get("timestamp")
    tolerance = str(timestamp.get("tolerance", "5m")) if isinstance(timestamp, Mapping) else ""
    where = f"`{place}`" + (" of the body" if "header" not in settings and place else "")
    over = "the body" if signed == "{body}" else f"`{signed}`"
    written = str(settings.get("encoding", "base64" if kind == "ecdsa" else "hex"))
    before = f", after `{settings['prefix']}`" if settings.get("prefix") else ""
    fresh = f", not older than {tolerance}" if tolerance else ""
    return Way(
        kind,
        str(place),
        _names(settings, "public_key" if kind == "ecdsa" else "secret"),
        f"{where}, {maker}{fresh}",
        f"{where} holds the signature: {maker} of {over}, in {written}{before}{fresh}",
        any(part in signed for part in _SIGNED_ADDRESS),
    )


def _from_addresses(way: Way, addresses: str) -> Way:
    return Way(
        way.kind,
        way.name,
        way.secrets,
        f"{way.short}, from {addresses}",
        f"{way.long}, and it comes from {addresses}",
        way.address,
    )


def _names(verify: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(spelled(one) for one in _list(verify.get(key)))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _joined(words: Iterable[str]) -> str:
    return " or ".join(words)


# -- YAML, as the other examples have it: double quotes, and braces where a line has room

_WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z$/][A-Za-z0-9 ._/$-]*(?<! )")
_NOT_TEXT = frozenset({"true", "false", "null", "none", "yes", "no", "on", "off", "~"})


def _lines(key: str, value: Any, indent: int) -> Iterator[str]:
    line = f"{' ' * indent}{key}: {_flow(value)}\n"
    if not isinstance(value, Mapping) or len(line) <= _WIDTH:
        yield line
        return
    yield f"{' ' * indent}{key}:\n"
    for inner, each in value.items():
        yield from _lines(str(inner), each, indent + 2)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        is_plain = value == "none" or (_PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT)
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
