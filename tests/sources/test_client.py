"""What `sign` adds to a request is what the source's verifier accepts."""

from __future__ import annotations

from typing import Any

import pytest

from relay.errors import RefusedError
from relay.sources.client import sign
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS
from relay.sources.verify import Verifier

NOW_MS = 1_772_619_667_123
URL = "https://relay.example.com/in/s"
BODY = b'{"a": 1}'

WAYS: dict[str, Any] = {
    "none": {"verify": "none"},
    "header": {"verify": {"header": "X-Key", "equals": ["new", "old"]}},
    "query": {"verify": {"query": "key", "equals": "k&="}},
    "basic": {"verify": {"basic": {"username": "u", "password": "Zoë"}}},
    "bearer": {"verify": {"bearer": "b"}},
    "token": {"verify": {"token": "t"}},
    "sha512": {"verify": {"hmac": {"header": "S", "secret": "k", "algorithm": "sha512", "encoding": "base64"}}},
    "several": {
        "verify": {"hmac": {"header": "S", "secret": "k", "signed": "{method}{path}{header:X-A}{header:X-B}{body}"}}
    },
    **{
        name: {"preset": name, "secret": "whsec_" + "A" * 32}
        for name, preset in PRESETS.items()
        if preset.verify is not None
    },
}


def sent(config: SourceConfig, body: bytes, now_ms: int = NOW_MS, **headers: str) -> Inbound:
    signed = sign(config, body, now_ms, method="PUT", path="/in/s", url=URL, headers=headers)
    everything = {name.lower(): value for name, value in {**headers, **signed.headers}.items()}
    return Inbound("PUT", "/in/s", signed.query, everything, body, signed.token, URL)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_signed_is_accepted(way: str) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    Verifier(config).verify(sent(config, BODY), NOW_MS)


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"none"}))
def test_what_another_source_signed_is_refused(way: str) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    with pytest.raises(RefusedError):
        Verifier(config).verify(Inbound("PUT", "/in/s", body=BODY, url=URL), NOW_MS)


def test_a_signed_header_that_is_sent_anyway_is_left_as_it_is() -> None:
    config = SourceConfig.model_validate(WAYS["standard-webhooks"])
    request = sent(config, BODY, **{"Webhook-Id": "msg_1"})
    assert request.headers["webhook-id"] == "msg_1"
    Verifier(config).verify(request, NOW_MS)


def test_a_made_up_id_differs_from_send_to_send() -> None:
    config = SourceConfig.model_validate(WAYS["standard-webhooks"])
    ids = {sent(config, BODY, now_ms).headers["webhook-id"] for now_ms in range(NOW_MS, NOW_MS + 10)}
    assert len(ids) == 10


def test_a_signed_request_doesnt_show_its_secret() -> None:
    assert "whsec" not in repr(sign(SourceConfig.model_validate(WAYS["stripe"]), BODY, NOW_MS))
    assert "new" not in repr(sign(SourceConfig.model_validate(WAYS["header"]), BODY, NOW_MS))
