"""The workspace under fire, and what should come of each event that is sent into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.harness import write_workspace

SOURCES = ("chats", "orders", "forms")
KEY = {"X-Key": "k"}
ORDER_KEYS = 6

#: A step that fails under fire is tried again until the fire is out: nothing dies of it, so nothing may be missing.
RETRY = {"times": 100, "first": "0.3s", "factor": 1.5, "max": "1.5s"}
#: Long enough for a busy machine, short enough for a destination that hangs.
STEP = {"timeout": "3s", "retry": RETRY}

#: Where the sink acts once on an idempotency key, and where it looks at none.
IDEMPOTENT = ("forward", "ordered", "edited", "items", "number", "second", "some", "rows")
CARELESS = "plain"
PATHS = (*IDEMPOTENT, CARELESS)
FILES = ("chats.jsonl", "rows.jsonl")


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """Something that must have happened exactly once at a destination: `unit` is the event's id, and its item's."""

    place: str
    unit: str


def number_of(id_: str) -> int:
    """What the sink answers to the step that saves, and the next step must bring back."""
    return int(hashlib.blake2b(id_.encode(), digest_size=4).hexdigest(), 16)


def body_of(source: str, number: int, key: str, turn: int, rng: Random) -> dict[str, Any]:
    body: dict[str, Any] = {"id": f"{source}-{number:05}", "key": key, "turn": turn, "text": "x" * rng.randint(1, 600)}
    if source == "orders":
        body["items"] = [{"sku": f"s{item}"} for item in range(rng.randint(0, 4))]
    if source == "forms":
        body["wanted"] = rng.random() < 0.5
    return body


def effects_of(source: str, body: Mapping[str, Any]) -> Iterator[Effect]:
    id_ = body["id"]
    if source == "chats":
        yield from (Effect(place, id_) for place in ("forward", "ordered", "edited", "chats.jsonl"))
    elif source == "orders":
        yield from (Effect("items", f"{id_}/{item['sku']}") for item in body["items"])
        yield from (Effect(place, id_) for place in ("number", "second"))
    else:
        yield from (Effect(place, id_) for place in ("plain", "rows", "rows.jsonl"))
        if body["wanted"]:
            yield Effect("some", id_)


def step(place: str, **more: Any) -> dict[str, Any]:
    return {"to": place, **STEP, "with": {"path": f"/{place}", "json": {"id": "$.id"}}, **more}


def edited(version: int) -> dict[str, Any]:
    """The recipe that is saved again and again while events go through it."""
    post = {"path": "/edited", "json": {"id": "$.id", "version": version}}
    return {
        "recipe": f"Edited, version {version}",
        "catch": "chats",
        "steps": {"post": {"to": "edited", **STEP, "with": post}},
    }


def write_recipe(folder: Path, version: int) -> None:
    """Save the edited recipe as an editor does: a whole file takes the old one's place."""
    save(folder / "edited.yaml", yaml.safe_dump(plain(edited(version)), sort_keys=False))


def plain(value: Any) -> Any:
    """Copied all through: what is in two places would be written as a YAML anchor."""
    return json.loads(json.dumps(value))


def save(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.rename(path)


def recipes() -> dict[str, Mapping[str, Any]]:
    ordered = {"path": "/ordered", "json": {"id": "$.id", "key": "$.key", "turn": "$.turn"}}
    item = {"path": "/items", "json": {"id": "$.id", "sku": "$item.sku"}}
    second = {"path": "/second", "json": {"id": "$.id", "number": "$number.number"}}
    return {
        "forward": {
            "recipe": "Forward, and keep in a file",
            "catch": "chats",
            "steps": {
                "post": step("forward"),
                "keep": {
                    "to": "drop",
                    "do": "jsonl",
                    **STEP,
                    "with": {"path": "chats.jsonl", "record": {"id": "$.id"}},
                },
            },
        },
        "ordered": {
            "recipe": "One after another, by key",
            "catch": "chats",
            "steps": {"post": step("ordered", order_by="$.key", **{"with": ordered})},
        },
        "edited": edited(0),
        "items": {
            "recipe": "Once per item",
            "catch": "orders",
            "steps": {"each": step("items", foreach="$.items", **{"with": item})},
        },
        "pair": {
            "recipe": "Two steps, the second with what the first saved",
            "catch": "orders",
            "steps": {
                "number": step("number", save={"number": "$.number"}),
                "second": step("second", **{"with": second}),
            },
        },
        "some": {"recipe": "Only some", "catch": "forms", "when": "$.wanted", "steps": {"post": step("some")}},
        "plain": {"recipe": "To one that knows no keys", "catch": "forms", "steps": {"post": step("plain")}},
        "rows": {
            "recipe": "Many rows in one call",
            "catch": "forms",
            "steps": {
                "post": step("rows", batch={"every": "1s", "max": 10}),
                "keep": {
                    "to": "drop",
                    "do": "jsonl",
                    **STEP,
                    "batch": {"every": "1s", "max": 25},
                    "with": {"path": "rows.jsonl", "record": {"id": "$.id"}},
                },
            },
        },
    }


def write(folder: Path, sink_url: str) -> None:
    """Each place has a connection, and so a lane, of its own."""
    account = {"connector": "http", "base_url": sink_url, "allow_private": True, "idempotent": True}
    connections: dict[str, Any] = {place: dict(account) for place in PATHS}
    connections["drop"] = {"connector": "file", "folder": "outbox"}
    source = {"verify": {"header": "X-Key", "equals": "k"}, "event_id": "$.id"}
    relay_yaml = {"sources": dict.fromkeys(SOURCES, source), "connections": connections}
    write_workspace(folder, plain(relay_yaml), plain(recipes()))
