"""The text of the page of signed webhooks."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        "Make a secret: `echo whsec_$(openssl rand -base64 32)`. Give it to whoever runs the receiver, by a safe way.",
        (
            "Ask for the receiver's address, and whether it checks by [Standard "
            "Webhooks](https://www.standardwebhooks.com); libraries for it exist in most languages, and Svix's do the "
            "same."
        ),
        (
            "Put the secret into the environment as `WEBHOOK_SECRET` or into a secret's file, and give the connection "
            "`url` and `secrets: [${WEBHOOK_SECRET}]`."
        ),
        (
            "Have the receiver refuse what is more than five minutes old, and remember `webhook-id`, so that it acts "
            "once on each."
        ),
        (
            "To change the secret: give the connection the new and the old one, have the receiver change to the new "
            "one, then take the old one out."
        ),
    ),
    repeats=(
        "Each attempt of a delivery has the same `webhook-id` and the same body; only its time and signature are new. "
        "A receiver that remembers the id, as the specification asks, acts once, so a lost answer is retried."
    ),
    limits=(
        "None of its own: set `limit` to what the receiver can take.",
        "Any 2xx answer is a delivery. No redirect is followed.",
    ),
    troubles=(
        Trouble(
            "http 401",
            "The receiver doesn't take the signature.",
            "admin",
            "Compare `secrets` with the receiver's, and the clocks of both machines.",
            "hold",
        ),
        Trouble(
            "http 403",
            "The receiver forbids it. With `hold_on_403: true` the lane is held.",
            "vendor",
            "Ask whoever runs the receiver.",
            "hold or dead",
        ),
        Trouble(
            "http 410 gone",
            "The receiver wants no more webhooks.",
            "admin",
            "Ask there before you turn the lane on again.",
            "hold",
        ),
    ),
    check=(
        "It sees whether the host can be reached. Whether the receiver takes the signature is seen at the first "
        "message."
    ),
    verified=(
        "Signatures: against the specification's own example and the library of Standard Webhooks; requests: against a "
        "real server on this machine."
    ),
)
