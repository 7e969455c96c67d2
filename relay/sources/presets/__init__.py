"""What the relay knows of vendors, by name. To add one, put a module with its `PRESET` into `vendors/`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from relay.sources.presets import vendors
from relay.sources.presets.preset import FILL_IN, Preset, filled

_FOUND: tuple[Preset, ...] = tuple(
    import_module(f"{vendors.__name__}.{module.name}").PRESET for module in pkgutil.iter_modules(vendors.__path__)
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in sorted(_FOUND, key=lambda preset: preset.name)}

__all__ = ["FILL_IN", "PRESETS", "Preset", "filled"]
