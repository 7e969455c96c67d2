"""What a step may say to the HTTP connector."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from connectors.http.config import Success
from relay.connector import Fields

_BODY_KINDS = ("json", "form", "xml", "text")
#: They never mean that something is done: bad credentials, and what gets better by itself.
_NEVER_DONE = frozenset({401, 407, 408, 425, 429})


class RequestFields(Fields):
    model_config = ConfigDict(populate_by_name=False)

    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = Field("POST", description="The HTTP method.")
    path: str = Field("", description="Put after the connection's base_url.", examples=["/contacts"])
    query: dict[str, Any] = Field(default_factory=dict, description="Query parameters; a list repeats its name.")
    headers: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="Headers of this request."
    )
    json_: Any = Field(None, alias="json", description="A JSON body.")
    form: dict[str, Any] | None = Field(None, description="A form body; nested keys become `a[b]`, a list repeats.")
    xml: dict[str, Any] | None = Field(
        None, description='An XML body: one root; `"@name"` is an attribute, `"#text"` the text, a list repeats.'
    )
    text: str | None = Field(None, description="A text body; say its content-type under headers.")

    accept: list[int] | None = Field(
        None, description="Further statuses that are a delivery, such as 404 of a DELETE.", examples=[[404]]
    )
    success: Success | None = Field(None, description="What a 2xx answer has to say, instead of the connection's.")

    @field_validator("accept")
    @classmethod
    def _can_mean_done(cls, value: list[int] | None) -> list[int] | None:
        wrong = [status for status in value or () if not 300 <= status <= 499 or status in _NEVER_DONE]
        if wrong:
            raise ValueError(f"{wrong[0]} never means done; accept takes 300 to 499 but 401, 407, 408, 425 and 429")
        return value

    @model_validator(mode="after")
    def _one_body(self) -> RequestFields:
        if self.form is None and self.xml is None and self.text is None:
            return self
        given = [name for name in _BODY_KINDS[1:] if getattr(self, name) is not None]
        if self.json_ is not None:
            given.insert(0, "json")
        if len(given) > 1:
            raise ValueError(f"a request has one body; this has {' and '.join(given)}")
        return self

    @property
    def kind(self) -> str:
        """Which body it has; "" where none. `json: null` is a body only where nothing else is."""
        if self.json_ is not None:
            return "json"
        for name in _BODY_KINDS[1:]:
            if getattr(self, name) is not None:
                return name
        return "json" if "json_" in self.model_fields_set else ""
