"""StuTalk, the web service of SITS:Vision: rows are asked for and fields are put by processes that its operator makes.

Tribal publishes no reference. What is here follows University College London's description of its processes and the
open-source clients of several universities; what an operator may have made otherwise is a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from connectors.common.api import ApiAction, ApiConnector, ApiRequest, Said
from connectors.common.encode import to_text
from connectors.guides.stutalk import GUIDE
from connectors.stutalk.address import as_sits, path_of
from connectors.stutalk.config import GetFields, PutFields, StutalkConfig
from connectors.stutalk.rows import divided, not_rows, read, rows_of
from relay.connector import Call, Check, Context, Example, Guide, secrets_in
from relay.errors import DeliveryError, PermanentError
from relay.http import HOLD_ON, Redactor, Sorting
from relay.model import Reply


@dataclass(frozen=True, slots=True)
class GetRequest(ApiRequest):
    """With what is made of the answer."""

    empty: str = "fine"
    hundredths: tuple[str, ...] = ()


class Put(ApiAction[StutalkConfig, PutFields]):
    name = "put"
    summary = "Put fields of one record, by a process. A repeat changes nothing, unless the process is made otherwise."
    With = PutFields
    idempotent = True
    examples = (
        Example(
            "A mark and its grade",
            {
                "process": "MDLGRADEPUSH",
                "keys": {"assessment-component": "BIOC0001A4UD-003", "student": "12345678/1-2021-T1-0"},
                "slash": "_",
                "body": {"actual_mark": "50.55", "actual_grade": ""},
            },
        ),
    )

    def prepare(self, fields: PutFields, call: Call) -> ApiRequest:
        body = {name: as_sits(value) for name, value in fields.body.items()}
        path, hidden = path_of(fields, self.config), tuple(self.config.auth.headers())
        return ApiRequest("PUT", self.config.base_url, path, "json", body, hidden=hidden)

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(self.connection, Stutalk)
        reply = await self.connection.request(outgoing, call, idempotent=self.config.repeats)
        body = read(reply.body)
        for key, wanted in self.config.success.items():
            found = body.get(key) if isinstance(body, dict) else None
            if to_text(found) != to_text(wanted) or found is None:
                words = self.connection.sorting.redact(to_text(found))[:60]
                stands = "isn't there" if found is None else f"is {words!r}"
                raise PermanentError(
                    f"the process {_process_of(outgoing)} answered {reply.summary}, but `{key}` {stands}, and "
                    f"`success` asks for {to_text(wanted)[:60]!r}",
                    status=reply.status,
                    cause="stutalk says no success",
                    received=dict(reply.received),
                )
        return replace(reply, body=body)


class Get(ApiAction[StutalkConfig, GetFields]):
    name = "get"
    summary = "Ask a process for rows: `save` reads them as a list of objects, such as `$.0.SPR_CODE`."
    With = GetFields
    idempotent = True
    examples = (
        Example(
            "A student's programme",
            {
                "process": "MDL_GET_STD",
                "keys": {"STU_CODE": "20159707", "MAP_CODE": "BIOC0001A4UD", "MAB_SEQ": "003"},
                "empty": "dead",
            },
        ),
        Example(
            "The parts of an assessment",
            {
                "process": "MDL_MAB_1",
                "keys": {"MOD_CODE": "SOCS0066", "AYR_CODE": 2022, "PSL_CODE": "T1/2", "MAV_OCCUR": "A6U"},
            },
        ),
    )

    def prepare(self, fields: GetFields, call: Call) -> ApiRequest:
        return GetRequest(
            "GET",
            self.config.base_url,
            path_of(fields, self.config),
            hidden=tuple(self.config.auth.headers()),
            empty=fields.empty,
            hundredths=tuple(fields.hundredths),
        )

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, GetRequest)
        reply = await super().send(outgoing, call)
        rows = rows_of(reply, _process_of(outgoing))
        for row in rows:
            for column in outgoing.hundredths:
                if column not in row:
                    raise not_rows(
                        reply, _process_of(outgoing), f"there is no column {column}, which `hundredths` names"
                    )
                row[column] = divided(row[column])
        if not rows and outgoing.empty == "dead":
            raise PermanentError(
                f"the process {_process_of(outgoing)} knows no such record: its answer has no rows",
                status=reply.status,
                cause="stutalk no rows",
                received=dict(reply.received),
            )
        words = "no rows" if not rows else "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        return replace(reply, body=rows, summary=f"{reply.summary}: {words}")


class Stutalk(ApiConnector[StutalkConfig]):
    name = "stutalk"
    summary = "StuTalk, the web service of the student records system SITS:Vision: put fields and ask for rows."
    Config = StutalkConfig
    actions = (Put, Get)
    guide: ClassVar[Guide | None] = GUIDE
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "stutalk",
        "base_url": "https://sits.example.ac.uk/urd/sits.urd/run/SIW_RWS",
        "auth": {"basic": {"username": "STUTALK_RELAY", "password": "${STUTALK_PASSWORD}"}},
    }
    hold_on = HOLD_ON | {403}
    # Whether a put repeats is the connection's to say.
    puts_repeat = False

    def __init__(self, config: StutalkConfig, context: Context) -> None:
        super().__init__(config, context)
        self._headers = {"accept": "application/json", **config.auth.headers()}
        pairs = [value.rpartition(" ")[2] for value in config.auth.headers().values()]
        self.sorting = Sorting(self.retry_on, self.hold_on, Redactor([*secrets_in(config), *pairs]))

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return self._headers

    def judge(self, said: Said) -> DeliveryError | None:
        if 200 <= said.status < 300 and "html" in (said.header("content-type") or "").lower():
            words = "a page for people came back, as when nobody is signed in; check base_url and auth"
            return said.hold(words, "stutalk page")
        return None

    async def check(self, timeout: timedelta) -> Check:
        harmless = self.config.harmless
        if harmless is None:
            return await super().check(timeout)
        fields = {"process": harmless.process, "keys": harmless.keys, "slash": harmless.slash}
        call = Call("check", "check", timeout=timeout)
        reply = await self.send("get", self.outgoing("get", fields, call), call)
        return Check(f"the process {harmless.process} answered {reply.summary}")


def _process_of(outgoing: ApiRequest) -> str:
    return outgoing.path.split("/")[1]
