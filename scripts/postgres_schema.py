"""Puts a copy of PostgreSQL's database in place of what is there, which is kept in another schema.

    postgres_schema.py check DUMP          whether the database answers and the programs can do it
    postgres_schema.py wait                until no delivery worker is at work
    postgres_schema.py replace NAME DUMP   what is there goes into the schema NAME, then the dump
    postgres_schema.py take-back NAME      the contents of the schema NAME are in their place again

For the downgrade: an older version refuses a database that a newer one has brought up to date. The
address is that of the variable ``DATABASE_URL``; tables and functions are moved that its user owns.
The server must be stopped on every node. ``take-back`` without the schema NAME does nothing.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from services.store.maintenance.postgres_programs import ProgramFailed, restore, run

SILENT_SECONDS = 20  # a worker that is silent for so long has ended
WAIT_SECONDS = 60
BEGIN = "BEGIN; SET LOCAL lock_timeout = '10s';"
# Sequences of columns and indexes go with their tables; what belongs to an extension stays.
MOVE = """
DO $$ DECLARE one text; BEGIN
  FOR one IN
    SELECT format('ALTER %s %I.%I SET SCHEMA %I', CASE c.relkind WHEN 'v' THEN 'VIEW'
      WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      {source}, c.relname, {target})
    FROM pg_class c WHERE c.relnamespace = to_regnamespace({source}) AND c.relkind IN
      ('r', 'p', 'v', 'm', 'S') AND pg_get_userbyid(c.relowner) = current_user AND NOT EXISTS
      (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype IN ('a', 'i', 'e'))
    UNION ALL
    SELECT format('ALTER FUNCTION %s SET SCHEMA %I', p.oid::regprocedure, {target})
    FROM pg_proc p WHERE p.pronamespace = to_regnamespace({source})
      AND pg_get_userbyid(p.proowner) = current_user AND NOT EXISTS
      (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        AND d.deptype = 'e')
  LOOP EXECUTE one; END LOOP;
END $$;
"""


def main() -> None:
    """Run one of them; exit code 1 with the reason if it fails."""
    address = os.environ["DATABASE_URL"]
    actions: dict[str, Callable[..., None]] = {
        "check": check,
        "wait": wait,
        "replace": replace,
        "take-back": take_back,
    }
    try:
        actions[sys.argv[1]](address, *sys.argv[2:])
    except ProgramFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")


def check(address: str, dump: str) -> None:
    """Ask for what ``replace`` needs, and change nothing. Raises ``ProgramFailed``."""
    query(address, "SELECT 1")
    run("pg_restore", "--list", dump, address=address)


def replace(address: str, name: str, dump: str) -> None:
    """Move what is there into the schema ``name``, and restore a dump in its place."""
    schema = query(address, "SELECT current_schema()")
    query(address, f"{BEGIN} CREATE SCHEMA {name}; {moved(schema, name)} COMMIT;")
    restore(address, Path(dump))
    # They ended when the older version was stopped, though the copy may be some seconds old.
    query(address, "DELETE FROM workers")


def take_back(address: str, name: str) -> None:
    """Undo ``replace``. What it has restored is in the dump, too, and is dropped."""
    if not query(address, f"SELECT to_regnamespace({text(name)})"):
        return
    schema = query(address, "SELECT current_schema()")
    undone = f"{name}_undone"
    query(
        address,
        f"{BEGIN} CREATE SCHEMA {undone}; {moved(schema, undone)} {moved(name, schema)} "
        f"DROP SCHEMA {name}; DROP SCHEMA {undone} CASCADE; COMMIT;",
    )


def wait(address: str) -> None:
    """Wait until no delivery worker is at work. Raises ``ProgramFailed``."""
    silent = f"SELECT coalesce(extract(epoch FROM now()) - max(seen_at) > {SILENT_SECONDS}, true)"
    end = time.monotonic() + WAIT_SECONDS
    while query(address, f"{silent} FROM workers") != "t":
        if time.monotonic() > end:
            raise ProgramFailed(
                "A delivery worker is at work on the database. Stop every node that uses it."
            )
        time.sleep(1.0)


def query(address: str, statement: str) -> str:
    """Run SQL, in words of this script only; returns its result as text."""
    quiet = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
    return run("psql", *quiet, address=address, words=statement).strip()


def moved(source: str, target: str) -> str:
    """SQL that moves what is in a schema into another one."""
    return MOVE.format(source=text(source), target=text(target))


def text(name: str) -> str:
    """A name as a text of SQL."""
    return "'" + name.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
