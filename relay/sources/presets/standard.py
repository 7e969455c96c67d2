"""The scheme that several vendors share."""

from __future__ import annotations

from typing import Any

from relay.sources.presets.preset import FILL_IN


def standard_webhooks(names: str) -> dict[str, Any]:
    """github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md; other versions than v1 are skipped."""
    return {
        "hmac": {
            "header": f"{names}-signature",
            "secret": FILL_IN,
            "secret_prefix": "whsec_",
            "secret_encoding": "base64",
            "encoding": "base64",
            "prefix": "v1,",
            "separator": " ",
            "signed": f"{{header:{names}-id}}.{{timestamp}}.{{body}}",
            "timestamp": {"header": f"{names}-timestamp", "tolerance": "5m"},
        }
    }
