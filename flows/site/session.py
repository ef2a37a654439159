"""Whose request it is: a bearer token, or the signed cookie that a login left in the browser.

The cookie holds a session's random name and a token's id: a revoked token ends its sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection

from configs.home import Home
from flows.site import tokens
from flows.site.ledger import Ledger
from flows.site.tokens import Token

HOURS = 12
LOOPBACK = {"127.0.0.1", "::1"}
LOCAL_NAMES = {"127.0.0.1", "[::1]", "localhost"}
OWNER = Token("owner", "admin", "")
"""Whoever sits at this machine, as long as no token was ever made."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a request."""

    token: Token | None
    """None before a login."""
    session: str
    """Empty for a program that came with a bearer token: no browser sends that by itself."""
    csrf: str
    """What a form must bring back."""
    cookie: str = ""
    """To be set, where this begins a session."""


class Sessions:
    """Reads and writes the cookie.

    Args:
        home: whose root names the cookie: two sites on one machine keep out of each other's way.
        ledger: holds the tokens and the key that signs.
    """

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self.ledger, self.key = ledger, ledger.key("sessions")
        self.name = f"keyreel-{hashlib.sha256(str(home.root).encode()).hexdigest()[:8]}"
        self.signer = URLSafeTimedSerializer(
            self.key, salt="session", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def visitor(self, connection: HTTPConnection) -> Visitor:
        """Return whose request this is."""
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return Visitor(tokens.check(self.ledger, given), "", "")
        session, identity = self._read(connection.cookies.get(self.name, ""))
        token = self._token(connection, identity)
        if session:
            return Visitor(token, session, self._csrf(session))
        return self.begin(token)

    def begin(self, token: Token | None) -> Visitor:
        """Return a visitor with a new session: a login never goes on with the one before it."""
        session = secrets.token_urlsafe(16)
        cookie = self.signer.dumps([session, token.id if token else ""])
        return Visitor(token, session, self._csrf(session), str(cookie))

    def header(self, visitor: Visitor, *, secure: bool) -> str:
        """Return the Set-Cookie header that begins a visitor's session."""
        parts = [f"{self.name}={visitor.cookie}", "Path=/", f"Max-Age={HOURS * 3600}"]
        parts += ["HttpOnly", "SameSite=Strict", *(["Secure"] if secure else [])]
        return "; ".join(parts)

    def open_house(self) -> bool:
        """Say whether no token was ever made: only the browser of this machine may come in."""
        return not self.ledger.rows("SELECT 1 FROM tokens LIMIT 1")

    def _read(self, cookie: str) -> tuple[str, str]:
        try:
            session, identity = self.signer.loads(cookie, max_age=HOURS * 3600)
        except (BadData, ValueError, TypeError):
            return "", ""
        return str(session), str(identity)

    def _token(self, connection: HTTPConnection, identity: str) -> Token | None:
        if self.open_house():
            return OWNER if from_here(connection) else None
        return tokens.find(self.ledger, identity) if identity else None

    def _csrf(self, session: str) -> str:
        return hmac.new(self.key, f"csrf {session}".encode(), hashlib.sha256).hexdigest()


def from_here(connection: HTTPConnection) -> bool:
    """Say whether a request comes from this machine, and meant it by name.

    A page elsewhere whose name was made to lead to 127.0.0.1 still sends its own name as Host.
    """
    client = connection.client.host if connection.client else ""
    host = connection.headers.get("host", "").lower()
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return client in LOOPBACK and name in LOCAL_NAMES
