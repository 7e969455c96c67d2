"""The format of the stored data: new stores get today's, older data is brought up to date, newer is refused."""

from __future__ import annotations

import pytest

from relay.errors import NewerDataError
from relay.store import FORMAT, Store, bring_up_to_date
from tests.store.bench import Bench


async def test_a_new_store_has_the_format_of_today(bench: Bench) -> None:
    assert await bring_up_to_date(bench.store) == FORMAT
    assert await bench.store.ask("GET", bench.store.key("format")) == str(FORMAT).encode()


async def test_data_without_a_number_is_brought_up_to_date(bench: Bench) -> None:
    await bench.accept()
    assert await bring_up_to_date(bench.store) == 0
    assert await bring_up_to_date(bench.store) == FORMAT


async def test_newer_data_is_refused_with_a_remedy(bench: Bench) -> None:
    await bench.store.ask("SET", bench.store.key("format"), FORMAT + 1)
    with pytest.raises(NewerDataError, match="start the version that wrote it or a newer one"):
        await bring_up_to_date(bench.store)


async def test_steps_that_are_broken_off_go_on_where_they_were(bench: Bench) -> None:
    await bench.accept()
    done: list[int] = []
    fails = [True]

    async def first(_: Store) -> None:
        done.append(0)

    async def second(_: Store) -> None:
        done.append(1)
        if fails.pop():
            fails.append(False)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await bring_up_to_date(bench.store, {0: first, 1: second}, 2)
    assert await bring_up_to_date(bench.store, {0: first, 1: second}, 2) == 1
    assert done == [0, 1, 1]
