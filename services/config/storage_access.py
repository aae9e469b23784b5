"""Checking that the user that runs Textbridge, or a command of it, may use the storage folder."""

import os
import pwd
from pathlib import Path
from shlex import quote

from services.core.commands import flask_command
from services.core.errors import ConfigError, Problem


def refuse_root(storage: Path) -> None:
    """Refuse root in a storage folder of another user: that user could not use what root makes.

    Raises ``ConfigError``.
    """
    storage = storage.resolve()
    if os.geteuid() != 0 or not storage.exists() or storage.stat().st_uid == 0:
        return
    uid = storage.stat().st_uid
    reason = f"{storage} belongs to {_name(uid)}, who could not use the files that root makes."
    user = f"'#{uid}'" if _login(uid) is None else _login(uid)
    remedy = f"Run the command as that user: sudo -u {user} {flask_command('…')}"
    raise ConfigError([Problem("STORAGE_PATH", reason, remedy)])


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
        me = user_name()
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


def user_name() -> str:
    """The name of the user that runs this process."""
    return _name(os.geteuid())


def _name(uid: int) -> str:
    return _login(uid) or f"the user with id {uid}"


def _owner(uid: int) -> str:
    """The user as a command takes it: in a container it may have no name."""
    return _login(uid) or str(uid)


def _login(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
