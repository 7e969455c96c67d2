"""relay sources list|show"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import AsJson, Recipes, json_line, not_known, out, show, the_workspace, wide
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Workspace
    from relay.recipes.yaml_tree import Node
    from relay.sources.config import SourceConfig
    from relay.sources.presets import Preset

app = typer.Typer(no_args_is_help=True, help="Where webhooks arrive: what to set up at each sender.")

COLUMNS = ("name", "status", "preset", "verified_by", "url")
PRESET_COLUMNS = ("name", "vendor", "sends", "verified_by")

_LABEL = 14


@app.command("list")
def list_(
    presets: Annotated[bool, typer.Option("--presets", help="The vendors that are known by name instead.")] = False,
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1000,
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """Every source: whether it can be used, and how its requests prove whom they are from.

    [bold]relay sources list[/]
    [bold]relay sources list --presets[/]
    """
    del since  # every list takes it; a source is as it is now
    if presets:
        show(_preset_rows()[:limit], PRESET_COLUMNS, as_json=as_json, empty="No presets.")
        return
    settings = Settings.read({"recipes": recipes})
    rows = [_row(settings, name, why) for name, why in _states(the_workspace(settings)).items()][:limit]
    columns = (*COLUMNS, "reason") if any(row["reason"] for row in rows) else COLUMNS
    show(rows, columns, as_json=as_json, empty="No sources: relay.yaml has none.")


@app.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="A source of relay.yaml; or a preset, where no source is called that.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="The address with its token in it, not its name.")] = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """What to paste where in the sender's settings, what it will send, and what it hears from us.

    [bold]relay sources show chat[/]
    [bold]relay sources show stripe[/]
    """
    from relay.sources.presets import PRESETS

    settings = Settings.read({"recipes": recipes})
    try:
        workspace: Workspace | None = the_workspace(settings)
    except ConfigError:
        if name not in PRESETS:
            raise
        workspace = None  # what is known of a vendor can be read without any workspace
    if workspace is not None and name in workspace.sources:
        facts = _of_source(settings, workspace, name, reveal=reveal)
    elif name in PRESETS:
        facts = _of_preset(settings, PRESETS[name], _with_preset(workspace, name))
    else:
        raise not_known("source", name, [*(workspace.sources if workspace is not None else ()), *PRESETS])
    if as_json:
        json_line(facts)
    else:
        _print(facts)


def _states(workspace: Workspace) -> dict[str, str]:
    return {name: source.unavailable or "" for name, source in workspace.sources.items()}


def _row(settings: Settings, name: str, why: str) -> dict[str, Any]:
    from relay.cli.posting import address, plain_source
    from relay.sources.words import address_with_proof, in_short, verify_of

    written = plain_source(settings.recipes, name)
    verify = verify_of(written)
    return {
        "name": name,
        "status": "unavailable" if why else "ok",
        "preset": written.get("preset"),
        "verified_by": _text(in_short(verify)),
        "url": address_with_proof(address(settings, name), verify),
        "reason": why,
    }


def _preset_rows() -> list[dict[str, Any]]:
    from relay.sources.presets import PRESETS
    from relay.sources.words import example_verify, in_short, sends_briefly

    return [
        {
            "name": preset.name,
            "status": "known",
            "vendor": preset.vendor,
            "sends": _text(sends_briefly(preset)),
            "verified_by": _text(in_short(preset.verify or example_verify(preset))),
        }
        for preset in PRESETS.values()
    ]


# -- one of them


def _of_source(settings: Settings, workspace: Workspace, name: str, *, reveal: bool) -> dict[str, Any]:
    from relay.cli.posting import address, plain_source, written_source
    from relay.sources.presets import PRESETS
    from relay.sources.words import verify_of, ways

    source = workspace.sources[name]
    written = plain_source(settings.recipes, name)
    verify = verify_of(written)
    preset = PRESETS.get(str(written.get("preset")))
    secrets = _secrets(settings.recipes, written_source(settings.recipes, name))
    names = [secret for way in ways(verify) for secret in way.secrets]
    facts = {
        "name": name,
        "status": "unavailable" if source.unavailable else "ok",
        "reason": source.unavailable,
        **_facts(preset, verify, address(settings, name), names[0] if names else ""),
        "methods": list(source.declared.methods) if source.declared is not None else None,
        "content_type": _sends(preset, source.declared),
        **_said(source.declared),
        "secrets": secrets,
        "caught_by": [recipe.id for recipe in workspace.recipes_for(name)],
        "broken_recipes": [broken.id for broken in workspace.broken_for(name)],
        "note": _other_than_the_steps(preset, verify),
    }
    if not reveal:
        return facts
    return _revealed(facts, settings.recipes, source.config.secrets if source.config is not None else ())


def _with_preset(workspace: Workspace | None, preset: str) -> list[str]:
    sources = workspace.sources.values() if workspace is not None else ()
    return [one.name for one in sources if one.declared is not None and one.declared.preset == preset]


def _of_preset(settings: Settings, preset: Preset, sources: list[str]) -> dict[str, Any]:
    """sources: those that have this preset, under names of their own."""
    from relay.cli.posting import address
    from relay.sources.words import example, example_verify, snippet, ways

    verify = example_verify(preset)
    names = [secret for way in ways(verify) for secret in way.secrets]
    return {
        "name": preset.name,
        "status": "preset",
        "reason": "no source of relay.yaml is called that; this is what is known of the vendor"
        + (f". Sources with this preset: {', '.join(sources)}" if sources else ""),
        **_facts(preset, verify, address(settings, preset.name), names[0] if names else ""),
        "methods": list(preset.methods) if preset.methods is not None else None,
        "content_type": preset.sends,
        "event_id": preset.event_id,
        "event_type": preset.event_type,
        "event_time": preset.event_time,
        "split": preset.split,
        "relay_yaml": snippet(preset.name, example(preset)),
    }


def _facts(preset: Preset | None, verify: Any, bare: str, secret: str) -> dict[str, Any]:
    """What a source and its preset have in common. `bare` is the address without what proves the sender."""
    from relay.sources import words

    url = words.address_with_proof(bare, verify)
    facts: dict[str, Any] = {
        "preset": preset.name if preset is not None else None,
        "vendor": preset.vendor if preset is not None else None,
        "page": preset.page if preset is not None else None,
        "url": url,
        "proofs": [
            {
                "way": way.kind,
                "name": way.name,
                "secrets": list(way.secrets),
                "words": _text(way.long),
                "url": words.address_by(bare, way),
            }
            for way in words.ways(verify)
        ],
    }
    if preset is None:
        return facts | {"answer": words.OUR_ANSWER}
    return facts | {
        "asks_for": preset.asks_for if _is_its_own(preset, verify) else None,
        "kept": _text(words.in_short(preset.kept)) if preset.kept else None,
        "events": list(preset.types),
        "handshake": words.handshake_words(preset) or None,
        "answer": words.answer_words(preset.answer),
        "waits": words.waits_words(preset) or None,
        "without_answer": preset.retries or None,
        "gives_up": preset.gives_up or None,
        "setup": words.steps(preset, url, secret),
        "script": words.placed(preset.script, url, secret),
    }


def _said(config: SourceConfig | None) -> dict[str, Any]:
    names = ("event_id", "event_type", "event_time", "split")
    return {name: getattr(config, name) if config is not None else None for name in names}


def _sends(preset: Preset | None, config: SourceConfig | None) -> str:
    if config is not None and config.decode != "auto":
        # The vendor's own word where it has one: "a form, multipart".
        if preset is not None and preset.decode in (config.decode, None):
            return preset.sends
        return {"json": "JSON", "form": "a form", "xml": "XML", "query": "parameters in the address"}.get(
            config.decode, "text"
        )
    return preset.sends if preset is not None else "any: JSON, a form, XML or text"


def _secrets(folder: Path, node: Node | None) -> list[dict[str, Any]]:
    """Every reference that the source holds, by its name; and whether it has a value."""
    from relay.recipes.secrets import Resolver
    from relay.recipes.yaml_tree import Scalar
    from relay.sources.words import REFERENCE

    found: dict[str, dict[str, Any]] = {}
    for key, scalar in _scalars(node):
        for reference in REFERENCE.finditer(scalar.text):
            name = reference[0]
            resolver = Resolver(folder, os.environ)
            resolver.resolve(Scalar(scalar.place, name, name, name))
            why = resolver.unset[0].message if resolver.unset else None
            found[name] = {"name": name, "status": "unset" if why else "set", "key": key, "reason": why}
    return list(found.values())


def _scalars(node: Node | None, key: str = "") -> Iterator[tuple[str, Any]]:
    """With the key of the source that each is under."""
    from relay.recipes.yaml_tree import Mapping, Scalar, Sequence

    match node:
        case Scalar():
            yield key, node
        case Mapping():
            for name, inner in node.values.items():
                yield from _scalars(inner, key or name)
        case Sequence():
            for inner in node.items:
                yield from _scalars(inner, key)


def _is_its_own(preset: Preset, verify: Any) -> bool:
    """Whether the source proves itself as the preset does, or as its example does."""
    from relay.sources.words import example_verify, ways

    def kinds(of: Any) -> list[tuple[str, str]]:
        return [(way.kind, way.name) for way in ways(of)]

    return kinds(verify) in (kinds(preset.verify), kinds(example_verify(preset)))


def _other_than_the_steps(preset: Preset | None, verify: Any) -> str | None:
    from relay.sources.words import example_verify, in_short

    if preset is None or not preset.setup or _is_its_own(preset, verify):
        return None
    return (
        f"The steps are for a source that is proved by {_text(in_short(example_verify(preset)))}; "
        f"this one is proved by {_text(in_short(verify)) or 'nothing that is known'}."
    )


def _revealed(facts: dict[str, Any], folder: Path, secrets: tuple[str, ...]) -> dict[str, Any]:
    """With the secrets' values in the addresses, and nowhere else. Raises ConfigError where one is unset.

    secrets  the source's, those of its first way first
    """
    from urllib.parse import quote

    from relay.errors import Place
    from relay.recipes.secrets import Resolver
    from relay.recipes.yaml_tree import Scalar
    from relay.sources.words import IN_CLEAR, REFERENCE

    def value(match: re.Match[str]) -> str:
        resolver = Resolver(folder, os.environ)
        found = resolver.resolve(Scalar(Place(""), match[0], match[0], match[0]))
        if resolver.unset:
            raise ConfigError(f"--reveal: {resolver.unset[0].message}")
        return quote(str(found), safe="")

    def filled(url: str) -> str:
        return REFERENCE.sub(value, url)

    shown = filled(facts["url"])
    if secrets:
        shown = shown.replace(IN_CLEAR, quote(secrets[0], safe=""))
    setup = [step.replace(facts["url"], shown) for step in facts.get("setup") or ()]
    script = (facts.get("script") or "").replace(facts["url"], shown)
    proofs = [{**proof, "url": filled(proof["url"])} for proof in facts["proofs"]]
    return {**facts, "url": shown, "setup": setup, "script": script, "proofs": proofs}


# -- for people

_STYLE = {"ok": "green", "unavailable": "bold red", "preset": "dim"}


def _print(facts: Mapping[str, Any]) -> None:
    status = facts["status"]
    out.print(f"[bold]{facts['name']}[/]  [{_STYLE[status]}]{status}[/]  ", end="")
    out.print(facts["reason"] or "", markup=False)
    for label, text in _lines(facts):
        out.print(f"[bold]{label:<{_LABEL}}[/] ", end="")
        out.print(text, markup=False)
    if facts.get("setup"):
        out.print(f"\n[bold]At {facts['vendor']}[/]")
        if facts.get("note"):
            out.print(facts["note"], markup=False)
        for number, step in enumerate(facts["setup"], 1):
            out.print(f"  {number}. {_text(step)}", markup=False)
    if facts.get("relay_yaml"):
        out.print("\n[bold]In relay.yaml[/]")
        wide(facts["relay_yaml"])
    if facts.get("script"):
        out.print("\n[bold]To paste there[/]")
        wide(facts["script"])


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if facts["preset"]:
        page = f", {facts['page']}" if facts["page"] else ""
        yield "preset", f"{facts['preset']} ({facts['vendor']}{page})"
    yield "URL", facts["url"]
    yield "method", ", ".join(facts["methods"]) if facts["methods"] else "any"
    yield "content type", _text(facts["content_type"])
    for number, proof in enumerate(facts["proofs"]):
        yield "or by" if number else "proved by", proof["words"]
        if proof["url"] != facts["url"]:
            yield "its URL", proof["url"]
        if proof["secrets"] and (not number or proof["secrets"] != facts["proofs"][number - 1]["secrets"]):
            yield "secret", _secret_words(facts, proof["secrets"])
    if not facts["proofs"]:
        yield "proved by", "nothing that is known"
    if facts.get("kept"):
        yield "and by", f"{facts['kept']}, with the secret that the vendor gives in its handshake"
    others = {name for proof in facts["proofs"] for name in proof["secrets"]}
    for secret in facts.get("secrets") or ():
        if secret["name"] not in others:
            yield secret["key"].replace("_", " "), _with_state(secret["name"], secret)
    yield from _about_events(facts)
    if "caught_by" in facts:
        yield "caught by", ", ".join(facts["caught_by"]) or "no recipe: its events are kept, and go nowhere"
        if facts["broken_recipes"]:
            yield "broken", ", ".join(facts["broken_recipes"])


def _secret_words(facts: Mapping[str, Any], names: list[str]) -> str:
    states = {secret["name"]: secret for secret in facts.get("secrets") or ()}
    words = ", ".join(_with_state(name, states.get(name)) for name in names)
    asks_for = facts.get("asks_for")
    return f"{words}: {_text(asks_for)}" if asks_for else words


def _with_state(name: str, state: Mapping[str, Any] | None) -> str:
    return f"{name} ({state['status']})" if state is not None else name


def _about_events(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if facts.get("events"):
        yield "events", ", ".join(facts["events"])
    for key, label in (("event_type", "type"), ("event_id", "id"), ("event_time", "time"), ("split", "split")):
        if facts.get(key):
            yield label, facts[key]
    for key, label in (
        ("handshake", "handshake"),
        ("answer", "answer"),
        ("waits", "waits"),
        ("without_answer", "without one"),
        ("gives_up", "gives up"),
    ):
        if facts.get(key):
            yield label, _text(facts[key])


def _text(words: str) -> str:
    """What is written for a page, without its backticks."""
    return words.replace("`", "")
