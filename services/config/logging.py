"""Logging: one JSON object per line on standard error, readable lines on a terminal.

A line about a message has the message's id. Secrets and message texts are never logged.
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
    """Formats the log records of libraries like our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON object."""
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
    """A stream that drops lines which cannot be written, so that nothing else fails."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write a text; ignore a full disk or a closed pipe."""
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Flush; ignore the same errors as ``write``."""
        with suppress(OSError):
            self._file.flush()


def handler() -> logging.Handler:
    """The handler for libraries: standard error, text on a terminal and JSON elsewhere."""
    to_stderr = logging.StreamHandler()
    if not sys.stderr.isatty():
        to_stderr.setFormatter(JsonFormatter())
    return to_stderr


def configure(environment: Environment) -> None:
    """Configure logging to standard error at ``LOG_LEVEL``; text on a terminal, else JSON."""
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
