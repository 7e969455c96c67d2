"""docs/connectors is what the declarations make, and its tables of errors name what the code can raise."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

import relay
from connectors import common
from relay.connector import Guide, Trouble, connector_class
from relay.connector.pages import pages, shipped, write
from relay.connector.troubles import GENERIC
from tests.causes import Causes, covers, exists, gathered, modules_of

FOLDER = Path(__file__).parents[1] / "docs" / "connectors"
RENEW = "run: python -m relay.connector --write docs/connectors"
RELAY = Path(relay.__file__).parent
#: What every connector uses, and what stands around them: their causes are in the index.
SHARED = [
    *sorted(Path(common.__path__[0]).glob("*.py")),
    *sorted((RELAY / "http").glob("*.py")),
    *(RELAY / name for name in ("connector/fields.py", "connections.py", "deliver.py", "prepare.py")),
]
GENERIC_ROWS = [trouble for group in GENERIC for trouble in group.troubles]


def rows(troubles: list[Trouble]) -> list[tuple[str, Trouble]]:
    """Each cause of each row: some stand together in one."""
    return [(cause, trouble) for trouble in troubles for cause in trouble.cause.split(", ")]


def guide_of(name: str) -> Guide:
    guide = connector_class(name).guide
    assert guide is not None, f"{name} has no guide: write connectors/guides/{name}.py"
    return guide


@cache
def causes_of(name: str) -> Causes:
    return gathered(modules_of(connector_class(name)))


@cache
def shared() -> Causes:
    return gathered(SHARED)


def test_the_committed_pages_are_current_and_none_is_left_over() -> None:
    current = pages(shipped())
    assert {page.name for page in FOLDER.iterdir()} == current.keys(), RENEW
    for name, text in current.items():
        assert (FOLDER / name).read_text() == text, f"{name}: {RENEW}"


def test_pages_of_connectors_that_are_gone_are_taken_away(tmp_path: Path) -> None:
    (tmp_path / "fax.md").write_text("# fax\n")
    write(tmp_path, ["http"])
    assert {page.name for page in tmp_path.iterdir()} == {"README.md", "http.md"}


@pytest.mark.parametrize("name", shipped())
def test_each_cause_that_the_code_can_raise_has_its_row(name: str) -> None:
    guide = guide_of(name)
    others = [trouble for other in guide.also for trouble in guide_of(other).troubles]
    told = [cause for cause, _ in rows([*guide.troubles, *others, *GENERIC_ROWS])]
    found = causes_of(name)
    assert found.unread == [], "these causes can't be read from the code"
    untold = {
        cause: sorted(fates) for cause, fates in found.fates.items() if not any(covers(row, cause) for row in told)
    }
    assert untold == {}, f"give them rows in the guide of {name}, or name under `also` whose code they come from"


@pytest.mark.parametrize("name", shipped())
def test_no_row_tells_of_a_cause_that_is_gone(name: str) -> None:
    known = {**shared().fates, **causes_of(name).fates}
    gone = [row for row, _ in rows(list(guide_of(name).troubles)) if not any(exists(row, cause) for cause in known)]
    assert gone == []


@pytest.mark.parametrize("name", shipped())
def test_what_the_relay_does_is_what_the_code_raises(name: str) -> None:
    known = shared()
    found = Causes()
    found.add(causes_of(name))
    if any(cause.startswith("http ") for cause, _ in rows(list(guide_of(name).troubles))):
        found.add(known)
    assert wrong_fates(list(guide_of(name).troubles), found) == {}


def wrong_fates(troubles: list[Trouble], found: Causes) -> dict[str, str]:
    """Rows that promise what no error in the code does, and those that leave it out where there is but one."""
    wrong = {}
    for row, trouble in rows(troubles):
        alike = [fates for cause, fates in found.fates.items() if exists(row, cause)]
        raised = {fate for fates in alike for fate in fates}
        said = set(trouble.fate.split(" or ")) - {""}
        if (not said <= raised and all(alike)) or (not said and len(raised) == 1):
            wrong[row] = f"says {trouble.fate or 'nothing'}, raised: {', '.join(sorted(raised))}"
    return wrong


def test_each_cause_that_all_connectors_share_has_its_row_in_the_index() -> None:
    found = shared()
    assert found.unread == []
    told = [cause for cause, _ in rows(GENERIC_ROWS)]
    assert [cause for cause in found.fates if not any(covers(row, cause) for row in told)] == []


def test_no_row_of_the_index_tells_of_a_cause_that_is_gone() -> None:
    assert [row for row, _ in rows(GENERIC_ROWS) if not any(exists(row, cause) for cause in shared().fates)] == []


def test_what_the_relay_does_by_the_index_is_what_the_code_raises() -> None:
    assert wrong_fates(GENERIC_ROWS, shared()) == {}


@pytest.mark.parametrize("name", ["the index", *shipped()])
def test_a_row_says_what_to_do_where_somebody_must_act(name: str) -> None:
    for trouble in GENERIC_ROWS if name == "the index" else guide_of(name).troubles:
        assert trouble.means.endswith((".", "`")), trouble.cause
        assert trouble.do or trouble.who == "nobody", trouble.cause


def test_a_page_says_what_a_guide_says() -> None:
    """Not only the tables: setting up, repeats, limits, and what it was tried against."""
    for name in shipped():
        guide, page = guide_of(name), (FOLDER / f"{name}.md").read_text()
        for text in (*guide.setup, guide.repeats, *guide.limits, guide.verified):
            assert text in page


def test_the_causes_are_read_as_they_are_written(tmp_path: Path) -> None:
    module = tmp_path / "sample.py"
    module.write_text(
        """
GONE = "gone"

def judge(said, code, status):
    cause = f"sample {code}" if code else "sample"
    if status == 1:
        return said.hold("…", cause)
    if status == 2:
        return refused("…", "handed on")
    kind = RetryableError if code else UnknownOutcomeError
    if status == 3:
        raise kind("…", cause="either")
    raise HoldError("…", status=status, cause=GONE)

def refused(message, why):
    return PermanentError(message, cause=why)
"""
    )
    found = gathered([module])
    assert found.fates == {
        "sample *": {"hold"},
        "sample": {"hold"},
        "handed on": {"dead"},
        "either": {"retry", "unknown"},
        "gone": {"hold"},
    }
    assert found.unread == []


@pytest.mark.parametrize(
    ("row", "cause", "told"),
    [
        ("http 4*", "http 404", True),
        ("http 404", "http *", False),
        ("*", "anything", False),
        ("*", "*", True),
        ("slack *", "slack *", True),
    ],
)
def test_a_row_covers_what_it_stands_for_and_no_more(row: str, cause: str, told: Any) -> None:
    assert covers(row, cause) is told
