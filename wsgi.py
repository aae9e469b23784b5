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

from services.core.errors import ConfigError, Problem, SettingsError, StorageUnwell

HERE = Path(__file__).parent
CHECK_DATABASE = (
    "Check that the database runs, and DATABASE_URL in .env; without one, that the disk of "
    "STORAGE_PATH has room."
)
PRIVATE_UMASK = 0o077  # the server, the worker and every command write files for their user alone
os.umask(PRIVATE_UMASK)
_kept: dict[str, str] = {}


def env_file() -> str:
    """The path of ``.env``: beside this file, or ``ENV_FILE``; empty where there is to be none."""
    return os.environ.get("ENV_FILE", str(HERE / ".env"))


def environment() -> dict[str, str]:
    """The variables of ``.env`` beside this file (or of ``ENV_FILE``), overruled by real ones.

    Read anew at every call, so that a reload picks up what was changed. Raises ``ConfigError`` if
    ``ENV_FILE`` leads nowhere.
    """
    file = env_file()
    if file and "ENV_FILE" in os.environ and not Path(file).is_file():
        remedy = "Set it to the path of your .env, or to nothing to do without one."
        raise ConfigError([Problem("ENV_FILE", f"there is no file {file}.", remedy)])
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
    except (ConfigError, SettingsError) as error:
        sys.exit(str(error))
    except StorageUnwell as error:
        sys.exit(f"{error}\n{CHECK_DATABASE}")
    except OSError as error:
        told = f"{error.filename}: {error.strerror}."
        sys.exit(f"Textbridge cannot start. {told} Check STORAGE_PATH in .env.")
    return app


def __getattr__(name: str) -> Any:
    """``app`` is built when a process first asks for it: never in a server's parent process."""
    if name == "app":
        return _application()
    raise AttributeError(name)
