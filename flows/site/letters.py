"""Webhooks: letters to the addresses that an admin gave on the command line, signed, tried again.

The manner is Standard Webhooks 1.0 (https://www.standardwebhooks.com): three headers, and
HMAC-SHA256 over `id.timestamp.body`. A letter is a row until it has arrived or grown too old.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import secrets
import sqlite3
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from configs.base import Json
from configs.errors import BadInput
from flows.site.ledger import Ledger

log = logging.getLogger(__name__)

WAITS = (5, 30, 120, 600, 3600, 6 * 3600)
"""Seconds before each further try; after the last a letter is given up: about 7 hours."""
TIMEOUT = 10.0
LOOK_SECONDS = 1.0


def add_hook(ledger: Ledger, url: str) -> str:
    """Keep an address that letters go to; return the secret that signs them, shown only now.

    Raises:
        BadInput: where it is no http(s) address, or names a person's password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise BadInput(f"{url!r}: must be https://HOST/PATH, or http:// inside your network")
    secret = secrets.token_bytes(32)
    with ledger.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO hooks VALUES (?, ?)", (url, secret))
    return f"whsec_{base64.b64encode(secret).decode()}"


def hooks(ledger: Ledger) -> list[str]:
    """Return the addresses that letters go to."""
    return [row["url"] for row in ledger.rows("SELECT url FROM hooks ORDER BY url")]


def remove_hook(ledger: Ledger, url: str) -> None:
    """Send nothing more to an address.

    Raises:
        BadInput: where it is not one of them.
    """
    with ledger.writing() as connection:
        gone = connection.execute("DELETE FROM hooks WHERE url = ?", (url,)).rowcount
        connection.execute("DELETE FROM letters WHERE url = ?", (url,))
    if not gone:
        raise BadInput(f"{url!r}: no letters go there; `keyreel webhook list` shows where they do")


def post(connection: sqlite3.Connection, kind: str, moment: str, data: Mapping[str, Json]) -> None:
    """Write a letter to every address, in the caller's transaction."""
    body = json.dumps({"type": kind, "timestamp": moment, "data": data}, ensure_ascii=False)
    for (url,) in connection.execute("SELECT url FROM hooks").fetchall():
        row = (f"msg_{secrets.token_hex(12)}", url, body, time.time())
        connection.execute("INSERT INTO letters (id, url, body, due) VALUES (?, ?, ?, ?)", row)


def signature(secret: bytes, name: str, moment: int, body: str) -> str:
    """Return what a receiver compares to know that a letter is ours."""
    said = f"{name}.{moment}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest()).decode()}"


async def deliver(ledger: Ledger, waits: tuple[float, ...] = WAITS) -> None:
    """Send letters as they come due, until cancelled."""
    async with httpx.AsyncClient(follow_redirects=False, timeout=TIMEOUT) as client:
        while True:
            due = ledger.rows(
                "SELECT letters.*, secret FROM letters JOIN hooks USING (url)"
                " WHERE due <= :now ORDER BY due LIMIT 20",
                {"now": time.time()},
            )
            await asyncio.gather(*(_send(client, ledger, letter, waits) for letter in due))
            await asyncio.sleep(LOOK_SECONDS)


async def _send(
    client: httpx.AsyncClient, ledger: Ledger, letter: sqlite3.Row, waits: tuple[float, ...]
) -> None:
    moment = int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "keyreel",
        "webhook-id": letter["id"],
        "webhook-timestamp": str(moment),
        "webhook-signature": signature(
            bytes(letter["secret"]), letter["id"], moment, letter["body"]
        ),
    }
    try:
        answer = await client.post(letter["url"], content=letter["body"].encode(), headers=headers)
        arrived, why = answer.is_success, f"answered {answer.status_code}"
    except httpx.HTTPError as error:
        arrived, why = False, f"{type(error).__name__}: {error}"
    with ledger.writing() as connection:
        if arrived or letter["tries"] >= len(waits):
            connection.execute("DELETE FROM letters WHERE id = ?", (letter["id"],))
        else:
            wait = waits[letter["tries"]] * random.uniform(0.8, 1.2)
            connection.execute(
                "UPDATE letters SET tries = tries + 1, due = ? WHERE id = ?",
                (time.time() + wait, letter["id"]),
            )
    if not arrived:
        log.warning("letter %s to %s: %s", letter["id"], urlsplit(letter["url"]).hostname, why)
