"""What `relay doctor --books` finds, and what `--mend` does about it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from relay.cli.common import many, progress, who

if TYPE_CHECKING:
    from relay.settings import Settings
    from relay.store import Books, Fault, Operators

#: What is found: of what, how bad, and the sentence.
Found = tuple[str, str, str]

#: Mending one fault may uncover another, which it hid.
_ROUNDS = 3

#: So many of a kind are told one by one.
_MOST_TOLD = 10


async def look_at_books(settings: Settings, operators: Operators, mend: bool) -> list[Found]:
    from relay.store import Books

    books = Books(operators.store)
    found: list[Found] = []
    mended: list[Fault] = []
    for _ in range(_ROUNDS):
        size = await books.size()
        with progress("looking at the books", size) as bar:
            faults = [fault async for fault in books.look(lambda more: bar.advance(bar.task_ids[0], more))]
        if not faults or not mend:
            break
        mended += await _mend(settings, operators, books, faults)
    else:
        faults = [fault async for fault in books.look()]
    found += _told(mended, "warning", "mended")
    found += _told(faults, "error", "relay doctor --mend mends it" if not mend else "it could not be mended")
    return found or [("books", "ok", f"{many(size, 'key')} looked at: everything is where it should be")]


async def _mend(settings: Settings, operators: Operators, books: Books, faults: list[Fault]) -> list[Fault]:
    from relay.errors import ConfigError
    from relay.recipes import Workspace, load_workspace
    from relay.replay import Replayer
    from relay.store import UNROUTED

    try:
        workspace = load_workspace(settings.recipes)
    except ConfigError:
        # What is run again goes by the versions that the store keeps.
        workspace = Workspace(settings.recipes)
    replayer = Replayer(operators, workspace, who(), "same")

    async def run_again(fault: Fault) -> None:
        if fault.kind == UNROUTED:
            stored = await operators.store.event(fault.id)
            if stored is not None:
                await replayer.events([stored])
        elif (delivery := await operators.store.delivery(fault.id)) is not None:
            await replayer.deliveries([delivery])

    with progress("mending", len(faults)) as bar:
        mended = await books.mend(faults, replayer.stranded, lambda more: bar.advance(bar.task_ids[0], more))
    for fault in mended:
        await operators.note_mended(fault, who())
    return mended


def _told(faults: list[Fault], status: str, what: str) -> list[Found]:
    number = Counter(fault.kind for fault in faults)
    told: Counter[str] = Counter()
    found: list[Found] = []
    for fault in faults:
        told[fault.kind] += 1
        if told[fault.kind] <= _MOST_TOLD:
            found.append(("books", status, f"{fault.id}: {fault.message}; {what}"))
    for kind, all_of_it in number.items():
        if all_of_it > _MOST_TOLD:
            found.append(("books", status, f"{all_of_it - _MOST_TOLD:,} more of the kind `{kind}`; {what}"))
    return found
