"""Event ids: unique, in order, also of a process that was forked."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from relay.model import new_event_id


def test_ids_of_one_process_are_in_the_order_they_were_made() -> None:
    ids = [new_event_id() for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch("evt_[0-9a-hjkmnp-tv-z]{26}", each) for each in ids)


def test_threads_share_the_random_bits() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(lambda _: new_event_id(), range(5_000)))) == 5_000


def test_a_forked_process_doesnt_go_on_with_its_parents_random_bits() -> None:
    new_event_id()
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, "\n".join(new_event_id()[-16:] for _ in range(50)).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answer:
        theirs = set(answer.read().split())
    os.waitpid(child, 0)
    assert len(theirs) == 50
    assert not theirs & {new_event_id()[-16:] for _ in range(50)}
