"""Logs: one JSON object a line, the message's id on every line that concerns one.

No secret and no message text is ever logged.
"""

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO, cast

import structlog

from services.config.environment import Environment


class JsonFormatter(logging.Formatter):
    """What the libraries log, in the same form as our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class LossyStream:
    """Where our lines go. A line that cannot be written is lost, and nothing else fails for it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write it, unless the disk is full or the reader is gone."""
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """As ``write``."""
        with suppress(OSError):
            self._file.flush()


def handler() -> logging.Handler:
    """Where the libraries log: standard error, as text on a terminal and JSON elsewhere."""
    to_stderr = logging.StreamHandler()
    if not sys.stderr.isatty():
        to_stderr.setFormatter(JsonFormatter())
    return to_stderr


def configure(environment: Environment) -> None:
    """Log from ``LOG_LEVEL`` on to standard error; readable lines on a terminal, JSON elsewhere."""
    service = environment.service
    level = logging.DEBUG if service.app_debug else logging.getLevelName(service.log_level)
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[handler()], level=logging.WARNING)
