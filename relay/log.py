"""One wide line a stage: `event.caught`, `event.routed`, `delivery.attempted`. Never a payload, never a secret."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from relay.jsontext import dumps


def set_up(log_format: str = "auto", *, process: str = "") -> None:
    """Lines go to standard error's neighbour, standard output: `text` for people, `json` for machines.

    What libraries log through `logging` (Dramatiq, uvicorn) becomes lines of the same shape, from warnings up.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stdout.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
        structlog.processors.format_exc_info,
    ]
    if as_json:
        renderer: Any = structlog.processors.JSONRenderer(serializer=_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=20, pad_level=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(_LineStream()),  # type: ignore[arg-type]  # only write and flush are used
        cache_logger_on_first_use=True,
    )
    handler = _ToStructlog(process)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Its own story of starting and stopping is told by ours.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _json(line: Any, **_: Any) -> str:
    first = {key: line.pop(key) for key in ("timestamp", "level", "event") if key in line}
    return dumps(first | line).decode()


class _LineStream:
    """Whole lines in one write, so that the lines of several processes never mix."""

    def write(self, text: str) -> None:
        if text != "\n":
            sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def flush(self) -> None:
        sys.stdout.flush()


class _ToStructlog(logging.Handler):
    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        extra = {"logger": record.name, "process": self.process} if self.process else {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            extra["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
        logger.log(max(record.levelno, logging.INFO), record.getMessage(), **extra)


def get() -> Any:
    return structlog.get_logger()
