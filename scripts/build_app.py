"""Build the phone app: one script, one style sheet and the logo, by esbuild: ``make app``.

The files are committed, so that a server needs no Node.js. Their names have a digest of their
content: browsers keep them for ever.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from blueprints.phone.files import BUILT, ENTRY, LOGO, STATIC, STYLES, digest_of_sources

ROOT = Path(__file__).resolve().parent.parent
ESBUILD = ROOT / "node_modules/.bin/esbuild"
# What browsers are asked for stays as the sources have it: nothing is made for older ones.
OPTIONS = ("--bundle", "--minify", "--format=esm", "--target=esnext", "--charset=utf8")


def build(static: Path = STATIC) -> dict[str, bytes]:
    """The content of every built file by its name. Raises ``CalledProcessError``."""
    styles = "".join(f'@import "./{name}";\n' for name in STYLES)
    script = _esbuild(f'import "./{ENTRY}";\n', "js", static)
    style = _esbuild(styles, "css", static)
    logo = (static / LOGO).read_bytes()
    made = {_named(script, "js"): script, _named(style, "css"): style, _named(logo, "svg"): logo}
    names = dict(zip(("script", "style", "logo"), made, strict=True))
    head = {"sources": digest_of_sources(static), **names}
    return {**made, "built.json": (json.dumps(head, indent=1) + "\n").encode()}


def _esbuild(source: str, kind: str, static: Path) -> bytes:
    return subprocess.run(  # noqa: S603 - our own program and options
        [ESBUILD, *OPTIONS, f"--loader={kind}"],
        cwd=static,
        input=source.encode(),
        capture_output=True,
        check=True,
    ).stdout


def _named(content: bytes, kind: str) -> str:
    return f"app-{hashlib.sha256(content).hexdigest()[:12]}.{kind}"


def main() -> int:
    """Write the built files, and delete those of before."""
    try:
        made = build()
    except subprocess.CalledProcessError as error:
        print(error.stderr.decode(), file=sys.stderr)
        return 1
    BUILT.mkdir(exist_ok=True)
    for path in BUILT.iterdir():
        if path.name not in made:
            path.unlink()
    for name, content in made.items():
        (BUILT / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
