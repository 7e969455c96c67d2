"""One source of relay.yaml: how its requests are verified, told apart and decoded.

    shop: {preset: shopify, secret: "${SHOPIFY_SECRET}"}
    chat: {verify: {header: X-Gecko-Key, equals: "${GECKO_KEY}"}, event_id: $.conversation.id}

What a preset knows is filled in before validation: `verify`, `event_id` and the rest are what holds, whoever said it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from relay.sources.fields import Secrets, usable
from relay.sources.presets import PRESETS, Preset
from relay.sources.split import Split
from relay.sources.units import Duration, Rate, Size, wrong
from relay.sources.verify_config import Verify, headers_of, params_of, plain_secrets

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Decode = Literal["auto", "json", "form", "xml", "text", "query"]

ALL_METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _preset_schema(schema: dict[str, Any]) -> None:
    schema.clear()
    schema |= {"enum": sorted(PRESETS), "description": "What the relay knows of a vendor, by name.", "title": "Preset"}


def mark_of(secret: str) -> str:
    """A secret's short name: the same each time, and of no use to whoever sees it."""
    return blake2b(secret.encode(), digest_size=4, person=b"relay secret").hexdigest()


class SourceLimit(BaseModel):
    """How many requests of a source are taken in a time, by each web process."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rate: Rate | None = Field(None, description="At most so many requests in a time.", examples=["600/min"])
    per_address: Rate | None = Field(
        None, description="The same for each address they come from.", examples=["60/min", "10/s"]
    )


class SourceConfig(BaseModel):
    """One named inbound endpoint, `/in/<source>`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    preset: str | None = Field(
        None,
        description="What the relay knows of a vendor, by name.",
        examples=["github"],
        json_schema_extra=_preset_schema,
    )
    secret: Secrets | None = Field(
        None, description="The secret the preset's verification uses; a list while it is being changed."
    )
    verify: Verify | None = Field(
        None, description="How a request proves whom it is from. Has to be written unless the preset brings it."
    )
    event_id: str | None = Field(
        None,
        description="An expression that is the same for a repeat of an event: a repeat is not delivered twice.",
        examples=["$.conversation.id", '$headers["x-github-delivery"]'],
    )
    event_type: str | None = Field(
        None, description="An expression for the sender's name of what happened.", examples=["$.type"]
    )
    event_time: str | None = Field(
        None,
        description="An expression for the moment at which it happened, by the sender's clock: `$event.sent_at`.",
        examples=["$.created_at"],
    )
    split: str | None = Field(
        None,
        description="A list in a JSON body, each of whose items is an event of its own.",
        examples=["$[*]", "$.events[*]"],
    )
    duplicates: Duration = Field(
        timedelta(hours=24),
        description="How long a repeat of an event_id is recognised.",
        examples=["24h"],
        json_schema_extra={"default": "24h"},
    )
    verify_token: Secrets | None = Field(
        None,
        description="The token a vendor sends along when it asks whether we are here, where its preset says so.",
        examples=["${VERIFY_TOKEN}"],
    )
    limit: SourceLimit = Field(
        SourceLimit(), description="How many requests are taken in a time; more are answered 429."
    )
    max_body: Size = Field(
        10_000_000,
        description="A longer body is refused with 413. 1 MB is 1,000,000 bytes, 1 MiB 1,048,576.",
        examples=["10MB"],
        json_schema_extra={"default": "10MB"},
    )
    methods: tuple[Method, ...] = Field(
        ALL_METHODS, min_length=1, description="Other methods are refused with 405.", examples=[["POST"]]
    )
    decode: Decode = Field(
        "auto",
        description="What the body is. `auto` goes by its content type, and by its look where that says nothing.",
    )
    json_field: str | None = Field(
        None,
        min_length=1,
        description="A form field that holds the whole event as JSON; where it is there, it becomes the data.",
        examples=["payload"],
    )

    @model_validator(mode="before")
    @classmethod
    def _the_preset_fills_in_what_is_not_written(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("preset"), str):
            return data
        preset = PRESETS.get(data["preset"])
        if preset is None:
            return data
        known: dict[str, Any] = {
            "event_id": preset.event_id,
            "event_type": preset.event_type,
            "event_time": preset.event_time,
            "split": preset.split,
            "json_field": preset.json_field,
        }
        if preset.decode is not None:
            known["decode"] = preset.decode
        if preset.methods is not None:
            known["methods"] = preset.methods
        written = dict(data)
        if data.get("verify") is None and usable(data.get("secret")):
            written["verify"] = preset.verify_with(data["secret"])
        return {**known, **written}

    @field_validator("preset")
    @classmethod
    def _the_preset_exists(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            near = get_close_matches(value, PRESETS, 1)
            hint = f"did you mean {near[0]}?" if near else "relay sources list --presets has them all"
            raise wrong("preset", f"no preset is called {value!r}; {hint}")
        return value

    @field_validator("split")
    @classmethod
    def _a_split_is_a_path_to_a_list(cls, value: str | None) -> str | None:
        if value is not None:
            Split.of(value)
        return value

    @field_validator("event_id", "event_type", "event_time")
    @classmethod
    def _an_expression_names_something_of_the_event(cls, value: str | None) -> str | None:
        if value is not None and "$" not in value:
            raise wrong(
                "expression", f"{value!r} is the same for every event; an expression starts with $, such as $.{value}"
            )
        if value is not None and "{{" in value:
            raise wrong("expression", 'this is one expression, without {{ }}; to join two: $.a + " " + $.b')
        return value

    @field_validator("duplicates")
    @classmethod
    def _duplicates_is_bounded(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=1) <= value <= timedelta(days=30):
            raise wrong("duplicates", "repeats are recognised for 1s to 30d; `event_id: null` switches it off")
        return value

    @field_validator("max_body")
    @classmethod
    def _max_body_is_bounded(cls, value: int) -> int:
        if not 1 <= value <= 100_000_000:
            raise wrong("max_body", "a body's limit is between 1B and 100MB, for it is held in memory")
        return value

    @model_validator(mode="after")
    def _somebody_says_how_to_verify(self) -> SourceConfig:
        preset = self.known
        if self.secret is not None and preset is None and self.preset is None:
            raise wrong("secret", "`secret` belongs to a preset; without one, the secret is written under `verify`")
        if self.verify is None:
            if preset is None:
                how = "`verify` says how a request proves whom it is from; `verify: none` takes it from anybody"
            else:
                how = f"the preset {preset.name} verifies with a `secret`: {preset.asks_for}"
            raise wrong("verify", how)
        asks = preset is not None and preset.asks_token
        if self.verify_token is not None and not asks:
            raise wrong("verify_token", "`verify_token` belongs to presets whose vendor asks with one, such as meta")
        if self.verify_token is None and preset is not None and asks:
            raise wrong("verify_token", f"{preset.vendor} asks with a token of your own choice: write `verify_token`")
        if self.secret is not None and preset is not None and not self.uses_preset_secret:
            raise wrong(
                "secret", f"`verify` takes the place of the preset {preset.name}'s own, so `secret` is not used"
            )
        return self

    @property
    def known(self) -> Preset | None:
        """The preset's declaration."""
        return PRESETS.get(self.preset) if self.preset else None

    @property
    def uses_preset_secret(self) -> bool:
        """False where `verify` was written beside the preset and takes the place of the preset's own."""
        preset = self.known
        return (
            preset is not None
            and self.secret is not None
            # A preset may have several places for it, in which case the verification names each secret once.
            and set(plain_secrets(self.verify)) == {secret.get_secret_value() for secret in self.secret}
        )

    @property
    def unverified(self) -> bool:
        """Anybody who knows the address is believed: worth a warning."""
        return self.verify == "none"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret of the source, for redaction and signing. Never show one."""
        return tuple(plain_secrets(self.verify))

    @property
    def marks(self) -> tuple[str, ...]:
        """A short name for each secret, in their order, that doesn't give it away."""
        return tuple(mark_of(secret) for secret in self.secrets)

    @property
    def verify_tokens(self) -> tuple[str, ...]:
        """What a vendor's first question may hold. Never show one."""
        return tuple(token.get_secret_value() for token in self.verify_token or ())

    @property
    def secret_headers(self) -> frozenset[str]:
        """The lower-case header names whose values prove the sender."""
        return headers_of(self.verify)

    @property
    def secret_params(self) -> frozenset[str]:
        """The query parameters whose values prove the sender."""
        return params_of(self.verify)
