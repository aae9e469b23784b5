"""What stands between Textbridge and the C library in some checks; compiled for each run."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def build(name: str, folder: Path) -> Path:
    """Compile ``name``.c into a folder; returns the library for ``LD_PRELOAD``."""
    library = folder / f"{name}.so"
    source = HERE / f"{name}.c"
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source), "-ldl"], check=True)
    return library
