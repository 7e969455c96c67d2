"""What goes with a file: checksums, manifest, archive, PGP; on unlike servers, cut at every request."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from connectors.sftp import pgp as pgp_module
from connectors.sftp.connector import Sftp
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.model import Reply
from tests.connectors.sftp_servers import Overwriting, Plain, Refusing, plain_server, proftpd_server, wire_to
from tests.servers import SftpServer, find_program

KEY = "dlv_0123456789abcdefghjkmnpq"
PIECE = KEY[-10:]
MOMENT = datetime(2026, 4, 3, 10, 15, tzinfo=UTC)
SECONDS = timedelta(seconds=15)
CALL = Call(KEY, KEY, timeout=SECONDS, moment=MOMENT)


@pytest.fixture(scope="module")
def proftpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with proftpd_server(tmp_path_factory.mktemp("proftpd")) as server:
        yield server


@pytest.fixture(params=["openssh", "proftpd"])
def server(request: pytest.FixtureRequest) -> SftpServer:
    found: SftpServer = request.getfixturevalue("sshd" if request.param == "openssh" else "proftpd")
    return found


@pytest.fixture
def root(server: SftpServer, tmp_path: Path) -> Path:
    folder = server.root / tmp_path.name
    folder.mkdir()
    return folder


@contextlib.asynccontextmanager
async def connected(server: SftpServer, data: Path | None = None, **settings: Any) -> AsyncIterator[Sftp]:
    config = Sftp.Config.model_validate({**server.config, **settings})
    made = Sftp(config, Context(data_dir=data or Path("/nonexistent")))
    try:
        yield made
    finally:
        await made.aclose()


async def send(made: Sftp, do: str = "csv", call: Call = CALL, **fields: Any) -> Reply:
    if do == "csv":
        fields = {"path": "chats.csv", "row": {"a": 1}, **fields}
    return await made.send(do, made.outgoing(do, fields, call), call)


async def refused(made: Sftp, call: Call = CALL, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(made, call=call, **fields)
    return caught.value


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


DATA = b"HDR|20260403|users.csv\r\nSTU_CODE\r\n20159707/2\r\nTRL|0001|4\r\n"
FIELDS: dict[str, Any] = {
    "path": "users.csv",
    "row": {"STU_CODE": "20159707/2"},
    "format": {"line_end": "crlf"},
    "header_record": "HDR|{date}|{filename}",
    "trailer_record": "TRL|{count:4}|{lines}",
    "unique": False,
}
ALL: dict[str, Any] = {
    "checksums": ["sha256", "md5"],
    "manifest": {"content": "{filename} {count:3} {bytes} {sha256} {date:%d/%m/%Y}\n"},
    "archive": {"folder": "sent", "at": "server"},
    "create_folders": True,
}
SHA, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
EXPECTED = {
    "users.csv": DATA,
    "users.csv.sha256": f"{SHA}  users.csv\n".encode(),
    "users.csv.md5": f"{MD5}  users.csv\n".encode(),
    "users.DONE": f"users.csv 001 {len(DATA)} {SHA} 03/04/2026\n".encode(),
    f"sent/users_{PIECE}.csv": DATA,
}


async def test_a_file_comes_with_records_checksums_manifest_and_archive(server: SftpServer, root: Path) -> None:
    async with connected(server, folder=root.name, **ALL) as made:
        await send(made, **FIELDS)
        assert tree(root) == EXPECTED
        again = await send(made, **FIELDS)
    assert again.body["fresh"] is False  # type: ignore[index,call-overload]
    assert tree(root) == EXPECTED
    for kind in ("sha256", "md5"):
        subprocess.run([f"{kind}sum", "--check", "--strict", f"users.csv.{kind}"], cwd=root, check=True)


@pytest.mark.parametrize("missing", [name for name in EXPECTED if name != "users.csv" and "/" not in name])
async def test_a_retry_completes_what_is_missing(sshd: SftpServer, tmp_path: Path, missing: str) -> None:
    root = sshd.root / tmp_path.name
    root.mkdir()
    async with connected(sshd, folder=root.name, **ALL) as made:
        await send(made, **FIELDS)
        (root / missing).unlink()
        reply = await send(made, **FIELDS)
    assert tree(root) == EXPECTED
    assert (
        reply.summary == f"{root.name}/users.csv is there already, from an earlier attempt; added {root.name}/{missing}"
    )


async def cut_at(points: range, server: SftpServer, root: Path, **settings: Any) -> int:
    """Cut the wire after one request and another; then the delivery is tried again. How often it was cut."""
    cuts = 0
    async with wire_to(server) as wire:
        for point in points:
            folder = root / str(point)
            folder.mkdir()
            async with connected(server, port=wire.port, folder=f"{root.name}/{point}".lstrip("/"), **settings) as made:
                await made.check(SECONDS)
                wire.cut_after = point
                with contextlib.suppress(RetryableError):
                    await send(made, **FIELDS)
                if not wire.dead:
                    assert tree(folder) == EXPECTED
                    wire.mend()
                    return cuts
                cuts += 1
                there = {name: data for name, data in tree(folder).items() if not name.endswith(".part")}
                assert there.items() <= EXPECTED.items(), "what has its name is whole"
                if "users.DONE" in there:
                    assert there == EXPECTED, "the manifest is last"
                wire.mend()
                await send(made, **FIELDS)
            assert tree(folder) == EXPECTED, f"cut {point}"
    raise AssertionError("it never got through")


async def test_a_wire_cut_after_any_request_is_mended_by_the_retry(server: SftpServer, root: Path) -> None:
    # Each cut takes three logins, and ProFTPD's are slow.
    points = range(1, 80, 3) if root.parent.parent.name.startswith("sshd") else range(2, 80, 9)
    assert await cut_at(points, server, root, **ALL) >= 80 // points.step // 4


@pytest.mark.parametrize("kind", [Plain, Overwriting, Refusing])
async def test_servers_without_posix_rename_make_the_same(kind: type[Plain], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    async with plain_server(tmp_path, kind) as server, connected(server, folder="/in", **ALL) as made:
        await send(made, **FIELDS)
        await send(made, **FIELDS)
        assert tree(tmp_path / "in") == EXPECTED
        assert isinstance(await refused(made, **{**FIELDS, "row": {"STU_CODE": "other"}}), PermanentError)
        assert tree(tmp_path / "in") == EXPECTED
        # The file was taken, and what went with it was left: what belongs to the next of its name takes its place.
        (tmp_path / "in/users.csv").unlink()
        later = Call("dlv_later00000000000000", "dlv_later00000000000000", timeout=SECONDS, moment=MOMENT)
        await send(made, call=later, **{**FIELDS, "row": {"STU_CODE": "other"}})
    there = tree(tmp_path / "in")
    assert b"other" in there["users.csv"]
    assert there["users.csv.sha256"].startswith(hashlib.sha256(there["users.csv"]).hexdigest().encode())
    assert len(there) == len(EXPECTED) + 1, "the archive keeps both"


async def test_a_file_that_was_taken_meanwhile_is_not_sent_again(server: SftpServer, root: Path) -> None:
    (root / "processed").mkdir()
    settings = {"taken": ["{stem}_rejected.{extension}", "processed/{filename}"], "manifest": {}}
    async with connected(server, folder=root.name, **settings) as made:
        await send(made)
        name = f"chats_{PIECE}"
        (root / f"{name}.DONE").unlink()
        (root / f"{name}.csv").rename(root / f"processed/{name}.csv")
        reply = await send(made)
        assert "processed" in reply.summary
        (root / f"processed/{name}.csv").rename(root / f"{name}_rejected.csv")
        await send(made)
        assert list(tree(root)) == [f"{name}_rejected.csv"]
        # Without names of their own, another day's file of the same name isn't this one.
        (root / "processed/chats.csv").write_bytes(b"a\n2\n")
        assert (await send(made, unique=False)).body["fresh"] is True  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("temporary", "meanwhile"),
    [
        ("{filename}.partial", "chats.csv.partial"),
        ("tmp/{filename}.{key}", f"tmp/chats.csv.{PIECE}"),
        ("../up/{stem}-{key}.{extension}", f"../up/chats-{PIECE}.csv"),
    ],
)
async def test_the_temporary_name_is_as_the_server_wants_it(
    sshd: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: str, meanwhile: str
) -> None:
    root = sshd.root / tmp_path.name
    (root / "in").mkdir(parents=True)
    renamed = []
    real = asyncssh.SFTPClient.rename

    async def noting(self: asyncssh.SFTPClient, old: str, new: str, flags: int = 0) -> None:
        renamed.append((old, new))
        await real(self, old, new, flags)

    monkeypatch.setattr(asyncssh.SFTPClient, "rename", noting)
    (root / "up").mkdir()
    (root / "in/tmp").mkdir()
    folder = f"{root.name}/in"
    async with connected(sshd, folder=folder, temporary=temporary) as made:
        await send(made, unique=False)
    assert renamed == [(f"{folder}/{meanwhile}", f"{folder}/chats.csv")]
    assert tree(root) == {"in/chats.csv": b"a\n1\n"}


async def test_two_deliveries_of_one_name_and_one_temporary_name_are_not_both_called_delivered(
    sshd: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sshd.root / tmp_path.name
    root.mkdir()
    real = asyncssh.SFTPClient.rename

    async def late(self: asyncssh.SFTPClient, *args: Any, **more: Any) -> None:
        (root / "chats.csv.partial").write_bytes(b"the other's")
        await real(self, *args, **more)

    monkeypatch.setattr(asyncssh.SFTPClient, "rename", late)
    async with connected(sshd, folder=root.name, temporary="{filename}.partial") as made:
        error = await refused(made, unique=False)
    assert isinstance(error, PermanentError)
    assert error.cause == "file written by two deliveries at once"


async def test_the_archive_here_is_written_before_the_file_gets_its_name(sshd: SftpServer, tmp_path: Path) -> None:
    root, data = sshd.root / tmp_path.name, tmp_path / "data"
    root.mkdir()
    async with connected(sshd, data, folder=root.name, archive={"folder": "archive/sits"}) as made:
        data.mkdir()
        (data / "archive").write_text("in the way")
        await refused(made)
        assert [name for name in tree(root) if not name.endswith(".part")] == []
        (data / "archive").unlink()
        await send(made)
        await send(made)
    assert tree(root) == {f"chats_{PIECE}.csv": b"a\n1\n"}
    assert tree(data) == {f"archive/sits/chats_{PIECE}.csv": b"a\n1\n"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    find_program("gpg-agent", "gnupg")
    # Short, because gpg-agent's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as home:
        for name, usage in (("vendor@example.com", "default"), ("signer@example.com", "sign")):
            algorithm = "future-default" if usage == "default" else "ed25519"
            gpg(home, "--passphrase", "", "--quick-generate-key", name, algorithm, usage, "never")
        yield Path(home)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def gpg(home: Path | str, *arguments: str, data: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return gpg(home, "--armor", "--export", "vendor@example.com").decode()


@pytest.mark.parametrize("armor", [False, True])
async def test_gpg_decrypts_what_we_encrypted(
    server: SftpServer, root: Path, tmp_path: Path, home: Path, key: str, armor: bool
) -> None:
    settings = {"pgp": {"public_key": key, "armor": armor}, "checksums": ["sha256"], "manifest": {}}
    fields = {key: value for key, value in FIELDS.items() if key != "unique"}
    async with connected(server, tmp_path, folder=root.name, archive={"folder": "kept"}, **settings) as made:
        for _ in range(3):
            await send(made, **fields)
        first = tree(root)
        for name in first:
            if not name.endswith(".pgp"):
                (root / name).unlink()
        await send(made, **fields)
        assert tree(root) == first, "what is missing is completed from the file that lies there"
    done, encrypted, checksum = sorted(first)
    assert re.fullmatch(r"users_[a-z2-7]{10}\.csv\.pgp", encrypted)
    assert (done, first[done]) == (encrypted.replace(".csv.pgp", ".DONE"), f"{encrypted}\n".encode())
    assert first[checksum] == f"{hashlib.sha256(first[encrypted]).hexdigest()}  {encrypted}\n".encode()
    assert first[encrypted].startswith(b"-----BEGIN PGP MESSAGE-----") is armor
    plain = gpg(home, "--decrypt", data=first[encrypted])
    assert plain == DATA.replace(b"users.csv", encrypted.removesuffix(".pgp").encode())
    assert tree(tmp_path / "kept") == {encrypted: first[encrypted]}


async def test_an_encrypted_file_is_there_once_wherever_the_wire_was_cut(
    sshd: SftpServer, tmp_path: Path, home: Path, key: str
) -> None:
    settings = {"pgp": {"public_key": key}, "checksums": ["sha256"], "manifest": {}}
    root = sshd.root / tmp_path.name
    cuts = 0
    async with wire_to(sshd) as wire:
        for point in range(1, 40, 4):
            (root / str(point)).mkdir(parents=True)
            folder = f"{root.name}/{point}"
            async with connected(sshd, port=wire.port, folder=folder, **settings) as made:
                async with made.session.use():
                    wire.cut_after = point
                with contextlib.suppress(RetryableError):
                    await send(made)
                cuts += wire.dead
                wire.mend()
                await send(made)
            _, encrypted, checksum = sorted(there := tree(root / str(point)))
            assert gpg(home, "--decrypt", data=there[encrypted]) == b"a\n1\n"
            assert there[checksum].startswith(hashlib.sha256(there[encrypted]).hexdigest().encode())
    assert cuts >= 4


async def test_an_edited_replay_is_another_file(sshd: SftpServer, tmp_path: Path, key: str) -> None:
    root = sshd.root / tmp_path.name
    root.mkdir()
    async with connected(sshd, folder=root.name, pgp={"public_key": key}) as made:
        await send(made)
        assert (await send(made)).body["fresh"] is False  # type: ignore[index,call-overload]
        assert (await send(made, row={"a": 2})).body["fresh"] is True  # type: ignore[index,call-overload]
        assert isinstance(await refused(made, unique=False), PermanentError)
    assert len(tree(root)) == 2


async def test_a_key_that_cannot_encrypt_holds_the_lane(sshd: SftpServer, tmp_path: Path, home: Path, key: str) -> None:
    broken = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"
    signer = gpg(home, "--armor", "--export", "signer@example.com").decode()
    for text in (broken, signer, [key, signer]):
        async with connected(sshd, pgp={"public_key": text}) as made:
            error = await refused(made, path=f"{tmp_path.name}.csv")
            (missing,) = (await made.check(SECONDS)).missing
        assert isinstance(error, HoldError)
        assert error.cause == "gpg refuses the public key"
        assert "public_key" in missing


async def test_a_machine_without_gpg_is_told_what_to_install(
    sshd: SftpServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgp_module.shutil, "which", lambda _: None)
    async with connected(sshd, pgp={"public_key": key}) as made:
        error = await refused(made, path="nogpg.csv")
    assert isinstance(error, HoldError)
    assert "apt-get install gpg" in str(error)


async def test_a_slow_gpg_is_retried(
    sshd: SftpServer, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "gpg"
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o755)
    monkeypatch.setattr(pgp_module.shutil, "which", lambda _: str(slow))
    with pytest.raises(RetryableError, match="longer than"):
        await pgp_module.encrypted(b"x", pgp_module.Pgp(public_key=key), 0.1)


@pytest.mark.parametrize("text", ["mQENBF", "-----BEGIN PGP PRIVATE KEY BLOCK-----", []])
def test_what_is_no_public_key_is_refused(text: Any) -> None:
    with pytest.raises(ValidationError):
        Sftp.Config.model_validate({**Sftp.example, "pgp": {"public_key": text}})


async def test_the_keys_of_a_server_are_fetched_to_pin_them(server: SftpServer) -> None:
    ((kind, line, fingerprint),) = await Sftp.host_keys("127.0.0.1", server.port, SECONDS)
    key = asyncssh.import_public_key(server.host_key)
    assert (kind, line) == (key.get_algorithm(), " ".join(server.host_key.split()[:2]))
    assert fingerprint == key.get_fingerprint()
    for pin in (line, fingerprint):
        async with connected(server, host_key=pin) as made:
            assert not (await made.check(SECONDS)).missing


async def test_a_host_that_shows_no_key_is_named() -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    for serve, why in ((garbage, "doesn't speak SSH"), (silent, "in time")):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with pytest.raises(RetryableError, match=why):
                await Sftp.host_keys("127.0.0.1", port, timedelta(seconds=0.3))
    with pytest.raises(RetryableError, match="no connection"):
        await Sftp.host_keys("127.0.0.1", port, SECONDS)


async def test_a_check_writes_nothing_and_says_what_is_missing(server: SftpServer, root: Path) -> None:
    async with connected(server, folder=root.name) as made:
        found = await made.check(SECONDS)
    assert found.missing == ()
    assert f"as {server.username}" in found.found
    assert root.name in found.found
    (root / "file").write_text("")
    (root / "closed").mkdir(mode=0o555)
    for folder, why in (("nowhere", "create_folders"), ("file", "is no folder"), ("closed", "nobody may write")):
        async with connected(server, folder=f"{root.name}/{folder}") as made:
            (missing,) = (await made.check(SECONDS)).missing
        assert why in missing
    assert sorted(path.name for path in root.iterdir()) == ["closed", "file"]


async def test_a_check_tells_from_which_key_to_which_the_server_changed(server: SftpServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with connected(server, host_key=other.export_public_key().decode()) as made:
        with pytest.raises(HoldError) as caught:
            await made.check(SECONDS)
    shown = asyncssh.import_public_key(server.host_key).get_fingerprint()
    assert f"from {other.get_fingerprint()}" in str(caught.value)
    assert f"to {asyncssh.import_public_key(server.host_key).get_algorithm()} {shown}" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"manifest": {"name": "ready.txt"}}, "takes another's place"),
        ({"manifest": {"name": "x/{stem}.DONE"}}, "beside the file"),
        ({"manifest": {"content": "{rows}"}}, "there is no {rows}"),
        ({"manifest": {"content": "{count:x}"}}, "its width"),
        ({"temporary": "upload.part"}, "{filename} or {key}"),
        ({"temporary": "{filename}"}, "must differ"),
        ({"temporary": "{filename}{"}, "a brace"),
        ({"taken": ["processed/"]}, "{filename} or {stem}"),
        ({"checksums": ["crc32"]}, "sha256"),
        ({"archive": {"folder": ""}}, "folder"),
        ({"pgp": {"public_key": "x", "suffix": "/x"}}, "suffix"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        Sftp.Config.model_validate({**Sftp.example, **settings})


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("HDR|{rows}", "there is no {rows}"),
        ("HDR|{date:%Q}", "a date is made of"),
        ("a\nb", "one line"),
        ("{count:1}", "no room for 12"),
    ],
)
def test_a_wrong_record_is_named(record: str, why: str) -> None:
    made = Sftp(Sftp.Config.model_validate(Sftp.example), Context())
    fields = {"path": "a.csv", "rows": [{"a": n} for n in range(12)], "trailer_record": record}
    with pytest.raises(PermanentError, match=re.escape(why)):
        made.outgoing("csv", fields, CALL)


def test_a_preview_says_all_that_will_be_written() -> None:
    made = Sftp(Sftp.Config.model_validate({**Sftp.example, **ALL}), Context())
    preview = made.outgoing("csv", FIELDS, CALL).preview()
    assert preview["then"] == ["users.csv.sha256", "users.csv.md5", "users.DONE"]
    assert preview["archive"] == f"sent/users_{PIECE}.csv (there)"
    assert preview["text"] == DATA.decode()


async def test_fixed_width_and_xml_arrive(sshd: SftpServer, tmp_path: Path) -> None:
    root = sshd.root / tmp_path.name
    root.mkdir()
    columns = [{"name": "A", "width": 4}, {"name": "N", "width": 3, "align": "right", "pad": "0"}]
    async with connected(sshd, folder=root.name) as made:
        records = {"header_record": "H{filename}", "trailer_record": "T{count:3}{lines:3}"}
        rows = [{"A": "é", "N": 7}, {"A": "abcd"}]
        form = {"encoding": "cp1252", "line_end": "crlf"}
        await send(made, "fixed", path="f.txt", columns=columns, rows=rows, format=form, unique=False, **records)
        await send(made, "xml", path="x.xml", root="r", content={"a": "Şé"}, encoding="cp1252", unique=False)
    assert tree(root) == {
        "f.txt": "Hf.txt\r\né   007\r\nabcd000\r\nT002004\r\n".encode("cp1252"),
        "x.xml": b'<?xml version="1.0" encoding="windows-1252"?>\n<r><a>&#350;\xe9</a></r>\n',
    }


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"temporary": "./{filename}"}, "chats.csv"),
        ({"temporary": "../in/{filename}"}, "in/chats.csv"),
        ({"manifest": {"name": "{stem}.csv"}}, "chats.csv"),
        ({"manifest": {"name": "{stem}"}}, "chats"),
        ({"manifest": {"name": "{filename}.md5"}, "checksums": ["md5"]}, "chats.csv"),
        ({"manifest": {"name": ".{filename}.{key}.part"}}, "chats.csv"),
    ],
)
def test_no_file_that_goes_with_it_has_the_files_own_name(settings: dict[str, Any], path: str) -> None:
    made = Sftp(Sftp.Config.model_validate({**Sftp.example, **settings}), Context())
    for unique in (True, False):
        with pytest.raises(PermanentError, match="two files of one name"):
            made.outgoing("csv", {"path": path, "row": {"a": 1}, "unique": unique}, CALL)


def test_a_temporary_name_is_short_enough_and_still_its_own() -> None:
    def meanwhile(path: str) -> str:
        made = Sftp(Sftp.Config.model_validate({**Sftp.example, "temporary": "{filename}.part"}), Context())
        return str(made.outgoing("csv", {"path": path, "row": {"a": 1}, "unique": False}, CALL).temporary)  # type: ignore[attr-defined]

    one, other = meanwhile(f"{'語' * 80}1.csv"), meanwhile(f"{'語' * 80}2.csv")
    assert one != other
    assert len(one.encode()) <= 200


@pytest.mark.parametrize("way", ["killed", "no room"])
async def test_a_gpg_that_this_machine_has_no_room_for_is_retried(
    sshd: SftpServer, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    killed = tmp_path / "gpg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(pgp_module.shutil, "which", lambda _: str(killed))
    if way == "no room":

        def full(**_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pgp_module.tempfile, "TemporaryDirectory", full)
    async with connected(sshd, pgp={"public_key": key}) as made:
        error = await refused(made, path=f"{tmp_path.name}.csv")
    assert isinstance(error, RetryableError)
    assert error.cause in ("gpg was killed", "gpg can't be started")
