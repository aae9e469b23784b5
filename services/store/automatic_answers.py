"""Table of automatic answers: to whom a rule has answered when, so that it does not answer again.

The caller has locked the sequence of the installation (every stored text does), so that two nodes
do not answer at the same time.
"""

from sqlalchemy import Connection, delete, func, select

from services.store.database.schema import automatic_answers

KEPT_SECONDS = 31 * 86_400.0  # longer than the longest ``reply_once_hours``
MOST_AN_HOUR = 20  # to one person, by all rules: two robots that answer each other


def may_answer(
    tx: Connection, rule: str, number: str, peer: str, *, once_seconds: float, now: float
) -> bool:
    """Whether a rule may answer a person now; ``once_seconds`` after the last time it may again.

    ``number`` is ours; ``now`` is ``clock.now``.
    """
    theirs = automatic_answers.c.peer == peer
    recent = select(func.count()).where(theirs, automatic_answers.c.at > now - 3600.0)
    if int(tx.execute(recent).scalar_one()) >= MOST_AN_HOUR:
        return False
    same = (
        theirs,
        automatic_answers.c.number == number,
        automatic_answers.c.rule == rule,
        automatic_answers.c.at > now - once_seconds,
    )
    return tx.execute(select(automatic_answers.c.id).where(*same).limit(1)).first() is None


def note(tx: Connection, rule: str, number: str, peer: str, now: float) -> None:
    """Note that a rule answers a person now; forget what is older than matters."""
    tx.execute(delete(automatic_answers).where(automatic_answers.c.at < now - KEPT_SECONDS))
    tx.execute(automatic_answers.insert().values(rule=rule, number=number, peer=peer, at=now))
