"""What an expression may call by name, and the sentence for a name that isn't known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from relay.errors import ConfigError
from relay.recipes.paths import Ref
from relay.recipes.tables import Table
from relay.recipes.words import listed, nearest, unknown

#: Names that are always there, and the parts they have; None where those come with the request.
BUILT_IN: dict[str, tuple[str, ...] | None] = {
    "event": ("id", "received_at", "sent_at", "type"),
    "headers": None,
    "query": None,
    "delivery": ("id",),
}

#: Names that are there only where a step says so, with their parts.
WITHIN: dict[str, tuple[str, ...] | None] = {"item": None, "index": (), "batch": ("time", "count")}

#: What brings such a name.
BROUGHT_BY = {"item": "foreach", "index": "foreach", "batch": "batch"}

#: A name that belongs to what a later version builds.
LATER = {"alert": "alerts"}

RESERVED = frozenset(BUILT_IN) | frozenset(WITHIN) | frozenset(LATER)


@dataclass(frozen=True)
class Names:
    """The names in force where an expression stands.

    picks   what `pick` made
    saves   step → the names it saves; a step without `save` has none
    within  of `item`, `index` and `batch`, those that stand here
    later   picks that exist, but are made further down
    zone    the recipe's time zone, which dates are read and written in
    tables  what `lookup` looks into, by name
    where   what `$` is, for messages: `body` or `reply`
    """

    picks: frozenset[str] = frozenset()
    saves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    later: frozenset[str] = frozenset()
    built_in: frozenset[str] = frozenset(BUILT_IN)
    within: frozenset[str] = frozenset()
    zone: tzinfo = UTC
    tables: Mapping[str, Table] = field(default_factory=dict)

    def check(self, ref: Ref) -> None:
        """Raises ConfigError, at the path's place, where its name isn't known."""
        root = ref.root
        if not root or root in self.picks:
            return
        if root in self.built_in or root in self.within:
            parts = BUILT_IN.get(root) or WITHIN.get(root)
            if parts and ref.steps and ref.steps[0] not in parts:
                raise ConfigError(unknown(f"part of ${root}", str(ref.steps[0]), parts), ref.place)
            return
        if root in self.saves:
            self._check_saved(ref)
            return
        if root in WITHIN:
            raise ConfigError(f"`${root}` stands only in a step that has `{BROUGHT_BY[root]}:`", ref.place)
        if root in LATER:
            raise ConfigError(f"`${root}` belongs to `{LATER[root]}`, which is not supported yet here", ref.place)
        if root in self.later:
            raise ConfigError(f"`${root}` is picked further down: move it above this one", ref.place)
        raise ConfigError(self._unknown(root), ref.place)

    def _check_saved(self, ref: Ref) -> None:
        saved = self.saves[ref.root]
        if not saved:
            raise ConfigError(f"the step `{ref.root}` saves nothing: give it a `save:`", ref.place)
        if ref.many is None and ref.steps and ref.steps[0] not in saved:
            guess = nearest(str(ref.steps[0]), saved)
            hint = f"did you mean `{guess}`? " if guess else ""
            message = f"the step `{ref.root}` saves no `{ref.steps[0]}`: {hint}it saves {listed(saved)}"
            raise ConfigError(message, ref.place)

    def _unknown(self, root: str) -> str:
        saving = (step for step, saved in self.saves.items() if saved)
        known = list(dict.fromkeys([*sorted(self.picks), *saving, *sorted(self.built_in | self.within)]))
        guess = nearest(root, known)
        hint = f"did you mean `${guess}`? " if guess else ""
        there = listed("$" + name for name in known)
        return f"`${root}` is not known here: {hint}there are {there}, and $.{root} is the body's"
