"""Digest authentication of SIP requests (RFC 7616, RFC 8760): MD5 and SHA-256."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from services.core.errors import Kind, PushError
from services.push.sip.grammar import QUOTED, WORD, Unreadable, quote, split, unquote
from services.push.sip.sip_message import Response

HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}  # the strongest first
HEADERS = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
_PAIR = re.compile(rf"[ \t]*({WORD})[ \t]*=[ \t]*({QUOTED}|{WORD})[ \t]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a server that this module can answer."""

    realm: str
    nonce: str
    algorithm: str
    opaque: str | None
    with_qop: bool
    stale: bool
    names_algorithm: bool


class Credentials:
    """Name and password, and how often each nonce was used."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._uses: dict[str, int] = {}

    def answer(self, challenge: Challenge, method: str, uri: str) -> str:
        """The value of the header that answers a challenge."""
        name, realm, nonce = self._username, challenge.realm, challenge.nonce
        count = self._uses.pop(nonce, 0) + 1
        self._uses = dict([*self._uses.items(), (nonce, count)][-100:])
        secret = _hash(challenge, f"{name}:{realm}:{self._password}")
        request = _hash(challenge, f"{method}:{uri}")
        fields = [
            f"username={quote(name)}",
            f"realm={quote(realm)}",
            f"nonce={quote(nonce)}",
            f"uri={quote(uri)}",
        ]
        if challenge.with_qop:
            client, used = secrets.token_hex(8), f"{count:08x}"
            proof = _hash(challenge, f"{secret}:{nonce}:{used}:{client}:auth:{request}")
            fields += ["qop=auth", f"nc={used}", f"cnonce={quote(client)}"]
        else:
            proof = _hash(challenge, f"{secret}:{nonce}:{request}")
        fields.append(f"response={quote(proof)}")
        if challenge.names_algorithm:
            fields.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            fields.append(f"opaque={quote(challenge.opaque)}")
        return "Digest " + ", ".join(fields)


def strongest(response: Response) -> Challenge:
    """The strongest challenge of a 401 or 407 that we can answer.

    Raises ``PushError`` if there is none.
    """
    refused: list[str] = []
    challenges = list(_challenges(response.headers.all(HEADERS[response.status][0]), refused))
    for algorithm in HASHES:
        for challenge in challenges:
            if challenge.algorithm == algorithm:
                return challenge
    offered = ", ".join(sorted(set(refused))) or "nothing"
    reason = (
        f"The PBX offers {offered} to sign in by. Let it offer Digest with MD5 or SHA-256, and no "
        "qop or qop auth."
    )
    raise PushError(reason, Kind.CONFIG, code=str(response.status))


def _challenges(values: Iterable[str], refused: list[str]) -> Iterable[Challenge]:
    """Every challenge that can be answered; ``refused`` gets the kinds of the others."""
    for value in values:
        scheme, _, rest = value.strip(" \t").partition(" ")
        try:
            fields = _fields(rest)
        except Unreadable:
            refused.append("something unreadable")
            continue
        algorithm = fields.get("algorithm", "MD5").upper()
        options = [
            each.strip().lower() for each in fields.get("qop", "").split(",") if each.strip()
        ]
        known = algorithm in HASHES and (not options or "auth" in options)
        if (
            scheme.lower() != "digest"
            or not known
            or not fields.get("nonce")
            or "realm" not in fields
        ):
            kind = " ".join(
                [scheme[:20], algorithm[:20], *(f"qop {each[:20]}" for each in options)]
            )
            refused.append(kind if kind.isprintable() else "something unreadable")
            continue
        yield Challenge(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=algorithm,
            opaque=fields.get("opaque"),
            with_qop=bool(options),
            stale=fields.get("stale", "").lower() == "true",
            names_algorithm="algorithm" in fields,
        )


def _fields(text: str) -> dict[str, str]:
    """The parameters of a challenge. Raises ``Unreadable``."""
    fields: dict[str, str] = {}
    for part in split(text, ","):
        found = _PAIR.fullmatch(part)
        if not found:
            raise Unreadable("A challenge is not valid.")
        value = found[2]
        fields[found[1].lower()] = unquote(value) if value.startswith('"') else value
    return fields


def _hash(challenge: Challenge, text: str) -> str:
    return HASHES[challenge.algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()
