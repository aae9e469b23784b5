"""Checking that the storage folder belongs to the user that runs Textbridge."""

import os
import pwd
from pathlib import Path
from shlex import quote

from services.core.errors import ConfigError, Problem


def require_writable(storage: Path) -> None:
    """Refuse a storage folder, or a file in it, that belongs to another user and is closed to us.

    A folder that is missing is judged by the one in which it will be made. Raises ``ConfigError``.
    """
    storage = storage.resolve()
    folder = next(each for each in (storage, *storage.parents) if each.exists())
    inside = [*folder.glob("*"), *folder.glob("run/*")] if folder == storage else []
    for path in (folder, *inside):
        if not _is_closed(path):
            continue
        me = _name(os.geteuid())
        reason = f"{me} cannot write to {path}, which belongs to {_name(path.stat().st_uid)}."
        owner, place = _owner(os.geteuid()), quote(str(storage))
        remedy = f"Run: sudo chown -R {owner}: {place}"
        if folder != storage:
            remedy = f"Run: sudo install -d -o {owner} -m 700 {place}"
        raise ConfigError([Problem("STORAGE_PATH", reason, remedy)])


def _is_closed(path: Path) -> bool:
    try:
        is_read_only = os.statvfs(path).f_flag & os.ST_RDONLY  # which no owner could change
        others = path.stat().st_uid != os.geteuid()
    except OSError:  # removed in the meantime
        return False
    return others and not is_read_only and not os.access(path, os.W_OK, effective_ids=True)


def _name(uid: int) -> str:
    owner = _owner(uid)
    return f"the user with id {owner}" if owner.isdigit() else owner


def _owner(uid: int) -> str:
    """The user as a command takes it: in a container it may have no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
