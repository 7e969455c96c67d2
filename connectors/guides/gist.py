"""The text of the page of Gist."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Gist, open the workspace's settings, then API key "
            "(https://app.getgist.com/projects/_/settings/api-key), and copy it. This is getgist.com, not "
            "GitHub's gists."
        ),
        (
            "Put it into the environment as `GIST_API_KEY`, and say `connector: gist` and `api_key: "
            "${GIST_API_KEY}` in `relay.yaml`. `relay connections test NAME` says whether it is taken."
        ),
        "Make the custom properties that your recipes fill in Gist first.",
        (
            "A conversation is started for a contact by its id: take it from the answer of "
            "`upsert_contact`. A reply needs the id of a teammate."
        ),
    ),
    repeats=(
        "A contact is known by its e-mail address or user id, and a tag is there once: repeats of "
        "`upsert_contact` and `tag` change nothing. Gist knows no idempotency key, so a conversation "
        "or a reply whose answer is lost is an unknown outcome, which the recipe's `on_unknown` "
        "decides."
    ),
    limits=(
        (
            "What Gist takes isn't verified. The connection sends two at once unless its `limit` says "
            "otherwise; after a 429 it waits as Gist's Retry-After says."
        ),
        "Nobody is subscribed to e-mails again: `unsubscribe` only takes off.",
    ),
    troubles=(
        Trouble(
            "gist refuses",
            "Gist refuses the request, and says why.",
            "author",
            "Correct the step's `with`, and replay.",
            fate="dead",
        ),
        Trouble(
            "gist not found",
            "The contact, conversation or teammate isn't there.",
            "author",
            "Check the id: it is Gist's own, not yours.",
            fate="dead",
        ),
        Trouble(
            "gist page",
            "A success with a page instead of data: it may have been done.",
            "admin",
            "Check `base_url`, look at Gist, then replay or discard.",
            fate="unknown",
        ),
    ),
    verified=(
        "Addresses and fields of contacts, conversations and replies against Gist's own Ruby client "
        "(gistplatform/getgist) and its tests; tags, and taking them off, against Pipedream's public "
        "client. Nothing was sent to Gist. Not verified: the form of its errors, its limits, contacts "
        "given to `tag` by e-mail address, whether `tags` of a contact replace others, and whether a "
        "message's body is HTML. Notes are left out: nothing public was found that shows how they are "
        "written."
    ),
)
