"""The text of the page of Notion."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "At [notion.so/profile/integrations](https://www.notion.so/profile/integrations), as a workspace owner, "
            "choose **New integration**, give it a name and the type **Internal**, and save."
        ),
        (
            "Under **Capabilities**, switch on **Insert content**; the relay needs nothing else. Copy the **Internal "
            "integration secret**, and put it into the environment as `NOTION_TOKEN` or into a secret's file."
        ),
        (
            "Open the database (or the page that new pages go below), click **•••** at the top right → "
            "**Connections**, and add the integration. Without this, Notion says that there is nothing."
        ),
        (
            "For a database: **•••** → **Manage data sources** → copy the data source's ID into the step's "
            "`data_source_id`. For a page, the 32 digits at the end of its address are its `page_id`."
        ),
        "In relay.yaml, give the connection `token: ${NOTION_TOKEN}`.",
        (
            "In the step, name the properties exactly as the columns are called, each with its type, as in `Email: "
            "{email: $.email}`."
        ),
    ),
    repeats=(
        "Notion has no key against repeats. After a lost answer the page may be there: the outcome is unknown, and the "
        "step's `on_unknown` decides whether a second page is risked. With `hold`, an operator looks first."
    ),
    limits=(
        "Three requests a second on average: this is the connection's `limit`. What Notion asks to wait is kept to.",
        (
            "2,000 characters in a piece of text (longer texts are split), 100 elements in a list, 1,000 blocks, 500 "
            "KB a page. All is checked before anything is sent."
        ),
        "A page below a page has a title and no other properties.",
    ),
    troubles=(
        Trouble(
            "notion unauthorized",
            "The token isn't taken.",
            "admin",
            "Copy the integration's secret again into the connection's secret.",
            "hold",
        ),
        Trouble(
            "notion restricted_resource",
            "The integration may not insert content.",
            "vendor",
            "Switch on **Insert content** under its capabilities, then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "notion missing_version",
            "Notion doesn't take the version that it was sent.",
            "admin",
            "Check the connection's `version`, or leave it out.",
            "hold",
        ),
        Trouble(
            "notion object_not_found",
            "There is no such page or data source, or the integration wasn't added to it.",
            "author",
            "Check the id; add the integration under ••• → **Connections**; then replay.",
            "dead",
        ),
        Trouble(
            "notion validation_error",
            "A property has another name or type than the database's, or a value doesn't fit. The message names it.",
            "author",
            "Correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "notion rate_limited, notion conflict_error, notion service_overload, notion service_unavailable",
            "Too many requests, two changes at once, or Notion is too busy. It is sent again when Notion says.",
            "nobody",
            "If it comes often, lower `limit`.",
            "retry",
        ),
        Trouble(
            "notion *",
            (
                "Another of Notion's words for an error. With 401 and 403 the lane is held; 409, 429 and 5xx are "
                "retried; else it is a dead letter."
            ),
            "author",
            "The message has Notion's words.",
        ),
        Trouble(
            "notion version",
            "The connection's `version` is older than data sources. Nothing was sent.",
            "admin",
            "Set `version: '2025-09-03'`, or say `database_id`.",
            "dead",
        ),
        Trouble(
            "notion limit",
            "The page is larger than Notion takes; the message names the place. Nothing was sent.",
            "author",
            "Shorten it, as with `| truncate(2000)`, and replay.",
            "dead",
        ),
        Trouble(
            "no page",
            "The answer is a success that names no page; perhaps a proxy gave it.",
            "operator",
            "Look for the page before you replay.",
            "unknown",
        ),
    ),
    check=(
        "It asks Notion whose token it is. Which pages and databases the integration was added to is seen at the first "
        "delivery."
    ),
    verified=(
        "Limits and error words: Notion's own pages on both. The menus: guides of others. Nothing was sent to Notion "
        "itself. Not verified: whether Notion counts characters as UTF-16 does (the stricter reading is kept to)."
    ),
)
