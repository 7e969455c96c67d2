"""One module a vendor, each with its `PRESET`; `relay.sources.presets` finds them."""
