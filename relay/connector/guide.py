"""What a connector's page says beside its fields: how to set it up, its limits, who must act on which error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Who must act on a failure. `nobody`: the relay goes on by itself. `admin`: whoever keeps relay.yaml.
#: `author`: whoever wrote the recipe. `vendor`: whoever administers the account at the destination.
#: `operator`: whoever looks after dead letters.
Who = Literal["nobody", "admin", "author", "vendor", "operator"]

#: What the relay does of it: it tries again, holds the lane, makes a dead letter, or calls the outcome unknown.
Fate = Literal[
    "", "retry", "hold", "dead", "unknown",
    "retry or hold", "retry or dead", "retry or unknown", "hold or dead", "dead or unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of failure, as operators meet it.

    cause  as the attempt and the dead letter have it; `*` stands for a part that differs, and `, ` parts several
    means  what happened: one or two sentences
    who    who must act
    do     what they do; empty for nobody
    fate   what the relay does; tests compare it with the code
    """

    cause: str
    means: str
    who: Who
    do: str = ""
    fate: Fate = ""


@dataclass(frozen=True, slots=True)
class Guide:
    """A page's text. Sentences in Markdown.

    setup     step by step, first at the vendor, then in relay.yaml
    repeats   what keeps a retry from making a second row, ticket or message; where nothing does, what happens then
    limits    what the destination takes at most, and how fast; with what the relay does about it
    troubles  its own kinds of failure; those of every HTTP destination stand on a page of their own
    also      connectors whose kinds of failure are met here too, as it uses their code
    check     what `relay connections test` finds out there, and what it can't
    verified  what all of this was verified against, and what wasn't
    """

    setup: tuple[str, ...]
    repeats: str
    limits: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    also: tuple[str, ...] = ()
    check: str = ""
    verified: str = ""
