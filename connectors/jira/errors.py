"""What Jira's answers mean where their status alone doesn't tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.common.api import Said
from connectors.common.vendor_words import one_line
from relay.errors import DeliveryError

_CREDENTIALS = "the account or its token isn't taken: make a new token and set it, or check email and base_url"
_CAPTCHA = "Jira wants a CAPTCHA of this account after failed logins: log in once with a browser, then mend the token"
_SEES = "check the key, and that the account may see it"

#: By the field that Jira complains of.
_REMEDIES = {
    "project": "check the project's key, and that the account may see it and create issues in it",
    "issuetype": "check the issue type's name in that project",
    "reporter": "the account may not set a reporter; leave it out, or give it that permission",
}


def meaning(said: Said, redact: Callable[[str], str]) -> DeliveryError | None:
    """None leaves it to the status."""
    status, body = said.status, said.body
    html = "html" in (said.header("content-type") or "").lower()
    login = "login" in (said.header("location") or "").lower()
    if (200 <= status < 300 and html) or (300 <= status < 400 and login):
        return said.hold("a web page in place of the API's answer; check base_url and the token", "jira login page")
    if 200 <= status < 300:
        # Of a search, of an account, of an issue or a comment.
        known = isinstance(body, Mapping) and body.keys() & {"id", "key", "issues", "accountId", "name"}
        if known or said.received.cut:
            return None
        return said.unknown("the answer names no issue; look for it before it is sent again", "jira names no issue")
    if status == 429:
        reason = one_line(said.header("ratelimit-reason") or "", redact)
        message = f"too many requests{f' ({reason})' if reason else ''}"
        cause = f"jira rate limit {reason}" if reason else "jira rate limit"
        return said.retry(message, cause, wait_until_reset(said))
    if status >= 500 or status in (408, 425):
        return None
    words, fields = _complaint(body, redact)
    denied = (said.header("x-seraph-loginreason") or "").upper()
    if "CAPTCHA" in (said.header("x-authentication-denied-reason") or "").upper() or "AUTHENTICATION_DENIED" in denied:
        return said.hold(_CAPTCHA, "jira captcha")
    # Jira answers a wrong token as it answers nobody: 401, and 404 where nobody may see the project.
    if status == 401 or "AUTHENTICATED_FAILED" in denied:
        return said.hold(f"{words}{_CREDENTIALS}", "jira credentials")
    if status == 403:
        message = f"{words}the account may not do this: give it that permission in the project"
        # A project or an issue comes from the event: others of the lane may well be allowed.
        return (
            said.permanent(message, "jira forbidden") if _is_of_one(words, fields) else said.hold(message, "http 403")
        )
    if status == 404:
        if html or (isinstance(body, Mapping) and "status-code" in body):
            no_api = "there is no such API; check base_url, and set api_version: 2 for Data Center"
            return said.hold(no_api, "jira no such api")
        return said.permanent(f"{words}there is no such thing, or the account can't see it: {_SEES}", "jira not found")
    return _refused(said, words, fields) if status in (400, 422) else None


def _is_of_one(words: str, fields: Mapping[str, str]) -> bool:
    """Whether Jira itself refuses this project or issue, and not a gateway or an allowlist everything."""
    return bool(fields) or "permission" in words.lower()


def _refused(said: Said, words: str, fields: Mapping[str, str]) -> DeliveryError | None:
    if "CONTENT_LIMIT_EXCEEDED" in words or "32,767" in words or "32767" in words:
        return said.permanent(f"{words}shorten the text in the recipe, as with `| truncate`", "jira text too long")
    name, complaint = next(iter(fields.items()), ("", ""))
    if not name:
        return said.permanent(words.removesuffix("; "), "jira refused") if words else None
    if name == "labels" and "screen" in complaint:
        remedy = "have Labels put on the create screen of this issue type, or set the connection's `mark: none`"
    elif "appropriate screen" in complaint:
        remedy = f"have {name} put on the create screen of this issue type, or check the id"
    elif "Atlassian Document" in complaint or "valid string" in complaint or "must be a string" in complaint:
        remedy = f"{name} takes text under api_version: 2 and a document under 3"
    elif "required" in complaint and name not in _REMEDIES:
        remedy = f"give {name} a value under `fields`"
    else:
        remedy = _REMEDIES.get(name, "correct the step or the event")
    return said.permanent(f"{words}{remedy}", f"jira field {name}")


def _complaint(body: Any, redact: Callable[[str], str]) -> tuple[str, dict[str, str]]:
    """Of {"errorMessages": […], "errors": {id: words}}: its words, each with `; ` after it, and those of its fields."""
    if not isinstance(body, Mapping):
        return "", {}
    messages = body.get("errorMessages")
    errors = body.get("errors")
    fields = {
        key: one_line(value, redact)
        for key, value in (errors.items() if isinstance(errors, Mapping) else ())
        if re.fullmatch(r"[\w.-]{1,60}", key)
    }
    said = [one_line(words, redact) for words in messages] if isinstance(messages, list) else []
    said += [words if name in words else f"{name}: {words}" for name, words in fields.items()]
    if not said and isinstance(body.get("message"), str):
        said = [one_line(body["message"], redact)]
    return "".join(f"{words}; " for words in said[:4]), fields


def wait_until_reset(said: Said) -> timedelta | None:
    """X-RateLimit-Reset, `2026-11-23T21:46Z`, where there is no Retry-After."""
    reset = said.header("x-ratelimit-reset") or ""
    if said.header("retry-after") or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z", reset):
        return None
    try:
        moment = datetime.fromisoformat(reset)
    except ValueError:
        return None
    return max(moment - datetime.now(UTC), timedelta(0))
