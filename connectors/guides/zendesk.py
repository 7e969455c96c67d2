"""The text of the page of Zendesk."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Have an agent for the relay in Zendesk (a light agent can't make public comments). The tickets' comments "
            "will have this agent as their author, unless the step names a requester."
        ),
        (
            "In **Admin Center** → **Apps and integrations** → **APIs** → **API configuration**, switch on API token "
            "access. You have to be an administrator."
        ),
        (
            "Under **APIs** → **API tokens**, click **Add API token**, name it after the relay, save, and copy it at "
            "once: it is shown only once. It works for every agent of the account, so keep it well."
        ),
        "Put it into the environment as `ZENDESK_TOKEN` or into a secret's file.",
        (
            "In relay.yaml, give the connection `base_url` (`https://yourname.zendesk.com`), `email` (the agent's "
            "address) and `api_token: ${ZENDESK_TOKEN}`. In place of both, an OAuth token with the scope "
            "`tickets:write`."
        ),
        (
            "For `custom_fields`, take each field's number from **Admin Center** → **Objects and rules** → **Tickets** "
            "→ **Fields**."
        ),
    ),
    repeats=(
        "`create_ticket` sends the delivery's key as `Idempotency-Key`: within about two hours Zendesk makes one "
        "ticket of it, however often it comes. After longer than that, as when the relay was off, a lost answer could "
        "make a second one. `update_ticket` sets the same again. `add_comment` would add the comment twice: give it "
        "`updated_stamp`, and Zendesk refuses the repeat; without it, a lost answer is an unknown outcome."
    ),
    limits=(
        (
            "200 requests a minute: this is the connection's `limit`. Other plans allow 400, 700 or 2,500. What "
            "Zendesk asks to wait is kept to."
        ),
        "A comment of more than 64 kB (`max_comment`) is refused before it is sent: shorten it with `| truncate`.",
        "`update_ticket` replaces all tags by those that are given.",
    ),
    troubles=(
        Trouble(
            "zendesk scope missing",
            "The OAuth token lacks a scope.",
            "vendor",
            "Make one with `tickets:write` or `write`, and put it into the connection's secret.",
            "hold",
        ),
        Trouble(
            "zendesk no such account",
            "There is no account at this address.",
            "admin",
            "Check the subdomain in `base_url`.",
            "hold",
        ),
        Trouble(
            "zendesk web page",
            "A page for people came back in place of the API's answer.",
            "admin",
            "Check `base_url`: the account's address, without `/api` or `/agent`.",
            "hold",
        ),
        Trouble(
            "zendesk update conflict",
            "Another change of the ticket came in between.",
            "nobody",
            "",
            "retry",
        ),
        Trouble(
            "zendesk ticket changed",
            (
                "Somebody has changed the ticket since its `updated_stamp`. On a later attempt that may have been the "
                "relay's own earlier one: then the outcome is unknown."
            ),
            "operator",
            "Look at the ticket. Discard it where the change is there, else send anew.",
            "dead or unknown",
        ),
        Trouble(
            "zendesk key reused",
            (
                "The delivery's key was used for a ticket of other content: the recipe has changed since the first "
                "attempt."
            ),
            "operator",
            "Look whether the ticket is there. If it is, discard the dead letter.",
            "dead",
        ),
        Trouble(
            "zendesk RecordInvalid",
            (
                "A value is refused: a required field, an unknown requester, a status that can't follow. The message "
                "names the fields."
            ),
            "author",
            "Mend the recipe or the event, and replay.",
            "dead",
        ),
        Trouble(
            "zendesk RecordNotFound",
            "There is no such ticket, or the agent can't see it.",
            "operator",
            "Correct the ticket's number, or give the agent the right; then replay.",
            "dead",
        ),
        Trouble(
            "zendesk *",
            "Another of Zendesk's errors (400, 403, 404, 413, 422).",
            "author",
            "The message names the fields and a remedy.",
            "dead",
        ),
        Trouble(
            "text too long",
            "The comment is longer than `max_comment`. Nothing was sent.",
            "author",
            "Shorten it with `| truncate`, and replay.",
            "dead",
        ),
        Trouble(
            "nothing to change",
            "`update_ticket` names no property to change.",
            "author",
            "Correct the recipe.",
            "dead",
        ),
    ),
    check=(
        "It asks Zendesk who the agent is, and says so where that is only an end user. What the agent may do to a "
        "ticket is seen at the first delivery."
    ),
    verified=(
        "Requests: the client library zenpy 2.0.57 and pages that quote Zendesk; menus: Zendesk's help. Nothing was "
        "sent to Zendesk itself. Not verified: that `Idempotency-Key` holds for two hours, the numbers of the plans, "
        "and the longest comment."
    ),
)
