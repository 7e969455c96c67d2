"""The text of the page of Azure DevOps."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Have a user for the relay in your Azure DevOps organization, who may create work items in the project. "
            "The work items will have this user as their author."
        ),
        (
            "Signed in as that user, open **User settings** (beside the picture) → **Personal access tokens** → **New "
            "token**. Choose the organization, a date of expiry, and under **Scopes** only **Work Items: Read & "
            "write**."
        ),
        (
            "Copy the token at once, as it is shown only once, and put it into the environment as `AZURE_PAT` or into "
            "a secret's file. Put its date of expiry into your calendar: from that day on the lane is held."
        ),
        (
            "In relay.yaml, give the connection `organization` and `project` as they stand in the browser's address, "
            "`https://dev.azure.com/contoso/Fabrikam`, and `pat: ${AZURE_PAT}`."
        ),
        (
            "For Azure DevOps Server or Team Foundation Server, set `base_url` to the part before the collection, such "
            "as `https://tfs.example.com/tfs`, `organization` to the collection, an older `api_version` where it asks "
            "for one, and `allow_private: true` where it stands in your own network."
        ),
        "Try a step with `validate_only: true` first: Azure DevOps checks the work item and creates none.",
    ),
    repeats=(
        "Azure DevOps has no key against repeats. With `tag_delivery: true`, each work item is tagged with its "
        "delivery's id, and that tag is looked for before it is created: a retry after a lost answer finds it and "
        "makes no second one. Without it, a lost answer is an unknown outcome, and the step's `on_unknown` decides."
    ),
    limits=(
        (
            "Microsoft counts what requests cost and not how many there are. It first delays answers and then refuses "
            "with 429; the connection sends four at once, and waits as long as it is asked to."
        ),
        "A title has at most 255 characters: use `| truncate(255)`.",
        "A tag has at most 400 characters, and no comma or semicolon.",
    ),
    troubles=(
        Trouble(
            "azure devops sign-in",
            "The sign-in page came back: the token is wrong, has expired or was revoked.",
            "admin",
            "Make a new token as above, and put it into the connection's secret.",
            "hold",
        ),
        Trouble(
            "ProjectDoesNotExist*",
            "There is no such project, or the token's owner can't see it.",
            "admin",
            "Check the connection's `project` and `organization`, and that the user is a member of the project.",
            "hold",
        ),
        Trouble(
            "RuleValidationException",
            "A rule of the work item's type refuses it: a required field is missing, or a value isn't allowed.",
            "author",
            "The message names the field. Set it under `fields`, and replay.",
            "dead",
        ),
        Trouble(
            "*",
            (
                "Any other of Azure DevOps' own names of an error, such as `WorkItemTypeNotFoundException`. With 401 "
                "and 403 the lane is held (scope and rights), otherwise it is a dead letter."
            ),
            "author",
            "The message has Microsoft's words, which mostly name the field or the right.",
            "hold or dead",
        ),
        Trouble(
            "no work item",
            "The answer is a success that names no work item; perhaps a proxy gave it.",
            "operator",
            "Look for the work item before you replay.",
            "unknown",
        ),
        Trouble(
            "empty title, title too long",
            "The title is empty, or has more than 255 characters. Nothing was sent.",
            "author",
            "Give the title a `| default(…)` or a `| truncate(255)`, and replay.",
            "dead",
        ),
        Trouble(
            "azure devops field name, azure devops field value",
            "`fields` has a name that isn't a reference name (they look like `System.AreaPath`), or a list as a value.",
            "author",
            "Correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "field given twice",
            "`fields` has a field that another key of the step sets.",
            "author",
            "Leave one of them out.",
            "dead",
        ),
    ),
    check=(
        "It reads the names of the project's types of work items, for which the token's scope is enough. Whether it "
        "may write is seen at the first delivery."
    ),
    verified=(
        "Requests and limits: Microsoft's pages on creating work items and on rate limits. The menus: guides of "
        "others. Nothing was sent to Microsoft's own service. Not verified: how a bad token is answered (302, 203 and "
        "pages in HTML are all understood), how soon a new tag is found by `tag_delivery`, and every older server."
    ),
)
