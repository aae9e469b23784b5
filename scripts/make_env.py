"""Make ``.env`` from ``.env.example`` with secrets of its own; an existing one is left alone."""

import base64
import os
import re
import secrets
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write ``.env``, readable by its owner only."""
    target = HERE / ".env"
    if target.exists():
        return
    made = {
        "APP_KEY": "base64:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "ADMIN_PASSWORD": secrets.token_urlsafe(12),
    }
    text = (HERE / ".env.example").read_text(encoding="utf-8")
    for name, value in made.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    private = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "w", encoding="utf-8") as file:
        file.write(text)
    print("Wrote .env with a new APP_KEY and ADMIN_PASSWORD.")


if __name__ == "__main__":
    main()
