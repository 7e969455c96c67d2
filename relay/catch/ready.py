"""A source, ready to catch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from relay.messages import CaughtPayload
from relay.recipes import Source
from relay.sources.config import SourceConfig
from relay.sources.limiter import Limiter
from relay.sources.presets import filled
from relay.sources.redact import Redactor
from relay.sources.split import Split
from relay.sources.verify import Verifier, which
from relay.sources.verify_config import looks_into_body
from relay.store import source_lane

#: How many bodies are looked through at once for the proof of whom they are from.
_UNPROVEN_AT_ONCE = 2

#: How long a sender waits while the store gives no answer; less where its vendor waits for less.
_PATIENCE_SECONDS = 8.0


def _patience(config: SourceConfig) -> float:
    waits = config.known.answer_in if config.known is not None else None
    return min(_PATIENCE_SECONDS, waits.total_seconds() * 0.8) if waits is not None else _PATIENCE_SECONDS


class ReadySource:
    """A source, with everything worked out that does not change from request to request."""

    __slots__ = (
        "_kept",
        "_marks",
        "asks",
        "config",
        "greets",
        "limiter",
        "patience_seconds",
        "payload",
        "proof_in_body",
        "reads_body",
        "redactor",
        "rings",
        "source",
        "split",
        "unproven",
        "unproven_turns",
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
        self.proof_in_body = looks_into_body(config.verify)
        self.unproven = 0
        self.unproven_turns = asyncio.Semaphore(_UNPROVEN_AT_ONCE)
        self.patience_seconds = _patience(config)
        self.greets = config.known is not None and config.known.greeting is not None
        self._kept: tuple[tuple[str, ...], Verifier] | None = None
        self._marks = config.marks if len(config.marks) > 1 else ()

    def verifier_of(self, kept: tuple[str, ...]) -> Verifier:
        """For what is signed with one of the secrets that the vendor gave."""
        if self._kept is None or self._kept[0] != kept:
            preset = self.config.known
            assert preset is not None
            signed = SourceConfig.model_validate({"verify": filled(preset.kept, list(kept))})
            self._kept = kept, Verifier(signed)
        return self._kept[1]

    def shown(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Headers without what proves a sender."""
        shown: Mapping[str, str] = self.redactor.body(self.redactor.headers(headers))
        return shown

    def mark(self, matched: str) -> str:
        """Of the secret that matched; empty where there is but one."""
        return self._marks[which(matched)] if self._marks and matched[0].isdigit() else ""
