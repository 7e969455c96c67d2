"""The text of the page of Discord."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Discord, as somebody who may manage webhooks, open the channel's settings (the gear beside its name) → "
            "**Integrations** → **Webhooks** → **New webhook**."
        ),
        (
            "Give it a name and a picture, and click **Copy webhook URL**. Whoever has this address can post: it is a "
            "secret."
        ),
        (
            "Put it into the environment as `DISCORD_WEBHOOK` or into a secret's file, and into relay.yaml as "
            "`webhook: ${DISCORD_WEBHOOK}`."
        ),
        (
            "For a thread, copy its id (developer mode, right click, **Copy thread ID**) into the step's `thread_id`. "
            "A forum wants `thread_name` or `thread_id`."
        ),
    ),
    repeats=(
        "Discord has no key against repeats at webhooks. After a lost answer the message may have been posted: the "
        "outcome is unknown, and the step's `on_unknown` decides. For a chat, `retry` is mostly right: a message twice "
        "rather than none."
    ),
    limits=(
        (
            "Five messages in two seconds for a webhook: this is the connection's `limit`. What Discord asks to wait "
            "is kept to, to the fraction of a second."
        ),
        (
            "2,000 characters of content, ten embeds, 6,000 characters in all embeds together, 25 fields each. All is "
            "checked before anything is sent: shorten with `| truncate`."
        ),
        (
            "Nobody is mentioned unless the step says so under `allowed_mentions`: `@everyone` in an event's data "
            "stays text."
        ),
        (
            "Who sends 10,000 wrong requests in ten minutes is shut out by its address; that is why the lane is held "
            "when the webhook is gone."
        ),
    ),
    troubles=(
        Trouble(
            "discord 10015, discord 50027",
            "The webhook was deleted, or its address is wrong.",
            "vendor",
            "Make a new webhook and put its address into the connection's secret.",
            "hold",
        ),
        Trouble(
            "discord 40333",
            "Discord's gateway keeps the relay's address out.",
            "vendor",
            "Ask Discord's support; a server with an address of its own helps.",
            "hold",
        ),
        Trouble(
            "discord 50035, discord 50006",
            "Discord refuses the form of the message, or it is empty. The message names the places.",
            "author",
            "Correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "discord 10003, discord 50083, discord 160005",
            "The thread doesn't exist, is archived, or is locked.",
            "author",
            "Correct `thread_id`, or open the thread again, and replay.",
            "dead",
        ),
        Trouble(
            "discord 220001, discord 220002, discord 220003",
            (
                "The channel is a forum and wants `thread_name` or `thread_id` (not both), or it is none and takes no "
                "`thread_name`."
            ),
            "author",
            "Correct the step, and replay.",
            "dead",
        ),
        Trouble(
            "discord *",
            "Another of Discord's numbers of errors.",
            "author",
            "The attempt's record has Discord's words.",
            "dead",
        ),
        Trouble(
            "discord rate limit",
            "More messages than Discord takes. It is sent again when Discord says.",
            "nobody",
            "If it comes often, other programs use the webhook too: lower `limit`, or make one for the relay alone.",
            "retry",
        ),
        Trouble(
            "discord message refused",
            "The message is longer than Discord takes, or its form is wrong. Nothing was sent.",
            "author",
            "The message names the place: shorten it with `| truncate`.",
            "dead",
        ),
        Trouble(
            "discord answered no message",
            "A success without the message in it, so it may not have been Discord.",
            "operator",
            "Look at the channel. Check `base_url` if it happens always.",
            "unknown",
        ),
    ),
    check="It asks Discord for the webhook, and says its name and channel. Nothing is posted.",
    verified=(
        "Against Discord's own OpenAPI file. At the time of writing the menus were as above; they are not verified. "
        "Nothing was sent to Discord itself."
    ),
)
