"""Logs: one JSON object a line, the message's id on every line that concerns one.

No secret is ever logged, and no message text unless ``APP_DEBUG`` asks for it.
"""

import logging
import sys

import structlog

from services.environment import Environment


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # urllib3 writes whole addresses, secrets included, at DEBUG.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
