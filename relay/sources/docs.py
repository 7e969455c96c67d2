"""What the docs say of sources and presets, made from the declarations; a test proves the pages current.

docs/presets.md is all of it: `python -m relay.sources.docs > docs/presets.md` renews it. The tables of docs/sources.md
stand between markers, and `generated` makes them anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from relay.sources.config import SourceConfig
from relay.sources.presets import PRESETS, Preset
from relay.sources.words import (
    address_with_proof,
    answer_words,
    example,
    example_verify,
    handshake_words,
    in_short,
    patience_words,
    placed,
    sends_briefly,
    snippet,
    waits_words,
    ways,
)
from relay.units import format_duration, format_size

#: A marker, what is generated, and the end marker.
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_HOST = "https://relay.example.org"

_HEAD = f"""# Presets

Made from the presets' own declarations, one file each in `relay/sources/presets/vendors/`. `relay sources show NAME`
prints the same for a source of yours, with your address in it. What a preset brings, and what a source can say beside
it, is told in [Sources](sources.md#presets).

`{_HOST}` stands for the address at which senders find your relay, and `${{…}}` for a secret: in
relay.yaml it is written like that; at the vendor's, the secret itself is pasted.

Where a vendor publishes nothing, it says so here, and how the relay does without it. *Operator-defined* is what you
write yourself in the vendor's settings: no two accounts send the same.

## What each was verified against

"""


def presets_page() -> str:
    """docs/presets.md, whole."""
    rows = [(_link(preset, ""), _ended(preset.proof) or "–", _ended(_tried(preset))) for preset in PRESETS.values()]
    table = _table(("preset", "how it is verified was tried against", "its handshake was tried"), rows)
    return _HEAD + table + "".join(_section(preset) for preset in PRESETS.values())


def presets_table() -> str:
    rows = [_preset_row(preset) for preset in PRESETS.values()]
    return _table(("preset", "sends", "verified by", "asks first", "waits", "without an answer"), rows)


def source_table() -> str:
    """Every key of a source."""
    rows: list[tuple[str, ...]] = []
    for name, key in SourceConfig.model_fields.items():
        rows.append((f"`{name}`", key.description or "", _default(name, key.default)))
    return _table(("key", "what it says", "without it"), rows)


def generated(page: str) -> str:
    """The page with each of its tables made anew."""
    tables = {"presets": presets_table, "source": source_table}
    return _BLOCK.sub(lambda match: f"{match[1]}{tables[match[2]]()}{match[3]}", page)


def _default(name: str, value: Any) -> str:
    match name:
        case "duplicates":
            return f"`{format_duration(value)}`"
        case "max_body":
            return f"`{format_size(value)}`"
        case "methods":
            return f"`[{', '.join(value)}]`"
        case "decode":
            return f"`{value}`"
        case "limit":
            return "no limit"
        case _:
            return ""


# -- the overview


def _preset_row(preset: Preset) -> tuple[str, ...]:
    sends = sends_briefly(preset)
    return (
        _link(preset, "presets.md"),
        f"{sends}; many at once" if preset.split else sends,
        _verified_by(preset),
        handshake_words(preset) or "–",
        waits_words(preset) or "–",
        patience_words(preset) or "–",
    )


def _verified_by(preset: Preset) -> str:
    return in_short(preset.verify) + (f", and {in_short(preset.kept)}" if preset.kept else "")


def _link(preset: Preset, page: str) -> str:
    return f"[`{preset.name}`]({page}#{preset.name})"


def _tried(preset: Preset) -> str:
    return preset.tried or ("–" if handshake_words(preset) else "it has none")


# -- one preset in words


def _section(preset: Preset) -> str:
    return "\n".join(["", f"## {preset.name}", "", *_paragraphs(preset), ""])


def _paragraphs(preset: Preset) -> Iterator[str]:
    verify = example_verify(preset)
    names = [name for way in ways(verify) for name in way.secrets]
    secret, url = (names[0] if names else ""), address_with_proof(f"{_HOST}/in/{preset.name}", verify)
    page = f" ([{_host(preset.page)}]({preset.page}))" if preset.page.startswith("http") else ""
    yield f"{preset.vendor}{page} sends {_ended(preset.sends)}."
    yield f"\n```yaml\n{snippet(preset.name, example(preset))}```\n"
    if preset.setup:
        yield "What to do there:\n"
        for number, step in enumerate(preset.setup, 1):
            yield f"{number}. {_filled(step, url, secret)}"
        yield ""
    else:
        yield f"The address to paste there is `{url}`.\n"
    for label, text in _facts(preset, secret):
        yield f"- **{label}**: {text}."
    if preset.script:
        language = "sh" if preset.script.startswith("curl ") else "js"
        yield f"\nTo paste there:\n\n```{language}\n{placed(preset.script, url, secret).strip()}\n```"


def _facts(preset: Preset, secret: str) -> Iterator[tuple[str, str]]:
    if preset.methods is None:
        yield "Method", "any"
    elif preset.methods != ("POST",):
        yield "Method", " or ".join(preset.methods)
    yield "Proved by", "; or ".join(way.long for way in ways(preset.verify))
    if preset.kept:
        yield "And by", f"{' or '.join(way.long for way in ways(preset.kept))}; the secret comes with its handshake"
    yield f"`{secret}`" if secret else "The secret", _ended(preset.asks_for)
    if preset.types:
        yield "Events", ", ".join(f"`{name}`" for name in preset.types)
    if preset.split:
        yield "Many at once", f"each item of `{preset.split}` is an event of its own"
    for label, text in (("Type", preset.event_type), ("Id", preset.event_id), ("Time", preset.event_time)):
        if text:
            yield label, f"`{text}`"
    if not preset.event_id:
        yield "Id", "none that is the same for a repeat and different for another event"
    yield "Handshake", _ended(handshake_words(preset)) or "none"
    yield "Answer", answer_words(preset.answer)
    if preset.answer_in:
        yield "Waits", f"{waits_words(preset)} for the answer"
    if preset.retries:
        yield "Without one", _ended(preset.retries)
    if preset.gives_up:
        yield "Gives up", _ended(preset.gives_up)


def _host(page: str) -> str:
    return page.partition("//")[2].partition("/")[0]


def _ended(text: str) -> str:
    """Without its full stop: one follows."""
    return text.rstrip(". ")


def _filled(step: str, url: str, secret: str) -> str:
    """A step with address and secret in it, as code; what stands in backticks already is code."""

    def as_code(text: str) -> str:
        return re.sub(r"[^\s(]*\{(?:url|secret)\}(?:[^\s),;.:]|[.,:](?=\S))*", lambda found: f"`{found[0]}`", text)

    pieces = step.split("`")
    marked = "`".join(piece if place % 2 else as_code(piece) for place, piece in enumerate(pieces))
    return placed(marked, url, secret)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(presets_page())
