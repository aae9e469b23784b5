"""WSGI entry point: reads ``.env`` and builds the application.

The only reader of the environment.
"""

# ruff: noqa: E402 - the sockets are patched before anything else can open one
from gevent import monkey

monkey.patch_all()

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from dotenv import dotenv_values, find_dotenv
from flask import Flask

from services.config import env_file as env_files
from services.core.errors import ConfigError, Problem, SettingsError, StorageUnwell

HERE = Path(__file__).parent
CHECK_DATABASE = (
    "Check that the database runs, and DATABASE_URL in .env; without one, that the disk of "
    "STORAGE_PATH has free space."
)
PRIVATE_UMASK = 0o077  # the server, the worker and every command write files for their user alone
os.umask(PRIVATE_UMASK)
_kept: dict[str, str] = {}


def _initial_names() -> set[str]:
    """The variables that this process was started with; empty where the system does not tell."""
    try:
        given = Path("/proc/self/environ").read_bytes()
    except OSError:
        return set()
    return {os.fsdecode(entry.partition(b"=")[0]) for entry in given.split(b"\0")}


def _forget_what_flask_loaded() -> None:
    """Undo what the ``flask`` command does before it imports this: it loads the folder's ``.env``.

    That file may belong to another installation than ``ENV_FILE``, and is read by Flask in another
    way. In an environment made by ``make install`` Flask does not load it (scripts/make_venv.py).
    """
    skip = os.environ.get("FLASK_SKIP_DOTENV", "").lower() not in ("", "0", "false", "no")
    if skip or "FLASK_RUN_FROM_CLI" not in os.environ:
        return
    given = _initial_names()
    for name in (".flaskenv", ".env"):
        found = find_dotenv(name, usecwd=True)
        for loaded, value in (dotenv_values(found) if found else {}).items():
            if loaded not in given and os.environ.get(loaded) == value:
                del os.environ[loaded]


def _refuse_flask_env_file() -> None:
    """End the ``flask`` command if it was given a file of variables of its own.

    Flask mixes that file with what is here: a command would act on a part of either installation.
    """
    context = click.get_current_context(silent=True)
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    if context is not None and context.find_root().get_parameter_source("env_file") in given:
        sys.exit(
            "--env-file (-e, FLASK_ENV_FILE) would mix that file with .env. Name it in ENV_FILE "
            "instead: ENV_FILE=/path/to/file flask …"
        )


_refuse_flask_env_file()
_forget_what_flask_loaded()


def env_file() -> str:
    """The path of ``.env``: beside this file, or ``ENV_FILE``; empty where no file is wanted."""
    return os.environ.get("ENV_FILE", str(HERE / ".env"))


def environment() -> dict[str, str]:
    """The variables of ``.env`` beside this file (or of ``ENV_FILE``), overridden by real ones.

    Read anew at every call, so that a reload picks up what was changed. Raises ``ConfigError`` if
    ``ENV_FILE`` names no file, and for every line of the file that is not understood.
    """
    file = env_file()
    if file and "ENV_FILE" in os.environ and not Path(file).is_file():
        remedy = "Set it to the path of your .env, or to nothing to do without one."
        raise ConfigError([Problem("ENV_FILE", f"there is no file {file}.", remedy)])
    from_file = env_files.read(Path(file), os.environ) if file and Path(file).exists() else {}
    about = {"ENV_FILE": file, "ENV_READ_AT": str(time.time())}
    return {**from_file, **os.environ, **about}


def set_metrics_folder(folder: Path) -> None:
    """Set the folder in which the processes of a server share their metrics.

    prometheus_client reads this from the environment, when it is first imported.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def keep_environment(env: Mapping[str, str]) -> None:
    """Store the variables with which the processes of a server start, even if ``.env`` changes."""
    _kept.clear()
    _kept.update(env)


def kept_environment() -> Mapping[str, str]:
    """The variables of ``keep_environment``; empty before."""
    return _kept


def _refused(error: ConfigError) -> dict[str, Any]:
    """What ``flask config check --json`` prints where the configuration cannot be loaded.

    The command itself cannot run then. The fields are those of its document.
    """
    return {
        "ok": False,
        "problems": [asdict(problem) for problem in error.problems],
        "warnings": [],
        "carriers": [],
        "channels": [],
        "off": {},
        "variables": {},
    }


@cache
def _application() -> Flask:
    # Not before ``set_metrics_folder`` was called: it imports prometheus_client.
    from app import create_app, create_help, create_setup  # noqa: PLC0415 - see above

    env: Mapping[str, str] = _kept
    try:
        env = env or environment()
        app = create_app(env)
    except ConfigError as error:
        if env and "setup" in (sys.argv[1:2] + sys.argv[3:4]):  # also after ``--app wsgi``
            return create_setup(env)
        if sys.argv[-1] == "--help":
            return create_help()
        if {"config", "check", "--json"} <= set(sys.argv):
            print(json.dumps(_refused(error), indent=2, ensure_ascii=False))
        sys.exit(str(error))
    except SettingsError as error:
        sys.exit(str(error))
    except StorageUnwell as error:
        sys.exit(f"{error}\n{CHECK_DATABASE}")
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}."
        sys.exit(f"Textbridge cannot start. {reason} Check STORAGE_PATH in .env.")
    return app


def __getattr__(name: str) -> Any:
    """``app`` is built when a process first asks for it: never in a server's parent process."""
    if name == "app":
        return _application()
    raise AttributeError(name)
