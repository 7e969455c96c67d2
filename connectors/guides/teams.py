"""The text of the page of Microsoft Teams."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "In Teams, open the channel's or chat's menu **•••** → **Workflows**, and choose the template for posting "
            "when a webhook request is received (at the time of writing **Send webhook alerts to a channel**)."
        ),
        (
            "Sign in as an account that will stay: the workflow belongs to its maker and stops when that account is "
            "gone. Add a second owner in Power Automate."
        ),
        (
            "Finish it and copy the address. Whoever has it can post: it is a secret. In Power Automate it stands in "
            "the first step, **When a Teams webhook request is received**, which must let *anyone* trigger it."
        ),
        (
            "Put the address whole, with its `sig=…`, into the environment as `TEAMS_WEBHOOK` or into a secret's file, "
            "and give the connection `webhook: ${TEAMS_WEBHOOK}`. In a `.env` file put it in quotes, as it holds `&`."
        ),
        (
            "Post once. If the relay says delivered and nothing appears, look at the workflow's run history in Power "
            "Automate."
        ),
        (
            "Addresses with `webhook.office.com` are of the older connectors, which Microsoft retired in 2026: make a "
            "workflow."
        ),
    ),
    repeats=(
        "A workflow has no key against repeats. After a lost answer the message may have been posted: the outcome is "
        "unknown, and the step's `on_unknown` decides. For a chat, `retry` is mostly right: a message twice rather "
        "than none."
    ),
    limits=(
        "Four messages a second: this is the connection's `limit`.",
        "28 KB a message, checked before it is sent: shorten with `| truncate`.",
        (
            "*Delivered* means that the workflow has taken the message (202). Whether it has posted it only the "
            "workflow's run history says."
        ),
    ),
    troubles=(
        Trouble(
            "teams WorkflowTriggerIsNotEnabled",
            "The workflow is switched off.",
            "vendor",
            "Switch it on in Power Automate, then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "teams WorkflowNotFound, teams ResourceNotFound",
            "The workflow was deleted.",
            "vendor",
            "Make a new one, and put its address into the connection's secret.",
            "hold",
        ),
        Trouble(
            (
                "teams DirectApiAuthorizationRequired, teams DirectApiInvalidAuthorizationScheme, teams "
                "AuthorizationFailed"
            ),
            "The address isn't whole, its key was renewed, or the workflow wants a sign-in.",
            "vendor",
            (
                "Let anyone trigger the workflow, copy the address from its first step again, and put it into the "
                "connection's secret."
            ),
            "hold",
        ),
        Trouble(
            "teams WorkflowTriggerThrottled, teams TooManyRequests",
            "More than the workflow takes.",
            "nobody",
            "If it comes often, lower `limit`.",
            "retry",
        ),
        Trouble(
            "teams NoResponse",
            "The workflow began and didn't finish, so it may have posted.",
            "operator",
            "Look at its run history before you replay.",
            "unknown",
        ),
        Trouble(
            "teams failure *",
            "The older connectors' way of saying, with a 200, that nothing was posted.",
            "vendor",
            "Make a workflow in its place.",
            "retry or dead",
        ),
        Trouble(
            "teams *",
            "Another code of the workflow service.",
            "author",
            "The attempt's record has its words.",
            "dead",
        ),
        Trouble(
            "teams answered a page",
            "A web page came back, so it may not have been the workflow.",
            "operator",
            "Look at the channel, and check the address.",
            "unknown",
        ),
        Trouble(
            "teams message refused",
            "The message is larger than 28 KB, empty, or no Adaptive Card. Nothing was sent.",
            "author",
            "The message says what is wrong: correct the recipe, and replay.",
            "dead",
        ),
    ),
    check="It sees whether the host can be reached, and no more: a workflow can't be tried without running it.",
    verified=(
        "Limits and the trigger's name: Microsoft's pages. The template's name and the menus were so at the time of "
        "writing; they are not verified. Nothing was sent to Microsoft itself. Not verified: the service's codes for a "
        "throttled trigger, and how the older connectors told of failures."
    ),
)
