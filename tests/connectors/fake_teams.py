"""A Teams workflow's webhook ("When a Teams webhook request is received"), strict: it checks the card that a workflow
would hand on without looking, for what Teams shows and Microsoft publishes of Adaptive Cards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from relay.testing import Answer, Recorded

SIGNATURE = "s3cret-Zq4X0bXh1yQ7mL2v+/="
PATH = "/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke"
QUERY = f"api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={quote(SIGNATURE, safe='')}"

#: Of each kind of element: which fields it may have, and those it must.
_ELEMENTS: dict[str, tuple[set[str], set[str]]] = {
    "TextBlock": ({"text", "wrap", "size", "weight"}, {"text"}),
    "RichTextBlock": ({"inlines"}, {"inlines"}),
    "TextRun": ({"text", "size", "weight"}, {"text"}),
    "FactSet": ({"facts"}, {"facts"}),
    "Action.OpenUrl": ({"title", "url"}, {"url"}),
}


@dataclass
class FakeTeams:
    enabled: bool = True
    cards: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Recorded) -> Answer:
        if request.path != PATH:
            return _error(404, "WorkflowNotFound", "The workflow could not be found.")
        query = dict(request.query)
        if "sig" not in query:
            return _error(
                401, "DirectApiAuthorizationRequired", "The request must be authenticated only by Shared Access"
            )
        if query["sig"] != SIGNATURE or query.get("sv") != "1.0" or query.get("sp") != "/triggers/manual/run":
            return _error(401, "AuthorizationFailed", "The authentication credentials are not valid.")
        if not self.enabled:
            return _error(400, "WorkflowTriggerIsNotEnabled", "Could not execute workflow: trigger is not enabled.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _error(415, "UnsupportedMediaType", "The media type is not supported.")
        if len(request.body) > 28 * 1024:
            return _error(413, "RequestEntityTooLarge", "The request entity is too large.")
        try:
            self.cards.append(_card(json.loads(request.body.decode())))
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, "TriggerInputSchemaMismatch", f"The input body doesn't match its schema: {error}")
        return Answer(202, headers={"x-ms-workflow-run-id": "08584"})


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def _card(body: dict[str, Any]) -> dict[str, Any]:
    if set(body) != {"type", "attachments"} or body["type"] != "message":
        raise ValueError("not a message")
    (attachment,) = body["attachments"]
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" or attachment["contentUrl"] is not None:
        raise ValueError("not a card")
    card: dict[str, Any] = attachment["content"]
    if card["type"] != "AdaptiveCard" or tuple(map(int, card["version"].split("."))) > (1, 5) or not card["body"]:
        raise ValueError("not a card that Teams shows")
    if set(card) - {"$schema", "type", "version", "body", "actions"}:
        raise ValueError("unknown field of the card")
    for element in [*card["body"], *card.get("actions", [])]:
        _element(element)
    return card


def _element(element: dict[str, Any]) -> None:
    may, must = _ELEMENTS[element["type"]]
    if set(element) - may - {"type"} or not all(element.get(name) for name in must):
        raise ValueError(f"not a {element['type']}")
    for inline in element.get("inlines", []):
        _element(inline)
    for fact in element.get("facts", []):
        if set(fact) != {"title", "value"} or not all(isinstance(text, str) for text in fact.values()):
            raise ValueError("not a fact")
