"""`keyreel verify`: what made a file, whether it was altered since, and which delivery it once was.

Works for a stranger without a home, by what is in the file; in a home the catalog is asked as well,
which knows a delivery by its bytes, and by its looks once its metadata is gone. Decides nothing
that a file merely says of itself: words in metadata are shown as claims.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from catalogs.catalog import Catalog
from catalogs.hashes import regular, sha256
from catalogs.migrations import sql
from catalogs.store import Store
from configs.base import Json
from configs.errors import BadFile, BadInput
from configs.home import Home
from flows.keys import FOLDER
from gpu.mark.mark import prefix_of
from gpu.mark.mark import read as reading
from tasks import embed, fingerprint, xmp
from tasks.photo import open_photo
from tasks.provenance import Credentials, read_credentials

Verdict = Literal["whole", "altered", "copy", "unknown"]
KnownBy = Literal["bytes", "mark", "looks"]

CLAIMS = {
    "Iptc4xmpExt:DigitalSourceType": "source",
    "Iptc4xmpExt:AISystemUsed": "models",
    "xmp:CreatorTool": "made by",
    "dc:creator": "company",
    "dc:rights": "rights",
    "Iptc4xmpExt:AIPromptInformation": "prompt",
}
LONGEST = 300
"""Characters of a claim that are shown: a stranger's metadata may be megabytes."""


@dataclass(frozen=True, slots=True)
class Original:
    """A delivery in this home's catalog."""

    node: str
    port: str
    shot: str
    delivery: str
    made: str
    known_by: KnownBy
    """Its very bytes, the invisible mark of a still, or its looks."""
    bits: float
    """By its looks: mean bits of 64 by which its frames differ from the file's."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found of one file."""

    file: str
    sha256: str
    verdict: Verdict
    why: str
    """The verdict in a sentence."""
    claims: Mapping[str, str]
    """What the file's metadata says of it; anybody can write that."""
    credentials: Credentials | None
    original: Original | None

    def as_json(self) -> dict[str, Json]:
        """Return it for programs."""
        told: dict[str, Json] = json.loads(json.dumps(asdict(self)))
        return told


def verify(path: Path, home: Home | None, anchors: str = "") -> Report:
    """Return what can be told of a file.

    Args:
        path: any file; it may be hostile.
        home: whose catalog is asked and whose own root certificate is trusted.
        anchors: PEM of more root certificates to trust.

    Raises:
        BadFile: where it is no file, or its manifest is broken.
    """
    regular(path)
    own = home.root / FOLDER / "root.pem" if home else None
    trusted = anchors + (own.read_text(encoding="utf-8") if own and own.is_file() else "")
    digest, credentials = sha256(path), read_credentials(path, trusted)
    original = _original(path, digest, home) if home else None
    verdict, why = _judge(credentials, original)
    return Report(
        file=plain(path.name),
        sha256=digest,
        verdict=verdict,
        why=why,
        claims=claims(path),
        credentials=credentials,
        original=original,
    )


def _judge(credentials: Credentials | None, original: Original | None) -> tuple[Verdict, str]:
    """Return the verdict: first count bytes that the catalog knows, then signatures, then looks."""
    if original and original.known_by == "bytes":
        return "whole", "the very bytes that keyreel made"
    if credentials and credentials.state == "Invalid":
        return "altered", f"changed since it was signed: {', '.join(credentials.failures)}"
    if credentials:
        known = credentials.state == "Trusted"
        by = plain(credentials.signer) or "somebody"
        doubt = (
            "" if known else ", whose certificate is not known here: anybody can write that name"
        )
        return "whole", f"unchanged since it was signed by {by}{doubt}"
    if original:
        way = {"mark": "bears the invisible mark of", "looks": "looks like"}[original.known_by]
        return "copy", f"{way} a delivery of this home, and lacks its signature: a changed copy"
    return "unknown", "no signature, and nothing in a catalog here looks like it"


def claims(path: Path) -> dict[str, str]:
    """Return what the metadata of a file says of it, in words for people."""
    said = xmp.properties(embed.read_packet(path))
    found = {word: said[name] for name, word in CLAIMS.items() if said.get(name)}
    label = said.get("TC260:AIGC") or (
        embed.read_keys(path).get("AIGC") if fingerprint.is_clip(path) else ""
    )
    found |= _label(label or "")
    return {word: plain(value) for word, value in found.items()}


def _label(text: str) -> dict[str, str]:
    """Return what China's label says; one that is not JSON is shown as it is."""
    try:
        said = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return {"AIGC": text}
    states = {"1": "generated by AI", "2": "possibly by AI", "3": "suspected to be by AI"}
    found = {
        "AIGC": states.get(str(said.get("Label")), str(said.get("Label", ""))),
        "producer": str(said.get("ContentProducer", "")),
        "produce id": str(said.get("ProduceID", "")),
    }
    return {word: value for word, value in found.items() if value}


def plain(text: str) -> str:
    """Return a stranger's text without what could steer a terminal, and not too long."""
    shown = "".join(letter if letter.isprintable() else "�" for letter in text[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _original(path: Path, digest: str, home: Home) -> Original | None:
    """Return the delivery that a file is, or looks most like."""
    catalog = Catalog(home.catalog, Store(home.store))
    made = "SELECT node, port, shot, delivery, CAST(started AS VARCHAR) FROM v_assets"
    _, rows = catalog.query(f"{made} WHERE sha256 = $1 ORDER BY started LIMIT 1", [digest])
    if rows:
        return _told(rows[0], "bytes")
    if marked := _marked(path):
        _, rows = catalog.query(sql("marked"), [marked])
        if rows:
            return _told(rows[0], "mark")
    looks, clip = _looks(path), fingerprint.is_clip(path)
    asked: list[Json] = [looks, fingerprint.LIKE, clip]
    _, near = catalog.query(sql("nearest"), asked) if looks else ([], [])
    for node, port, _, mean in near[:1]:
        _, rows = catalog.query(f"{made} WHERE node = $1 AND port = $2", [str(node), str(port)])
        return _told(rows[0], "looks", float(str(mean)))
    return None


def _told(row: tuple[object, ...], known_by: KnownBy, bits: float = 0.0) -> Original:
    node, port, shot, delivery, made = map(str, row)
    return Original(node, port, shot, delivery, made, known_by, bits)


def _marked(path: Path) -> str:
    """Return the beginning of the node's key that the invisible mark of a still holds."""
    try:
        read = reading(np.asarray(open_photo(path)))
    except BadInput:  # no picture, or too small a one to have a mark
        return ""
    return prefix_of(read.payload) if read else ""


def _looks(path: Path) -> list[Json]:
    """Return the fingerprints of a file; none where it is neither picture nor clip."""
    try:
        clip = fingerprint.is_clip(path)
        return list(fingerprint.of_clip(path) if clip else fingerprint.of_still(path))
    except BadFile:
        return []
