"""Make ``.env`` from ``.env.example`` with secrets of its own.

In an existing one only an ``APP_KEY`` that is missing or empty is filled in.
"""

import base64
import os
import re
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# A value that means "not set", with or without a comment
EMPTY_KEY = re.compile(
    rb"^(?P<name>[ \t]*(?:export[ \t]+)?APP_KEY[ \t]*=[ \t]*)"
    rb"(?:\"\"|''|null|\(null\)|empty|\(empty\)|\"null\")?(?P<rest>[ \t]*(?:[ \t]#[^\r\n]*)?\r?)$",
    re.MULTILINE | re.IGNORECASE,
)
ANY_KEY = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?APP_KEY(?P<file>_FILE)?[ \t]*=[ \t]*[^\s#\0]", re.MULTILINE
)
STORAGE = re.compile(rb"^[ \t]*STORAGE_PATH[ \t]*=[ \t]*[\"']?([^\r\n\"'#]+)", re.MULTILINE)


def main(target: "Path | None" = None, *settings: str) -> None:
    """Write ``.env``, readable by its owner only, or fill in its key.

    ``settings`` are further lines ``NAME=value`` of a new file.
    """
    target = target or HERE / ".env"
    if target.is_symlink() and not target.exists():
        sys.exit(f"{target} is a link to {target.readlink()}, which is not there. Remove the link.")
    if target.exists():
        fill_in_key(target)
        return
    made = {"APP_KEY": new_key(), "ADMIN_PASSWORD": secrets.token_urlsafe(12)}
    for setting in settings:
        name, _, value = setting.partition("=")
        made[name] = value
    text = (HERE / ".env.example").read_text(encoding="utf-8")
    for name, value in made.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        private = os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "w", encoding="utf-8") as file:
            file.write(text)
        new.rename(target)  # never half a file: it would be kept
    except OSError as error:
        if new.exists():
            new.unlink()
        sys.exit(
            f"{target} cannot be written: {error.strerror}. Run make as the owner of "
            f"{target.parent}, with free space on its disk (df -h)."
        )
    print(f"Wrote {target.name} with a new APP_KEY and ADMIN_PASSWORD.")


def fill_in_key(target: Path) -> None:
    """Give an existing ``.env`` a key if it has none; its owner and its mode stay.

    It is the key that was made in the storage folder while there was none in the file, if there is
    one: tokens in use are derived from it.
    """
    try:
        content = target.read_bytes()
        empty = list(EMPTY_KEY.finditer(content))
        blanked = EMPTY_KEY.sub(lambda found: bytes(len(found[0])), content)
        given = list(ANY_KEY.finditer(blanked))
        if b"\0" in content or any(found["file"] for found in given):
            return
        if given and (not empty or empty[-1].start() < given[-1].start()):
            return
        value = kept_key(content).encode()
        if empty:  # the last line counts
            found = empty[-1]
            filled = content[: found.start()] + found["name"] + value + found["rest"]
            filled += content[found.end() :]
        else:
            gap = b"" if content.endswith(b"\n") or not content else b"\n"
            filled = content + gap + b"APP_KEY=" + value + b"\n"
        with target.open("r+b") as file:
            file.write(filled)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        sys.exit(f"APP_KEY cannot be written into {target}: {error.strerror}. Run as its owner.")
    print(
        "Wrote an APP_KEY into .env, where it was empty. If another one was in use, put that back: "
        "the webhooks' addresses are made from it."
    )


def kept_key(content: bytes) -> str:
    """The key in the storage folder that a file names, or a new one."""
    found = STORAGE.search(content)
    storage = HERE / os.fsdecode(found[1].strip() if found else b"storage")
    try:
        return "base64:" + (storage / "app.key").read_text().strip()
    except FileNotFoundError:
        return new_key()


def new_key() -> str:
    """A key of 32 random bytes, as Laravel writes it."""
    return "base64:" + base64.b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None, *sys.argv[2:])
