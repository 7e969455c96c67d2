"""What the relay knows of vendors, by name. To add one, declare it in `table.py`."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset
from relay.sources.presets.table import TABLE

PRESETS: dict[str, Preset] = {preset.name: preset for preset in TABLE}

__all__ = ["FILL_IN", "PRESETS", "Preset"]
