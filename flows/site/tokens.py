"""Who may come in: tokens, of which only hashes are kept, and what their roles may do.

viewer      looks, searches, compares, downloads
reviewer    also approves, rejects, tries changes and packs zips
admin       also starts and cancels runs
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from configs.errors import BadInput
from configs.wording import unknown
from flows.site.ledger import Ledger

Role = Literal["viewer", "reviewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may all that those before it may

FORM = re.compile(r"keyreel_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
"""The word at the front lets scanners for leaked secrets know one; 43 letters are 256 bits."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without its secret."""

    id: str
    role: Role
    name: str
    created: str = ""

    def may(self, role: Role) -> bool:
        """Say whether this role includes `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def issue(ledger: Ledger, role: str, name: str) -> str:
    """Return a new token in full; it is never shown again.

    Raises:
        BadInput: where there is no such role.
    """
    if role not in ROLES:
        raise BadInput(unknown("role", role, ROLES))
    identity, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    with ledger.writing() as connection:
        row = (identity, _digest(secret), role, name, created)
        connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", row)
    return f"keyreel_{identity}_{secret}"


def check(ledger: Ledger, given: str) -> Token | None:
    """Return the token that `given` is, if it is one."""
    parts = FORM.fullmatch(given.strip())
    if parts is None:
        return None
    rows = ledger.rows("SELECT * FROM tokens WHERE id = :id", {"id": parts[1]})
    kept = bytes(rows[0]["digest"]) if rows else b""
    # A drawn secret of 256 bits needs no slow hash: nobody guesses it from its digest.
    if not hmac.compare_digest(kept, _digest(parts[2])):
        return None
    return find(ledger, parts[1])


def find(ledger: Ledger, identity: str) -> Token | None:
    """Return the token of this id, where it was not revoked."""
    return next((token for token in every(ledger) if token.id == identity), None)


def every(ledger: Ledger) -> list[Token]:
    """Return all tokens that hold, oldest first."""
    rows = ledger.rows(
        "SELECT id, role, name, created FROM tokens WHERE digest <> x'' ORDER BY created, id"
    )
    return [Token(row["id"], row["role"], row["name"], row["created"]) for row in rows]


def revoke(ledger: Ledger, identity: str) -> None:
    """Take a token back: whoever came in with it is out at their next request.

    Its row stays, without the digest: a door that once was locked is not open to all again.

    Raises:
        BadInput: where there is none of this id.
    """
    with ledger.writing() as connection:
        gone = connection.execute(
            "UPDATE tokens SET digest = x'' WHERE id = ? AND digest <> x''", (identity,)
        ).rowcount
    if not gone:
        raise BadInput(unknown("token", identity, [token.id for token in every(ledger)]))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
