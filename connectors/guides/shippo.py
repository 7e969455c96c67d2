"""The text of the page of Shippo."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        "At Shippo, open Settings, then API, and make a test token (`shippo_test_…`).",
        "Under Carriers, activate the carrier accounts that shall offer rates.",
        (
            "Put the token into the environment as `SHIPPO_TOKEN`, and say `connector: shippo` and "
            "`token: ${SHIPPO_TOKEN}` in `relay.yaml`. `relay connections test NAME` says whether it is "
            "taken, and how many carrier accounts are active."
        ),
        (
            "Send some shipments with the test token and look at them at Shippo; then use the live token. "
            "Test tokens take 50 requests a minute: say `limit: {rate: 50/min}` meanwhile."
        ),
        (
            "For labels, take the rate you want from the answer of `create_shipment` and hand its "
            "`object_id` to `buy_label`. Labels of a live token cost money."
        ),
    ),
    repeats=(
        "Shippo knows no idempotency key. The delivery's id stands at the end of the object's "
        "metadata. A second attempt of a shipment looks for it among the shipments made since the "
        "event came; a replay doesn't, and may make a second shipment, which costs nothing. A label "
        "is looked for by its rate before every attempt, the first and replays among them, and a rate "
        "that has one is not bought again. A label whose answer is lost, or that met a server error, is an "
        "unknown outcome, which the recipe's `on_unknown` decides; where that says to repeat, it is looked for first."
    ),
    limits=(
        (
            "500 requests a minute of a live token, 50 of a test token; lists are limited to 50 and 10, "
            "which retries and labels use. The lane's default `limit` is 500/min: for labels, say 50/min."
        ),
        (
            "Where Shippo lists more than 500 shipments since the event, the relay doesn't know whether "
            "it is there, and says so."
        ),
        ("A note in `metadata` has at most 60 characters; weights and measures have four digits after the point."),
    ),
    troubles=(
        Trouble(
            "shippo refuses",
            "Shippo refuses a field, and names it.",
            "author",
            "Correct the step's `with`, and replay.",
            fate="dead",
        ),
        Trouble(
            "shippo shipment error",
            "Shippo answered 201, and says in it that it made no shipment.",
            "operator",
            "Read the message, correct the address or the parcel, and replay.",
            fate="dead",
        ),
        Trouble(
            "shippo no rates",
            "The shipment is made, but no carrier offers a rate for it.",
            "operator",
            (
                "Mostly the address or the parcel is wrong, or no carrier account is active. Where rates "
                "don't matter, say `require_rates: false`."
            ),
            fate="dead",
        ),
        Trouble(
            "shippo label error",
            "The carrier refused the label. Nothing was paid.",
            "operator",
            "Read the message. A rate may have run out: create the shipment again.",
            fate="dead",
        ),
        Trouble(
            "shippo label refunded",
            "The label of this rate was bought and refunded. Nothing was bought.",
            "author",
            "Create a new shipment and buy one of its rates.",
            fate="dead",
        ),
        Trouble(
            "shippo pending", "Shippo is still making it; looked for again after a minute.", "nobody", fate="retry"
        ),
        Trouble("shippo answer cut", "The answer broke off; the shipment is looked for again.", "nobody", fate="retry"),
        Trouble("shippo search", "Shippo's list can't be read; nothing was sent, asked again.", "nobody", fate="retry"),
        Trouble(
            "no time left",
            "Looking for the label took nearly the whole timeout. Nothing was bought.",
            "author",
            "Where it goes on, give the step a longer `timeout`.",
            fate="retry",
        ),
        Trouble(
            "shippo rate is bought",
            "This rate has a label of another delivery. Nothing was bought.",
            "author",
            "Create a shipment for each label.",
            fate="dead",
        ),
        Trouble(
            "shippo list too long",
            "Whether the shipment is there couldn't be found out. Nothing was sent.",
            "operator",
            "Look for the delivery's id in the metadata at Shippo, then replay or discard.",
            fate="unknown",
        ),
        Trouble(
            "no object",
            "A success without an object in it: it may have been done.",
            "operator",
            "Look for it at Shippo, then replay or discard.",
            fate="unknown",
        ),
        Trouble("http 409", "Too much at once; sent again later.", "nobody", fate="retry"),
    ),
    verified=(
        "The fields against Shippo's own Python SDK (3.9.0), statuses and limits against its "
        "documentation. Nothing was sent to Shippo's service. Not verified: how soon a new shipment "
        "is in the list, the unit of X-RateLimit-Reset, and whether Shippo itself refuses to buy a "
        "rate twice."
    ),
)
