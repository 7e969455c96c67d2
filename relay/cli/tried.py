"""What came of `relay try`, for people."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import groupby

from rich.text import Text

from relay.cli import previews
from relay.cli.common import many, out
from relay.jsontext import clean
from relay.recipes import Recipe, Trial, TryAnswer, TryResult
from relay.units import format_duration

#: Of a `foreach` with many items, so many are shown whole.
_ITEMS = 20

_MARGIN = "  "


def tell(recipe: Recipe, trial: Trial, about: str, *, whole: bool) -> None:
    """whole: every step, and not one alone."""
    _say(Text.assemble((recipe.id, "bold"), f": {clean(recipe.name)}"))
    _say(Text.assemble(("event   ", "dim"), clean(about)))
    if trial.error is not None:
        _say(Text.assemble(("error:", "bold red"), f" {clean(trial.error)}"))
        return
    if trial.skipped is not None:
        _say(Text.assemble(("nothing is sent:", "yellow"), f" {clean(trial.skipped)}"))
        return
    if whole and trial.picks:
        for number, line in enumerate(previews.pairs(trial.picks)):
            _say(Text("pick    " if not number else " " * 8, "dim").append_text(line))
    for _, results in groupby(trial.steps, key=lambda one: one.step):
        _say(Text(""))
        _step(recipe, list(results))
    if trial.answer is not None:
        _say(Text(""))
        _answer(recipe, trial.answer)


def _step(recipe: Recipe, results: Sequence[TryResult]) -> None:
    one = results[0]
    what = f"{one.connector} {one.do}" if one.do else one.connector
    items = f"  {many(len(results), 'item')}" if one.item is not None else ""
    _say(Text.assemble((one.step, "bold"), f" → {one.connection} ({what})", (items, "dim")))
    if one.held:
        _indented([Text.assemble(("held:", "yellow"), f" {clean(one.held)}")])
    if batch := next((result.batch for result in results if result.batch), None):
        _indented([Text.assemble(("batch:", "cyan"), f" {batch}; here as if alone")])
    for result in results[:_ITEMS]:
        if result.item is None:
            _indented(_outcome(result))
        else:
            _indented([Text(f"item {result.item + 1} of {result.items}", "cyan")])
            _indented(_outcome(result), _MARGIN * 2)
    if len(results) > _ITEMS:
        _indented([_left_out(results[_ITEMS:])])


def _left_out(results: Iterable[TryResult]) -> Text:
    counts = Counter(
        "with errors" if one.error else "skipped" if one.skipped else "waiting" if one.waits else "sent"
        for one in results
    )  # fmt: skip
    words = ", ".join(f"{number:,} {what}" for what, number in sorted(counts.items()))
    return Text(f"… and {many(counts.total(), 'more item')}: {words}; --json shows them all", "dim")


def _outcome(result: TryResult) -> Iterator[Text]:
    for label, text, style in (
        ("error:", result.error, "bold red"),
        ("skipped:", result.skipped, "yellow"),
        ("waits:", result.waits and result.waits.removeprefix("waits "), "yellow"),
        ("in order:", result.order_key and f"after those before it with the same key, {result.order_key}", "cyan"),
    ):
        if text:
            yield Text.assemble((label, style), f" {clean(text)}")
    if result.preview is not None:
        width = shutil.get_terminal_size((160, 24)).columns if out.is_terminal else 160
        yield from previews.shown(result.preview, result.fields or {}, width - len(_MARGIN) * 2)
    yield from _live(result)


def _live(result: TryResult) -> Iterator[Text]:
    if result.unasked:
        yield Text.assemble(("not asked:", "yellow"), f" {clean(result.unasked)}")
    if result.found is not None and not result.found:
        yield Text.assemble(("the destination says:", "green"), " nothing is wrong with it")
    for words in result.found or ():
        yield Text.assemble(("the destination says:", "bold red"), f" {clean(words)}")


def _answer(recipe: Recipe, answer: TryAnswer) -> None:
    wait = format_duration(recipe.respond.wait) if recipe.respond is not None else ""
    _say(Text.assemble(("answer", "bold"), " → the sender", (f"  waits {wait} at most", "dim")))
    for label, text, style in (
        ("error:", answer.error, "bold red"),
        ("none:", answer.skipped, "yellow"),
        ("late:", answer.late if not answer.error else None, "yellow"),
    ):
        if text:
            _indented([Text.assemble((label, style), f" {clean(text)}")])
    if answer.sent is None:
        _indented([Text("the sender gets 202, as without `respond`", "dim")])
        return
    sent = answer.sent
    _indented([Text(f"{sent.status} {_phrase(sent.status)}".rstrip(), "bold")])
    _indented(Text(clean(f"{name}: {value}"), "dim") for name, value in sent.headers.items())
    _indented([Text(f"content-type: {sent.content_type}", "dim")])
    if sent.body:
        _indented([Text(""), *previews.body_lines(sent.content_type, sent.body, answer.body)])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _indented(lines: Iterable[Text], margin: str = _MARGIN) -> None:
    for line in lines:
        _say(Text(margin).append_text(line) if line.plain else line)


def _say(line: Text) -> None:
    out.print(line)
