"""What a connection to Salesforce may say."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.api import ApiConfig
from connectors.common.oauth import OAuth
from connectors.common.plain import plain_url
from relay.connector import Limit


class SalesforceConfig(ApiConfig):
    base_url: str = Field(
        description="Your My Domain; requests go where the token's answer says.",
        examples=["https://acme.my.salesforce.com"],
    )
    login_url: str | None = Field(None, description="Where tokens are given out; base_url where it isn't said.")
    client_id: str = Field(description="Consumer key of the connected app.")
    client_secret: SecretStr | None = Field(
        None, description="Consumer secret: by client credentials, as the app's run-as user."
    )
    private_key: SecretStr | None = Field(
        None, description="Private RSA key in PEM whose certificate the app has: by JWT bearer, as `username`."
    )
    username: str | None = Field(None, description="With `private_key`: the user to act for; the app must be let in.")
    audience: str = Field(
        "https://login.salesforce.com", description="With `private_key`: https://test.salesforce.com for a sandbox."
    )
    api_version: str = Field("62.0", pattern=r"^\d{2,3}\.0$", description="Version of the API.")
    limit: Limit = Field(
        Limit(concurrency=5),
        description="Concurrency and rate of the connection's lane. Salesforce counts the requests of 24 hours.",
    )

    @field_validator("login_url")
    @classmethod
    def _is_plain(cls, value: str | None) -> str | None:
        return plain_url(value) if value is not None else None

    @model_validator(mode="after")
    def _one_way(self) -> SalesforceConfig:
        if (self.client_secret is None) == (self.private_key is None):
            raise ValueError("say exactly one of client_secret and private_key")
        if (self.private_key is None) != (self.username is None):
            raise ValueError("username goes with private_key")
        self.oauth()  # whether the key can sign
        return self

    def oauth(self) -> OAuth:
        return OAuth(
            token_url=f"{(self.login_url or self.base_url).rstrip('/')}/services/oauth2/token",
            client_id=self.client_id,
            client_secret=self.client_secret,
            private_key=self.private_key,
            subject=self.username,
            audience=self.audience if self.private_key is not None else None,
        )
