"""The page of the connector `jira`."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Use an account of its own for Relay, such as `relay@example.com`, so that people see who made an issue. "
            "In the project, give it the permissions Browse Projects, Create Issues and, for comments, Add Comments."
        ),
        (
            "Jira Cloud: log in as that account, open https://id.atlassian.com/manage-profile/security/api-tokens, "
            "press Create API token, give it a name and an expiry date, and copy the token. It is shown once. Note the "
            "expiry date: on that day deliveries begin to wait."
        ),
        (
            "A Cloud token *with scopes* needs `read:jira-work` and `write:jira-work` (and `read:jira-user` for the "
            "test), and another address: `https://api.atlassian.com/ex/jira/<cloud id>`. The cloud id stands at "
            "`https://<your site>.atlassian.net/_edge/tenant_info`."
        ),
        (
            "Jira Data Center: open Profile, Personal Access Tokens, Create token. Give it to the connection as "
            "`token`, and set `api_version: 2`."
        ),
        (
            "See that the field Labels is on the create screen of the issue types you use (project settings, Screens): "
            "Relay marks each issue with a label. Where that isn't wanted, set `mark: none`."
        ),
        (
            "In relay.yaml, name the site in `base_url` (without `/rest`), the account in `email`, and the token as "
            "`api_token: ${JIRA_TOKEN}`; then run `relay connections test NAME`."
        ),
    ),
    repeats="Jira has no idempotency key. With `mark: label`, which is the default, each issue carries the label "
    "`relay-` and the delivery's id. After a lost answer or a server error, Relay waits a minute, until Jira's search "
    "knows new issues, and the next attempt looks for the label: where an issue has it, the delivery is done and "
    "nothing is created. A replay, and an attempt whose worker died, count as first attempts: with `look: always` "
    "these look as well. A search that takes Jira longer than the wait, or an account that may not see the issue, can "
    "still let a second one be made. With `mark: none`, and for comments, an attempt whose answer was lost may have "
    "happened: the step's `on_unknown` says whether to repeat it.",
    limits=(
        (
            "A summary has at most 255 characters; line breaks in it become spaces. A description and a comment have "
            "at most 32767. Longer ones are refused before they are sent, with the filter that shortens them."
        ),
        "A label has at most 255 characters and no space; a space becomes `_`.",
        (
            "The Cloud limits what requests cost, in bursts, by the hour, and for writes to one issue. Relay waits as "
            "long as Jira's `Retry-After` or `X-RateLimit-Reset` says."
        ),
        "A refused creation may still use up an issue number: gaps in the numbers are no lost issues.",
    ),
    troubles=(
        Trouble(
            "jira credentials",
            "Jira doesn't take the account or its token; it may have expired.",
            "admin",
            "Make a new token, set it, and resume the connection.",
            "hold",
        ),
        Trouble(
            "jira captcha",
            "After failed logins Jira wants a CAPTCHA of this account.",
            "vendor",
            "Log in once with a browser as the account, mend the token if it was wrong, and resume the connection.",
            "hold",
        ),
        Trouble(
            "jira login page",
            "A web page came in place of the API's answer: a proxy's login, or an address that isn't Jira's. The lane "
            "waits.",
            "admin",
            "Correct `base_url`, or let Relay through the proxy.",
            "hold",
        ),
        Trouble(
            "jira no such api",
            "There is no such API at that address.",
            "admin",
            "Correct `base_url`; on Data Center set `api_version: 2`.",
            "hold",
        ),
        Trouble(
            "jira rate limit, jira rate limit *",
            "Too many requests, for the reason that Jira names.",
            "nobody",
            "",
            "retry",
        ),
        Trouble(
            "jira field labels",
            "Jira won't take labels for this issue type, mostly since they aren't on its create screen.",
            "vendor",
            "Put Labels on the create screen and replay; or set `mark: none` and leave `labels` out.",
            "dead",
        ),
        Trouble(
            "jira field project",
            "There is no such project, or the account may not create issues in it.",
            "author",
            "Correct `project`; or give the account Create Issues in that project. Then replay.",
            "dead",
        ),
        Trouble(
            "jira field *",
            "Jira refuses the value of this field, or asks for one. The message has Jira's words.",
            "author",
            "Correct the recipe, or edit the dead letter, and replay.",
            "dead",
        ),
        Trouble(
            "jira forbidden",
            "The account may not do this in that project or with that issue.",
            "vendor",
            "Give the account the permission that Jira names, or correct the project in the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "jira not found",
            "There is no such issue or project, or the account can't see it: Jira answers both alike.",
            "author",
            "Check the key; have the account given Browse Projects there. Then replay.",
            "dead",
        ),
        Trouble(
            "jira text too long",
            "A text is longer than this Jira takes.",
            "author",
            "Shorten it in the recipe with `| truncate` and replay.",
            "dead",
        ),
        Trouble(
            "jira refused",
            "Jira refuses the request and names no field.",
            "author",
            "Read Jira's words in the message, correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "jira names no issue",
            "Jira said yes and named no issue. With `mark: label` the next attempt looks for it.",
            "operator",
            "With `mark: none`, look for the issue before you replay.",
            "unknown",
        ),
        Trouble(
            "jira search*",
            "The search for what an earlier attempt made didn't work, so nothing was created.",
            "vendor",
            "Give the account Browse Projects; then replay.",
            "dead",
        ),
        Trouble(
            "empty summary, empty description, empty comment",
            "The text came out empty. Nothing was sent.",
            "author",
            "Give it a value in the recipe, as with `| default`, or correct the dead letter; then replay.",
            "dead",
        ),
        Trouble(
            "summary too long, description too long, comment too long",
            "The text is longer than Jira takes. Nothing was sent.",
            "author",
            "Shorten it in the recipe with `| truncate`, and replay.",
            "dead",
        ),
        Trouble(
            "jira document, jira markup",
            "The text's form doesn't go with the connection's `api_version`: version 3 takes plain text or an "
            "Atlassian document, version 2 plain text or wiki markup.",
            "author",
            "Write the text in the form that the message names, and replay.",
            "dead",
        ),
    ),
    verified="Paths, bodies and authentication by hand against PyPI's `jira` 3.10.5; errors and rate limit headers as "
    "Atlassian's pages describe them, against a strict fake and not against Atlassian's own service. Not verified: how "
    "long the search takes to know a new issue, which characters of a document count towards 32767, and how fields "
    "without wiki markup show the escapes of version 2.",
)
