"""Restarts of the machine: after one, the sequence goes on above all numbers that were given out.

On SQLite a power failure may undo the last commits, which waited for no fsync, and with them the
numbers that apps have seen already. Without a gap they would miss what gets these numbers next.
"""

from pathlib import Path

from sqlalchemy import Connection

from services.store import counters, messages

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # see random(4); another one after each boot
BOOT = "boot"  # the counter with the last boot, as a number
GAP = 50_000  # far more than the commits of some seconds give out


def note_boot(tx: Connection) -> None:
    """Leave a gap in the sequence, and have apps load everything anew, after another boot.

    Does nothing on a system that does not tell its boot, and in a database that has none noted yet.
    """
    try:
        current = int(BOOT_ID.read_text("ascii").replace("-", "")[:15], 16)
    except (OSError, ValueError):
        return
    noted = counters.value(tx, BOOT)
    if noted == current:
        return
    counters.put(tx, BOOT, current)
    if noted is not None:
        counters.put(tx, counters.RESET, messages.next_seqs(tx, GAP)[-1])
