"""The page of the connector `sftp`."""

from __future__ import annotations

from relay.connector.guide import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Ask the server's owner for: host and port, a user name, the folder to write into, the rules for file "
            "names, and the fingerprint of the server's host key (`SHA256:…`), by another way than the server "
            "itself."
        ),
        (
            "Make a key pair for Relay, `ssh-keygen -t ed25519 -N '' -f sits_key`, and send the owner "
            "`sits_key.pub`. The other file is the secret: keep it in a file and write `private_key: "
            "${file:secrets/sits_key}`."
        ),
        (
            "Fetch the host key with `relay connections host-key HOST`, compare its fingerprint with the owner's "
            "word, and pin it as `host_key`. A server that is about to change its key may have two in a list."
        ),
        (
            "Ask how the owner's system knows that a file is complete. A renamed file is enough for most: "
            "`temporary` is the name until then, such as `{filename}.partial`. Where it waits for a manifest, set "
            "`manifest: {name: '{stem}.DONE', content: '{filename}'}`; where it compares sums, `checksums: "
            "[sha256]`."
        ),
        (
            "Ask where files go once they are read. Name that place in `taken`, such as `processed/{filename}`: "
            "then a retry after a lost answer finds the file there and doesn't send it again."
        ),
        (
            "To encrypt, install gpg (`apt-get install gpg`) where Relay runs, and give the owner's public key as "
            "`pgp: {public_key: '${file:secrets/vendor.asc}'}`."
        ),
        (
            "Tribal publishes no file layout for SITS; each university has its own. Write the columns the import "
            "process wants into the step, with `required`, `max`, `pattern` and `one_of`, so that a wrong value is "
            "a dead letter here and not a rejected file there. Then run `relay connections test NAME`, which "
            "writes nothing."
        ),
    ),
    repeats=(
        "A file is written under its temporary name, its size is checked, the archive's copy is made, and the file "
        "is renamed; then come checksums and, last, the manifest. Each attempt looks first what is there already, "
        "so that it completes what is missing. A file's name is the delivery's own unless `unique` is off. A plain "
        "file that is there with the same content counts as sent; with other content it is left alone and the "
        "delivery is a dead letter. An encrypted file differs each time it is made, so its name decides: it has a "
        "piece made of the delivery and its content in it, and it gets it only when it is whole. A file or a "
        "manifest that the owner's system took away before a retry, to a place that `taken` doesn't name, is sent "
        "again. On servers whose rename replaces files, such as SFTPGo, a name that two systems write at the same "
        "moment can still be taken by the later one: leave `unique` on."
    ),
    limits=(
        "One connection has one SSH session; all its deliveries share it.",
        "SFTP can't append: with `batch` in the recipe many rows make one file.",
        "Names have at most 255 bytes.",
        (
            "`{date}` and `{time}` are those of the event's receipt, in UTC. For another zone write the date in "
            "the recipe."
        ),
    ),
    also=("file",),
    troubles=(
        Trouble(
            "the connection's folder is missing",
            "The server has no folder of the name that the connection's `folder` says. The lane is held.",
            "admin",
            "Make the folder there, correct `folder`, or set `create_folders: true`; then `relay lanes resume NAME`.",
            "hold",
        ),
        Trouble(
            "host key is not the pinned one",
            "The server shows another key than `host_key`: it was renewed, or somebody stands in between. The "
            "lane waits; the message has both fingerprints.",
            "admin",
            "Ask the server's owner. Only if they confirm the new fingerprint, pin it and resume the connection.",
            fate="hold",
        ),
        Trouble(
            "login refused",
            "The server doesn't take the user with this key or password. The lane waits.",
            "vendor",
            "Have the owner unlock the account or install the public key; resume the connection.",
            fate="hold",
        ),
        Trouble(
            "private key unreadable",
            "`private_key` isn't a whole key, or `passphrase` doesn't open it. The lane waits.",
            "admin",
            "Mend the secret; the file starts with `-----BEGIN`.",
            fate="hold",
        ),
        Trouble(
            "key exchange failed",
            "Server and Relay share no algorithm. The lane waits.",
            "vendor",
            "Update it.",
            fate="retry or hold",
        ),
        Trouble(
            "connection lost",
            "The connection broke. It is tried again, and nothing is written twice.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "connect timeout",
            "The login took too long. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "sftp timeout",
            "Writing took longer than the step's timeout. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "no folder *",
            "The folder isn't there. A dead letter.",
            "admin",
            "Have it made, or set `create_folders: true`; then replay.",
            fate="dead",
        ),
        Trouble(
            "sftp: *",
            "The server refused the file. No right and a wrong name are dead letters; `failure`, which is all "
            "that most say of a full disk or a quota, is tried again.",
            "vendor",
            "Give the user the right to write, or make room; then replay what is dead.",
            fate="retry or dead",
        ),
        Trouble(
            "file arrived with another size",
            "Less came through than was sent; the file has only its temporary name. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "file is there already",
            "Another file has this name; it is left as it is. A dead letter.",
            "author",
            "Leave `unique` on, or put something of the event into the path.",
            fate="dead",
        ),
        Trouble(
            "two files of one name",
            "`temporary` or the manifest's name makes the file's own name. Nothing was sent. A dead letter.",
            "admin",
            "Change `temporary` or the manifest's name, then replay.",
            fate="dead",
        ),
        Trouble(
            "file written by two deliveries at once",
            "Two deliveries shared a name and a temporary name. A dead letter.",
            "admin",
            "Put `{key}` into `temporary`, or leave `unique` on; look at the file, then replay.",
            fate="dead",
        ),
        Trouble(
            "column * breaks a rule",
            "A value breaks a rule of its column; the message names row, column and rule. Nothing was sent.",
            "operator",
            "Edit and replay the dead letter, or mend the recipe or the rule.",
            fate="dead",
        ),
        Trouble(
            "column * is too narrow",
            "A value is longer than its fixed-width column. Nothing was sent.",
            "author",
            "Cut it with a filter, or say `too_long: cut`.",
            fate="dead",
        ),
        Trouble(
            "* lacks a character in *",
            "The file's encoding can't write a character. Nothing was sent.",
            "author",
            "Say `unencodable: transliterate` (Ş becomes S) or `replace`, or another encoding.",
            fate="dead",
        ),
        Trouble(
            "count is too wide",
            "A number has more digits than `{count:6}` has room for.",
            "author",
            "Widen it.",
            fate="dead",
        ),
        Trouble(
            "gpg is missing",
            "There is no gpg where Relay runs. The lane waits.",
            "admin",
            "`apt-get install gpg`, and resume the connection.",
            fate="hold",
        ),
        Trouble(
            "gpg refuses the public key",
            "The key has expired, can only sign, or is torn. The lane waits.",
            "vendor",
            "Get a new public key, set it, and resume the connection.",
            fate="hold",
        ),
        Trouble(
            "gpg timeout",
            "gpg took longer than the step's timeout. It is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "may not write the file",
            "The archive's folder here can't be written. The lane waits, and nothing was sent.",
            "admin",
            "Give Relay's user the right to write there.",
            fate="hold",
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
            "A value has a line break that the file can't hold. Nothing was sent.",
            "author",
            "Say `line_breaks: space`.",
            fate="dead",
        ),
        Trouble(
            "column * needs quotes",
            "With `quote: none` a value can't be told from its neighbours. Nothing was sent.",
            "author",
            "Say `quote: all`, take another delimiter, or take the sign out with a filter.",
            fate="dead",
        ),
        Trouble(
            "path refused",
            "The path would lead elsewhere, or has signs that no name may have. A dead letter.",
            "author",
            "Mend `path`; take signs out of event data with a filter.",
            fate="dead",
        ),
        Trouble(
            "encrypted file without a name of its own",
            "With `pgp`, `unique` must stay on. A dead letter.",
            "author",
            "Take `unique: false` out of the step.",
            fate="dead",
        ),
        Trouble(
            "no time for a placeholder",
            "`{date}` or `{time}` isn't known here. A dead letter.",
            "author",
            "Write the date in the recipe.",
            fate="dead",
        ),
        Trouble(
            "file system: *",
            "The archive's folder here can't be written, as when the disk is full. It is tried again, and "
            "nothing was sent yet.",
            "admin",
            "Make room.",
            fate="retry",
        ),
        Trouble(
            "gpg can't be started",
            "The machine couldn't start gpg. It is tried again.",
            "admin",
            "Look at its memory, its limits of processes, and the room in its folder for temporary files.",
            fate="retry",
        ),
        Trouble(
            "gpg was killed",
            "The machine ended gpg, as a rule for lack of memory. It is tried again.",
            "admin",
            "Look at its memory.",
            fate="retry",
        ),
        Trouble(
            "private address refused",
            "The host is a private address. The lane waits.",
            "admin",
            "Set `allow_private: true` where that is meant.",
            fate="hold",
        ),
        Trouble(
            "dns failure",
            "The host's name isn't known at the moment. It is tried again.",
            "admin",
            "If it stays, mend `host`.",
            fate="retry",
        ),
        Trouble(
            "no connection",
            "The server can't be reached. It is tried again.",
            "vendor",
            "If it stays, ask whether Relay's address is let through.",
            fate="retry",
        ),
    ),
    verified=(
        "Against OpenSSH's sshd and ProFTPD's mod_sftp, each with the connection cut after its requests, and "
        "against servers whose rename replaces, refuses, or knows no posix-rename; what gpg 2.2 decrypts; what "
        "sha256sum and md5sum check. Not against SITS itself."
    ),
)
