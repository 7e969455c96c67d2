from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import Field, SecretStr, ValidationError

from relay.connector import (
    Action,
    Breaker,
    Call,
    Check,
    ConnectionConfig,
    Connector,
    Context,
    Duration,
    Example,
    Fields,
    Guide,
    Limit,
    Outgoing,
    Size,
    Trouble,
    complaints,
    connector_class,
    connector_names,
    describe,
    secrets_in,
    validated,
)
from relay.errors import ConfigError, PermanentError
from relay.model import Reply
from relay.testing import ConnectorContract

# A connector of a third party, as small as one can be.


class PagerConfig(ConnectionConfig):
    key: SecretStr = Field(description="The key.")
    patience: Duration = Field(timedelta(minutes=5), description="How long to wait.")
    most: Size = Field(1_000_000, description="How much to send.")


class PageFields(Fields):
    text: str = Field(description="What to say.")
    to: list[str] = Field([], description="Whom | or what to page.")


@dataclass(frozen=True)
class Page(Outgoing):
    text: str

    def preview(self) -> dict[str, Any]:
        return {"text": self.text}


class SendPage(Action[PagerConfig, PageFields, Page]):
    name = "page"
    summary = "Page somebody."
    With = PageFields
    examples = (Example("Waking somebody", {"text": "It burns"}),)

    def prepare(self, fields: PageFields, call: Call) -> Page:
        return Page(fields.text)

    async def send(self, outgoing: Page, call: Call) -> Reply:
        return Reply(summary=f"paged: {outgoing.text}")


class Pager(Connector[PagerConfig]):
    name = "pager"
    summary = "Pages people."
    Config = PagerConfig
    actions = (SendPage,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "pager", "key": "${KEY}"}


class TestContractOfAThirdParty(ConnectorContract):
    connector = Pager


async def test_an_action_may_go_unnamed_where_it_is_the_only_one() -> None:
    pager = Pager(PagerConfig.model_validate(Pager.example), Context())
    call = Call("d", "d")
    outgoing = pager.outgoing(None, {"text": "hello"}, call)
    assert (await pager.send(None, outgoing, call)).summary == "paged: hello"


def test_an_unknown_action_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="pager has no action 'call'; it has page"):
        Pager.action_class("call")
    with pytest.raises(ConfigError, match=r"csv, .*json, xml"):
        connector_class("file").action_class(None)


def test_the_connectors_that_come_with_relay_are_found() -> None:
    assert {"file", "http", "sftp"} <= set(connector_names())
    for name in ("file", "http", "sftp"):
        assert connector_class(name).name == name
    with pytest.raises(ConfigError, match=r"no connector is called 'htpt'; installed are .*http"):
        connector_class("htpt")


def test_every_wrong_key_of_a_step_is_named_and_no_value_shown() -> None:
    with pytest.raises(PermanentError) as caught:
        validated(PageFields, {"txt": "s3cret", "to": "s3cret"})
    assert str(caught.value) == (
        "the step's `with` isn't valid: text: is required; to: Input should be a valid list; "
        "txt: unknown key; did you mean text?"
    )
    assert caught.value.cause == "invalid step fields"


def test_complaints_know_the_keys_of_nested_models() -> None:
    with pytest.raises(ValidationError) as caught:
        PagerConfig.model_validate({**Pager.example, "limit": {"rat": "1/s"}, "zzz": 1})
    assert list(complaints(caught.value, PagerConfig)) == [
        "limit.rat: unknown key; did you mean rate?",
        "zzz: unknown key; known are connector, limit, breaker, key, patience, most",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("250ms", 0.25), (" 1.5 s ", 1.5)]
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    config = PagerConfig.model_validate({**Pager.example, "patience": text})
    assert config.patience == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("1MB", 10**6), ("500 kb", 500_000), ("1KiB", 1024), ("2GB", 2 * 10**9), (7, 7), ("7B", 7)]
)
def test_a_size_has_a_unit(text: Any, size: int) -> None:
    assert PagerConfig.model_validate({**Pager.example, "most": text}).most == size


@pytest.mark.parametrize("settings", [{"patience": "5"}, {"patience": 5}, {"most": "5"}, {"most": True}])
def test_what_has_no_unit_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="and its unit"):
        PagerConfig.model_validate({**Pager.example, **settings})


@pytest.mark.parametrize(
    ("rate", "read"),
    [
        ("60/min", (60, timedelta(minutes=1))),
        ("10/s", (10, timedelta(seconds=1))),
        ("5/2s", (5, timedelta(seconds=2))),
        ("1/h", (1, timedelta(hours=1))),
        ("9 / day", (9, timedelta(days=1))),
        (None, None),
    ],
)
def test_a_rate_is_a_number_in_a_time(rate: str | None, read: tuple[int, timedelta] | None) -> None:
    assert Limit(rate=rate).rate_in() == read


@pytest.mark.parametrize("rate", ["60", "0/s", "5/0s", "-1/s", "1/month"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError, match="a rate is a number in a time"):
        Limit(rate=rate)


def test_secrets_are_found_wherever_they_are() -> None:
    class Nested(Fields):
        inner: list[PagerConfig]
        by_name: dict[str, SecretStr]

    one = PagerConfig.model_validate({**Pager.example, "key": "k1"})
    nested = Nested(inner=[one], by_name={"a": SecretStr("k2")})
    assert list(secrets_in(nested)) == ["k1", "k2"]


def test_an_action_that_is_not_batchable_says_so() -> None:
    with pytest.raises(NotImplementedError, match="page is not batchable"):
        SendPage.merged([{}])


class Patient(PagerConfig):
    limit: Limit = Field(Limit(rate="5/s", concurrency=2), description="Pagers are slow.")


class Guided(Pager):
    Config = Patient
    guide = Guide(
        setup=("Buy a pager.", "Write its number into `key`."),
        repeats="It beeps twice.",
        limits=("One a minute.",),
        troubles=(
            Trouble("no | reply", "It is off.", "vendor", "Switch it on.", "retry or unknown"),
            Trouble("pager 1, pager 2", "It is busy.", "nobody"),
        ),
        check="It asks whether it is on.",
        verified="Against a pager.",
    )

    async def check(self, timeout: timedelta) -> Check:
        return Check("it is on")


def test_a_page_says_how_to_set_it_up_what_repeats_do_and_who_must_act() -> None:
    page = describe(Guided)
    assert "1. Buy a pager.\n2. Write its number into `key`.\n" in page
    assert "## When it is sent twice\n\nIt beeps twice.\n\n## Limits\n\n- One a minute.\n" in page
    assert (
        "| `no \\| reply` | It is off. | tries again or outcome unknown | admin of the account there "
        "| Switch it on. |\n"
        "| `pager 1`, `pager 2` | It is busy. | see left | nobody |  |\n"
    ) in page
    assert "`relay connections test my-pager`\n\nIt asks whether it is on." in page
    assert page.endswith("Against a pager.\n")


def test_an_example_of_a_page_shows_no_secret_as_it_is_used() -> None:
    class Careless(Pager):
        example: ClassVar[Mapping[str, Any]] = {"connector": "pager", "key": "k-123"}

    assert "    key: ${PAGER_KEY}\n" in describe(Careless)


def test_a_page_names_the_limit_that_a_connector_has_by_itself() -> None:
    assert "| `limit` | mapping | `{concurrency: 2, rate: 5/s}` | Pagers are slow. |" in describe(Guided)
    assert "| `limit` | mapping |  |" in describe(Pager)


def test_a_page_of_a_connector_without_a_guide_or_a_check_leaves_them_out() -> None:
    headings = [line for line in describe(Pager).splitlines() if line.startswith("#")]
    assert headings == ["# pager", "## The connection", "## What a step can do", "### page"]


def test_a_description_has_every_key_with_its_default_and_a_valid_example() -> None:
    text = describe(Pager)
    assert "| `key` | secret | required | The key. |" in text
    assert "| `patience` | duration | `5m` | How long to wait. |" in text
    assert "| `most` | size | `1MB` | How much to send. |" in text
    assert "| `to` | list of text |  | Whom \\| or what to page. |" in text
    assert "steps:\n  step:\n    to: my-pager\n    with:\n      text: It burns" in text


def test_a_breaker_has_defaults_may_be_changed_in_parts_and_switched_off() -> None:
    assert PagerConfig.model_validate(Pager.example).breaker == Breaker()
    said = PagerConfig.model_validate({**Pager.example, "breaker": {"failed": "80%", "pause": "2s"}}).breaker
    assert said is not None
    assert (said.failed, said.pause, said.attempts) == (80, timedelta(seconds=2), 10)
    assert PagerConfig.model_validate({**Pager.example, "breaker": "off"}).breaker is None


@pytest.mark.parametrize(
    ("breaker", "complaint"),
    [
        ("of", "breaker: write `off`, or what it should be: {attempts: 10, failed: 50%}"),
        (None, "breaker: write `off`, or what it should be: {attempts: 10, failed: 50%}"),
        ({"failed": "half"}, "breaker.failed: a share is a number and %, such as 50%"),
        ({"failed": "0%"}, "breaker.failed: Input should be greater than or equal to 1"),
        ({"pause": "0s"}, "breaker.pause: a time from 10ms to 1d"),
        ({"attemps": 3}, "breaker.attemps: unknown key; did you mean attempts?"),
    ],
)
def test_a_breaker_that_is_wrong_is_told_with_its_key(breaker: object, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PagerConfig.model_validate({**Pager.example, "breaker": breaker})
    assert list(complaints(caught.value, PagerConfig)) == [complaint]
