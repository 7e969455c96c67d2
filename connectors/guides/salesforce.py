"""The text of the page of Salesforce."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Salesforce, under Setup, App Manager, make a connected app (or an external client app) with OAuth on "
            "and the scope `api`. For the relay, allow the client credentials flow and give the app a run-as user."
        ),
        (
            "That user needs the permission API Enabled, and the right to read and edit the objects and fields that "
            "the recipes write; a user of its own shows in each record's history what the relay did."
        ),
        (
            "Instead of a secret you may give the app a certificate and sign with its private key (JWT bearer): then "
            "set `private_key` and `username`, and pre-authorise the user for the app under Manage, Permitted Users."
        ),
        "Give each object that is upserted a custom field that is an External ID and unique, such as `Ref__c`.",
        (
            "In `relay.yaml`, give the connection `base_url` (Setup, My Domain: https://acme.my.salesforce.com), "
            "`client_id` and `client_secret: ${SALESFORCE_SECRET}`; a sandbox has a My Domain of its own."
        ),
        "Run `relay connections test NAME`: it fetches a token and reads the limits; nothing is written.",
    ),
    repeats=(
        "`upsert` finds its record by the external id, and `update` by the id: however often they are sent, there is "
        "one record. `create` has nothing of the kind: where its answer is lost, the recipe's `on_unknown` decides. "
        "`composite` repeats safely where none of its requests is a create; with `all_or_none`, as by default, one "
        "that is refused has written nothing."
    ),
    limits=(
        (
            "Salesforce counts the requests of 24 hours, for the whole org. A batch of upserts is one request, of at "
            "most 200 rows; a `composite` is one, of at most 25. When the count is used up, the relay waits an hour at "
            "a time."
        ),
        "Requests that take over 20 seconds may not be many at once: the connection sends five at once by default.",
        "`@{` in a value is how Salesforce marks references, and it can't be escaped: `composite` refuses it.",
    ),
    troubles=(
        Trouble(
            "salesforce INVALID_SESSION_ID, salesforce INVALID_AUTH_HEADER",
            "The token isn't taken, and a new one wasn't either. The lane waits.",
            "vendor",
            "Look whether the app is still allowed and its user still active, and at the user's login history.",
            "hold",
        ),
        Trouble(
            "salesforce API_DISABLED_FOR_ORG, salesforce API_CURRENTLY_DISABLED",
            "The org's edition has no API, or the user lacks API Enabled. The lane waits.",
            "vendor",
            "Give the app's user a permission set with API Enabled.",
            "hold",
        ),
        Trouble(
            "instance_url refused",
            "The token's answer points to an address without a secure connection. The lane waits.",
            "admin",
            "Check `login_url` and `base_url`: both are your My Domain with https.",
            "hold",
        ),
        Trouble(
            "salesforce REQUEST_LIMIT_EXCEEDED",
            "The requests of 24 hours are used up, or too many run at the same moment. It is tried again.",
            "vendor",
            "See Setup, System Overview, who uses them up; deliver in batches, or buy more.",
            "retry",
        ),
        Trouble(
            "salesforce UNABLE_TO_LOCK_ROW, salesforce SERVER_UNAVAILABLE, salesforce REQUEST_RUNNING_TOO_LONG, "
            "salesforce QUERY_TIMEOUT",
            "Somebody else is writing the record, or Salesforce is busy. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "salesforce 300",
            "The external id belongs to several records.",
            "vendor",
            "Merge the records, and make the field unique; then replay.",
            "dead",
        ),
        Trouble(
            "salesforce partly done",
            "A `composite` without `all_or_none`: some of its records were written and others refused.",
            "operator",
            "The message says which were written. Take the creates among them out of the event before you replay it; "
            "better, have the recipe use upserts or `all_or_none`.",
            "dead",
        ),
        Trouble(
            "salesforce composite without results",
            "The answer to a `composite` doesn't tell of each request. It is tried again where that does no harm.",
            "operator",
            "Look in Salesforce for the records before you replay it.",
            "retry or unknown",
        ),
        Trouble(
            "salesforce reference in a value",
            "A value holds `@{`, which Salesforce would take for a reference. Nothing was sent.",
            "author",
            "Put references under `from`, and replace `@{` in what people wrote.",
            "dead",
        ),
        Trouble(
            "empty id, id refused, two external ids",
            "The external id is empty, can't stand in an address, or stands under `fields` with another value.",
            "author",
            "Look at `relay try`; give the step a `when` that leaves out events without the id.",
            "dead",
        ),
        Trouble(
            "too many rows",
            "More than 200 records in one upsert. A batch is sent in halves; one step's own `rows` are a dead letter.",
            "author",
            "Say `max: 200` under `batch`, or give the step fewer `rows`.",
            "dead",
        ),
        Trouble(
            "salesforce *",
            "Salesforce refused the record: a required field is missing, a value is too long, a rule of the org says "
            "no. The code and its words are in the message.",
            "operator",
            "Put the event or the recipe right, or have the rule changed, and replay it.",
            "dead",
        ),
    ),
    verified=(
        "Against Salesforce's published reference (upsert, errors, collections, composite) and simple-salesforce. "
        "Nothing was sent to a real org; that a composite takes 25 requests isn't verified."
    ),
)
