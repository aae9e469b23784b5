"""``LD_PRELOAD`` libraries in C that fake the clock and record disk operations."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def build(name: str, folder: Path) -> Path:
    """Compile ``name``.c into a folder; returns the path of the library."""
    library = folder / f"{name}.so"
    source = HERE / f"{name}.c"
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source), "-ldl"], check=True)
    return library
