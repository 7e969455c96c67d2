"""docs/connectors: an index, and a page for each connector that comes with Relay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from relay.connector.describe import describe, sentence, troubles_table
from relay.connector.registry import connector_class, connector_names
from relay.connector.troubles import GENERIC

_HEAD = """# Connectors

Where the relay can send. Each page says how to set the connection up at the vendor's, what a step may say, what keeps a
retry from making a second row or ticket, and who must act on which error. All of it is made from the connectors' own
declarations: `relay connectors NAME` prints the same for every connector that is installed.

| connector | for | actions |
|---|---|---|
"""

_COMMON = """
A destination that isn't here mostly has an HTTP API: [http](http.md) speaks to any. How to write a connector of your
own stands in [CONTRIBUTING.md](../../CONTRIBUTING.md#a-connector).

## What all have in common

A connection is an entry under `connections` in relay.yaml. A recipe's step names it with `to`, and what to do with
`do`, which may be left out where the connector has one action; `with` holds the rest:

```yaml
# relay.yaml
connections:
  crm:
    connector: hubspot
    token: ${HUBSPOT_TOKEN}
    limit: {rate: 50/10s, concurrency: 4}
```

```yaml
# a recipe
steps:
  contact:
    to: crm
    do: upsert
    with:
      object: contacts
      id: $.email
      properties: {firstname: $.name}
```

- **Secrets** stay out of the files: `${NAME}` takes an environment variable, `${file:secrets/name}` a file. They are
  shown nowhere: not in logs, messages or attempts.
- **`limit`** bounds the connection's lane: `concurrency`, how many deliveries at once (16 where nothing is said), and
  `rate`, how many in a time (`60/min`, `5/2s`). Where the vendor publishes a limit, it is the default. A `limit` of
  your own replaces all of the default: say both parts if you want both.
- **`breaker`** says when the lane stops by itself. Of at least `attempts` (10), counted from the first that failed and
  for no longer than `window` (1m), `failed` (50%) failed in a way that means that the destination is unwell: no
  connection, no answer in time, 408, 429, 5xx. Then nothing goes out for `pause` (10s), and one delivery after it. If
  that fails too, the next pause is twice as long, up to `longest` (5m); if not, the lane gets going again. What waits
  meanwhile uses up no attempt. `breaker: off` is for a destination that is to be tried whatever happens.
- **Durations and sizes** carry their unit: `30s`, `5m`, `2h`, `1d`; `500KB`, `1MB`.
- **An idempotency key** belongs to each delivery and stays the same over its retries. It is sent wherever the
  destination can use it. Where it can't, an action's page says what happens to a retry.
- **`relay try`** shows what a step would send for an event, and sends nothing.

## When it goes wrong

Each failed attempt has a *cause*, which groups alike failures: `relay dead list --by-cause` counts them, and `relay
dead replay --cause "http 404"` takes all of one. In a cause, `*` stands for a part that differs.

| the relay | means |
|---|---|
| tries again | By the step's `retry`, or when the destination asked. When the retries are used up, it is a dead \
letter. |
| holds the lane | Every delivery of the connection would fail alike, so all wait and none is lost. The lane goes on \
when the connection's settings or secrets have changed, or by `relay lanes resume`. |
| dead letter | This delivery would fail again. It waits for an operator, who mends and replays it, or discards it. \
|
| outcome unknown | It may have happened. The step's `on_unknown` decides: `retry`, at the risk of a second one, or \
`hold`, a dead letter that an operator looks at. |

| who acts | is |
|---|---|
| keeper of relay.yaml | whoever may change connections and secrets of the relay |
| author of the recipe | whoever wrote the recipe, or may change it |
| admin of the account there | whoever administers the account at the destination |
| operator | whoever looks after dead letters |

"""


def pages(names: Iterable[str]) -> dict[str, str]:
    """Every file of docs/connectors, by its name."""
    names = list(names)
    return {"README.md": "\n".join(_index(names)), **{f"{name}.md": describe(name) for name in names}}


def shipped() -> list[str]:
    """The connectors that come with Relay: a third party's has its page elsewhere."""
    return [name for name in connector_names() if connector_class(name).__module__.startswith("connectors.")]


def write(folder: Path, names: Iterable[str]) -> None:
    """Renew the pages, and take away those of connectors that are gone."""
    made = pages(names)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (folder / name).write_text(text)
    for page in folder.glob("*.md"):
        if page.name not in made:
            page.unlink()


def _index(names: list[str]) -> Iterator[str]:
    rows = []
    for name in names:
        found = connector_class(name)
        actions = ", ".join(f"`{action.name}`" for action in found.actions)
        rows.append(f"| [{name}]({name}.md) | {sentence(found.summary)} | {actions} |")
    yield _HEAD + "\n".join(rows)
    yield _COMMON.rstrip()
    for group in GENERIC:
        yield from ("", f"### {group.title}", "", group.about, "")
        yield from troubles_table(group.troubles)[:-1]
    yield ""
