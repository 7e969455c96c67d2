"""docs/sources.md says what the declarations say, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from relay.sources.config import SourceConfig
from relay.sources.docs import generated
from relay.sources.presets import PRESETS
from relay.sources.verify import Verifier

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_tables_are_the_ones_the_declarations_make() -> None:
    """To write them anew: `p = Path("docs/sources.md"); p.write_text(relay.sources.docs.generated(p.read_text()))`."""
    assert PAGE.read_text() == generated(PAGE.read_text())


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_valid_source(example: str) -> None:
    with_secrets = re.sub(r"\$\{\w+\}", "s3cret", example)
    for source in yaml.safe_load(with_secrets)["sources"].values():
        Verifier(SourceConfig.model_validate(source))


@pytest.mark.parametrize("way", ["none", "header", "query", "token", "basic", "bearer", "hmac"])
def test_each_way_to_verify_has_an_example(way: str) -> None:
    assert any(re.search(rf"verify: (\{{{way}:|{way}\b)", example) for example in EXAMPLES)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_its_row(name: str) -> None:
    assert f"\n| `{name}`" in PAGE.read_text()
