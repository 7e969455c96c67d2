"""The text of the page of Lob."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        ("At Lob, open Settings, then API Keys, and copy the secret test key (`test_…`): it prints and costs nothing."),
        (
            "Put it into the environment as `LOB_API_KEY`, and say `connector: lob` and `api_key: "
            "${LOB_API_KEY}` in `relay.yaml`. `relay connections test NAME` says whether Lob takes it."
        ),
        (
            "Make the front and the back as HTML templates at Lob, with placeholders such as `{{name}}`, "
            "and fill them by `merge_variables`. Each environment has its own templates and addresses."
        ),
        "Send a few with the test key, and look at their proofs in Lob's dashboard.",
        (
            "For real mail, verify the account's e-mail address, way to pay and billing address at Lob, "
            "then use the live key and say `live: true`. Without that word a live key is refused."
        ),
    ),
    repeats=(
        "Every postcard takes the delivery's key along, so that Lob makes no second one within 24 "
        "hours. For an event older than 23 hours, as after a long outage, the postcard is looked for by "
        "its metadata `relay_delivery` first, and what is found is taken for the delivery. Where one "
        "that was delivered is replayed, another postcard is meant: it is printed, and paid for, again."
    ),
    limits=(
        "150 requests in 5 seconds for each account, which is the lane's default `limit`.",
        (
            "HTML of at most 10,000 characters, merge variables of at most 25,000, an address of at most "
            "50 characters in its two lines: all of it is found before anything is sent."
        ),
        "Abroad only 4x6, and with a `from` in the US.",
    ),
    troubles=(
        Trouble("lob rate_limit_exceeded", "Too many requests; sent again when Lob says.", "nobody"),
        Trouble("lob invalid_file_download_time", "Lob couldn't fetch the file in time; sent again later.", "nobody"),
        Trouble(
            "lob search", "Lob's list of earlier postcards can't be read; nothing was sent, asked again.", "nobody"
        ),
        Trouble("no postcard", "The answer names no postcard; asked again with the same key.", "nobody", fate="retry"),
        Trouble(
            "lob live key",
            "The key says of itself neither `test_` nor `live_`. Nothing was sent, and the lane waits.",
            "admin",
            "Use a test key, or say `live: true`.",
        ),
        Trouble(
            "lob invalid_api_key",
            "Lob doesn't take the key, and the lane waits.",
            "admin",
            "Copy the secret key anew, then `relay lanes resume NAME`.",
        ),
        Trouble(
            "lob payment_method_unverified",
            (
                "The account can't pay; `lob email_required` and `lob billing_address_required` are alike. "
                "The lane waits."
            ),
            "vendor",
            "Complete the account at Lob.",
        ),
        Trouble("lob feature_limit_reached", "The account is used up. The lane waits.", "vendor", "Raise it at Lob."),
        Trouble(
            "lob failed_deliverability_strictness",
            "The postal service knows no such address. No postcard was made.",
            "operator",
            "Correct the address and replay, or make the account less strict at Lob.",
        ),
        Trouble(
            "lob not_found",
            "The template or address isn't there, mostly because it is in the other environment.",
            "author",
            "Make it there, or name the one that is.",
        ),
        Trouble(
            "lob *", "Lob refuses this postcard, and says why.", "author", "Correct the step's `with`, and replay."
        ),
    ),
    verified=(
        "The fields, the errors and the limits against Lob's own OpenAPI description, 1.22.0. Nothing "
        "was sent to Lob's service: what it answers to a key used again with another body isn't "
        "verified, nor how soon a new postcard is found by its metadata."
    ),
)
