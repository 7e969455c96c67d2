"""The text of the page of Rally (Agile Central)."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Have a user for the relay in Rally, who may edit in the project. The artifacts will have this user as "
            "their author."
        ),
        (
            "Signed in as that user, open [rally1.rallydev.com/login](https://rally1.rallydev.com/login), its page "
            "**API Keys**, and click **Create New API Key**. Choose full access, as a read-only key creates nothing. "
            "If keys are disabled, ask the subscription's administrator."
        ),
        (
            "Put the key into the environment as `RALLY_API_KEY` or into a secret's file, and give the connection "
            "`api_key: ${RALLY_API_KEY}`."
        ),
        (
            "Open the project in Rally: the number after `/project/` or `projectOid=` in the browser's address is its "
            "ObjectID. Give it to the connection as `project`, and the workspace's likewise where the user has several."
        ),
        "Try one defect in a project for tests. Fields of your own begin with `c_` in `fields`.",
    ),
    repeats=(
        "Rally has no key against repeats. After a lost answer the artifact may be there: the outcome is unknown, and "
        "the step's `on_unknown` decides whether a second one is risked. With `hold`, an operator looks first."
    ),
    limits=(
        "Rally limits requests at once; how many isn't published. The connection sends four at once.",
        "A name has at most 256 characters: use `| truncate(256)`.",
    ),
    troubles=(
        Trouble(
            "rally not authorized",
            "The key is wrong, read-only or disabled, its user has left, or may not write in the project.",
            "vendor",
            "Check the key at rally1.rallydev.com/login, and the user's rights; then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "rally validation error",
            "Rally refuses a field: a required one is missing, or a value isn't allowed. Rally says so with a 200.",
            "author",
            "The message names the field: set it under `fields`, and replay.",
            "dead",
        ),
        Trouble(
            "rally passing error",
            "Two changes at once, a time that ran out within Rally, or an unexpected error there.",
            "nobody",
            "If it lasts, ask Broadcom's support.",
            "retry",
        ),
        Trouble(
            "rally error, rally *",
            "Another error of Rally's; what stands behind `rally` is the beginning of its words.",
            "author",
            "The message has Rally's words.",
            "dead",
        ),
        Trouble(
            "no artifact",
            "The answer is a success that names no artifact; perhaps a proxy or a page for signing in gave it.",
            "operator",
            "Look for the artifact before you replay. Check `base_url` if it happens always.",
            "unknown",
        ),
        Trouble(
            "empty name, name too long",
            "The name is empty, or has more than 256 characters. Nothing was sent.",
            "author",
            "Give the name a `| default(…)` or a `| truncate(256)`, and replay.",
            "dead",
        ),
        Trouble(
            "rally attribute name",
            "`fields` has a name that no attribute can have.",
            "author",
            "Correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "field given twice",
            "`fields` has an attribute that another key of the step or the connection sets.",
            "author",
            "Leave one of them out.",
            "dead",
        ),
    ),
    check=(
        "It asks Rally whose key it is, and whether they see the connection's project. A read-only key isn't told from "
        "one with full access."
    ),
    verified=(
        "Requests and answers: pyral 1.6.0, Rally's own Python library; making a key: Broadcom's pages. Nothing was "
        "sent to Rally itself. Not verified: where the ObjectID stands in the address of newer pages, how many "
        "requests at once are taken, and the words by which passing errors are told."
    ),
)
