"""The chain of manifests from a keyframe over its clip to the deliveries: signed copies of each.

The store keeps masters unsigned, since their bytes are named by what made them; so they are signed
once for the deliveries of a shot, in the workspace, and only their manifests go into the files.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from catalogs.node import InputFile, Node, NodeOutput
from configs.base import Json
from configs.errors import StageFailed
from tasks.photo import open_photo
from tasks.provenance import MIMES, SOURCES, Notary, Parent, read_credentials
from tasks.stage import Studio

LAID_OVER = "framed for the platform, with what the campaign lays over it"


class Lineage:
    """What the deliveries of one shot were made from, with manifests."""

    def __init__(self, node: Node, studio: Studio, notary: Notary, workspace: Path) -> None:
        self.node, self.studio, self.notary, self.workspace = node, studio, notary, workspace
        picture = self._picture() if "image" in node.inputs else None
        self.parent = picture if "clip" not in node.inputs else self._clip(picture)

    def sign(self, path: Path, title: str) -> Path:
        """Return a signed copy of a finished file, once its manifest was read back.

        Raises:
            StageFailed: where it cannot be signed, or does not hold.
        """
        actions: list[dict[str, Json]] = [
            {"action": "c2pa.opened"},
            {"action": "c2pa.edited", "description": LAID_OVER},
            {"action": "c2pa.transcoded"},
        ]
        signed = path.with_stem(f"{path.stem}-signed")
        self.notary.sign(path, signed, title=title, actions=actions, parent=self.parent)
        path.unlink()
        found = read_credentials(signed)
        if found is None or found.state not in ("Valid", "Trusted") or found.failures:
            why = ", ".join(found.failures) if found else "no manifest"
            raise StageFailed(f"{title}: what was signed does not hold: {why}")
        return signed

    def _picture(self) -> Parent:
        """Return the picture: an own photo as it came, a keyframe with a manifest."""
        path = self.studio.path(self.node, "image")
        relationship = "inputTo" if "clip" in self.node.inputs else "parentOf"
        if isinstance(self.node.inputs["image"], InputFile):
            photo = self._photo(path)
            return Parent(photo, photo.name, relationship)
        signed = self._made("image", path, "keyframe", "trainedAlgorithmicMedia", None)
        return Parent(signed, signed.name, relationship)

    def _photo(self, path: Path) -> Path:
        """Return a copy under its right suffix; of a kind that C2PA does not read, as PNG."""
        with Image.open(path) as image:
            kind = "jpeg" if image.format == "MPO" else str(image.format).lower()
        photo = self.workspace / f"photo.{kind if f'.{kind}' in MIMES else 'png'}"
        if f".{kind}" in MIMES:
            shutil.copyfile(path, photo)
        else:
            open_photo(path).save(photo)
        return photo

    def _clip(self, picture: Parent | None) -> Parent:
        own = isinstance(self.node.inputs.get("image"), InputFile)
        source = "compositeWithTrainedAlgorithmicMedia" if own else "trainedAlgorithmicMedia"
        path = self.studio.path(self.node, "clip")
        signed = self._made("clip", path, "clip", source, picture)
        return Parent(signed, signed.name, "parentOf")

    def _made(self, port: str, path: Path, name: str, source: str, parent: Parent | None) -> Path:
        """Return a copy of a master, its manifest saying which model made it."""
        made = self.node.inputs[port]
        assert isinstance(made, NodeOutput)
        folder = self.workspace / f"{made.key}-{port}"
        folder.mkdir(exist_ok=True)
        record = self.studio.store.recall(made.key)
        model = str(record.notes.get("model", "keyreel"))
        action: dict[str, Json] = {
            "action": "c2pa.created",
            "when": record.started,  # here, not in XMP: unsigned files are the same bytes again
            "digitalSourceType": SOURCES + source,
            "softwareAgent": {"name": model},
        }
        signed = folder / f"{name}{path.suffix}"
        self.notary.sign(path, signed, title=signed.name, actions=[action], parent=parent)
        return signed
