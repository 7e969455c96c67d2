"""A strict StuTalk with processes as University College London describes its own: one puts marks, two give rows."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.testing.server import Answer, Recorded

ROOT = "/urd/sits.urd/run/SIW_RWS"
USERNAME, PASSWORD = "STUTALK_RELAY", "s3cret-of-stutalk"
STUDENT = {
    "STU_CODE": "20159707",
    "SPR_CODE": "20159707/2",
    "STU_SURN": "MENDES",
    "SPR_EDATE": "07-JUN-24",
    "SAS_ACTM": "",
}
#: What each process expects in its address, in this order.
PROCESSES = {
    "MDL_GET_STD": ("STU_CODE", "MAP_CODE"),
    "MDL_BY_SPR": ("SPR_CODE",),
    "MDLGRADEPUSH": ("assessment-component", "student"),
}


class FakeStutalk:
    """Give it to RecordingServer as `default`. `updates` counts what has changed a record."""

    def __init__(self) -> None:
        self.student = dict(STUDENT)
        self.updates = 0

    def __call__(self, request: Recorded) -> Answer:
        pair = b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return Answer(401, "<html>Unauthorized</html>", {"content-type": "text/html"})
        path = urlsplit(request.target).path
        if not path.startswith(f"{ROOT}/") or "//" in path or "?" in request.target:
            return _page(404, "no such page")
        process, *pieces = path.removeprefix(f"{ROOT}/").split("/")
        names, values = tuple(pieces[::2]), [unquote(value) for value in pieces[1::2]]
        if PROCESSES.get(process) != names or len(values) != len(names) or "%2F" in path.upper():
            return _page(400, "the process is unknown, or its fields are")
        if process == "MDLGRADEPUSH":
            return self._put(request, *values) if request.method == "PUT" else _page(405, "PUT only")
        if request.method != "GET" or request.body:
            return _page(405, "GET only")
        wanted = values[0].replace("&&", "/")
        found = self.student[names[0]] == wanted
        return Answer(200, [list(self.student), *([list(self.student.values())] if found else [])])

    def _put(self, request: Recorded, component: str, student: str) -> Answer:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _page(415, "JSON only")
        body: dict[str, Any] = request.json()
        if not set(body) <= {"actual_mark", "actual_grade"} or not all(isinstance(v, str) for v in body.values()):
            return _page(400, "unknown fields")
        if student != f"{self.student['SPR_CODE'].replace('/', '_')}-2023-T1-0" or component != "BIOC0001A4UD-003":
            return _page(404, "no such record")
        # The answer has no braces around it: the university's own client puts them there.
        if not re.fullmatch(r"\d{1,3}(\.\d\d?)?", body["actual_mark"]) or float(body["actual_mark"]) > 100:
            return _told({"code": -1, "message": "Mark is not in the conversion table"})
        mark = str(round(float(body["actual_mark"]) * 100))
        if self.student["SAS_ACTM"] != mark:
            self.updates += 1
            self.student["SAS_ACTM"] = mark
        return _told({"code": 0, "message": "Success"})


def _told(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body)[1:-1], {"content-type": "text/plain"})


def _page(status: int, words: str) -> Answer:
    return Answer(status, f"<html><body>{words}</body></html>", {"content-type": "text/html"})
