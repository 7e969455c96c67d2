"""The tables of docs/sources.md, made from the declarations; a test proves the page current."""

from __future__ import annotations

import re
from typing import Any

from relay.sources.config import SourceConfig
from relay.sources.presets import PRESETS, Preset
from relay.units import format_duration, format_size

#: A marker, what is generated, and the end marker.
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def presets_table() -> str:
    rows = [_preset_row(preset) for preset in PRESETS.values()]
    return _table(("preset", "verified by", "`event_id`", "`event_type`", "answers", "waits", "repeats"), rows)


def source_table() -> str:
    """Every key of a source but `verify`, which has a chapter of its own."""
    rows: list[tuple[str, ...]] = []
    for name, key in SourceConfig.model_fields.items():
        default = "" if key.default is None else _default(name, key.default)
        rows.append((f"`{name}`", key.description or "", default))
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
        case _:
            return f"`{value}`"


def _preset_row(preset: Preset) -> tuple[str, ...]:
    return (
        f"`{preset.name}` ({preset.vendor})" if preset.name != preset.vendor.lower() else f"`{preset.name}`",
        _verified_by(preset),
        _code(preset.event_id),
        _code(preset.event_type),
        preset.handshake_note or "–",
        format_duration(preset.answer_in) if preset.answer_in else "–",
        preset.retries or "–",
    )


def _verified_by(preset: Preset) -> str:
    if preset.verify is None:
        return preset.asks_for
    settings = preset.verify["hmac"]
    tolerance = settings.get("timestamp", {}).get("tolerance")
    how = f"`{settings['header']}`, HMAC-{settings.get('algorithm', 'sha256').upper()}"
    within = f", not older than {tolerance}" if tolerance else ""
    return f"{how}{within}; `secret`: {preset.asks_for}"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "–"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
