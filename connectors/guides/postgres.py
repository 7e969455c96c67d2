"""What the page of the PostgreSQL connector says."""

from __future__ import annotations

from relay.connector.guide import Guide, Trouble

GUIDE = Guide(
    setup=(
        "At the server, as its administrator, make a user for the relay: `CREATE ROLE relay LOGIN PASSWORD '…';`",
        (
            "Give it the tables it writes, and no others: `GRANT USAGE ON SCHEMA crm TO relay;` and "
            "`GRANT INSERT, SELECT, UPDATE ON crm.leads TO relay;` (UPDATE only for `upsert`). A table with a `serial` "
            "column also needs `GRANT USAGE ON ALL SEQUENCES IN SCHEMA crm TO relay;`."
        ),
        (
            "For `insert`, add a column that keeps a retry from adding a second row: "
            "`ALTER TABLE chats ADD COLUMN relay_id text UNIQUE;`, and name it as the step's `delivery_column`."
        ),
        (
            "For `upsert`, see that a primary key or a unique index covers exactly the columns you name as `key`: "
            "`CREATE UNIQUE INDEX ON crm.leads (email);`."
        ),
        (
            "In `pg_hba.conf` let the relay's machine in: `hostssl crm relay 10.0.0.5/32 scram-sha-256`, then "
            "`SELECT pg_reload_conf();`. A hosted database has a page for this, called allowed addresses or networks."
        ),
        (
            "In relay.yaml write host, database and user, and the password as `${PGPASSWORD}`. Hosted databases are "
            "signed by an authority of their own: download its certificate (Amazon RDS: `global-bundle.pem`) and name "
            "the file as `ca_file`. Only for a server on the same machine say `sslmode: disable`."
        ),
        "Run `relay connections test NAME`: it logs in, asks who it is, and writes nothing.",
    ),
    repeats=(
        "A call is one transaction: all its rows are written, or none. With `delivery_column`, a retry finds the "
        "delivery's id and adds nothing; `upsert` writes the same row again. Without either, a connection that is "
        "lost in the moment of the COMMIT leaves it open whether the rows are there, and the step's `on_unknown` "
        "decides. The deliveries of a `batch` each keep their own id; where one delivery brings several `rows`, "
        "each gets the id with its number."
    ),
    limits=(
        (
            "1,000 deliveries travel in one call at most; a bad row among them is found by sending halves, and is the "
            "only one that becomes a dead letter."
        ),
        (
            "Each worker opens up to `connections` connections (4) and closes them when idle; the server's "
            "`max_connections` must have room for all workers."
        ),
        "The step's `timeout` is also the server's `statement_timeout` for the call.",
        (
            "Values are converted by the column's type: texts in ISO form to dates and times (without an offset, UTC "
            "is meant), numbers to texts, anything to json and jsonb, lists to arrays. Text with a NUL character, or "
            "too long for its column, is a dead letter that names the column."
        ),
        "PostgreSQL 12 and later. PgBouncer may stand in between, in any pool mode but `statement`.",
    ),
    troubles=(
        Trouble(
            "postgres *",
            "Another refusal, named by its SQLSTATE; PostgreSQL's page of error codes says what it means. Trouble of "
            "the connection or of the server is tried again, what is wrong with the row is a dead letter.",
            "operator",
            "Look the code up; the server's own log has the whole sentence.",
        ),
        Trouble(
            "batch of different tables",
            "The deliveries of one batch differ in more than their rows, such as in `table`.",
            "author",
            "Make the key that the message names the same for all, or send without `batch`.",
            "dead",
        ),
        Trouble(
            "postgres 28*",
            "The server refused the login; the lane is held.",
            "admin",
            "Check `user`, `password` and the server's `pg_hba.conf`; then resume the connection.",
        ),
        Trouble("postgres 3D*", "There is no such database; the lane is held.", "admin", "Correct `database`."),
        Trouble("postgres 57P04", "The database has been dropped; the lane is held.", "admin", "Correct `database`."),
        Trouble(
            "postgres 42501",
            "The user lacks a right on the table, and the lane is held; or a row-level policy "
            "refuses the row, which is a dead letter.",
            "vendor",
            "GRANT the right, or look at the policy.",
        ),
        Trouble(
            "server without tls",
            "The server takes no TLS; the lane is held.",
            "admin",
            "Switch TLS on there; on the same machine, say `sslmode: disable`.",
            fate="hold",
        ),
        Trouble(
            "tls failure",
            "The certificate isn't trusted, is out of date or names another host. It is tried again.",
            "admin",
            "Give the right `ca_file`, and call the host as its certificate does.",
            fate="retry",
        ),
        Trouble(
            "ca_file can't be used",
            "The file is missing or no PEM; the lane is held.",
            "admin",
            "Correct it.",
            fate="hold",
        ),
        Trouble("connect timeout", "Nobody logged us in in time. It is tried again.", "nobody", fate="retry"),
        Trouble("dns failure", "The host's name can't be resolved. It is tried again.", "nobody", fate="retry"),
        Trouble("no connection", "Nobody listens there. It is tried again.", "nobody", fate="retry"),
        Trouble(
            "connection lost", "The connection broke before the COMMIT. It is tried again.", "nobody", fate="retry"
        ),
        Trouble(
            "no answer in time",
            "The rows took longer than the step's timeout, or waited for a lock. Nothing was "
            "written, and it is tried again.",
            "nobody",
            fate="retry",
        ),
        Trouble(
            "lost at commit",
            "The connection broke during the COMMIT. With a delivery_column or `upsert` it is "
            "tried again; else the step's `on_unknown` decides.",
            "author",
            "Give the step a `delivery_column`.",
            fate="retry or unknown",
        ),
        Trouble(
            "postgres 53*",
            "The server lacks disk, memory or connections. It is tried again.",
            "vendor",
            "Look after the server; lower `connections` where it is those.",
        ),
        Trouble("postgres 40*", "Another transaction was in the way. It is tried again.", "nobody"),
        Trouble("postgres 08*", "The connection was lost. It is tried again.", "nobody"),
        Trouble(
            "postgres 57*",
            "The server is shutting down or starting, or the statement was cancelled. It is tried again.",
            "nobody",
        ),
        Trouble("postgres 55P03", "Somebody holds a lock. It is tried again.", "nobody"),
        Trouble(
            "postgres 25006",
            "The server only reads: a standby. It is tried again.",
            "vendor",
            "Where it lasts, name the primary server as `host`.",
        ),
        Trouble(
            "postgres 23505*",
            "A row with the same unique value is there. A dead letter.",
            "author",
            "Use `conflict: ignore` or `upsert` if that is meant to be so.",
        ),
        Trouble(
            "postgres 23*",
            "A constraint, which the message names, refuses the row. A dead letter.",
            "author",
            "Correct the recipe's `with`, or edit the event and replay it.",
        ),
        Trouble("postgres 22*", "A value doesn't fit its column. A dead letter.", "author", "Correct the `with`."),
        Trouble("postgres 42P10", "No unique index covers the step's `key`. A dead letter.", "vendor", "Create it."),
        Trouble("postgres 42*", "The statement doesn't fit the table. A dead letter.", "author", "Correct the step."),
        Trouble("postgres P0*", "A trigger refuses the row. A dead letter.", "vendor", "Look at the trigger."),
        Trouble(
            "no table *",
            "There is no such table that the user sees. A dead letter.",
            "author",
            "Correct `table` (case counts), or GRANT USAGE on its schema.",
            fate="dead",
        ),
        Trouble(
            "no column *", "The table has no such column. A dead letter.", "author", "Correct the row.", fate="dead"
        ),
        Trouble(
            "generated column *",
            "The server makes that column's values. A dead letter.",
            "author",
            "Leave it out of the row.",
            fate="dead",
        ),
        Trouble(
            "value for column *",
            "The value can't be converted to the column's type. A dead letter.",
            "author",
            "Convert it in the recipe, or alter the column.",
            fate="dead",
        ),
        Trouble(
            "delivery_column without unique index",
            "The column would not keep a retry from adding a second row. A dead letter.",
            "vendor",
            "`CREATE UNIQUE INDEX` on that column alone.",
            fate="dead",
        ),
        Trouble(
            "null in the delivery_column",
            "The row brings null for it. A dead letter.",
            "author",
            "Leave it out of the row, or write `$delivery.id`.",
            fate="dead",
        ),
    ),
    verified="Against a real PostgreSQL 15: types, TLS, rights, locks, restarts, and a server killed amid writes. "
    "PgBouncer and hosted databases were not tried.",
)
