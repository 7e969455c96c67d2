"""The text of the page of Mailchimp."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Mailchimp, click your profile picture → **Profile** → **Extras** → **API keys** → **Create A Key**. "
            "Name it after the relay. You need the role Manager or higher."
        ),
        (
            "Copy the key whole, with its end such as `-us6`: it names the data centre that the account lives in. Put "
            "it into the environment as `MAILCHIMP_API_KEY` or into a secret's file, and give the connection `api_key: "
            "${MAILCHIMP_API_KEY}`."
        ),
        (
            "Open **Audience** → **All contacts** → **Settings** → **Audience name and defaults**, and copy the "
            "**Audience ID** into the step as `list_id`."
        ),
        "Under **Settings** → **Audience fields and merge tags** stand the tags for `merge_fields`, such as `FNAME`.",
        (
            "Decide what a new person becomes: `status_if_new: pending` has Mailchimp ask them by mail; `subscribed` "
            "is for people who have agreed already."
        ),
    ),
    repeats=(
        "A person is named by their address, so a repeat writes the same again; tags likewise. Who has unsubscribed "
        "stays so: only `overwrite_status` would change it, and the law may forbid that."
    ),
    limits=(
        (
            "Ten connections at once for an account, all its programs together: this is the connection's `limit`. If "
            "others use the account, lower it."
        ),
        "Mailchimp names no rate. Under load it refuses with 429, or with 403 and no explanation; both are sent again.",
        "With `tags`, each delivery makes two requests.",
    ),
    troubles=(
        Trouble(
            "mailchimp member in compliance state",
            "The person has unsubscribed, bounced or complained. Only they can subscribe again.",
            "operator",
            "Discard it. If the person wants to be back, send them the audience's own form.",
            "dead",
        ),
        Trouble(
            "mailchimp forgotten email not subscribed",
            "The person was deleted for good, as the law lets them ask. Only they can subscribe again.",
            "operator",
            "Discard it. If the person wants to be back, send them the audience's own form.",
            "dead",
        ),
        Trouble(
            "mailchimp member exists",
            "The address belongs to another member of the audience.",
            "operator",
            "Look at both members in Mailchimp.",
            "dead",
        ),
        Trouble(
            "mailchimp invalid resource",
            (
                "Mailchimp refuses a value: an address that looks false, or a merge field that is required. The "
                "message names the field."
            ),
            "author",
            "Mend the recipe or the event, or set `skip_merge_validation: true`; then replay.",
            "dead",
        ),
        Trouble(
            "mailchimp forbidden",
            "The key, or the user it belongs to, may not do this. Another title than `forbidden` may stand here.",
            "vendor",
            "Check the key, its user's role, and that its data centre is right; then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "mailchimp load",
            "A 403 without explanation, as Mailchimp's gateway gives it when there is too much at once.",
            "nobody",
            "If it lasts, check the key, and lower `limit`.",
            "retry",
        ),
        Trouble(
            "mailchimp web page",
            "A page for people came back in place of the API's answer.",
            "admin",
            "Check `base_url`, or leave it out.",
            "hold",
        ),
        Trouble(
            "mailchimp resource not found, mailchimp 404",
            "There is no such audience in the key's account.",
            "author",
            "Check `list_id`, and that the key belongs to its account; then replay.",
            "dead",
        ),
        Trouble(
            "mailchimp *",
            (
                "Another title of Mailchimp's errors, in small letters. With 403 the lane is held, else it is a dead "
                "letter."
            ),
            "author",
            "The message names the fields and a remedy.",
            "hold or dead",
        ),
    ),
    check=("It asks for Mailchimp's ping with the key. Whether the audience is there is seen at the first delivery."),
    verified=(
        "Requests and titles of errors: collections by others, 2026; Mailchimp's own pages weren't to be had. The "
        "menus: guides of others. The member's hash against a vector computed by hand. Nothing was sent to Mailchimp "
        "itself."
    ),
)
