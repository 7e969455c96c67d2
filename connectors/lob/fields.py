"""What a postcard's `with` may say, and what of it can be found wrong before it costs money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.encode import to_json
from relay.connector import Fields

_HTML_CHARACTERS = 10_000
_MERGE_CHARACTERS = 25_000
_LINES_CHARACTERS = 50
_ADDRESS_ID = re.compile(r"adr_[A-Za-z0-9]+")
_TEMPLATE_ID = re.compile(r"tmpl_[A-Za-z0-9]+")
_FILE = re.compile(r"https://\S+")
_NO_NAME = re.compile(r"[\s!\"#%&'()*+,/;<=>@\[\\\]^`{|}~]")
_US = frozenset({"US", "USA", "UNITED STATES", "UNITED STATES OF AMERICA"})

#: Tells our postcards from others when one is looked for.
MARK = "relay_delivery"

Name = Annotated[str, Field(max_length=40)]
Line = Annotated[str, Field(min_length=1, max_length=200)]


class Address(Fields):
    name: Name | None = Field(None, description="The person; this or `company` is required. At most 40 characters.")
    company: Name | None = Field(None, description="The company, printed on a line of its own. At most 40 characters.")
    address_line1: Line = Field(description="House number and street.", examples=["210 King St"])
    address_line2: Line | None = Field(None, description="Flat, floor or suite.")
    address_city: Line | None = Field(None, description="The city.")
    address_state: Line | None = Field(None, description="The state; in the US two letters.", examples=["CA"])
    address_zip: Line | None = Field(
        None, description="The postal code, as text so that its zeros stay.", examples=["94107"]
    )
    address_country: Line = Field("US", description="The country as two letters.", examples=["DE"])

    @property
    def in_the_us(self) -> bool:
        return self.address_country.upper() in _US

    @model_validator(mode="before")
    @classmethod
    def _without_what_is_empty(cls, value: Any) -> Any:
        # Events leave optional lines empty; Lob refuses an empty one.
        if isinstance(value, Mapping):
            return {key: inner for key, inner in value.items() if (inner.strip() if isinstance(inner, str) else inner)}
        return value

    @model_validator(mode="after")
    def _can_be_delivered(self) -> Address:
        if not (self.name or self.company):
            raise ValueError("an address has a `name` or a `company`")
        for line in self.model_dump(exclude_none=True).values():
            if re.search(r"[\x00-\x1f\x7f]", line):
                raise ValueError("no line of an address holds a line break or a control character")
        if not self.in_the_us:
            return self
        if not (self.address_zip or (self.address_city and self.address_state)):
            raise ValueError("an address in the US has `address_zip`, or `address_city` and `address_state`")
        if self.address_zip and not re.fullmatch(r"\d{5}(-\d{4})?", self.address_zip, re.ASCII):
            raise ValueError("`address_zip` in the US looks like 12345 or 12345-1234")
        if self.address_state and not re.fullmatch(r"[A-Za-z]{2}", self.address_state):
            raise ValueError("`address_state` in the US has two letters")
        if len(self.address_line1) + len(self.address_line2 or "") > _LINES_CHARACTERS:
            raise ValueError(
                f"`address_line1` and `address_line2` have at most {_LINES_CHARACTERS} characters together"
            )
        return self


def _address(value: str | Address | None) -> str | Address | None:
    if isinstance(value, str) and not _ADDRESS_ID.fullmatch(value):
        raise ValueError("an address is given line by line, or by its id at Lob, which looks like adr_…")
    return value


class PostcardFields(Fields):
    to: Address | str = Field(
        description="Who gets it: an address, or the id (adr_…) of one kept at Lob.",
        examples=[
            {"name": "Harry Zhang", "address_line1": "210 King St", "address_city": "San Francisco",
             "address_state": "CA", "address_zip": "94107"}
        ],
    )  # fmt: skip
    from_: Address | str | None = Field(
        None, alias="from", description="Who sends it: an address in the US or its id. Required for mail abroad."
    )
    front: str = Field(
        description="The front: HTML of at most 10,000 characters, the id (tmpl_…) of a template at Lob, or the https "
        "address of a PDF, PNG, JPG or HTML file. What events bring belongs into `merge_variables`, not into the HTML.",
        examples=["tmpl_d2eccf0bc9d3fb5"],
    )
    back: str = Field(description="The back, as `front`.", examples=["<html><body>Hello {{name}}</body></html>"])
    size: Literal["4x6", "6x9", "6x11"] = Field("4x6", description="In inches; abroad only 4x6.")
    use_type: Literal["marketing", "operational"] = Field(
        description="What it is sent for; Lob requires it: `marketing` for advertising, `operational` for the rest."
    )
    mail_type: Literal["usps_first_class", "usps_standard"] | None = Field(
        None, description="Postage; Lob's own choice is usps_first_class. usps_standard isn't for 4x6 or abroad."
    )
    merge_variables: dict[str, Any] = Field(
        default_factory=dict,
        description="What fills the {{placeholders}} of the HTML or template; at most 25,000 characters as JSON. Use "
        "two braces, not three, so that markup in a value isn't obeyed. (Not verified with Lob's own service.)",
        examples=[{"name": "Harry"}],
    )
    description: str | None = Field(None, max_length=255, description="For your eyes only; at most 255 characters.")
    send_date: str | None = Field(
        None, description="When it is printed, as 2026-12-24 or with a time; at most 180 days ahead."
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description="Up to 19 pairs to find it by at Lob: keys of at most 40 characters, values of at most 500.",
        examples=[{"customer": "4711"}],
    )
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields as Lob names them, sent as they are.",
        examples=[{"billing_group_id": "bg_4bb02b527a72667d0"}],
    )

    @field_validator("to", "from_")
    @classmethod
    def _are_addresses(cls, value: str | Address | None) -> str | Address | None:
        return _address(value)

    @field_validator("front", "back")
    @classmethod
    def _can_be_printed(cls, value: str) -> str:
        if "<" in value:
            if len(value) > _HTML_CHARACTERS:
                raise ValueError(f"HTML has at most {_HTML_CHARACTERS} characters; keep it at Lob as a template")
        elif not (_TEMPLATE_ID.fullmatch(value) or _FILE.fullmatch(value)):
            raise ValueError("it is HTML, the id of a template (tmpl_…) or an address that starts with https://")
        return value

    @field_validator("merge_variables")
    @classmethod
    def _can_be_merged(cls, value: dict[str, Any]) -> dict[str, Any]:
        if any(not name or _NO_NAME.search(name) for name in value):
            raise ValueError("a variable's name has no space and no special character but - _ . : ? $")
        if value and len(to_json(value).decode()) > _MERGE_CHARACTERS:
            raise ValueError(f"they have at most {_MERGE_CHARACTERS} characters as JSON")
        return value

    @field_validator("metadata")
    @classmethod
    def _can_be_kept(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > 19 or any(len(key) > 40 or len(text) > 500 for key, text in value.items()):
            raise ValueError("at most 19 pairs, keys of at most 40 and values of at most 500 characters")
        if any(mark in part for pair in value.items() for part in pair for mark in '"\\'):
            raise ValueError("neither keys nor values hold a double quote or a backslash")
        if MARK in value:
            raise ValueError(f"{MARK} is what the relay finds the postcard by")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> PostcardFields:
        if isinstance(self.to, Address) and not self.to.in_the_us:
            if self.size != "4x6":
                raise ValueError("`size` is 4x6 for mail abroad")
            if self.from_ is None:
                raise ValueError("`from` is required for mail abroad")
        if isinstance(self.from_, Address) and not self.from_.in_the_us:
            raise ValueError("`from` is an address in the US")
        if self.mail_type == "usps_standard" and self.size == "4x6":
            raise ValueError("`mail_type` usps_standard isn't for the size 4x6")
        own = sorted(self.fields.keys() & (PostcardFields.model_fields.keys() | {"from", "idempotency_key"}))
        if own:
            raise ValueError(f"`fields` has {own[0]}, which has a key of its own")
        return self

    def body(self, mark: str) -> dict[str, Any]:
        """What Lob is sent; mark: what the postcard can be found by later."""
        said = self.model_dump(by_alias=True, exclude_none=True, exclude={"fields"})
        said = {key: value for key, value in said.items() if value != {}}
        return {**said, "metadata": {**self.metadata, MARK: mark}, **self.fields}
