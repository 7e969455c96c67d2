"""The text of the page of Google Analytics 4."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Google Analytics, open **Admin** (the gear) → **Data collection and modification** → **Data streams**, "
            "and click your web stream. Copy its **Measurement ID** (`G-…`). You need the role Editor for what follows."
        ),
        (
            "On the same page, open **Measurement Protocol API secrets**, accept the acknowledgement where it asks, "
            "and click **Create**. Name it after the relay and copy the value."
        ),
        (
            "Put the value into the environment as `GA4_API_SECRET` or into a secret's file, and give the connection "
            "`measurement_id` and `api_secret: ${GA4_API_SECRET}`."
        ),
        (
            "Let your site send the visitor's `client_id` (the end of the cookie `_ga`) along with its forms: without "
            "it the event belongs to nobody's visit."
        ),
        (
            "Try a recipe's events with `do: debug` first. Google's validation server says what is wrong with them, "
            "and records nothing."
        ),
        "Then use `do: event`, and look under **Reports** → **Realtime**.",
    ),
    repeats=(
        "Google leaves out no repeats, except purchases with the same `transaction_id`. After a lost answer the "
        "outcome is unknown, and the step's `on_unknown` decides whether an event may be counted twice. `debug` "
        "records nothing, so it can be repeated."
    ),
    limits=(
        (
            "25 events a request, 25 parameters an event, names of 40 characters, values of 100 (`longest_value`; 500 "
            "in Analytics 360), less than 130 kB. Google would drop what is beyond that without a word, so it is "
            "refused before it is sent."
        ),
        "An event is at most 72 hours old when it is sent. What waits longer in a held lane becomes a dead letter.",
        "Google answers 204 to everything, even with a wrong secret: *delivered* means sent, and not counted.",
        "Google forbids to send what names a person, such as e-mail addresses: pick what a recipe sends.",
    ),
    troubles=(
        Trouble(
            "limit of analytics",
            (
                "Google would drop the event without a word; the message names what is too long, too many, too old or "
                "badly named. Nothing was sent."
            ),
            "author",
            (
                "Correct the recipe, as with `| truncate(100)`, and replay. What is older than 72 hours can only be "
                "discarded."
            ),
            "dead",
        ),
        Trouble(
            "refused by the validation server",
            "Only with `debug`: Google finds fault with the event.",
            "author",
            "Correct the recipe as the message says.",
            "dead",
        ),
        Trouble(
            "not an answer of the validation server",
            "Only with `debug`: the answer isn't Google's.",
            "admin",
            "Check `base_url`.",
            "retry",
        ),
    ),
    check=("It sees whether Google's host can be reached, and no more: Google takes a wrong secret without a word."),
    verified=(
        "The protocol: Google's pages on sending events. Menus: Google's help. The numbers of the limits, and that a "
        "wrong secret is answered with 204, are general knowledge and not verified; nothing was sent to Google itself."
    ),
)
