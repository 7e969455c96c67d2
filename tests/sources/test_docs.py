"""docs/sources.md and docs/presets.md say what the declarations say, and their examples work.

`python -m tests.sources.test_docs` writes both anew.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.sources.config import SourceConfig
from relay.sources.docs import generated, presets_page
from relay.sources.presets import PRESETS
from relay.sources.verify import Verifier
from relay.sources.words import REFERENCE, handshake_words, ways

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PRESETS_PAGE = DOCS / "sources.md", DOCS / "presets.md"
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXAMPLES = _BLOCK.findall(PAGE.read_text())

PUBLIC_KEY = base64.b64encode(
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


def sections() -> dict[str, str]:
    """docs/presets.md by its headings."""
    parts = re.split(r"^## (.*)\n", PRESETS_PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def validate(example: str) -> list[SourceConfig]:
    """Each source that an example declares, its secrets filled in with something of the right kind."""
    found = []
    for source in yaml.safe_load(example)["sources"].values():
        text = yaml.safe_dump(source)
        preset = PRESETS.get(source.get("preset", ""))
        is_key = "ecdsa" in text or (preset is not None and any(way.kind == "ecdsa" for way in ways(preset.verify)))
        filled = yaml.safe_load(REFERENCE.sub(PUBLIC_KEY if is_key else "s3cret", text))
        config = SourceConfig.model_validate(filled)
        Verifier(config)
        found.append(config)
    return found


def test_the_tables_are_the_ones_the_declarations_make() -> None:
    assert PAGE.read_text() == generated(PAGE.read_text())


def test_the_page_of_the_presets_is_the_one_the_declarations_make() -> None:
    assert PRESETS_PAGE.read_text() == presets_page()


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_valid_source(example: str) -> None:
    assert validate(example)


@pytest.mark.parametrize(
    "way",
    [
        "none", "header", "query", "path_token", "token", "field", "basic", "bearer",
        "hmac", "digest", "ecdsa", "ip_allow", "any",
    ],
)  # fmt: skip
def test_each_way_to_verify_has_an_example(way: str) -> None:
    assert any(re.search(rf"verify:\s+(\{{?{way}:|{way}\b)", example) for example in EXAMPLES)


@pytest.mark.parametrize("key", SourceConfig.model_fields)
def test_each_key_of_a_source_has_its_row(key: str) -> None:
    assert f"\n| `{key}` |" in PAGE.read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_its_row(name: str) -> None:
    row = f"\n| [`{name}`]("
    assert row in PAGE.read_text()
    assert row in PRESETS_PAGE.read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_its_section_with_a_source_that_is_valid(name: str) -> None:
    preset, text = PRESETS[name], sections()[name]
    (example,) = _BLOCK.findall(text)
    (config,) = validate(example)
    assert config.preset == name
    for expression in (preset.event_id, preset.event_type, preset.event_time, preset.split):
        assert expression is None or f"`{expression}`" in text
    for event in preset.types:
        assert f"`{event}`" in text
    assert preset.page in text
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) >= len(preset.setup)
    # What is filled in has been filled in. A signature over the address names it as `{url}`.
    assert "{url}" not in re.sub(r"^- \*\*Proved by.*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_says_what_to_do_and_what_it_was_tried_against(name: str) -> None:
    preset = PRESETS[name]
    assert preset.page.startswith("https://")
    assert preset.setup
    assert preset.proof
    assert preset.tried or not handshake_words(preset)


def test_a_step_shows_address_and_secret_as_code() -> None:
    assert "`https://relay.example.org/in/jotform/${JOTFORM_SECRET}`" in sections()["jotform"]


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text()))
    PRESETS_PAGE.write_text(presets_page())
