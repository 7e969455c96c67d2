"""The text of the page of HubSpot."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In HubSpot, as a super admin, open **Settings** (the gear) → **Integrations** → **Private apps** (in "
            "newer accounts **Legacy apps** → **Create** → **Private**), and create an app for the relay."
        ),
        (
            "Under **Scopes**, add write and read for the objects that the relay writes, such as "
            "`crm.objects.contacts.write` and `crm.objects.contacts.read`."
        ),
        (
            "Create the app and copy its access token. Put it into the environment as `HUBSPOT_TOKEN` or into a "
            "secret's file, and give the connection `token: ${HUBSPOT_TOKEN}`."
        ),
        (
            "In the step, name properties by their internal name: **Settings** → **Properties**, open one, and click "
            "the sign `</>` beside its name."
        ),
        (
            "For `upsert` by another property than `email`, that property must have unique values: this is set when it "
            "is made."
        ),
        (
            "For an app with OAuth, give `oauth` in place of `token`, with `token_url: "
            "https://api.hubapi.com/oauth/v1/token` and a refresh token."
        ),
    ),
    repeats=(
        "Use `upsert`: it finds the record by its e-mail address, or by another property of unique values, so a retry "
        "writes the same again. `update` does no harm either. `create` has no key against repeats: after a lost answer "
        "the outcome is unknown, and the step's `on_unknown` decides. A contact with an e-mail address that is there "
        "already is refused (409), so a repeat makes no second one of those."
    ),
    limits=(
        (
            "100 requests in ten seconds for Free and Starter: this is the connection's `limit`. Professional and "
            "Enterprise have 190; other apps of the account may share them."
        ),
        (
            "The account has a number of requests for each day, too. When they are used up, the relay looks again each "
            "hour."
        ),
        "100 records a call. A batch of more is sent in halves; say `batch: {max: 100}`.",
        (
            "HubSpot takes a batch whole or not at all. If one row is bad, the batch is sent again in halves until the "
            "bad row stands alone as the only dead letter."
        ),
        "Every value is sent as text. A list is joined by `;`, which no value in it may hold.",
    ),
    troubles=(
        Trouble(
            "hubspot MISSING_SCOPES",
            "The app lacks a scope; the message names it where HubSpot does.",
            "vendor",
            "Add it on the app's page, then say `relay lanes resume`. If HubSpot gives a new token, put that in.",
            "hold",
        ),
        Trouble(
            "hubspot INVALID_AUTHENTICATION",
            "The token is wrong, was changed, or has run out.",
            "admin",
            "Copy the token from the app's page into the connection's secret.",
            "hold",
        ),
        Trouble(
            "hubspot rate limit",
            "Too many requests in ten seconds. It is sent again when HubSpot says.",
            "nobody",
            "If it comes often, other apps use the account too: lower `limit`.",
            "retry",
        ),
        Trouble(
            "hubspot daily limit",
            "The account's requests of the day are used up. The relay looks again each hour.",
            "nobody",
            "If it comes often, use `batch`, or buy a larger limit.",
            "retry",
        ),
        Trouble(
            "hubspot VALIDATION_ERROR",
            "HubSpot refuses a property: a name it doesn't know, or a value that doesn't fit.",
            "author",
            "The message names it: mend the recipe or the event, and replay.",
            "dead",
        ),
        Trouble(
            "hubspot CONFLICT",
            "The record is there already. In `upsert`, where two met, it is retried.",
            "author",
            "Use `upsert` in place of `create`.",
            "retry or dead",
        ),
        Trouble(
            "hubspot OBJECT_NOT_FOUND",
            "There is no such record, or no such kind of record.",
            "author",
            "Correct `object` or `id`, or use `upsert`; then replay.",
            "dead",
        ),
        Trouble(
            "hubspot *",
            (
                "Another category of HubSpot's errors, or a batch in which rows were refused. With 401 and 403 the "
                "lane is held; with 5xx and 423 it is retried; else it is a dead letter."
            ),
            "author",
            "The message has HubSpot's words.",
        ),
        Trouble("http 423", "The record is locked by another change.", "nobody", "", "retry"),
        Trouble("hubspot cancelled", "HubSpot cancelled the request.", "nobody", "If it lasts, ask HubSpot.", "retry"),
        Trouble(
            "hubspot wrote nothing",
            "A success that names no record.",
            "operator",
            "Look for the record, then replay.",
            "dead",
        ),
        Trouble(
            "empty id",
            "The record's `id` is empty. Nothing was sent.",
            "author",
            "Give the step a `when` for events that lack it, or mend the event.",
            "dead",
        ),
        Trouble(
            "property refused",
            "A property's value is a mapping, or a list with a `;` in it. Nothing was sent.",
            "author",
            "Make one value of it in the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "too many rows",
            "More than 100 records in one call. Nothing was sent.",
            "author",
            "Say `batch: {max: 100}`, or give fewer `rows`.",
            "dead",
        ),
    ),
    check=(
        "It reads one contact. A token whose app has no right to contacts is told as such, which matters only for "
        "steps with contacts. Whether it may write is seen at the first delivery."
    ),
    verified=(
        "Requests: HubSpot's published OpenAPI files; errors: its page on them. The menus: guides of others, and "
        "HubSpot is renaming private apps. Nothing was sent to HubSpot itself. Not verified: the numbers for "
        "Professional and Enterprise, the words of a 409, and how the day's limit is told."
    ),
)
