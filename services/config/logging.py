"""Logging: one JSON object per line on standard error, readable lines on a terminal.

A line is one write, also those of libraries and of gunicorn: all processes share standard error.
A line about a message has the message's id. Secrets and message texts are never logged.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import UnsupportedOperation
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


class LineStream:
    """Writes each line to a file in one piece, and drops lines that cannot be written.

    Several processes share standard error: a line that is written in two parts would mix with
    theirs.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        try:
            self._descriptor = file.fileno()
        except UnsupportedOperation:  # a file in memory
            self._descriptor = -1

    def write(self, text: str) -> None:
        """Write a line with its end; ignore a full disk or a closed pipe."""
        with suppress(OSError):
            if self._descriptor < 0:
                self._file.write(text)
                return
            rest = text.encode(errors="backslashreplace")
            while rest:  # a full disk or pipe takes a part
                rest = rest[os.write(self._descriptor, rest) :]

    def flush(self) -> None:
        """Nothing to do: nothing is buffered."""


def handler() -> logging.Handler:
    """The handler for libraries: standard error, text on a terminal and JSON elsewhere."""
    to_stderr = logging.StreamHandler(LineStream(sys.stderr))
    if not sys.stderr.isatty():
        to_stderr.setFormatter(JsonFormatter())
    return to_stderr


def configure(environment: Environment, *, in_command: bool = False) -> None:
    """Configure logging to standard error at ``LOG_LEVEL``; text on a terminal, else JSON.

    With ``in_command`` a terminal shows faults only: a command tells its user the rest itself.
    """
    service = environment.service
    level = logging.DEBUG if service.app_debug else logging.getLevelName(service.log_level)
    terminal = sys.stderr.isatty()
    if in_command and terminal and not service.app_debug:
        level = max(level, logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", LineStream(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[handler()], level=logging.WARNING)
