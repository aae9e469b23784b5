"""Table of automatic answers: to whom a rule has answered when, so that it does not answer again.

The caller has locked the sequence of the installation (every stored text does), so that two nodes
do not answer at the same time.
"""

from sqlalchemy import Connection, delete, func, select

from services.store.database.schema import automatic_answers

KEPT_SECONDS = 31 * 86_400.0  # longer than the longest ``reply_once_hours``
MOST_AN_HOUR = 20  # to one person, by all rules: two robots that answer each other


def last_hour(tx: Connection, peer: str, now: float) -> int:
    """How many answers a person got within the last hour, by all rules; see ``MOST_AN_HOUR``."""
    since = automatic_answers.c.at > now - 3600.0
    recent = select(func.count()).where(automatic_answers.c.peer == peer, since)
    return int(tx.execute(recent).scalar_one())


def has_answered(tx: Connection, rule: str, number: str, peer: str, since: float) -> bool:
    """Whether a rule has answered a person by a number of ours after ``since``."""
    same = (
        automatic_answers.c.peer == peer,
        automatic_answers.c.number == number,
        automatic_answers.c.rule == rule,
        automatic_answers.c.at > since,
    )
    return tx.execute(select(automatic_answers.c.id).where(*same).limit(1)).first() is not None


def note(tx: Connection, rule: str, number: str, peer: str, now: float) -> None:
    """Note that a rule answers a person now; forget what is older than matters."""
    tx.execute(delete(automatic_answers).where(automatic_answers.c.at < now - KEPT_SECONDS))
    tx.execute(automatic_answers.insert().values(rule=rule, number=number, peer=peer, at=now))
