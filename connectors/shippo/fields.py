"""What a step may say of a shipment and of a label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from relay.connector import Fields

#: Shippo keeps 100 characters; the delivery's id takes its part of them.
_METADATA_CHARACTERS = 60
_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _measure(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return value
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("a number, such as 2.5") from None
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not 0 < number < 1_000_000 or (isinstance(exponent, int) and exponent < -4):
        raise ValueError("a number above 0 with at most six digits before and four after the point")
    return f"{number:f}"


Measure = Annotated[str, BeforeValidator(_measure), WithJsonSchema({"type": ["string", "number"]})]


class Given(Fields):
    """What an event leaves empty is left out: Shippo refuses an empty line."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_is_empty(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: inner for key, inner in value.items() if inner not in (None, "")}
        return value


class Address(Given):
    name: Text | None = Field(None, description="First and last name; required before a label can be bought.")
    company: Text | None = Field(None, description="The company.")
    street1: Text | None = Field(None, description="Street and number; required before a label can be bought.")
    street2: Text | None = Field(None, description="Flat, floor or suite.")
    street3: Text | None = Field(None, description="A third line, which only some carriers take.")
    street_no: Text | None = Field(None, description="The number alone, for DHL Germany.")
    city: Text | None = Field(None, description="The city.")
    state: Text | None = Field(None, description="The state; required in the US, Canada and Australia.")
    zip: Text | None = Field(None, description="The postal code, as text so that its zeros stay.")
    country: Text = Field(description="The country as two letters.", examples=["US"])
    phone: Text | None = Field(None, description="A phone number for the carrier; some carriers require it.")
    email: Text | None = Field(None, description="An e-mail address; some carriers require the sender's.")
    is_residential: bool | None = Field(None, description="Whether somebody lives there.")


class Parcel(Given):
    weight: Measure = Field(description="How heavy it is.", examples=["2"])
    mass_unit: Literal["g", "kg", "lb", "oz"] = Field(description="The unit of `weight`.")
    length: Measure | None = Field(None, description="How long it is.")
    width: Measure | None = Field(None, description="How wide it is.")
    height: Measure | None = Field(None, description="How high it is.")
    distance_unit: Literal["cm", "in", "ft", "m", "mm", "yd"] | None = Field(
        None, description="The unit of its three measures."
    )
    template: Text | None = Field(None, description="A carrier's own box in place of its measures.")

    @model_validator(mode="after")
    def _has_a_size(self) -> Parcel:
        measures = (self.length, self.width, self.height, self.distance_unit)
        if self.template and any(measures):
            raise ValueError("a parcel has a `template` or its own measures, not both")
        if not self.template and not all(measures):
            raise ValueError("a parcel has `length`, `width`, `height` and `distance_unit`, or a `template`")
        return self


def _known(value: Any, what: str) -> Any:
    if isinstance(value, str) and not _OBJECT_ID.fullmatch(value):
        raise ValueError(f"{what} is given field by field, or by its object_id at Shippo")
    return value


class Marked(Fields):
    metadata: str = Field(
        "",
        max_length=_METADATA_CHARACTERS,
        description="A note to find it by at Shippo, at most 60 characters; the delivery's id stands behind it.",
    )

    def mark(self, delivery_id: str) -> str:
        return f"{' '.join(self.metadata.split())} {delivery_id}".strip()


class ShipmentFields(Marked):
    address_from: Address | str = Field(description="Who sends it: an address, or its object_id.")
    address_to: Address | str = Field(description="Who gets it: an address, or its object_id.")
    address_return: Address | str | None = Field(None, description="Where it goes back to, if not to the sender.")
    parcels: list[Parcel | str] = Field(min_length=1, description="The parcels, or their object_ids.")
    shipment_date: str | None = Field(None, description="When the carrier gets it, as 2026-12-24T09:00:00Z.")
    carrier_accounts: list[str] = Field([], description="Ask only these carrier accounts, by object_id.")
    customs_declaration: dict[str, Any] | str | None = Field(
        None, description="The customs declaration as Shippo has it, or its object_id."
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Extra services as Shippo names them, sent as they are."
    )
    require_rates: bool = Field(True, description="Whether a shipment that no carrier offers a rate for is a failure.")

    @field_validator("address_from", "address_to", "address_return")
    @classmethod
    def _are_addresses(cls, value: Any) -> Any:
        return _known(value, "an address")

    @field_validator("parcels")
    @classmethod
    def _are_parcels(cls, value: list[Any]) -> list[Any]:
        return [_known(parcel, "a parcel") for parcel in value]

    def body(self, delivery_id: str) -> dict[str, Any]:
        said = self.model_dump(exclude_none=True, exclude={"metadata", "require_rates"})
        said = {key: value for key, value in said.items() if value not in ({}, [])}
        return {**said, "metadata": self.mark(delivery_id), "async": False}


class LabelFields(Marked):
    rate: str = Field(
        pattern=r"^[A-Za-z0-9_-]{8,64}$", description="The object_id of the rate, from a shipment's answer."
    )
    label_file_type: Literal["PNG", "PNG_2.3x7.5", "PDF", "PDF_2.3x7.5", "PDF_4x6", "PDF_4x8", "PDF_A4",
                             "PDF_A5", "PDF_A6", "ZPLII"] | None = Field(
        None, description="The file of the label; Shippo's own setting where it isn't said."
    )  # fmt: skip
    order: str | None = Field(None, description="The object_id of the order at Shippo that it belongs to.")

    def body(self, delivery_id: str) -> dict[str, Any]:
        said = self.model_dump(exclude_none=True, exclude={"metadata"})
        return {**said, "metadata": self.mark(delivery_id), "async": False}
