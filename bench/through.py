"""One side of `connectors`, a process of its own: the same events by the bare library, or by the connector alone.

`--config FILE` is the connection as relay.yaml has it, in JSON. Prints one line of JSON: `cpu_s` is what this process
spent from the first event to the last answer, on all its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import gspread
import httpx
import orjson
import uvloop
from gspread.http_client import HTTPClient
from httpx_aiohttp import HttpxAiohttpClient
from standardwebhooks.webhooks import Webhook

from bench.transcript import event_id
from bench.workspace import picked
from relay.connector import Call, Context, connector_class

#: Rows that travel in one call, and calls at once where each event is one.
ROWS = 100
POSTERS = 32

KINDS = ("http", "webhook", "google_sheets", "sftp")
COLUMNS = ("id", "name", "email", "closed")
TAB = "Chats"
_SCOPE = "https://www.googleapis.com/auth/spreadsheets"


def step(kind: str, number: int = 0) -> dict[str, Any]:
    """`do` and `with` of the recipe's step, as far as they are the same for each event."""
    match kind:
        case "http":
            return {"with": {"path": "/chats"}}
        case "webhook":
            return {"with": {}}
        case "google_sheets":
            return {"do": "append_row", "with": {"sheet": TAB}}
        case _:
            return {"do": "csv", "with": {"path": f"chats_{number}.csv"}}


def events(number: int, series: str) -> list[dict[str, str]]:
    """What the recipe makes of the transcripts."""
    return [picked(event_id(series, each).decode()) for each in range(number)]


def batches(number: int, series: str) -> list[list[dict[str, str]]]:
    every = events(number, series)
    return [every[start : start + ROWS] for start in range(0, number, ROWS)]


async def all_of(work: Callable[[Any], Awaitable[None]], items: list[Any]) -> None:
    """Every item, by so many at once as a lane would."""
    left: Iterator[Any] = iter(items)

    async def one() -> None:
        for item in left:
            await work(item)

    async with asyncio.timeout(600):
        await asyncio.gather(*(one() for _ in range(min(POSTERS, len(items)))))


# -- by the bare library


async def bare(kind: str, config: dict[str, Any], number: int, series: str) -> float:
    match kind:
        case "http" | "webhook":
            return await _posted(kind, config, number, series)
        case "google_sheets":
            return await asyncio.to_thread(_appended, config, number, series)
        case _:
            return await _dropped(config, number, series)


async def _posted(kind: str, config: dict[str, Any], number: int, series: str) -> float:
    secret = Webhook(config["secrets"][0]) if kind == "webhook" else None
    limits = httpx.Limits(max_connections=POSTERS)
    async with HttpxAiohttpClient(limits=limits, timeout=60) as client:

        async def post(event: dict[str, str]) -> None:
            headers = {"content-type": "application/json"}
            if secret is None:
                url, content = f"{config['base_url']}/chats", orjson.dumps(event)
            else:
                now = datetime.now(UTC)
                url = config["url"]
                content = orjson.dumps(event)
                headers |= {
                    "webhook-id": event["id"],
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": secret.sign(event["id"], now, content.decode()),
                }
            (await client.post(url, content=content, headers=headers)).raise_for_status()

        every = events(number, series)
        began = time.process_time()
        await all_of(post, every)
        return time.process_time() - began


class _Elsewhere(HTTPClient):
    """gspread has Google's address as a constant."""

    base = ""

    def request(self, method: str, endpoint: str, *args: Any, **more: Any) -> Any:
        return super().request(method, endpoint.replace("https://sheets.googleapis.com", self.base), *args, **more)


def _appended(config: dict[str, Any], number: int, series: str) -> float:
    _Elsewhere.base = config["base_url"]
    account = orjson.loads(config["service_account"])
    client = gspread.service_account_from_dict(account, [_SCOPE], http_client=_Elsewhere)
    calls = batches(number, series)
    parameters: dict[str, Any] = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
    began = time.process_time()
    for rows in calls:
        # What its `append_rows` does, when it has learnt the spreadsheet's tabs.
        body = {"values": [list(row.values()) for row in rows]}
        client.http_client.values_append(config["spreadsheet"], f"'{TAB}'!A1", parameters, body)
    return time.process_time() - began


async def _dropped(config: dict[str, Any], number: int, series: str) -> float:
    known = asyncssh.import_known_hosts(f"[{config['host']}]:{config['port']} {config['host_key']}\n")
    key = asyncssh.import_private_key(config["private_key"])
    where = (config["host"], config["port"])
    calls = batches(number, series)
    began = time.process_time()
    async with (
        asyncssh.connect(*where, username=config["username"], client_keys=[key], known_hosts=known) as connection,
        connection.start_sftp_client() as sftp,
    ):
        for each, rows in enumerate(calls):
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
            data, name = text.getvalue().encode(), f"{series}_{each}.csv"
            async with sftp.open(f"{name}.part", "wb") as file:
                await file.write(data)
                await file.fsync()
            if (await sftp.stat(f"{name}.part")).size != len(data):
                raise OSError(f"{name} arrived with another size")
            await sftp.rename(f"{name}.part", name)
        return time.process_time() - began


# -- by the connector, without the relay around it


async def alone(kind: str, config: dict[str, Any], number: int, series: str) -> float:
    connector = connector_class(kind)
    made = connector(connector.Config.model_validate(config), Context(data_dir=Path("unused")))
    action = connector.action_class(step(kind).get("do"))

    async def send(item: tuple[int, Any]) -> None:
        at, rows = item
        call = Call(f"dlv_{series}{at}", f"dlv_{series}{at}", moment=datetime.now(UTC))
        common = step(kind, at)["with"]
        if kind in ("http", "webhook"):
            fields = {**common, "json": rows}
        else:
            fields = action.merged([{**common, "row": row} for row in rows])
        await made.send(action.name, made.outgoing(action.name, fields, call), call)

    items = list(enumerate(events(number, series) if kind in ("http", "webhook") else batches(number, series)))
    began = time.process_time()
    try:
        if kind in ("http", "webhook"):
            await all_of(send, items)
        else:
            for item in items:
                await send(item)
        return time.process_time() - began
    finally:
        await made.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.through", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("side", choices=("bare", "alone"))
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--series", default="t")
    words = parser.parse_args()
    config = orjson.loads(words.config.read_bytes())
    side = bare if words.side == "bare" else alone
    print(orjson.dumps({"cpu_s": uvloop.run(side(words.kind, config, words.events, words.series))}).decode())


if __name__ == "__main__":
    main()
