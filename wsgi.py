"""The entry: reads ``.env`` and builds the application. The only reader of the environment."""

# ruff: noqa: E402 - the sockets are patched before anything else can open one
from gevent import monkey

monkey.patch_all()

import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from flask import Flask

from services.errors import ConfigError, SettingsError, StorageUnwell

HERE = Path(__file__).parent
_kept: dict[str, str] = {}


def env_file() -> str:
    """The path of ``.env``: beside this file, or ``ENV_FILE``; empty where there is to be none."""
    return os.environ.get("ENV_FILE", str(HERE / ".env"))


def environment() -> dict[str, str]:
    """The variables of ``.env`` beside this file (or of ``ENV_FILE``), overruled by real ones.

    Read anew at every call, so that a reload picks up what was changed.
    """
    file = env_file()
    written = dotenv_values(file) if file else {}
    about = {"ENV_FILE": file, "ENV_READ_AT": str(time.time())}
    return {**{name: value or "" for name, value in written.items()}, **os.environ, **about}


def count_in(folder: Path) -> None:
    """Say where the processes of a server put what they count.

    prometheus_client reads this from the environment, when it is first imported.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def keep(env: Mapping[str, str]) -> None:
    """Let the processes of a server start with this, whatever becomes of ``.env`` meanwhile."""
    _kept.clear()
    _kept.update(env)


def kept() -> Mapping[str, str]:
    """What ``keep`` was given; empty before."""
    return _kept


@cache
def _application() -> Flask:
    from app import create_app  # not before ``count_in`` was called: it imports prometheus_client

    try:
        app = create_app(_kept or environment())
    except (ConfigError, SettingsError, StorageUnwell) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Textbridge cannot start. {error.filename}: {error.strerror}.")
    return app


def __getattr__(name: str) -> Any:
    """``app`` is built when a process first asks for it: never in a server's parent process."""
    if name == "app":
        return _application()
    raise AttributeError(name)
