"""The page of the connector `file`."""

from __future__ import annotations

from relay.connector.guide import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Choose a folder on the machine that Relay runs on, or one that is mounted there, and give Relay's "
            "user the right to write into it. With Docker, mount it into the container."
        ),
        (
            "In relay.yaml, name it as `folder`: a relative one lies in the data folder. It is made when the first "
            "file is."
        ),
        "Run `relay connections test NAME`, which writes nothing.",
    ),
    repeats=(
        "CSV, fixed-width and JSON Lines files grow; beside `chats.csv` lies a journal, `.chats.csv.relay`, that "
        "remembers the last 20,000 deliveries, so that a repeat adds nothing. Don't delete it while deliveries are "
        "under way. JSON and XML files appear whole or not at all; one that is there with the same content counts "
        "as written."
    ),
    limits=(
        "Links in the path are not followed, and nothing outside the folder is ever written.",
        (
            "Header and trailer records, checksums, manifests and PGP are for whole files: the connector `sftp` "
            "makes them."
        ),
    ),
    troubles=(
        Trouble(
            "no time for a placeholder",
            "A header or trailer record asks for the date, and the delivery has none.",
            "author",
            "Leave the placeholder out.",
            "dead",
        ),
        Trouble(
            "count is too wide",
            "The number of rows has more digits than the header or trailer record has room for.",
            "author",
            "Widen `{count:…}` in the record, or send fewer rows in a batch.",
            "dead",
        ),
        Trouble(
            "batch of different files",
            "The deliveries of one batch differ in more than their rows, such as in `path`.",
            "author",
            "Make the key that the message names the same for all, or send without `batch`.",
            "dead",
        ),
        Trouble(
            "may not write the file",
            "Relay's user may not write there. The lane waits.",
            "admin",
            "Give it the right by chown or chmod, and resume the connection.",
            fate="hold",
        ),
        Trouble(
            "folder is a file",
            "`folder` names a file.",
            "admin",
            "Set `folder` to another.",
            fate="hold",
        ),
        Trouble(
            "path refused",
            "The path would lead out of the folder, through a link, or onto a folder. A dead letter.",
            "author",
            "Mend `path`; take signs out of event data with a filter.",
            fate="dead",
        ),
        Trouble(
            "file system: *",
            "The file can't be written, as when the disk is full. It is tried again.",
            "admin",
            "Make room.",
            fate="retry",
        ),
        Trouble(
            "file is locked",
            "Another process writes the file. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "file not written in time",
            "Writing took longer than the step's timeout. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "file taken away while it was written",
            "The file was moved while a worker that then died wrote it: the rows may be in it.",
            "operator",
            "Look into the file that was taken; replay where they are missing.",
            fate="unknown",
        ),
        Trouble(
            "columns of * differ",
            "The row has columns that the file's header hasn't. A dead letter.",
            "author",
            "Write to another path, or bring the two together; then replay.",
            fate="dead",
        ),
        Trouble(
            "file is there already",
            "A file of this name has other content, and is left as it is. A dead letter.",
            "author",
            "Put something of the event into the path, or say `replace: true`.",
            fate="dead",
        ),
        Trouble(
            "column * breaks a rule",
            "A value breaks a rule of its column; the message names row, column and rule. Nothing was written.",
            "operator",
            "Edit and replay the dead letter, or mend the recipe or the rule.",
            fate="dead",
        ),
        Trouble(
            "column * is too narrow",
            "A value is longer than its fixed-width column. Nothing was written.",
            "author",
            "Cut it with a filter, or say `too_long: cut`.",
            fate="dead",
        ),
        Trouble(
            "* lacks a character in *",
            "The file's encoding can't write a character. Nothing was written.",
            "author",
            "Say `unencodable: transliterate` or `replace`, or another encoding.",
            fate="dead",
        ),
        Trouble(
            "row with unknown columns",
            "A row has columns that the file hasn't. A dead letter.",
            "author",
            "Mend the recipe.",
            fate="dead",
        ),
        Trouble(
            "line break in column *",
            "A value has a line break that the file can't hold. Nothing was written.",
            "author",
            "Say `line_breaks: space`.",
            fate="dead",
        ),
        Trouble(
            "column * needs quotes",
            "With `quote: none` a value can't be told from its neighbours. Nothing was written.",
            "author",
            "Say `quote: all`, take another delimiter, or take the sign out with a filter.",
            fate="dead",
        ),
    ),
    verified="On Linux, with processes killed at each step; on file systems with and without hard links.",
)
