"""One wide line a stage: `event.caught`, `event.routed`, `delivery.attempted`. Never a payload, never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from relay.jsontext import dumps


def set_up(log_format: str = "auto", *, process: str = "") -> None:
    """Lines go to standard error's neighbour, standard output: `text` for people, `json` for machines.

    What libraries log through `logging` (Dramatiq, uvicorn) becomes lines of the same shape, from warnings up.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stdout.isatty())
    processors: list[Any] = [_json_line]
    if not as_json:
        processors = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=20, pad_level=False),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = _ToStructlog(process)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Its own story of starting and stopping is told by ours.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _json_line(logger: Any, level: str, line: MutableMapping[str, Any]) -> str:
    """One function for what structlog has four processors for: every event has three lines."""
    if "exc_info" in line:
        line = structlog.processors.format_exc_info(logger, level, line)
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    # Cut before `+00:00`.
    return dumps({"timestamp": now[:-6] + "Z", "level": level, "event": line.pop("event"), **line}).decode()


class _Lines:
    """Whole lines in one write, so that the lines of several processes never mix."""

    def msg(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    debug = info = warning = error = critical = msg


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
    """To be asked for when the process has set its log up: what it gives keeps the settings that it finds."""
    return structlog.get_logger().bind()
