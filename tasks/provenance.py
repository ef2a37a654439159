"""C2PA manifests (specification 2.2): signed into files without a network, and read back.

Knows nothing of nodes. Thumbnails are off: they are 60 to 550 KB a file. There is no time stamp
authority offline, so a signature counts as long as its certificate is valid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.base import Json
from configs.errors import BadFile, StageFailed

if TYPE_CHECKING:
    import c2pa

    from tasks.certificate import Signer

OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary, whose words C2PA and XMP share."""

MIMES = {
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".avif": "image/avif",
}
"""What C2PA signs and reads of what keyreel takes; BMP is not among them."""

Manifest = dict[str, Any]
"""One manifest, as C2PA's reader gives it in JSON."""

UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True, slots=True)
class Parent:
    """A file that another was made from."""

    path: Path
    """Its suffix is one of MIMES, and the right one."""
    title: str
    relationship: str
    """`parentOf`: this file, changed; `inputTo`: it was looked at."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file's manifest says, and whether it holds."""

    state: str
    """`Trusted`, `Valid` (whole, by a signer that is not known here) or `Invalid` (altered)."""
    signer: str
    """The organisation in the certificate: proven only where the state is `Trusted`."""
    generator: str
    titles: tuple[str, ...]
    """Of the file and of what it was made from, newest first."""
    actions: tuple[str, ...]
    """Of all of them: `clip.mp4: created by mini-clip (trainedAlgorithmicMedia)`."""
    failures: tuple[str, ...]
    """C2PA's codes of what does not hold; an unknown signer is not among them."""


class Notary:
    """Signs files with one certificate."""

    def __init__(self, signer: Signer, generator: tuple[str, str]) -> None:
        import c2pa

        name, version = generator
        self.generator = {"name": name, "version": version}
        settings = c2pa.Settings.from_dict(
            {"version": 1, "builder": {"thumbnail": {"enabled": False}}, "verify": OFFLINE}
        )
        told = c2pa.C2paSignerInfo(signer.algorithm, signer.chain, signer.key, None)
        self.context = c2pa.Context(settings, c2pa.Signer.from_info(told))

    def sign(
        self,
        source: Path,
        target: Path,
        *,
        title: str,
        actions: Sequence[Mapping[str, Json]],
        parent: Parent | None = None,
    ) -> None:
        """Write `source` with a manifest to `target`.

        Args:
            source: a finished file; any manifest of its own is replaced.
            target: of the same suffix.
            title: of the file, for people.
            actions: in order; the first one speaks of `parent`, where there is one.
            parent: its manifests come along, so that the lineage is whole.

        Raises:
            StageFailed: where it cannot be signed, in C2PA's words.
        """
        import c2pa

        told = [dict(action) for action in actions]
        if parent:
            told[0]["parameters"] = {"ingredientIds": ["parent"]}
        manifest = {
            "title": title,
            "claim_generator_info": [self.generator],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": told}}],
        }
        try:
            with c2pa.Builder(json.dumps(manifest), self.context) as builder:
                if parent:
                    _add(builder, parent)
                with source.open("rb") as file, target.open("wb+") as signed:
                    builder.sign(MIMES[target.suffix], file, signed)
        except c2pa.C2paError as error:
            raise StageFailed(f"{title}: C2PA refused to sign it: {error}") from None


def _add(builder: c2pa.Builder, parent: Parent) -> None:
    told = {"title": parent.title, "relationship": parent.relationship, "label": "parent"}
    with parent.path.open("rb") as file:
        builder.add_ingredient(json.dumps(told), MIMES[parent.path.suffix], file)


def read_credentials(path: Path, anchors: str = "") -> Credentials | None:
    """Return what the manifest of a file says; None where it has none.

    Args:
        path: any file; it may be hostile.
        anchors: PEM of the root certificates that are trusted.

    Raises:
        BadFile: where the file or its manifest is too broken to be read.
    """
    import c2pa

    trust = {"trust": {"user_anchors": anchors}} if anchors else {}
    context = c2pa.Context(c2pa.Settings.from_dict({"version": 1, "verify": OFFLINE, **trust}))
    mime = _mime(path)
    if mime is None:
        return None
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(mime, file, context=context)
        if reader is None:
            return None
        with reader:
            state, told = reader.get_validation_state(), json.loads(reader.json())
    except c2pa.C2paError as error:
        raise BadFile(f"{path.name}: broken, or its C2PA manifest is: {error}") from None
    return _credentials(str(state), told)


def _mime(path: Path) -> str | None:
    """Return what a file is by its first bytes: a stranger's suffix may say anything."""
    with path.open("rb") as file:
        head = file.read(12)
    begins = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"II*\0": ".tiff", b"MM\0*": ".tiff"}
    if head[4:8] == b"ftyp":
        return MIMES[".avif" if head[8:12] == b"avif" else ".mp4"]
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return MIMES[".webp"]
    return next((MIMES[kind] for begin, kind in begins.items() if head.startswith(begin)), None)


def _credentials(state: str, told: dict[str, Any]) -> Credentials:
    manifests = told.get("manifests", {})
    lineage = list(_lineage(manifests, told.get("active_manifest", "")))
    active = lineage[0] if lineage else {}
    failures = told.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    made_by = (active.get("claim_generator_info") or [{}])[0]
    return Credentials(
        state=state,
        signer=str(active.get("signature_info", {}).get("issuer", "")),
        generator=f"{made_by.get('name', '')} {made_by.get('version', '')}".strip(),
        titles=tuple(str(one.get("title", "")) for one in lineage),
        actions=tuple(said for one in lineage for said in _actions(one)),
        failures=tuple(one["code"] for one in failures if one["code"] != UNTRUSTED),
    )


def _lineage(manifests: dict[str, Manifest], label: str, depth: int = 0) -> Iterator[Manifest]:
    """Yield a manifest and those of its ingredients, as far as they are there."""
    if label not in manifests or depth > len(manifests):
        return
    yield manifests[label]
    for ingredient in manifests[label].get("ingredients", ()):
        found = ingredient.get("active_manifest", "")
        if found in manifests:
            yield from _lineage(manifests, found, depth + 1)
        else:
            yield {"title": ingredient.get("title", "")}


def _actions(manifest: Manifest) -> Iterator[str]:
    for assertion in manifest.get("assertions", ()):
        if assertion.get("label", "").startswith("c2pa.actions"):
            for action in assertion["data"].get("actions", ()):
                yield f"{manifest.get('title', '')}: {_said(action)}"


def _said(action: dict[str, Any]) -> str:
    words = str(action.get("action", "")).removeprefix("c2pa.")
    agent = action.get("softwareAgent") or {}
    name = agent.get("name", "") if isinstance(agent, dict) else str(agent)
    source = str(action.get("digitalSourceType", "")).rpartition("/")[2]
    described, when = str(action.get("description", "")), str(action.get("when", ""))
    parts = (
        words,
        name and f"by {name}",
        source and f"({source})",
        when and f"on {when}",
        described,
    )
    return " ".join(filter(None, parts))
