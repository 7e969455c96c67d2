"""What becomes of a delivery that breaks at the worst moment, for each action of each connector that speaks HTTP.

`python -m tests.connectors.test_worst_moments` writes docs/outcomes.md from the tables below.
"""

# ruff: noqa: E501 - rows of tables, one a line
from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import relay.http.client
from relay.connector import Call, Context, connector_class
from relay.errors import UnknownOutcomeError
from relay.testing import Answer, RecordingServer
from tests.connectors import contract_table
from tests.connectors.tls_server import Authority, tls_server
from tests.connectors.worst_moments import MOMENTS, Told, alike, rows, tell

PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"

#: R retry, U unknown, D delivered. In front of `|` nothing has left for the destination, so every connector tries again.
#: Behind it, the request may have been read. `answer`: the status is known, and it says what became of the delivery, except
#: where the vendor says so only in the body.
EXPECTED = """
                             refused  dns  self-signed  other name | before  half  whole  answer  hang  garbage
airtable create                 R      R        R           R      |   U      U      U      D      U       U
airtable upsert                 R      R        R           R      |   R      R      R      D      R       R
azure_devops create_work_item   R      R        R           R      |   U      U      U      D      U       U
discord post                    R      R        R           R      |   U      U      U      D      U       U
ga4 debug                       R      R        R           R      |   R      R      R      R      R       R
ga4 event                       R      R        R           R      |   U      U      U      D      U       U
gist create_conversation        R      R        R           R      |   U      U      U      D      U       U
gist reply                      R      R        R           R      |   U      U      U      D      U       U
gist tag                        R      R        R           R      |   R      R      R      D      R       R
gist upsert_contact             R      R        R           R      |   R      R      R      D      R       R
google_sheets append_row        R      R        R           R      |   U      U      U      D      U       U
google_sheets update_row        R      R        R           R      |   R      R      R      R      R       R
google_sheets upsert_row        R      R        R           R      |   R      R      R      R      R       R
http request                    R      R        R           R      |   U      U      U      D      U       U
hubspot create                  R      R        R           R      |   U      U      U      D      U       U
hubspot update                  R      R        R           R      |   R      R      R      D      R       R
hubspot upsert                  R      R        R           R      |   R      R      R      D      R       R
jira comment                    R      R        R           R      |   U      U      U      D      U       U
jira create_issue               R      R        R           R      |   R      R      R      D      R       R
lob create_postcard             R      R        R           R      |   R      R      R      D      R       R
mailchimp upsert_member         R      R        R           R      |   R      R      R      D      R       R
notion create_page              R      R        R           R      |   U      U      U      D      U       U
rally create                    R      R        R           R      |   U      U      U      D      U       U
s3 csv                          R      R        R           R      |   R      R      R      R      R       R
s3 json                         R      R        R           R      |   R      R      R      R      R       R
s3 jsonl                        R      R        R           R      |   R      R      R      R      R       R
s3 text                         R      R        R           R      |   R      R      R      R      R       R
s3 xml                          R      R        R           R      |   R      R      R      R      R       R
salesforce composite            R      R        R           R      |   R      R      R      R      R       R
salesforce create               R      R        R           R      |   U      U      U      D      U       U
salesforce update               R      R        R           R      |   R      R      R      D      R       R
salesforce upsert               R      R        R           R      |   R      R      R      D      R       R
shippo buy_label                R      R        R           R      |   R      R      R      R      R       R
shippo create_shipment          R      R        R           R      |   R      R      R      R      R       R
slack post_message              R      R        R           R      |   U      U      U      U      U       U
slack webhook                   R      R        R           R      |   U      U      U      U      U       U
stutalk get                     R      R        R           R      |   R      R      R      R      R       R
stutalk put                     R      R        R           R      |   R      R      R      D      R       R
teams post                      R      R        R           R      |   U      U      U      D      U       U
twilio sms                      R      R        R           R      |   U      U      U      D      U       U
webhook send                    R      R        R           R      |   R      R      R      D      R       R
zendesk add_comment             R      R        R           R      |   U      U      U      D      U       U
zendesk create_ticket           R      R        R           R      |   R      R      R      D      R       R
zendesk update_ticket           R      R        R           R      |   R      R      R      D      R       R
"""
LETTERS = {"R": "retry", "U": "unknown", "D": "delivered", "H": "hold", "X": "dead"}

#: Why trying again does no harm, for each row with an R behind the `|`. `header:`: the vendor's own key, which the test
#: looks for. `looks:`: before it writes again it looks for what the first attempt made, at this address.
HARMLESS = {
    "airtable upsert": "Airtable merges by `merge_on`",
    "ga4 debug": "nothing is recorded",
    "gist tag": "a tag that is there isn't added",
    "gist upsert_contact": "Gist upserts by e-mail address or user id",
    "google_sheets update_row": "it sets the row of its key",
    "google_sheets upsert_row": "it sets the row of its key; a row that is there isn't added",
    "hubspot update": "it sets properties of one object",
    "hubspot upsert": "HubSpot upserts by the id property",
    "jira create_issue": "looks: /search/jql",
    "lob create_postcard": "header: idempotency-key",
    "mailchimp upsert_member": "a PUT by the hash of the address",
    **dict.fromkeys(
        ("s3 csv", "s3 json", "s3 jsonl", "s3 text", "s3 xml"), "the object's key has the delivery's id in it"
    ),
    "salesforce composite": "only where each of its requests is an upsert or an update, as in the example",
    "salesforce update": "it sets fields of one record",
    "salesforce upsert": "Salesforce upserts by the external id",
    "shippo buy_label": "looks: /transactions/",
    "shippo create_shipment": "looks: /shipments/",
    "stutalk get": "it only reads",
    "stutalk put": "it sets fields of one record; `repeats: false` where a process adds something",
    "webhook send": "header: webhook-id",
    "zendesk create_ticket": "header: idempotency-key",
    "zendesk update_ticket": "it sets fields of one ticket",
}

#: The connectors that don't speak HTTP: moment, fate, the test that brings it about.
NOT_HTTP = {
    "smtp": [
        ("nobody listens at the port", "retry", "test_smtp.py::test_nobody_there_is_retried"),
        ("the name can't be resolved", "retry", "test_smtp.py::test_a_name_that_resolves_to_nothing_is_retried"),
        ("TLS: a certificate that nobody vouches for", "retry", "test_smtp.py::test_a_certificate_nobody_vouches_for_is_refused"),
        ("cut, silence or garbage before the mail", "retry", "test_smtp.py::test_what_breaks_before_the_mail_is_retried"),
        ("cut or silence within the mail", "retry", "test_smtp.py::test_what_breaks_within_the_mail_is_retried"),
        ("cut, silence or garbage after the mail's end", "unknown", "test_smtp.py::test_what_breaks_after_the_end_of_a_mail_is_unknown"),
        ("cut after the server took it", "delivered", "test_smtp.py::test_what_breaks_after_the_mail_was_taken_is_a_delivery"),
    ],
    "sftp": [
        ("nobody listens at the port", "retry", "test_sftp.py::test_nobody_there_is_retryable"),
        ("another host key than the pinned one", "hold", "test_sftp.py::test_another_host_key_holds_the_lane"),
        ("the server says nothing", "retry", "test_sftp.py::test_a_server_that_says_nothing_is_retryable"),
        ("it isn't an SSH server", "retry", "test_sftp.py::test_something_that_is_no_ssh_server_is_retryable"),
        ("killed at any request: no file of that name, or a whole one", "retry", "test_sftp.py::test_a_process_killed_at_any_request_leaves_at_most_a_temporary_file"),
        ("half a file was written", "retry", "test_sftp.py::test_a_half_written_file_is_overwritten_by_the_retry"),
        ("the file is there, and the answer was lost", "delivered", "test_sftp.py::test_a_repeat_finds_the_earlier_attempts_file"),
        ("the server has gone", "retry", "test_sftp.py::test_a_server_that_has_gone_is_retryable"),
    ],
    "file": [
        ("killed at any point of an append: every row once", "retry", "test_append.py::test_a_process_that_is_killed_at_any_point_leaves_every_row_once"),
        ("the append is there, and its note was lost", "delivered", "test_append.py::test_an_append_whose_note_was_lost_counts"),
        ("half a row was written", "retry", "test_append.py::test_a_torn_append_is_cut_off_and_kept_beside"),
        ("the disk is full", "retry", "test_append.py::test_a_full_disk_leaves_the_file_as_it_was"),
        ("the file was taken away in between", "unknown", "test_append.py::test_a_file_taken_away_in_between_is_an_unknown_outcome_once"),
        ("killed before the rename of a whole file", "retry", "test_file.py::test_a_file_killed_before_its_rename_leaves_only_a_temporary_one_that_the_retry_takes_over"),
    ],
    "postgres": [
        ("nobody listens at the port", "retry", "test_postgres.py::test_nobody_there_is_tried_again"),
        ("TLS: a certificate that nobody vouches for", "retry", "test_postgres.py::test_a_strangers_certificate_is_not_believed"),
        ("the server takes no TLS", "hold", "test_postgres.py::test_a_server_that_takes_no_tls_never_gets_the_password"),
        ("cut at the COMMIT, before or after it, with `delivery_column` or by key", "retry", "test_postgres.py::test_a_line_that_is_cut_at_the_commit_loses_no_row_and_makes_no_second"),
        ("cut at the COMMIT of a plain insert", "unknown", "test_postgres.py::test_a_line_that_is_cut_at_the_commit_loses_no_row_and_makes_no_second"),
        ("the server is killed amid writes", "retry", "test_postgres.py::test_a_server_that_is_killed_amid_writes_loses_no_row_and_gets_no_second"),
    ],
}  # fmt: skip


def expected() -> dict[str, dict[str, str]]:
    lines = EXPECTED.strip("\n").splitlines()
    assert re.split(r"\s{2,}|\s\|\s", lines[0].strip()) == list(MOMENTS)
    table = {}
    for line in lines[1:]:
        *name, _ = re.split(r"\s{2,}", line, maxsplit=1)
        letters = re.findall(r"\b[RUDHX]\b", line.removeprefix(name[0]))
        table[name[0]] = dict(zip(MOMENTS, (LETTERS[letter] for letter in letters), strict=True))
    return table


TABLE = expected()
ROWS = {row.name: row for row in rows()}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Two servers with wrong certificates, for a client that trusts only `ours`."""
    folder = tmp_path_factory.mktemp("tls")
    ours, stranger = Authority(folder, "ours"), Authority(folder, "stranger")
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(ours.file)
    relay.http.client._ssl_context.cache_clear()
    try:
        with (
            tls_server(stranger.issue("unknown"), ours.file) as unknown,
            tls_server(ours.issue("known"), ours.file) as known,
        ):
            # The certificate is for the address 127.0.0.1, not for this name.
            yield {"self-signed": unknown.url, "other name": known.url.replace("127.0.0.1", "localhost")}
    finally:
        os.environ.pop("SSL_CERT_FILE")
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
        relay.http.client._ssl_context.cache_clear()


@pytest.fixture(scope="module")
def told(tls: Mapping[str, str]) -> Any:
    """What each row said at a moment, which is brought about once for all rows."""

    def lookup(host: Any, *more: Any, **named: Any) -> Any:
        # A real lookup would ask whatever resolver this machine has, and wait for it where there is no network.
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *more, **named)

    real = socket.getaddrinfo

    @cache
    def at(moment: str) -> dict[str, Told]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lookup)
            return tell(moment, list(ROWS.values()), tls)

    return at


def test_each_action_of_each_connector_has_its_row() -> None:
    missing, gone = sorted(ROWS.keys() - TABLE.keys()), sorted(TABLE.keys() - ROWS.keys())
    assert (missing, gone) == ([], []), (
        f"write into EXPECTED what becomes of a delivery at each moment for {missing} (and into HARMLESS why a repeat does "
        f"no harm, where it is retried); take out {gone}"
    )
    for name in contract_table.shipped():
        known = any(row.contract.connector.name == name for row in ROWS.values()) or name in NOT_HTTP
        assert known, f"{name} has neither an HttpConnectorContract test class nor its rows in NOT_HTTP"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", TABLE)
def test_each_moment_has_its_fate_and_says_so_without_secrets(name: str, moment: str, told: Any) -> None:
    said: Told = told(moment)[name]
    assert said.fate == TABLE[name][moment], f"{said.fate}: {said.message}"
    assert said.leaks == 0
    if said.fate != "delivered":
        assert len(said.message.splitlines()) == 1
        assert said.cause


@pytest.mark.parametrize("name", [name for name, fates in TABLE.items() if fates["whole"] == "retry"])
def test_what_is_retried_after_it_may_have_been_done_does_no_harm_twice(name: str, told: Any) -> None:
    why = HARMLESS.get(name, "")
    assert why, f"say in HARMLESS what keeps {name} from doing it twice"
    said: Told = told("whole")[name]
    assert said.requests
    assert said.repeated
    how, _, what = why.partition(": ")
    if how == "header":
        for request in (*said.requests, *said.repeated):
            assert request.headers[what].endswith("dlv_worst"), f"{what}: {request.headers[what]}"
    if how == "looks":
        assert said.repeated[0].path.endswith(what)
    else:
        assert all(alike(said.requests[0], again) for again in said.repeated[:1])


def test_only_what_is_retried_has_a_reason() -> None:
    assert HARMLESS.keys() == {name for name, fates in TABLE.items() if fates["whole"] == "retry"}


def test_what_comes_before_the_request_is_retried_by_all() -> None:
    for fates in TABLE.values():
        assert {fates[moment] for moment in list(MOMENTS)[:4]} == {"retry"}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_large_body_that_is_cut_in_the_middle_may_have_been_read() -> None:
    """More than the sockets hold: the client is still writing when the connection goes."""
    made = connector_class("http")
    with RecordingServer(Answer(instead="half")) as server:
        config = {"connector": "http", "base_url": server.url, "allow_private": True}
        connection = made(made.Config.model_validate(config), Context())
        call = Call("dlv_1", "dlv_1")
        outgoing = connection.outgoing(None, {"path": "/", "json": {"much": "x" * 8_000_000}}, call)
        with pytest.raises(UnknownOutcomeError):
            await connection.send(None, outgoing, call)
        await connection.aclose()
    assert len(server.requests[0].body) > 3_900_000


@pytest.mark.parametrize(("name", "where"), [(name, row[2]) for name, rows in NOT_HTTP.items() for row in rows])
def test_the_tests_of_those_that_speak_no_http_are_there(name: str, where: str) -> None:
    file, _, test = where.partition("::")
    assert f"def {test}(" in (Path(__file__).parent / file).read_text(), name


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.connectors.test_worst_moments"


HEAD = """# What becomes of a delivery that breaks

Networks break at the worst moment. This is what each connector says of it: **retry** tries again by itself, **unknown** means
that it may have been done, so that the recipe's [`on_unknown`](recipes.md) decides; **hold** lets the lane wait for somebody,
**delivered** is done. Each cell is a test, which breaks a real connection at that moment.
"""
BEHIND = """
## Why trying again does no harm

Where the vendor gives a way to tell a repeat from a new request, it is used, and the outcome isn't unknown but tried again:

| action | what keeps it from being done twice |
|---|---|
"""


def page() -> str:
    lines = [HEAD, "Before anything has left, every HTTP connector tries again:", ""]
    early, late = list(MOMENTS)[:4], list(MOMENTS)[4:]
    lines += [f"- {MOMENTS[moment]}" for moment in early]
    lines += ["", "Afterwards the destination may have read the request:", "", f"| action | {' | '.join(late)} |"]
    lines += ["|---" * (1 + len(late)) + "|"]
    lines += [f"| {name} | {' | '.join(fates[moment] for moment in late)} |" for name, fates in TABLE.items()]
    lines += ["", *(f"- *{moment}*: {MOMENTS[moment]}" for moment in late), BEHIND.rstrip("\n")]
    for name, why in HARMLESS.items():
        how, _, what = why.partition(": ")
        words = {
            "header": f"the delivery's key in the header `{what}`",
            "looks": f"a further attempt looks first for what an earlier one made (`{what}`)",
        }
        lines.append(f"| {name} | {words.get(how, why)} |")
    lines += ["", "## The others", "", "| connector | moment | what becomes of it |", "|---|---|---|"]
    lines += [f"| {name} | {moment} | {fate} |" for name, told in NOT_HTTP.items() for moment, fate, _ in told]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
