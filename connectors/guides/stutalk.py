"""The text of the page of StuTalk."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Ask your SITS team which StuTalk processes they have made for you: the name of each, the fields of its "
            "address in their order, what a put takes as its body, and what it answers."
        ),
        (
            "Ask which of `&&` and `_` each process takes for a slash in a value, such as the one in the SPR code "
            "20159707/2. One university uses `&&` where it asks and `_` where it puts marks."
        ),
        (
            "Ask for a user of its own for the relay that may use these processes and nothing else, on the test system "
            "first, and for the relay's address to be let through the firewall."
        ),
        (
            "In `relay.yaml`, give the connection `base_url` (the address up to and with `SIW_RWS`) and `auth: {basic: "
            "{username: …, password: ${STUTALK_PASSWORD}}}`; put the password into the environment or a secret's file."
        ),
        (
            "Name under `harmless` a process that only reads, with keys of a record that is always there. Then "
            "`relay connections test NAME` asks it."
        ),
        "Put one record on the test system and look at it in SITS before the connection points to the live one.",
    ),
    repeats=(
        "A put is sent again after a lost answer: the same values put twice leave the record as it is, and one "
        "university saw that not even its date of update changes. Where your process adds something each time, say "
        "`repeats: false`: then the recipe's `on_unknown` decides."
    ),
    limits=(
        (
            "None is published. The connection sends two at once unless its `limit` says otherwise: SITS serves its "
            "users with the same machines."
        ),
        "An answer of more than 1 MB isn't taken: ask for less by further keys.",
        (
            "Marks are put as they are written (`50.55`) and kept times a hundred (5055); `hundredths` turns what is "
            "asked for back."
        ),
        "The order of `keys` is the order of the address, and a process may insist on it.",
    ),
    troubles=(
        Trouble(
            "stutalk page",
            "A page for people came back instead of data, as when nobody is signed in. The lane waits.",
            "admin",
            "Check `base_url` (it ends with `SIW_RWS`) and `auth`; open the address in a browser as the StuTalk user.",
            "hold",
        ),
        Trouble(
            "stutalk key",
            "A value for the address is empty, or holds what can't stand in one. Nothing was sent.",
            "author",
            "Look at `relay try`: an empty value mostly means that the event lacks it; give the step a `when`.",
            "dead",
        ),
        Trouble(
            "stutalk no rows",
            "SITS knows no such record, and the step says `empty: dead`.",
            "operator",
            "Have the record made in SITS, or the event's key put right, and replay it.",
            "dead",
        ),
        Trouble(
            "stutalk not rows",
            "The answer isn't the list of lists that StuTalk gives: the process is another, or it tells of an error.",
            "vendor",
            "Show the attempt's answer to your SITS team; check the name of the process and its keys.",
            "dead",
        ),
        Trouble(
            "stutalk says no success",
            "The answer to a put is a 200, and by the connection's `success` it is none: SITS refused the values.",
            "operator",
            "Read the attempt's answer, put the event right and replay it; marks and grades are checked against the "
            "mark scheme's conversion table.",
            "dead",
        ),
        Trouble(
            "answer broke off",
            "The connection ended in the midst of the rows. It is asked again.",
            "nobody",
            fate="retry",
        ),
    ),
    verified=(
        "Against University College London's description of its processes for marks and its open-source client, and "
        "against the public clients of other universities, which all use Basic. Tribal publishes no reference, and "
        "nothing was sent to a real SITS: what a process answers when it refuses isn't known, hence `success`."
    ),
)
