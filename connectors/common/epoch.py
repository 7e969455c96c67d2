"""How long to wait, where a vendor names the moment in seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.common.api import Said


def until(said: Said, header: str) -> timedelta | None:
    """None where the header can't be read, or where there is a Retry-After, which the base reads."""
    moment = said.header(header) or ""
    if said.header("retry-after") or not (moment.isascii() and moment.isdigit() and len(moment) <= 10):
        return None
    return max(datetime.fromtimestamp(int(moment), UTC) - datetime.now(UTC), timedelta(0))
