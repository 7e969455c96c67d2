"""The text of the page of Airtable."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Airtable, click your profile picture and choose **Builder hub**, then **Personal access tokens**, and "
            "make a new token. Best do this as a user made for the relay: the token can do what its owner can."
        ),
        (
            "Give the token the scope `data.records:write`, and under **Access** add the base that gets the records, "
            "and no other."
        ),
        (
            "Copy the token at once, as it is shown only once, and put it into the environment as `AIRTABLE_TOKEN` or "
            "into a secret's file."
        ),
        (
            "Open the base in a browser. In its address, `https://airtable.com/appLkNDICXNqxSDhG/tblltp5DTLOhEkGXG/…`, "
            "the part with `app` is the base, and the part with `tbl` the table."
        ),
        "In relay.yaml, give the connection `base` and `token: ${AIRTABLE_TOKEN}`.",
        (
            "In the step, name the fields exactly as the table's columns are called. With a table's or field's id in "
            "place of its name, renaming it in Airtable breaks nothing."
        ),
    ),
    repeats=(
        "Use `upsert`, with a field in `merge_on` that tells records apart (an e-mail address, an order's number): a "
        "retry then finds the record it has made. Airtable has no key against repeats for `create`: after a lost "
        "answer the outcome is unknown, and the step's `on_unknown` decides whether a second record is risked."
    ),
    limits=(
        (
            "Five requests a second for a base: this is the connection's `limit`. All bases of a token's owner "
            "together may have 50; where several connections share an owner, lower theirs."
        ),
        "After a refusal for too many requests, Airtable wants 30 seconds of rest (`throttle_wait`), and gets them.",
        "Ten records a call. A batch of more is refused before it is sent; say `batch: {max: 10}`.",
        "Plans limit the calls of a month. When they are used up, the lane is held.",
    ),
    troubles=(
        Trouble(
            "airtable monthly limit",
            "The workspace's API calls of this month are used up.",
            "vendor",
            "Upgrade the workspace's plan, or wait for the next month; then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            (
                "airtable AUTHENTICATION_REQUIRED, airtable INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND, airtable "
                "NOT_AUTHORIZED"
            ),
            (
                "With 401 or 403: the token isn't taken, lacks the scope, or may not use this base or table. A table "
                "that doesn't exist is told in the same words."
            ),
            "admin",
            (
                "Check the token under Builder hub, its scope `data.records:write`, its access to the base, and the "
                "step's `table`."
            ),
            "hold",
        ),
        Trouble(
            "airtable UNKNOWN_FIELD_NAME",
            "The record has a field that the table hasn't.",
            "author",
            "Name the fields as the table does, and replay.",
            "dead",
        ),
        Trouble(
            "airtable INVALID_MULTIPLE_CHOICE_OPTIONS, airtable INVALID_VALUE_FOR_COLUMN",
            "A value doesn't fit its field: a choice that isn't there, or text where a number belongs.",
            "author",
            "Set `typecast: true`, add the choice in Airtable, or change the value in the recipe; then replay.",
            "dead",
        ),
        Trouble(
            "airtable *",
            "Airtable's own word for another error. With 401 and 403 the lane is held, otherwise it is a dead letter.",
            "author",
            "Read the message: it has Airtable's words. Mend the recipe or the event, and replay.",
            "hold or dead",
        ),
        Trouble(
            "airtable attachments",
            "The records were written, but without their files.",
            "operator",
            "Add the files by hand and discard the dead letter. A replay would make the records again.",
            "dead",
        ),
        Trouble(
            "airtable count",
            "Airtable says that it wrote fewer or more records than it was sent.",
            "operator",
            "Look at the table before you replay.",
            "unknown",
        ),
        Trouble(
            "no record",
            "The answer is a success that names no record; perhaps a proxy gave it.",
            "operator",
            "Look for the record before you replay. Check `base_url` if it happens always.",
            "unknown",
        ),
        Trouble(
            "too many records",
            "More than ten records in one call. Nothing was sent.",
            "author",
            "Say `batch: {max: 10}`, or give fewer `records`.",
            "dead",
        ),
        Trouble(
            "record without its key",
            "A record has nothing in a field of `merge_on`. Nothing was sent.",
            "author",
            "Give the step a `when` for events that lack it, or mend the event.",
            "dead",
        ),
        Trouble(
            "batch of different calls",
            "The deliveries of one batch differ in more than their records, such as in `table`.",
            "author",
            "Take the key that the message names out of the event's data, or send without `batch`.",
            "dead",
        ),
    ),
    check=(
        "It asks Airtable whose token it is, and says where the scope `data.records:write` is missing. Whether the "
        "token may write into the base is seen at the first delivery."
    ),
    verified=(
        "Limits and error words: Airtable's own support pages and collections by others. The menus: guides of others, "
        "2025. Nothing was sent to Airtable itself. Not verified: what two rows of one key in one `upsert` do there "
        "(the connector joins them before)."
    ),
)
