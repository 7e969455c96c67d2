"""Just enough HTTP/1.1 for a load generator and a sink that cost little beside what they measure."""

from __future__ import annotations

import re
import socket

from bench.transcript import ID_LENGTH, halves

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Requests:
    """POSTs of the transcript to one URL, alike but for the id."""

    def __init__(self, port: int, path: str, key: str = "") -> None:
        before, after = halves()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            + (f"X-Key: {key}\r\n" if key else "")
            + f"Content-Length: {len(before) + ID_LENGTH + len(after)}\r\n\r\n"
        )
        self._before, self._after = head.encode() + before, after

    def of(self, id_: bytes) -> bytes:
        return self._before + id_ + self._after


def message(data: bytes) -> tuple[int, int] | None:
    """Where the body of the first message in `data` starts and ends; None where it isn't all there yet."""
    start = data.find(b"\r\n\r\n")
    if start < 0:
        return None
    start += 4
    found = _LENGTH.search(data, 0, start)
    end = start + int(found[1]) if found else start
    return (start, end) if len(data) >= end else None


def status(data: bytes) -> int:
    return int(data[9:12])


class Line:
    """One kept-alive connection that posts one event at a time and waits for its answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, request: bytes) -> int:
        """The status of the answer. Raises ConnectionError where the other side hangs up."""
        self._socket.sendall(request)
        data = b""
        while (span := message(data)) is None:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("the server hung up in the middle of an answer")
            data += chunk
        assert len(data) == span[1]
        return status(data)

    def close(self) -> None:
        self._socket.close()
