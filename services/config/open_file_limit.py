"""Limit of open files (RLIMIT_NOFILE): raises it, and bounds the number of connections by it."""

import resource

MOST_CONNECTIONS = 2000  # that a web process accepts
MOST_OPEN_FILES = 65_536  # that we ask for; more are not needed
FILES_EACH = 2  # of a connection: its socket, and a file that it uploads or fetches
OTHER_FILES = 200  # database, log, pushes and calls of carriers that are under way
LEAST_CONNECTIONS = 16


def raise_limit() -> int:
    """Raise the limit of this process as far as it may; returns how many files it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def connections_for(open_files: int) -> int:
    """How many connections a process accepts at once that may open so many files.

    Further callers wait until one of them ends, so that no file is missing for those that are in.
    """
    fitting = (open_files - OTHER_FILES) // FILES_EACH
    return max(LEAST_CONNECTIONS, min(MOST_CONNECTIONS, fitting))
