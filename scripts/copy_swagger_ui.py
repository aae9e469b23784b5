"""Copy Swagger UI out of its npm package, with its licence and version: a part of ``make app``."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "node_modules/swagger-ui-dist"
SWAGGER_UI = ROOT / "blueprints/api/swagger_ui"
FILES = ("swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css")
TERMS = ("LICENSE", "NOTICE")


def main() -> None:
    """Write the files and the version."""
    SWAGGER_UI.mkdir(exist_ok=True)
    for name in (*FILES, *TERMS):
        shutil.copyfile(PACKAGE / name, SWAGGER_UI / name)
    version = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))["version"]
    (SWAGGER_UI / "VERSION").write_text(f"{version}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
