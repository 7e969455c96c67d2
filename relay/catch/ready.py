"""A source, ready to catch."""

from __future__ import annotations

from collections.abc import Mapping

from relay.messages import CaughtPayload
from relay.recipes import Source
from relay.sources.config import SourceConfig
from relay.sources.limiter import Limiter
from relay.sources.redact import Redactor
from relay.sources.split import Split
from relay.sources.verify import Verifier, which
from relay.store import source_lane


class ReadySource:
    """A source, with everything worked out that does not change from request to request."""

    __slots__ = (
        "_marks",
        "asks",
        "config",
        "greets",
        "limiter",
        "payload",
        "reads_body",
        "redactor",
        "rings",
        "source",
        "split",
        "verifier",
    )

    def __init__(self, source: Source, config: SourceConfig, *, rings: bool) -> None:
        self.source = source
        self.config = config
        self.verifier = Verifier(config)
        self.payload = CaughtPayload(source_lane(source.name))
        self.asks = config.known is not None and (config.known.handshake is not None or config.known.kept is not None)
        self.reads_body = source.event_id is not None or config.split is not None or self.asks
        self.split = Split.of(config.split) if config.split is not None else None
        self.limiter = Limiter(config.limit) if config.limit.rate or config.limit.per_address else None
        self.redactor = Redactor(config)
        self.rings = rings
        self.greets = config.known is not None and config.known.greeting is not None
        self._marks = config.marks if len(config.marks) > 1 else ()

    def shown(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Headers without what proves a sender."""
        shown: Mapping[str, str] = self.redactor.body(self.redactor.headers(headers))
        return shown

    def mark(self, matched: str) -> str:
        """Of the secret that matched; empty where there is but one."""
        return self._marks[which(matched)] if self._marks and matched[0].isdigit() else ""
