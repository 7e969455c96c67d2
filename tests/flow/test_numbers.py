"""What a sender may write in JSON, and GitHub doesn't: it arrives as docs/sources.md says, in both encodings."""

from __future__ import annotations

import asyncio
import json
import math
import random
import struct
from pathlib import Path
from urllib.parse import urlencode

import pytest

from relay.testing import RecordingServer
from tests.flow.test_github_payloads import (
    FORM_TYPE,
    JSON_TYPE,
    RECIPE,
    SECRET,
    Sent,
    exact,
    post_all,
    stored_events,
)
from tests.harness import eventually, relay_up, write_workspace

#: Arrives as it is written, to the last digit.
EXACT = {
    "large integers": "[9007199254740993, 9223372036854775808, 18446744073709551616, -18446744073709551617]",
    "an integer of four thousand digits": "[" + "9876543210" * 400 + "]",
    "integers and fractions": "[1, 1.0, -1, -1.0, 0, 0.0, true, false, null]",
    "fractions": "[0.1, 5.5, 1e5, 1E+2, 2.5e-7, 5e-324, 1.7976931348623157e308, 123456789.12345679]",
    "numbers as texts": '["0123", "1.0", "1e5", "9007199254740993", "NaN", "true", ""]',
    "letters": '["Zoë", "Şahin", "Ελλάδα", "日本語", "עברית", "e\u0301", "\u2028", "\ufeff"]',
    "emoji": '[{"😀": "😀"}, "👩‍👩‍👧‍👦", "🇬🇧"]',
    "escapes": r'["\ud83d\ude00", "\u0000", "\u001f", "\"\\\/\b\f\n\r\t", "\u007f", "\u00e9"]',
    "what other languages would trip over": '[{"": 1, "__proto__": {"a.b": 2}, "constructor": 3, "$ref": "#"}]',
    "signs that mean something in a form": '["a+b", "a%20b", "a&b=c", "payload=1", "100%", "[x][]"]',
    "keys in their order": '[{"b": 1, "a": 2, "10": 3, "9": 4}]',
    "nothing": "[[], {}, [[]], [{}]]",
    "nested 127 deep": "[" * 127 + "1" + "]" * 127,
}

#: What is written, and what it becomes.
CHANGED = {
    "a key twice": ('[{"a": 1, "a": 2}]', '[{"a": 2}]'),
    "a fraction finer than a double": ("[0.1000000000000000055511, 1e-400]", "[0.1, 0.0]"),
    "half an emoji": (r'["\ud83d!", "\ude00", "\ud83d\ud83d\ude00"]', '["�!", "�", "�😀"]'),
}

#: Kept and never delivered, and what its dead letter says.
REFUSED = {
    "NaN": ('{"a": NaN}', "NaN is no number in JSON"),
    "infinity": ('{"a": Infinity}', "Infinity is no number in JSON"),
    "its negative": ('{"a": -Infinity}', "-Infinity is no number in JSON"),
    "a fraction beyond all others": ('{"a": 1e400}', "a number is too large"),
    "an integer of five thousand digits": ("[" + "1" * 5000 + "]", "a number has too many digits"),
    "nested 129 deep": ("[" * 129 + "]" * 129, "nested deeper than 128 levels"),
    "nested without end": ("[" * 100_000, "nested deeper than 128 levels"),
    "a quote that isn't escaped": ('{"a": "she said "no""}', "line 1, column 18"),
    "a line break in a text": ('{"a": "x\ny"}', "line break or tab"),
    "cut off": ('{"a": [1, 2', "line 1"),
    "two of them": ("{}{}", "line 1, column 3"),
}


def any_numbers(seed: int, number: int) -> str:
    """As many integers of up to 300 bits as doubles of any size, as JSON."""
    dice = random.Random(seed)
    values: list[float] = [dice.getrandbits(dice.randint(1, 300)) * dice.choice((1, -1)) for _ in range(number)]
    while len(values) < 2 * number:
        (value,) = struct.unpack("<d", dice.randbytes(8))
        if math.isfinite(value):
            values.append(value)
    return json.dumps(values)


def both(name: str, text: str) -> list[Sent]:
    form = urlencode({"payload": text}).encode()
    return [
        Sent(f"json {name}", "made-up", JSON_TYPE, text.encode(), text),
        Sent(f"form {name}", "made-up", FORM_TYPE, form, text),
    ]


@pytest.mark.timeout(120)
def test_all_that_json_can_say_arrives_and_what_it_cannot_is_kept(tmp_path: Path) -> None:
    wanted = EXACT | {f"any numbers {seed}": any_numbers(seed, 2000) for seed in range(3)}
    good = [sent for name, text in wanted.items() for sent in both(name, text)]
    expected = {sent.guid: exact(sent.payload) for sent in good}
    for name, (text, becomes) in CHANGED.items():
        for sent in both(name, text):
            good.append(sent)
            expected[sent.guid] = exact(becomes)
    bad = [sent for name, (text, _) in REFUSED.items() for sent in both(name, text)]

    with RecordingServer() as sink:
        write_workspace(
            tmp_path,
            {
                "sources": {"github": {"preset": "github", "secret": SECRET}},
                "connections": {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}},
            },
            {"everything": RECIPE},
        )
        with relay_up(tmp_path) as relay:
            posted = [*good, *bad]
            answers = asyncio.run(post_all(relay, posted))
            assert {guid: answer.status_code for guid, answer in answers.items()} == dict.fromkeys(answers, 202)
            ids = {guid: answer.json()["id"] for guid, answer in answers.items()}
            letters = eventually(lambda: rows if len(rows := relay.rows("dead", "list")) == len(bad) else None)
            eventually(lambda: len(sink.requests) >= len(good))
            stored = asyncio.run(stored_events(relay, [ids[sent.guid] for sent in posted]))
            assert relay.stop() == 0

    assert [kept.event.body if kept else None for kept in stored] == [sent.body for sent in posted]
    arrived = {request.headers["x-of"]: exact(request.body) for request in sink.requests}
    assert len(sink.requests) == len(good)
    assert {name: arrived[name] == value for name, value in expected.items()} == dict.fromkeys(expected, True)

    summaries = {letter["event"]: (letter["cause"], letter["summary"]) for letter in letters}
    for name, (_, why) in REFUSED.items():
        for encoding, field in (("json", ""), ("form", "the form's field payload: ")):
            cause, summary = summaries[ids[f"{encoding} {name}"]]
            assert cause == "undecodable body"
            assert field in summary
            assert why in summary
