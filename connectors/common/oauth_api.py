"""Base of the connectors of vendors' APIs whose tokens are fetched, and renewed once after a 401."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from connectors.common.api import ApiConfig, ApiConnector
from connectors.common.oauth import OAuth, TokenRedactor, Tokens
from relay.connector import Context

ConfigT = TypeVar("ConfigT", bound=ApiConfig)


class OAuthConnector(ApiConnector[ConfigT]):
    """Say in `oauth_settings` how tokens are got."""

    def __init__(self, config: ConfigT, context: Context) -> None:
        super().__init__(config, context)
        settings = self.oauth_settings()
        self.tokens = Tokens(self.client, settings) if settings is not None else None
        if self.tokens is not None:
            self.sorting = replace(self.sorting, redact=TokenRedactor(self.sorting.redact, self.tokens))

    def oauth_settings(self) -> OAuth | None:
        """None where the connection has a token of its own, which `credentials` gives."""
        raise NotImplementedError

    @property
    def renews(self) -> bool:
        return self.tokens is not None

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return await self.tokens.headers(timeout, anew=anew) if self.tokens is not None else {}

    async def aclose(self) -> None:
        if self.tokens is not None:
            await self.tokens.aclose()
        await super().aclose()
