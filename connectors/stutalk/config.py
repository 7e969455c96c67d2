"""What a connection and a step may say of StuTalk."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.common.api import ApiConfig
from connectors.common.plain import HEADER_NAME, OUR_HEADERS
from connectors.common.vendor_words import HeaderSecret
from connectors.http.config import Basic
from relay.connector import Fields, Limit

Slash = Literal["&&", "_"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class StutalkAuth(Fields):
    """One of basic, bearer, header with value, and `none: true`."""

    basic: Basic | None = Field(None, description="User name and password of the StuTalk user: the usual way.")
    bearer: HeaderSecret | None = Field(None, description="Sent as `Authorization: Bearer …`, as gateways ask.")
    header: str | None = Field(None, description="Name of the header that carries `value`.", examples=["X-Api-Key"])
    value: HeaderSecret | None = Field(None, description="The key that goes with `header`.")
    none: bool = Field(False, description="The service asks for nothing: it lets our address in.")

    @model_validator(mode="after")
    def _one_way(self) -> StutalkAuth:
        given = [self.basic is not None, self.bearer is not None, self.header is not None, self.none]
        if sum(given) != 1:
            raise ValueError("say exactly one of basic, bearer, header and none")
        if (self.header is None) != (self.value is None):
            raise ValueError("`value` goes with `header`")
        if self.header is not None and (not HEADER_NAME.fullmatch(self.header) or self.header.lower() in OUR_HEADERS):
            raise ValueError(f"{self.header!r} can't be the name of the header")
        return self

    def headers(self) -> dict[str, str]:
        """Names in lower case."""
        if self.basic is not None:
            pair = f"{self.basic.username}:{self.basic.password.get_secret_value()}"
            return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        if self.bearer is not None:
            return {"authorization": f"Bearer {self.bearer.get_secret_value()}"}
        if self.header is not None and self.value is not None:
            return {self.header.lower(): self.value.get_secret_value()}
        return {}


class Process(Fields):
    """A process, and which record it is about."""

    process: str = Field(description="The process, as its operator named it.", pattern=NAME, examples=["MDL_GET_STD"])
    keys: dict[str, Any] = Field(
        default_factory=dict,
        description="Field and value pairs of the address, in the order in which the process expects them. A date is "
        "written as 07-JUN-24.",
        examples=[{"STU_CODE": "20159707", "MAP_CODE": "BIOC0001A4UD"}],
    )
    slash: Slash | None = Field(None, description="What this process takes for a slash, instead of the connection's.")


class StutalkConfig(ApiConfig):
    base_url: str = Field(
        description="Where the service lives, up to and with SIW_RWS.",
        examples=["https://sits.example.ac.uk/urd/sits.urd/run/SIW_RWS"],
    )
    auth: StutalkAuth = Field(description="How the connection proves who it is.")
    slash: Slash = Field(
        "&&", description="What stands for a slash in a value of the address, as in the SPR code 20159707/2."
    )
    repeats: bool = Field(
        True,
        description="Putting the same twice does no harm: a put whose answer is lost is sent again. Seen at one "
        "university; say `false` where a process adds something each time it is called.",
    )
    success: dict[str, Any] = Field(
        default_factory=dict,
        description="What the answer to a put has to say, by its keys, where a process answers 200 to what it refuses. "
        "Numbers may come as texts. Not verified: the processes' answers aren't public.",
        examples=[{"code": 0}],
    )
    harmless: Process | None = Field(
        None, description="What `relay connections test` may ask for: a process that only reads, and its keys."
    )
    limit: Limit = Field(
        Limit(concurrency=2),
        description="Concurrency and rate of the connection's lane. No limit is published; SITS serves its users "
        "with the same machines: hence few at once.",
    )


class PutFields(Process):
    body: dict[str, Any] = Field(
        description="What is put, as the process names it. Values are sent as they are, dates as 07-JUN-24.",
        examples=[{"actual_mark": "50.55", "actual_grade": ""}],
    )


class GetFields(Process):
    empty: Literal["fine", "dead"] = Field(
        "fine", description="What an answer without rows means: nothing is there, or this delivery has failed."
    )
    hundredths: list[str] = Field(
        [],
        description="Columns of numbers that SITS keeps times a hundred: 5055 is given back as 50.55.",
        examples=[["SAS_ACTM"]],
    )
