"""Compiles the load generator and the receiver in C, where there is a compiler."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("native.c")


@cache
def program() -> Path | None:
    """The compiled program; ``None`` without a compiler. Then the same in Python is used."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    made = Path(tempfile.mkdtemp(prefix="textbridge-bench-native-")) / "native"
    subprocess.run([compiler, "-O2", "-o", str(made), str(SOURCE)], check=True)
    return made


def remove() -> None:
    """Remove what was compiled."""
    made = program() if program.cache_info().currsize else None
    if made is not None:
        shutil.rmtree(made.parent)
