"""`retry:` — a policy by its name, as a list of waits, or as a growing row of them."""

from __future__ import annotations

from collections.abc import Mapping as Map
from datetime import timedelta

from relay.recipes.reader import Reader
from relay.recipes.words import unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain
from relay.retry import DEFAULT_POLICY, RetryPolicy
from relay.units import parse_duration

#: More attempts than this are a loop, not a policy.
_MOST_TIMES = 100
_LONGEST = timedelta(days=7)


def read_policy(reader: Reader, node: Node | None, named: Map[str, RetryPolicy] | None) -> RetryPolicy | None:
    """None for the default. `named` are relay.yaml's; None where they can't be looked up, which leaves the default."""
    match node:
        case None:
            return None
        case Mapping():
            return _written(reader, node)
        case Scalar() if isinstance(node.value, str):
            if node.text == "default":
                return DEFAULT_POLICY
            if named is not None and node.text not in named:
                reader.error(node.place, unknown("retry policy", node.text, [*named, "default"]), "unknown-policy")
            return (named or {}).get(node.text)
    reader.error(node.place, "`retry` names a policy or gives one: {after: [5m, 1h]} or {times: 8, first: 30s}")
    return None


def _written(reader: Reader, node: Mapping) -> RetryPolicy | None:
    before = len(reader.problems)
    reader.known_keys(node, ("after", "times", "first", "factor", "max", "jitter"))
    jitter = _number(reader, node, "jitter", DEFAULT_POLICY.jitter, 0, 1)
    if "after" in node:
        for key in ("times", "first", "factor", "max"):
            if key in node:
                reader.error(node.keys[key].place, f"`{key}` and `after` exclude each other: `after` lists every wait")
        steps = _listed(reader, node)
    else:
        steps = _growing(reader, node)
    if len(reader.problems) > before:
        return None
    return RetryPolicy(steps=steps, jitter=jitter)


def _listed(reader: Reader, node: Mapping) -> tuple[timedelta, ...]:
    waits = node.values["after"]
    if not isinstance(waits, Sequence):
        reader.error(waits.place, "`after` is a list of waits, such as [5m, 1h, 3h]; [] never tries again")
        return ()
    if len(waits.items) > _MOST_TIMES:
        reader.error(waits.place, f"at most {_MOST_TIMES} waits")
        return ()
    return tuple(_wait(reader, item) for item in waits.items)


def _wait(reader: Reader, node: Node) -> timedelta:
    try:
        wait = parse_duration(plain(node))
    except ValueError as error:
        reader.error(node.place, str(error))
        return timedelta(0)
    if wait > _LONGEST:
        reader.error(node.place, "a wait is at most 7d")
    return min(wait, _LONGEST)


def _growing(reader: Reader, node: Mapping) -> tuple[timedelta, ...]:
    for key in ("times", "first"):
        if key not in node:
            message = f"`{key}:` is missing: a policy is {{after: […]}} or {{times: 8, first: 30s}}"
            reader.error(node.place, message, "missing-key")
            return ()
    times = int(_number(reader, node, "times", 0, 0, _MOST_TIMES, whole=True))
    factor = _number(reader, node, "factor", 2, 1, 100)
    first = _wait(reader, node.values["first"])
    longest = _wait(reader, node.values["max"]) if "max" in node else timedelta(hours=12)
    # min() before the power: a wait that has reached the longest one stays there, and the power can't overflow.
    steps = []
    wait = first
    for _ in range(times):
        steps.append(min(wait, longest))
        wait = min(wait * factor, longest)
    return tuple(steps)


def _number(
    reader: Reader, node: Mapping, key: str, default: float, least: float, most: float, *, whole: bool = False
) -> float:
    if key not in node:
        return default
    value = plain(node.values[key])
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or (whole and not isinstance(value, int)):  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        reader.error(node.values[key].place, f"`{key}` is {kind} from {least:g} to {most:g}")
        return default
    assert isinstance(value, (int, float))
    return value
