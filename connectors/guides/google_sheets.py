"""The text of the page of Google Sheets."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        "In the [Google Cloud console](https://console.cloud.google.com), make a project for the relay, or choose one.",
        "Search for **Google Sheets API** at the top, open it, and click **Enable**.",
        "Open **IAM & Admin** → **Service accounts** → **Create service account**. A name is enough; it needs no role.",
        (
            "Open the account, its tab **Keys**, then **Add key** → **Create new key** → **JSON**. A file is "
            "downloaded: it is a secret. Put it where the relay can read it, such as `secrets/google.json` in the "
            "workspace. Where your organization forbids such keys, an administrator has to allow this one."
        ),
        (
            "Open the spreadsheet, click **Share**, and share it as **Editor** with the account's address, which ends "
            "with `gserviceaccount.com` and stands in the file as `client_email`."
        ),
        "Write the columns' names into row 1, beginning in A1, without empty columns between them.",
        (
            "In relay.yaml, give the connection `spreadsheet`, its address in the browser, and `service_account: "
            "${file:secrets/google.json}`."
        ),
        "Let nobody else append rows to this tab by a program at the same time. People may edit it.",
    ),
    repeats=(
        "For `append_row`, name a `delivery_id_column`: each row gets its delivery's id, and a retry after a lost "
        "answer finds its row there instead of appending it twice. Without it, a lost answer is an unknown outcome, "
        "and the step's `on_unknown` decides. `update_row` and `upsert_row` find their row by its key, so a repeat "
        "writes the same again."
    ),
    limits=(
        (
            "60 writes a minute for an account: this is the connection's `limit`. A project has 300. Many rows go "
            "further as a `batch`, which is one write. Beyond the quota the relay waits."
        ),
        "One call at a time, whatever `limit` says: Google mixes up rows that are appended at the same time.",
        "A spreadsheet holds ten million cells. Then every append is a dead letter until there is room.",
        "Values are written as they are: nothing is run as a formula, and `007` stays `007`.",
    ),
    troubles=(
        Trouble(
            "sheet not shared",
            "The account may not write to this spreadsheet.",
            "vendor",
            "Share it as Editor with the address that the message names, then say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "sheets api is switched off",
            "The account's project doesn't use the Sheets API.",
            "vendor",
            (
                "Switch it on in the Google Cloud project that the message names; it takes a few minutes. Then resume "
                "the lane."
            ),
            "hold",
        ),
        Trouble(
            "service account refused, private key unreadable",
            (
                "Google gives no token: the key was deleted, its account is switched off, the file is damaged, or the "
                "relay's clock is wrong."
            ),
            "admin",
            "Check the machine's clock; make a new key and put it in the place of the old file.",
            "hold",
        ),
        Trouble("scope missing", "The token may not write spreadsheets.", "admin", "Make a new key.", "hold"),
        Trouble(
            "quota of google sheets",
            "More calls than the quota allows. It is sent again after a minute.",
            "nobody",
            "If it comes often, use `batch`, or ask Google for a larger quota.",
            "retry",
        ),
        Trouble(
            "spreadsheet not found",
            "There is no spreadsheet with this id.",
            "admin",
            "Copy its address from the browser into `spreadsheet`, and replay.",
            "dead",
        ),
        Trouble(
            "no such sheet",
            "The spreadsheet has no tab of this name.",
            "author",
            "Correct `sheet` in the step, or rename the tab back, and replay.",
            "dead",
        ),
        Trouble(
            "spreadsheet is full",
            "It has ten million cells.",
            "vendor",
            "Delete empty rows and columns or old rows, or begin another spreadsheet; then replay.",
            "dead",
        ),
        Trouble(
            "range is protected",
            "The cells are protected from the account.",
            "vendor",
            "Under **Data** → **Protect sheets and ranges**, let the account edit them; then replay.",
            "dead",
        ),
        Trouble(
            "column missing",
            "The row has a value whose column isn't in row 1.",
            "author",
            "Add the column to the sheet, or say `missing_columns: add` or `ignore`; then replay.",
            "dead",
        ),
        Trouble(
            "two columns of one name, column without a name, too many columns",
            (
                "Row 1 can't be used: a name stands there twice, a column that is needed has none, or a sheet can't "
                "have so many."
            ),
            "author",
            "Mend row 1, and replay.",
            "dead",
        ),
        Trouble(
            "columns are moving",
            "Somebody is moving columns just now.",
            "nobody",
            "If it comes often, set `header_for: 0s`.",
            "retry",
        ),
        Trouble(
            "empty row",
            "The row has no value, or none that has a column.",
            "author",
            "Give the step a `when` for events that lack the data.",
            "dead",
        ),
        Trouble(
            "row without a key, no row has the key, several rows have the key",
            (
                "For `update_row` and `upsert_row`: the event has no key, no row has it (`update_row`), or more than "
                "one has. Nothing was changed."
            ),
            "operator",
            "Mend the sheet or the event, and replay. `upsert_row` appends where no row has the key.",
            "dead",
        ),
        Trouble(
            "text too long for a cell, not a number",
            "A value can't stand in a cell: more than 50,000 characters, or a number that is none.",
            "author",
            "Shorten it with `| truncate`, and replay.",
            "dead",
        ),
        Trouble(
            "not an answer of sheets",
            "A success that doesn't say what was written. Where a repeat could append twice, the outcome is unknown.",
            "operator",
            "Look at the sheet before you replay.",
            "retry or unknown",
        ),
        Trouble(
            "no time left",
            "The step's `timeout` was over before anything was written, mostly behind other calls.",
            "nobody",
            "If it comes often, raise `timeout` or use `batch`.",
            "retry",
        ),
        Trouble(
            "token: not an answer of google",
            "Google's place for tokens answered without one.",
            "nobody",
            "If it lasts, look for a proxy in between.",
            "retry",
        ),
        Trouble(
            "batch of different sheets",
            "The deliveries of one batch differ in more than their rows, such as in `sheet`.",
            "author",
            "Make the key that the message names the same for all, or send without `batch`.",
            "dead",
        ),
    ),
    check=(
        "It reads the spreadsheet's title as the service account, so it finds out whether the key is taken, the Sheets "
        "API is on, and the sheet is shared. Whether as Editor is seen at the first delivery."
    ),
    verified=(
        "Requests: Google's discovery document of 2026 and gspread 6.2.1; quotas: Google's page on limits. Nothing was "
        "sent to Google itself. At the time of writing the menus were as above; those of the Cloud console change "
        "often. Not verified: how Google words a protected range."
    ),
)
