from __future__ import annotations

import pytest

from relay.testing import ConnectorContract
from tests.connectors import contract_table
from tests.connectors.contract_table import Held, classes, held, shipped, table

HELD = [one for tests in classes().values() for by in tests for one in held(by)]
ANEW = [one for one in HELD if one.anew]


def title(one: Held) -> str:
    return f"{one.by.connector.name}-{one.by.__name__}-{one.check}"


@pytest.mark.parametrize("name", shipped())
def test_each_connector_has_a_test_class_of_the_contract(name: str) -> None:
    assert classes().get(name), (
        f"{name} is installed, but no test class in tests/connectors/test_*.py inherits ConnectorContract "
        f"(HttpConnectorContract where it speaks HTTP) with `connector` set to it"
    )


def test_every_test_module_can_be_imported() -> None:
    classes()
    assert contract_table.broken == {}


def test_no_check_is_skipped() -> None:
    assert [title(one) for one in HELD if one.skipped] == []


@pytest.mark.parametrize("one", ANEW, ids=title)
def test_what_is_checked_otherwise_says_why(one: Held) -> None:
    assert len(one.why.split()) >= 3, (
        f"{title(one)} replaces a check of the public contract: say in its docstring, or in a comment at its "
        f"beginning, what is different at this destination"
    )


@pytest.mark.parametrize(("name", "tests"), classes().items(), ids=lambda value: value if type(value) is str else "")
def test_each_check_is_made_for_each_connector(name: str, tests: list[type[ConnectorContract]]) -> None:
    for by in tests:
        assert {one.check for one in held(by)} == set(contract_table.checks(contract_table.public(by)))


def test_the_table_has_a_row_for_each_class() -> None:
    rows = [line for line in table().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + sum(map(len, classes().values()))


class _Odd(ConnectorContract):
    test_the_example_is_valid = None  # type: ignore[assignment]

    @pytest.mark.skip
    def test_a_preview_is_plain_json(self, *_: object) -> None:  # type: ignore[override]
        # Because it can.
        pass

    def test_every_field_is_described(self) -> None:
        pass


def test_a_check_that_is_taken_away_or_skipped_or_replaced_without_a_word_is_found() -> None:
    odd = {one.check: one for one in held(_Odd)}
    assert {name for name, one in odd.items() if one.skipped} == {
        "test_the_example_is_valid",
        "test_a_preview_is_plain_json",
    }
    assert odd["test_a_preview_is_plain_json"].why == "Because it can."
    assert (odd["test_every_field_is_described"].anew, odd["test_every_field_is_described"].why) == (True, "")
