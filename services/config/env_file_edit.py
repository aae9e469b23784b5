"""Changing single variables in the text of ``.env``: every other line stays as it is."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream  # noqa: TID251 - parses what wsgi.py has read

from services.config import env_file
from services.core.errors import ConfigError, Problem

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,*-]+", re.ASCII)
_HEAD = re.compile(r"\s*(?:export[^\S\r\n]+)?[A-Za-z_][A-Za-z0-9_.]*[^\S\r\n]*=", re.ASCII)
_COMMENT = re.compile(r"[^\S\r\n]*(#[^\r\n]*)")
EARLIER = ".before-setup"  # ending of the copy of the file as it was


def edited(content: str, values: Mapping[str, str]) -> str:
    r"""The text of a file with these values; a variable that is not in it is added at the end.

    >>> edited("A=1\n# B\nB=  # none yet\n", {"B": "it's 2", "C": "3"})
    'A=1\n# B\nB="it\'s 2" # none yet\nC=3\n'
    """
    pieces = [(one.key, one.original.string) for one in parse_stream(io.StringIO(content, None))]
    last = {name: position for position, (name, _) in enumerate(pieces) if name in values}
    texts = [
        _with_value(text, values[name]) if name is not None and last.get(name) == position else text
        for position, (name, text) in enumerate(pieces)
    ]
    end = "\r\n" if "\r\n" in content else "\n"
    added = [f"{name}={quoted(value)}{end}" for name, value in values.items() if name not in last]
    before = "".join(texts)
    gap = end if added and before and not before.endswith(("\n", "\r")) else ""
    return before + gap + "".join(added)


def quoted(value: str) -> str:
    r"""A value as it is written in the file, so that Laravel reads it in the same way.

    >>> quoted("a$b"), quoted("it's $5"), quoted("")
    ("'a$b'", '"it\'s \\$5"', '')
    """
    if not value or _PLAIN.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def write(path: Path, values: Mapping[str, str]) -> Path:
    """Change variables of a file, durably and at once; returns the copy of the file as it was.

    Owner, group and mode stay. Raises ``ConfigError``; then the file is as it was.
    """
    target = path.resolve()
    try:
        old = target.read_bytes()
        new = edited(old.decode("utf-8-sig"), values).encode()
        _require_values(target, new, values)
        earlier = target.with_name(target.name + EARLIER)
        _replace(earlier, old, like=target)
        _replace(target, new, like=target)
    except OSError as error:
        reason = f"cannot be written ({error.strerror}), and is as it was."
        remedy = f"Run this as the owner of {target.parent}, with free space on its disk."
        raise ConfigError([Problem(str(path), reason, remedy)]) from None
    return earlier


def _with_value(text: str, value: str) -> str:
    """A line with another value; a comment stays where the value was empty."""
    head = _HEAD.match(text)
    start = head[0] if head else text
    rest = text[len(start) :]
    comment = _COMMENT.match(rest)
    end = re.search(r"[\r\n]*\Z", rest)
    tail = f" {comment[1]}" if comment else ""
    return start.rstrip() + quoted(value) + tail + (end[0] if end else "")


def _require_values(path: Path, content: bytes, values: Mapping[str, str]) -> None:
    entries, problems = env_file.parse(content, path)
    if problems:
        raise ConfigError(problems)
    known = {entry.name: env_file.value_of(entry, {}) for entry in entries}
    for name, value in values.items():
        if known.get(name) != value:
            reason = "has characters that cannot be written into the file."
            raise ConfigError([Problem(name, reason, "Write it into the file yourself.")])


def _replace(path: Path, content: bytes, like: Path) -> None:
    status = like.stat()
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        private = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "wb") as file:
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, status.st_uid, status.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(status.st_mode & 0o777)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
