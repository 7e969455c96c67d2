from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pytest
from pydantic import ValidationError

from connectors.sftp import drop as drop_module
from connectors.sftp.connector import Sftp
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.model import Reply
from relay.testing import ConnectorContract
from tests.connectors.sftp_servers import Plain, plain_server
from tests.servers import SftpServer, openssh_server

KEY = "dlv_0123456789abcdefghjkmnpq"
PIECE = KEY[-10:]
CALL = Call(KEY, KEY, timeout=timedelta(seconds=15))


class TestContract(ConnectorContract):
    connector = Sftp


@contextlib.asynccontextmanager
async def connected(server: SftpServer, **settings: Any) -> AsyncIterator[Sftp]:
    config = Sftp.Config.model_validate({**server.config, **settings})
    made = Sftp(config, Context())
    try:
        yield made
    finally:
        await made.aclose()


async def send(made: Sftp, do: str = "csv", call: Call = CALL, **fields: Any) -> Reply:
    if do == "csv":
        fields = {"path": "chats.csv", "row": {"a": 1}, **fields}
    return await made.send(do, made.outgoing(do, fields, call), call)


async def refused(made: Sftp, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(made, **fields)
    return caught.value


@pytest.fixture
def root(sshd: SftpServer, tmp_path: Path) -> Path:
    """A folder of its own for each test, at the server."""
    folder = sshd.root / tmp_path.name
    folder.mkdir()
    return folder


async def test_a_file_arrives_whole_under_a_name_that_is_the_deliverys_own(sshd: SftpServer, root: Path) -> None:
    form = {"delimiter": ";", "encoding": "cp1252", "line_end": "crlf"}
    async with connected(sshd, folder=root.name) as made:
        reply = await send(made, path="chats_2026.csv", row={"Näme": "Zoë"}, format=form)
    (file,) = root.iterdir()
    assert file.name == f"chats_2026_{PIECE}.csv"
    assert file.read_bytes() == "Näme\r\nZoë\r\n".encode("cp1252")
    assert reply.body == {"path": f"{root.name}/{file.name}", "bytes": 11, "fresh": True}


async def test_every_format_arrives(sshd: SftpServer, root: Path) -> None:
    async with connected(sshd, folder=str(root)) as made:
        await send(made, "jsonl", path="a.jsonl", records=[{"a": 1}, 2], unique=False)
        await send(made, "json", path="b.json", content={"ü": [None]}, unique=False)
        await send(made, "xml", path="Zoë ü.xml", root="r", content={"@a": 1}, unique=False)
    assert {file.name: file.read_text() for file in root.iterdir()} == {
        "a.jsonl": '{"a":1}\n2\n',
        "b.json": '{"ü":[null]}\n',
        "Zoë ü.xml": '<?xml version="1.0" encoding="UTF-8"?>\n<r a="1"/>\n',
    }


@pytest.mark.parametrize(
    ("folder", "path", "unique", "name"),
    [
        ("", "/incoming/a.csv", True, f"/incoming/a_{PIECE}.csv"),
        ("", "incoming/a.b.csv", True, f"incoming/a.b_{PIECE}.csv"),
        ("", "a", True, f"a_{PIECE}"),
        ("", ".hidden", True, f".hidden_{PIECE}"),
        ("", f"a_{KEY}.csv", True, f"a_{KEY}.csv"),
        ("", "a.csv", False, "a.csv"),
        ("/srv/in/", "/a.csv", False, "/srv/in/a.csv"),
        ("/", "a.csv", False, "/a.csv"),
        ("in", "b/a.csv", False, "in/b/a.csv"),
    ],
)
def test_the_name_is_the_same_for_every_attempt(folder: str, path: str, unique: bool, name: str) -> None:
    final, temporary = drop_module.names(folder, path, unique, CALL)
    assert final == name
    assert temporary.rpartition("/")[0] == final.rpartition("/")[0]
    assert temporary.endswith(f".{PIECE}.part")


@pytest.mark.parametrize("path", ["../a.csv", "/in/../../a.csv", "a\0.csv", "a\r\n.csv", "a/", ""])
async def test_event_data_in_a_path_cannot_lead_elsewhere(sshd: SftpServer, path: str) -> None:
    async with connected(sshd) as made:
        assert isinstance(await refused(made, path=path), PermanentError)


async def test_a_repeat_finds_the_earlier_attempts_file(sshd: SftpServer, root: Path) -> None:
    async with connected(sshd, folder=root.name) as made:
        await send(made)
        again = await send(made)
    assert len(list(root.iterdir())) == 1
    assert again.body["fresh"] is False  # type: ignore[index,call-overload]


async def test_somebody_elses_file_is_left_as_it_is(sshd: SftpServer, root: Path) -> None:
    for content in (b"b\n1\n", b"longer than ours\n"):
        (root / "chats.csv").write_bytes(content)
        async with connected(sshd, folder=root.name) as made:
            error = await refused(made, unique=False)
        assert isinstance(error, PermanentError)
        assert "chats.csv is there already" in str(error)
        assert [(f.name, f.read_bytes()) for f in root.iterdir()] == [("chats.csv", content)]


async def test_a_file_that_appears_in_between_is_left_as_it_is(
    sshd: SftpServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asyncssh.SFTPClient.rename

    async def late(self: asyncssh.SFTPClient, *args: Any, **more: Any) -> None:
        (root / "chats.csv").write_bytes(b"theirs")
        await real(self, *args, **more)

    monkeypatch.setattr(asyncssh.SFTPClient, "rename", late)
    async with connected(sshd, folder=root.name) as made:
        assert isinstance(await refused(made, unique=False), PermanentError)
    assert (root / "chats.csv").read_bytes() == b"theirs"


async def test_a_half_written_file_is_overwritten_by_the_retry(sshd: SftpServer, root: Path) -> None:
    (root / f".chats_{PIECE}.csv.{PIECE}.part").write_bytes(b"half of something that was longer")
    async with connected(sshd, folder=root.name) as made:
        await send(made)
    assert [(f.name, f.read_bytes()) for f in root.iterdir()] == [(f"chats_{PIECE}.csv", b"a\n1\n")]


async def test_a_folder_that_is_not_there_is_named_or_made(sshd: SftpServer, root: Path) -> None:
    async with connected(sshd, folder=f"{root.name}/in") as made:
        error = await refused(made)
        assert isinstance(error, HoldError), "no delivery of the connection could get further"
        assert f"no folder {root.name}/in" in str(error)
        assert "create_folders: true" in str(error)
    async with connected(sshd, folder=root.name) as made:
        error = await refused(made, path="from/the/event.csv")
        assert isinstance(error, PermanentError)
        assert f"no folder {root.name}/from/the" in str(error)
    async with connected(sshd, folder=f"{root.name}/in", create_folders=True) as made:
        await send(made, path="deep/er/chats.csv")
    assert len(list((root / "in/deep/er").iterdir())) == 1


async def test_a_path_through_a_file_is_not_retried_for_ever(sshd: SftpServer, root: Path) -> None:
    (root / "file").write_text("x")
    async with connected(sshd, folder=f"{root.name}/file") as made:
        assert isinstance(await refused(made), (PermanentError, RetryableError))


async def test_another_host_key_holds_the_lane(sshd: SftpServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    public = other.export_public_key().decode()
    for host_key in (public, other.get_fingerprint(), [public, other.get_fingerprint()]):
        async with connected(sshd, host_key=host_key) as made:
            error = await refused(made)
        assert isinstance(error, HoldError)
        assert "ssh-ed25519 SHA256:" in str(error)
        assert asyncssh.import_public_key(sshd.host_key).get_fingerprint() in str(error)


async def test_a_host_key_of_another_kind_holds_the_lane(sshd: SftpServer) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    async with connected(sshd, host_key=other.export_public_key().decode()) as made:
        assert isinstance(await refused(made), HoldError)


async def test_the_host_key_may_be_pinned_in_any_usual_spelling(sshd: SftpServer, root: Path) -> None:
    key = asyncssh.import_public_key(sshd.host_key)
    spellings = [
        sshd.host_key,
        f"{sshd.host_key} root@server",
        f"[127.0.0.1]:{sshd.port} {sshd.host_key}",
        key.get_fingerprint(),
        f"256 {key.get_fingerprint()} root@server (ED25519)",
        [asyncssh.generate_private_key("ssh-rsa").export_public_key().decode(), sshd.host_key],
    ]
    for host_key in spellings:
        async with connected(sshd, folder=root.name, host_key=host_key) as made:
            await send(made)


async def test_bad_credentials_hold_the_lane_and_stay_secret(sshd: SftpServer) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    for settings in (
        {"private_key": stranger},
        {"username": "nobody-here"},
        {"private_key": None, "password": "s3cret-pass"},
        {"private_key": "s3cret-not-a-key"},
        {"private_key": sshd.private_key[:60]},
    ):
        async with connected(sshd, **settings) as made:
            error = await refused(made)
        assert isinstance(error, HoldError)
        assert "s3cret" not in str(error)


async def test_an_encrypted_key_is_opened_by_its_passphrase(sshd: SftpServer, root: Path) -> None:
    plain = asyncssh.import_private_key(sshd.private_key)
    locked = plain.export_private_key("pkcs8-pem", passphrase="open sesame").decode().strip()
    async with connected(sshd, folder=root.name, private_key=locked, passphrase="open sesame") as made:
        await send(made)
    async with connected(sshd, folder=root.name, private_key=locked, passphrase="wrong") as made:
        assert isinstance(await refused(made), HoldError)


async def test_a_private_address_is_refused(sshd: SftpServer) -> None:
    async with connected(sshd, allow_private=False) as made:
        error = await refused(made)
    assert isinstance(error, HoldError)
    assert "127.0.0.1 is a private address; set allow_private: true" in str(error)


async def test_nobody_there_is_retryable(sshd: SftpServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with connected(sshd, port=taken.getsockname()[1]) as made:
            assert isinstance(await refused(made), RetryableError)


async def test_a_server_that_says_nothing_is_retryable(sshd: SftpServer) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with connected(sshd, port=silent.getsockname()[1], connect_timeout="300ms") as made:
            assert isinstance(await refused(made), RetryableError)
        async with connected(sshd, port=silent.getsockname()[1]) as made:
            error = await refused(made, call=Call(KEY, KEY, timeout=timedelta(seconds=0.3)))
            assert isinstance(error, RetryableError)


async def test_something_that_is_no_ssh_server_is_retryable(sshd: SftpServer) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server, connected(sshd, port=server.sockets[0].getsockname()[1]) as made:
        assert isinstance(await refused(made), RetryableError)


async def test_one_connection_serves_many_and_a_lost_one_is_made_anew(sshd: SftpServer, root: Path) -> None:
    def sessions() -> list[psutil.Process]:
        return psutil.Process(sshd.pid).children(recursive=True)

    async with connected(sshd, folder=root.name) as made:
        calls = [Call(f"dlv_{n:024}", f"dlv_{n:024}") for n in range(50)]
        await asyncio.gather(*(send(made, call=call) for call in calls))
        first = made.session._connection
        assert len(list(root.iterdir())) == 50
        for process in sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
        await send(made)
        assert made.session._connection is not first
    assert len(list(root.iterdir())) == 51


async def test_an_idle_connection_is_let_go_of(sshd: SftpServer, root: Path) -> None:
    config = Sftp.Config.model_validate({**sshd.config, "folder": root.name})
    made = Sftp(config, Context(idle_seconds=0.05))
    await send(made)
    for _ in range(100):
        if not made.session.is_open:
            break
        await asyncio.sleep(0.02)
    assert not made.session.is_open
    await send(made, path="again.csv")
    await made.aclose()


async def test_a_process_killed_at_any_request_leaves_at_most_a_temporary_file(
    sshd: SftpServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut before the n-th request to the server, and the delivery is tried again."""
    real = asyncssh.sftp.SFTPClientHandler._make_request
    cuts = 0
    for point in range(1, 20):
        folder = root / str(point)
        folder.mkdir()
        count = 0

        async def cutting(self: asyncssh.sftp.SFTPClientHandler, *args: Any, at: int = point, **more: Any) -> Any:
            nonlocal count, cuts
            count += 1
            if count == at:
                cuts += 1
                raise asyncssh.ConnectionLost("cut")
            return await real(self, *args, **more)

        async with connected(sshd, folder=f"{root.name}/{point}") as made:
            with monkeypatch.context() as patch, contextlib.suppress(RetryableError):
                patch.setattr(asyncssh.sftp.SFTPClientHandler, "_make_request", cutting)
                await send(made)
            assert {f.suffix for f in folder.iterdir()} <= {".part", ".csv"}
            for file in folder.glob("[!.]*"):
                assert file.read_bytes() == b"a\n1\n"
            await send(made)
        assert [f.name for f in folder.iterdir()] == [f"chats_{PIECE}.csv"]
    assert cuts >= 8


async def test_a_server_without_openssh_s_extensions_will_do(tmp_path: Path) -> None:
    async with plain_server(tmp_path) as server, connected(server) as made:
        await send(made, path="/a.csv", unique=False)
        assert (await send(made, path="/a.csv", unique=False)).body["fresh"] is False  # type: ignore[index,call-overload]
        assert isinstance(await refused(made, path="/a.csv", row={"a": 2}, unique=False), PermanentError)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("a.csv", b"a\n1\n")]


async def test_a_full_disk_is_retryable(tmp_path: Path) -> None:
    class Full(Plain):
        full = True

    async with plain_server(tmp_path, Full) as server, connected(server) as made:
        error = await refused(made)
    assert isinstance(error, RetryableError)
    assert "disk or quota" in str(error)


async def test_a_file_that_arrives_with_another_size_is_not_renamed(tmp_path: Path) -> None:
    class Lossy(Plain):
        def write(self, file_obj: Any, offset: int, data: bytes) -> int:
            super().write(file_obj, offset, data[:-1])
            return len(data)

    async with plain_server(tmp_path, Lossy) as server, connected(server) as made:
        error = await refused(made)
    assert isinstance(error, RetryableError)
    assert "3 of 4 bytes" in str(error)
    assert [f.suffix for f in tmp_path.iterdir()] == [".part"]


async def test_a_folder_one_may_not_write_is_permanent(tmp_path: Path) -> None:
    class Forbidding(Plain):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            raise asyncssh.SFTPPermissionDenied("Permission denied")

    async with plain_server(tmp_path, Forbidding) as server, connected(server) as made:
        assert isinstance(await refused(made), PermanentError)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"host_key": ""}, "ssh-keyscan"),
        ({"host_key": []}, "at least one"),
        ({"host_key": "ssh-ed25519 AAAAnonsense"}, "ssh-keyscan"),
        ({"host_key": "MD5:aa:bb"}, "ssh-keyscan"),
        ({"private_key": None}, "password or private_key"),
        ({"port": 0}, "port"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Sftp.Config.model_validate({**Sftp.example, **settings})


def test_the_host_key_must_be_given() -> None:
    with pytest.raises(ValidationError, match="host_key"):
        Sftp.Config.model_validate({key: value for key, value in Sftp.example.items() if key != "host_key"})


async def test_a_server_that_has_gone_is_retryable(tmp_path: Path) -> None:
    with openssh_server(tmp_path / "one") as server:
        async with connected(server) as made:
            await send(made)
            sshd = psutil.Process(server.pid)
            sessions = sshd.children(recursive=True)
            sshd.terminate()
            for process in sessions:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            assert isinstance(await refused(made, path="b.csv"), RetryableError)
