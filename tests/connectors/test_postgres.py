from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.postgres.connector import Postgres
from connectors.postgres.errors import COMMITTING, WRITING, About, sort_error
from connectors.postgres.names import name_parts, table_name
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import ConnectorContract
from tests.connectors.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.connectors.tls_server import Authority

KEY = "dlv_0123456789abcdefghjkmnpq"
CALL = Call(KEY, KEY, timeout=timedelta(seconds=15))


class TestContract(ConnectorContract):
    connector = Postgres


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        asyncio.run(made.sql(f"CREATE ROLE relay LOGIN PASSWORD '{PASSWORD}'; GRANT ALL ON SCHEMA public TO relay"))
        yield made


@pytest.fixture
async def table(server: PostgresServer) -> str:
    await server.sql(
        "DROP SCHEMA IF EXISTS crm CASCADE; CREATE SCHEMA crm; GRANT USAGE ON SCHEMA crm TO relay;"
        "CREATE TYPE crm.mood AS ENUM ('glad', 'sad'); CREATE DOMAIN crm.mail AS varchar(20) CHECK (VALUE LIKE '%@%');"
        "CREATE TABLE crm.leads (id int GENERATED ALWAYS AS IDENTITY, relay_id text UNIQUE, email text UNIQUE,"
        ' "odd ""Name" text, note varchar(5), size int2, n int4, big int8, price numeric(6,2), free numeric, f float8,'
        " f4 float4, yes bool, day date, at timestamptz, local timestamp, clock time, data jsonb, raw json, who uuid,"
        " tags text[], numbers int[], mood crm.mood, mail crm.mail, bytes bytea, net inet, wide bpchar(3),"
        " checked int CHECK (checked > 0), needed text NOT NULL DEFAULT 'x', "
        "twice int GENERATED ALWAYS AS (n * 2) STORED);"
        "GRANT ALL ON ALL TABLES IN SCHEMA crm TO relay; GRANT USAGE ON ALL SEQUENCES IN SCHEMA crm TO relay"
    )
    return "crm.leads"


@contextlib.asynccontextmanager
async def connected(server: PostgresServer, idle_seconds: float = 30, **config: Any) -> AsyncIterator[Postgres]:
    made = Postgres(Postgres.Config.model_validate({**server.config, **config}), Context(idle_seconds=idle_seconds))
    try:
        yield made
    finally:
        await made.aclose()


async def send(made: Postgres, do: str = "insert", call: Call = CALL, **fields: Any) -> Reply:
    fields = {"table": "crm.leads", **fields}
    return await made.send(do, made.outgoing(do, fields, call), call)


async def refused(made: Postgres, do: str = "insert", call: Call = CALL, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(made, do, call, **fields)
    return caught.value


async def test_a_row_arrives_with_every_value_in_its_columns_type(server: PostgresServer, table: str) -> None:
    row = {
        'odd "Name': 12.5, "note": "Zoë", "size": "7", "n": 3.0, "big": 2**62, "price": "19.994", "free": 10**60,
        "f": 1e300, "f4": 0.5, "yes": "no", "day": "2026-04-03T23:30:00+02:00", "at": "2026-04-03T10:15:00+02:00",
        "local": "2026-04-03T10:15:00+02:00", "clock": "10:15", "data": {"a": [1, None, "ü"]}, "raw": "text",
        "who": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "tags": ['a"b', "c\\d,{}", None, "NULL", ""],
        "numbers": [1, "2", None], "mood": "sad", "mail": "a@b", "bytes": "ü", "net": "10.0.0.1", "wide": "ab",
    }  # fmt: skip
    async with connected(server) as made:
        reply = await send(made, row=row)
    assert reply.summary == "wrote 1 row into crm.leads"
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"::text' for name in row)
    (found,) = await server.sql(f"SELECT {columns} FROM crm.leads")
    assert dict(zip(row, found, strict=True)) == {
        'odd "Name': "12.5", "note": "Zoë", "size": "7", "n": "3", "big": str(2**62), "price": "19.99",
        "free": "1" + "0" * 60, "f": "1e+300", "f4": "0.5", "yes": "false", "day": "2026-04-03",
        "at": found[11], "local": "2026-04-03 08:15:00", "clock": "10:15:00", "data": '{"a": [1, null, "ü"]}',
        "raw": '"text"', "who": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "tags": '{"a\\"b","c\\\\d,{}",NULL,"NULL",""}',
        "numbers": "{1,2,NULL}", "mood": "sad", "mail": "a@b", "bytes": "\\xc3bc", "net": "10.0.0.1/32", "wide": "ab",
    }  # fmt: skip
    assert await server.sql("SELECT at = '2026-04-03T08:15:00Z' FROM crm.leads") == [(True,)]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("note", "longer", "varchar"), ("note", "a\0b", "NUL"), ("note", "\ud800", "half a character"),
        ("wide", "abcd", "takes 3"), ("size", 2**15, "range"), ("n", "4.5", "no whole number"), ("n", "", "empty text"),
        ("n", True, "no whole number"), ("n", "10^5000", "range"), ("n", math.inf, "no whole number"),
        ("big", 2**63, "range"), ("price", 9999.996, "4 digits"), ("price", "s3cret", "no number"),
        ("free", math.nan, "NaN"), ("f", "1e999", "range"), ("f4", 1e39, "range"), ("yes", "s3cret", "neither"),
        ("day", "03/04/2026", "no date"), ("at", 1775211300, "no time"), ("local", "s3cret", "no time"),
        ("clock", "25:00", "time of day"), ("data", {"a": ["\0"]}, "NUL"), ("data", {"\ud800": 1}, "half a character"),
        ("data", {"a": math.nan}, "NaN"), ("raw", [math.inf], "infinite"), ("who", "s3cret", "no UUID"),
        ("tags", "s3cret", "no list"), ("numbers", ["s3cret"], "no whole number"), ("mood", "s3cret", "labels"),
        ("email", "10^5000", "too long"), ("mail", "s3cret@" + "x" * 20, "takes 20"),
    ],
)  # fmt: skip
async def test_a_value_that_does_not_fit_is_dead_and_names_its_column_but_not_itself(
    server: PostgresServer, table: str, column: str, value: Any, words: str
) -> None:
    async with connected(server) as made:
        error = await refused(made, row={column: 10**5000 if value == "10^5000" else value})
    assert isinstance(error, PermanentError)
    assert (error.status, error.cause) == (422, f"value for column {column}")
    assert words.replace("varchar", "takes 5") in str(error)
    assert f"the column {column} of crm.leads is " in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("row", "cause", "words"),
    [
        ({"needed": None}, "postgres 23502 needed", "column needed"),
        ({"checked": -7}, "postgres 23514 leads_checked_check", "constraint leads_checked_check"),
        ({"mail": "s3cret"}, "postgres 23514 mail_check", "constraint mail_check"),
        ({"net": "s3cret"}, "postgres 22P02", "one of the columns net"),
        ({"emial": "s3cret"}, "no column emial", "did you mean email?"),
        ({"twice": 1}, "generated column twice", "leave the column out"),
        ({"id": 1}, "generated column id", "leave the column out"),
        ({"numbers": [[1], [2, 3]]}, "postgres 22P02", ""),
    ],
)
async def test_what_the_server_refuses_names_column_or_constraint_and_never_a_value(
    server: PostgresServer, table: str, row: dict[str, Any], cause: str, words: str
) -> None:
    async with connected(server) as made:
        await send(made, row={"net": "10.0.0.1"})  # so that the columns are known
        error = await refused(made, row=row)
    assert isinstance(error, PermanentError)
    assert (error.status, error.cause) == (422, cause)
    assert words in str(error)
    assert "s3cret" not in json.dumps([str(error), error.received])


async def test_a_row_that_is_there_already(server: PostgresServer, table: str) -> None:
    row = {"email": "secret@example.com"}
    async with connected(server) as made:
        await send(made, row=row)
        error = await refused(made, row=row)
        ignored = await send(made, rows=[row, {"email": "b"}], conflict="ignore")
    assert isinstance(error, PermanentError)
    assert error.cause == "postgres 23505 leads_email_key"
    assert error.received["constraint"] == "leads_email_key"
    assert "secret" not in json.dumps([str(error), error.received])
    assert ignored.body == {"table": "crm.leads", "rows": 2, "written": 1}
    assert await server.sql("SELECT count(*) FROM crm.leads") == [(2,)]


async def test_a_retry_with_a_delivery_column_adds_nothing(server: PostgresServer, table: str) -> None:
    rows = [{"n": 1}, {"n": 2, "note": "b"}, {"relay_id": "own", "n": 3}]
    async with connected(server) as made:
        first = await send(made, rows=rows, delivery_column="relay_id")
        again = await send(made, rows=rows, delivery_column="relay_id")
        await send(made, row={"n": 4}, delivery_column="relay_id")
        alone = await send(made, row={"n": 4}, delivery_column="relay_id")
        clash = await refused(
            made, rows=[{"email": "a"}, {"email": "a"}], delivery_column="relay_id", call=Call("x", "x")
        )
    assert (first.body["written"], again.body["written"]) == (3, 0)  # type: ignore[index,call-overload]
    assert alone.summary == "the row is in crm.leads already"
    assert clash.cause == "postgres 23505 leads_email_key"
    assert await server.sql("SELECT relay_id, n FROM crm.leads ORDER BY n") == [
        (f"{KEY}/1", 1),
        (f"{KEY}/2", 2),
        ("own", 3),
        (KEY, 4),
    ]


async def test_rows_of_several_deliveries_are_written_once_however_they_are_gathered(
    server: PostgresServer, table: str
) -> None:
    async with connected(server) as made:
        whole = Call("b_1", "b_1", rows=("dlv_1", "dlv_2", "dlv_3"))
        await send(made, rows=[{"n": 1}, {"n": 2}, {"n": 3}], delivery_column="relay_id", call=whole)
        half = Call("b_2", "b_2", rows=("dlv_2", "dlv_3"))
        reply = await send(made, rows=[{"n": 2}, {"n": 3}], delivery_column="relay_id", call=half)
    assert reply.body["written"] == 0  # type: ignore[index,call-overload]


async def test_a_delivery_column_must_keep_what_it_promises(server: PostgresServer, table: str) -> None:
    async with connected(server) as made:
        error = await refused(made, row={"n": 1}, delivery_column="note")
        none = await refused(made, row={"relay_id": None}, delivery_column="relay_id")
    assert error.cause == "delivery_column without unique index"
    assert none.cause == "null in the delivery_column"
    assert await server.sql("SELECT 1 FROM crm.leads") == []


async def test_an_upsert_changes_the_row_of_its_key_and_the_last_of_two_stays(
    server: PostgresServer, table: str
) -> None:
    async with connected(server) as made:
        await send(made, "upsert", row={"email": "a", "n": 1, "note": "new"}, key=["email"])
        await send(
            made,
            "upsert",
            rows=[{"email": "a", "n": 2, "note": "x"}, {"email": "b", "n": 3}, {"email": "a", "n": 4, "note": "y"}],
            key=["email"],
            keep=["note"],
        )
        await send(made, "upsert", row={"email": "b"}, key=["email"])
        error = await refused(made, "upsert", row={"n": 1}, key=["n"])
        null = await refused(made, "upsert", row={"email": None}, key=["email"])
    assert await server.sql("SELECT email, n, note FROM crm.leads ORDER BY 1") == [("a", 4, "new"), ("b", 3, None)]
    assert isinstance(error, PermanentError)
    assert (error.cause, error.status) == ("postgres 42P10", None)
    assert "no value for the key column email" in str(null)


async def test_all_rows_of_a_call_are_written_or_none(server: PostgresServer, table: str) -> None:
    async with connected(server) as made:
        rows = [{"n": 1}, {"n": 2, "checked": -1}]
        assert (await refused(made, rows=rows)).status == 422
        assert await refused(made, "upsert", rows=[{"email": "a"}, {"email": "b", "checked": -1}], key=["email"])
        assert await server.sql("SELECT 1 FROM crm.leads") == []
        reply = await send(made, rows=[{"n": number} for number in range(1000)])
    assert reply.body["written"] == 1000  # type: ignore[index,call-overload]
    assert await server.sql("SELECT count(DISTINCT n)::int FROM crm.leads") == [(1000,)]


async def test_a_column_that_was_added_meanwhile_is_found(server: PostgresServer, table: str) -> None:
    async with connected(server) as made:
        await send(made, row={"n": 1})
        await server.sql("ALTER TABLE crm.leads ADD COLUMN extra int")
        await send(made, row={"extra": 1})
        await server.sql("ALTER TABLE crm.leads ALTER COLUMN extra TYPE text")
        assert isinstance(await refused(made, row={"extra": "a"}), PermanentError)
        await send(made, row={"extra": "a"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("leads", '"leads"'),
        ("crm.leads", '"crm"."leads"'),
        ('crm."a.b"', '"crm"."a.b"'),
        ('"a""b"', '"a""b"'),
        ("x;drop", '"x;drop"'),
        ("Ünï", '"Ünï"'),
    ],
)
def test_a_name_is_quoted(text: str, name: str) -> None:
    assert table_name(name_parts(text)) == name


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a b", "a.b.c", 'a"b', '"a', "a\0", "x" * 64, "\ud800"])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name"):
        name_parts(text)


async def test_no_text_of_an_event_is_ever_read_as_sql(server: PostgresServer, table: str) -> None:
    words = "'); DROP TABLE crm.leads; --"
    async with connected(server) as made:
        await send(made, row={"email": words, "tags": [words], "data": {words: words}})
        for row in ({words: 1}, {'n" , "x': 1}):
            assert (await refused(made, row=row)).status == 422
        assert isinstance(await refused(made, table='"leads; DROP TABLE crm.leads"', row={"n": 1}), PermanentError)
    assert await server.sql("SELECT email FROM crm.leads") == [(words,)]


@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    text=st.text(max_size=40),
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    tags=st.lists(st.text(max_size=9) | st.none(), max_size=4),
)
async def test_what_is_written_is_read_again(
    server: PostgresServer, table: str, text: str, data: Any, tags: list[str | None]
) -> None:
    async with connected(server, sslmode="disable") as made:
        try:
            await send(made, "upsert", row={"email": text, "data": data, "tags": tags}, key=["email"])
        except PermanentError:
            refusable = "\\x00" in repr((text, data, tags))
            assert refusable
            return
    ((found, again),) = await server.sql("SELECT data, tags FROM crm.leads WHERE email = $1", text)
    assert again == tags
    assert data is None or json.loads(found) == data


# -- who we are, and who is there


async def test_the_harmless_call_says_where_and_as_whom(server: PostgresServer) -> None:
    async with connected(server) as made:
        found = await made.check(timedelta(seconds=5))
    assert "database postgres takes us as relay" in found.found
    assert found.missing == ()


@pytest.mark.parametrize(
    ("config", "kind", "cause"),
    [
        ({"password": "wrong"}, HoldError, "postgres 28P01"),
        ({"password": None}, HoldError, "postgres 28P01"),
        ({"user": "nobody"}, HoldError, "postgres 28P01"),
        ({"database": "none"}, HoldError, "postgres 3D000"),
        ({"ca_file": None}, RetryableError, "tls failure"),
        ({"ca_file": "/nonexistent.pem"}, HoldError, "ca_file can't be used"),
        ({"host": "localhost"}, RetryableError, "tls failure"),
        ({"host": "nowhere.invalid"}, RetryableError, "dns failure"),
        ({"host": "/nonexistent"}, RetryableError, "no connection"),
    ],
)
async def test_who_is_not_let_in(
    server: PostgresServer, config: dict[str, Any], kind: type[DeliveryError], cause: str
) -> None:
    async with connected(server, **config) as made:
        with pytest.raises(kind) as caught:
            await made.check(timedelta(seconds=5))
    assert caught.value.cause == cause  # type: ignore[attr-defined]
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"sslmode": "verify-ca", "host": "localhost"},
        {"sslmode": "require", "ca_file": None},
        {"sslmode": "disable", "ca_file": None},
    ],
)
async def test_less_is_asked_of_the_server_only_where_that_is_said(
    server: PostgresServer, config: dict[str, Any]
) -> None:
    async with connected(server, **config) as made:
        await made.check(timedelta(seconds=5))
        used = await server.sql(
            "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE usename = 'relay'"
        )
    assert (True,) in used if config["sslmode"] != "disable" else (False,) in used


async def test_a_socket_on_this_machine_needs_no_tls(server: PostgresServer) -> None:
    async with connected(server, host=str(server.folder), password=None, ca_file=None) as made:
        assert "takes us as relay" in (await made.check(timedelta(seconds=5))).found


async def test_a_strangers_certificate_is_not_believed(server: PostgresServer, tmp_path: Path) -> None:
    async with connected(server, ca_file=str(Authority(tmp_path, "other").file)) as made:
        with pytest.raises(RetryableError, match="no secure connection"):
            await made.check(timedelta(seconds=5))


@contextlib.asynccontextmanager
async def _speaking(answer: bytes | None) -> AsyncIterator[int]:
    """Answers the first message, and closes; or takes connections and never says a word."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer or b"")
        writer.close()
        await writer.wait_closed()

    if answer is None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield silent.getsockname()[1]
        return
    async with await asyncio.start_server(answered, "127.0.0.1", 0) as made:
        yield made.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (b"N", HoldError, "server without tls"),
        (b"", RetryableError, "no connection"),
        (None, RetryableError, "connect timeout"),
    ],
)
async def test_a_server_that_takes_no_tls_never_gets_the_password(
    server: PostgresServer, answer: bytes | None, kind: type[DeliveryError], cause: str
) -> None:
    async with _speaking(answer) as port, connected(server, port=port) as made:
        with pytest.raises(kind) as caught:
            await made.check(timedelta(seconds=0.5))
    assert caught.value.cause == cause  # type: ignore[attr-defined]


async def test_nobody_there_is_tried_again(server: PostgresServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with connected(server, port=taken.getsockname()[1]) as made:
            assert isinstance(await refused(made, row={"n": 1}), RetryableError)


def test_a_setting_that_makes_no_sense_is_refused(server: PostgresServer) -> None:
    for wrong in ({"sslmode": "prefer"}, {"host": ""}, {"port": 0}, {"connections": 0}):
        with pytest.raises(ValidationError):
            Postgres.Config.model_validate({**server.config, **wrong})


@pytest.mark.parametrize(
    "fields", [{}, {"row": {}}, {"rows": []}, {"row": {"a": 1}, "rows": [{"a": 1}]}, {"row": {"": 1}}]
)
async def test_a_step_without_a_row_is_refused(server: PostgresServer, fields: dict[str, Any]) -> None:
    async with connected(server) as made:
        assert isinstance(await refused(made, **fields), PermanentError)


# -- rights, locks, time


async def test_a_missing_right_holds_and_a_policy_refuses_one_row(server: PostgresServer, table: str) -> None:
    async with connected(server) as made:
        await server.sql("REVOKE INSERT ON crm.leads FROM relay")
        right = await refused(made, row={"n": 1})
        await server.sql(
            "GRANT INSERT ON crm.leads TO relay; ALTER TABLE crm.leads ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY p ON crm.leads FOR INSERT TO relay WITH CHECK (n > 5)"
        )
        policy = await refused(made, row={"n": 1})
        await send(made, row={"n": 6})
        await server.sql("REVOKE USAGE ON SCHEMA crm FROM relay")
        schema = await refused(made, row={"n": 6})
        gone = await refused(made, table="crm2.leads", row={"n": 6})
    assert (type(right), right.cause) == (HoldError, "postgres 42501")
    assert (type(policy), policy.status) == (PermanentError, 422)
    assert isinstance(schema, HoldError)
    assert (type(gone), gone.cause, gone.status) == (PermanentError, "no table crm2.leads", None)


async def test_a_triggers_words_are_not_passed_on(server: PostgresServer, table: str) -> None:
    await server.sql(
        "CREATE FUNCTION crm.no() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN RAISE EXCEPTION 'no %', NEW.email; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON crm.leads FOR EACH ROW EXECUTE FUNCTION crm.no()"
    )
    async with connected(server) as made:
        error = await refused(made, row={"email": "s3cret"})
    assert (type(error), error.cause, error.status) == (PermanentError, "postgres P0001", 422)
    assert "s3cret" not in json.dumps([str(error), error.received])


async def test_a_lock_is_waited_for_no_longer_than_the_step_says(server: PostgresServer, table: str) -> None:
    holder = await asyncpg.connect(host="127.0.0.1", port=server.port, user="admin", database="postgres", ssl=False)
    try:
        async with connected(server) as made:
            await send(made, row={"n": 1})
            async with holder.transaction():
                await holder.execute("LOCK TABLE crm.leads")
                call = Call(KEY, KEY, timeout=timedelta(seconds=0.4))
                error = await refused(made, call=call, row={"n": 2})
            assert isinstance(error, RetryableError)
            assert not isinstance(error, UnknownOutcomeError)
            await send(made, row={"n": 3})
    finally:
        await holder.close()
    assert await server.sql("SELECT n FROM crm.leads ORDER BY 1") == [(1,), (3,)]


async def test_connections_are_few_shared_and_let_go_of(server: PostgresServer, table: str) -> None:
    count = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'counted'"
    async with connected(server, idle_seconds=0.2, connections=2, application_name="counted") as made:
        await asyncio.gather(*(send(made, row={"n": n}, call=Call(str(n), str(n))) for n in range(20)))
        assert await server.sql(count) in ([(1,)], [(2,)])
        for _ in range(50):
            if await server.sql(count) == [(0,)]:
                break
            await asyncio.sleep(0.05)
        assert await server.sql(count) == [(0,)]
        await send(made, row={"n": 20})
    assert await server.sql("SELECT count(*)::int FROM crm.leads") == [(21,)]


async def test_a_kept_connection_that_the_server_closed_is_no_failure(server: PostgresServer, table: str) -> None:
    async with connected(server) as made:
        await send(made, row={"n": 1})
        await server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'")
        await send(made, row={"n": 2})
    assert await server.sql("SELECT count(*)::int FROM crm.leads") == [(2,)]


# -- the COMMIT


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        ("40001", RetryableError), ("40P01", RetryableError), ("08006", RetryableError), ("53200", RetryableError),
        ("53300", RetryableError), ("57P01", RetryableError), ("57P03", RetryableError), ("55P03", RetryableError),
        ("57014", RetryableError), ("25006", RetryableError), ("58030", RetryableError), ("XX000", RetryableError),
        ("28000", HoldError), ("28P01", HoldError), ("3D000", HoldError), ("42501", HoldError), ("57P04", HoldError),
        ("22P02", PermanentError), ("23503", PermanentError), ("42703", PermanentError), ("P0001", PermanentError),
        ("54000", PermanentError), ("99999", PermanentError),
    ],
)  # fmt: skip
def test_each_code_has_its_fate(server: PostgresServer, code: str, fate: type[DeliveryError]) -> None:
    error = asyncpg.PostgresError.new({"C": code, "M": "s3cret", "D": "Key (email)=(s3cret)", "S": "ERROR"})
    found = sort_error(error, About(Postgres.Config.model_validate(server.config), "t"), WRITING)
    assert type(found) is fate
    assert code in found.cause
    assert "s3cret" not in json.dumps([str(found), found.received])


@pytest.mark.parametrize("code", ["08006", "57P01", "57P02", "58030", "40003", ""])
def test_a_commit_that_nobody_answered_is_unknown(server: PostgresServer, code: str) -> None:
    error: Exception = asyncpg.PostgresError.new({"C": code, "M": "", "S": "FATAL"}) if code else ConnectionResetError()
    config = Postgres.Config.model_validate(server.config)
    assert type(sort_error(error, About(config), COMMITTING)) is UnknownOutcomeError
    assert type(sort_error(error, About(config, repeatable=True), COMMITTING)) is RetryableError
    assert type(sort_error(error, About(config), WRITING)) is RetryableError


class _Cut:
    """Between the relay and the server: cuts the line when the COMMIT comes, before or after it is passed on."""

    def __init__(self, port: int, after: bool) -> None:
        self.to, self.after, self.armed = port, after, True

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.to)

        async def answers() -> None:
            while data := await back.read(65536):
                if not (self.after and cut.is_set()):
                    writer.write(data)
            writer.close()

        cut = asyncio.Event()
        task = asyncio.create_task(answers())
        while data := await reader.read(65536):
            if self.armed and b"COMMIT\0" in data:
                self.armed = False
                cut.set()
                if self.after:
                    forth.write(data)
                    await asyncio.sleep(0.1)
                break
            forth.write(data)
        forth.close()
        writer.close()
        await task


@pytest.mark.parametrize("after", [False, True])
async def test_a_line_that_is_cut_at_the_commit_loses_no_row_and_makes_no_second(
    server: PostgresServer, table: str, after: bool
) -> None:
    there = 1 if after else 0
    for fields, do in (
        ({"delivery_column": "relay_id", "row": {"n": 1}}, "insert"),
        ({"key": ["email"], "row": {"email": "a"}}, "upsert"),
        ({"row": {"n": 2}}, "insert"),
    ):
        await server.sql("TRUNCATE crm.leads")
        proxy = await asyncio.start_server(_Cut(server.port, after), "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        async with proxy, connected(server, port=port, sslmode="disable", ca_file=None) as made:
            error = await refused(made, do, **fields)
            assert await server.sql("SELECT count(*)::int FROM crm.leads") == [(there,)]
            if fields == {"row": {"n": 2}}:
                assert isinstance(error, UnknownOutcomeError)
                continue
            assert isinstance(error, RetryableError)
            await send(made, do, **fields)
        assert await server.sql("SELECT count(*)::int FROM crm.leads") == [(1,)]


async def test_a_server_that_is_killed_amid_writes_loses_no_row_and_gets_no_second() -> None:
    with postgres_server(fsync=True) as server:
        await server.sql(
            f"CREATE ROLE relay LOGIN PASSWORD '{PASSWORD}'; CREATE TABLE t (relay_id text UNIQUE, n int);"
            "GRANT ALL ON t TO relay"
        )
        told: list[DeliveryError] = []

        async def deliver(made: Postgres, number: int) -> None:
            call = Call(f"dlv_{number}", f"dlv_{number}", timeout=timedelta(seconds=5))
            while True:
                try:
                    await send(made, call=call, table="t", row={"n": number}, delivery_column="relay_id")
                    return
                except RetryableError as error:
                    told.append(error)
                    await asyncio.sleep(0.05)

        async with connected(server) as made:
            for start in (0, 150):
                work = [asyncio.create_task(deliver(made, number)) for number in range(start, start + 150)]
                while not await server.sql("SELECT 1 FROM t WHERE n >= $1", start):
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await asyncio.gather(*work)
        assert told
        assert await server.sql("SELECT count(*)::int, count(DISTINCT n)::int FROM t") == [(300, 300)]
