"""A shot from its keyframe to its signed delivery, each step made for real and kept in a store."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from catalogs.node import Address, Input, InputFile, Node, NodeOutput
from catalogs.record import Record
from configs.campaign import Brand
from flows.keys import Keys, new_keys
from tasks import export, sign
from tasks.stage import Draft, Made, Photo
from tests.export_data import SOURCE, Desk, clip, delivery, make_cell, scene

SHOT = "rouge-01/2026-03-02"
COMPANY = "露米埃化妆品有限公司"
CODE = "001191110102MACQD9K64018705"
"""A real one: its credit code's check digit holds."""
PROMPT = "口红放在大理石台面上, soft light"


@dataclass
class House:
    """A home with a brand, its keys, and a store."""

    root: Path
    signing: bool = True
    brand: Mapping[str, object] = field(default_factory=dict)
    desk: Desk = field(init=False)
    keys: Keys | None = None

    def __post_init__(self) -> None:
        self.desk = Desk(self.root)
        if self.signing:
            now = dt.datetime.now(dt.UTC)
            self.keys = new_keys(self.desk.studio.home, COMPANY, years=1, now=now)

    def cell(self, target, pictures, settings=None):
        files = {}
        told = {"producer": {"name": COMPANY, "code": CODE}, "rights": "© 2026 Lumière"}
        if self.keys:
            paths = [
                str(path.relative_to(self.root)) for path in (self.keys.certificate, self.keys.key)
            ]
            told["signing"] = dict(zip(("certificate", "key"), paths, strict=True))
            digest = hashlib.sha256(self.keys.certificate.read_bytes()).hexdigest()
            files["certificate"] = InputFile(digest, paths[0])
        made = make_cell(target, pictures, settings, files=files, name="douyin")
        brand = Brand.model_validate({"name": "Lumière", **told, **self.brand})
        return replace(made, campaign=made.campaign.model_copy(update={"brand": brand}))

    def keep(self, node: Node, make) -> Record:
        """Let `make` write the node's drafts into a workspace, and commit them."""
        store = self.desk.studio.store
        with store.workspace() as workspace:
            made = make(workspace)
            drafts, facts = (made.drafts, made.facts) if isinstance(made, Made) else (made, {})
            return store.commit(
                node,
                drafts,
                run="r1",
                started="2026-03-02T01:02:03+00:00",
                seconds=1.0,
                facts=facts,
                paths={p: s.path for p, s in node.inputs.items() if isinstance(s, InputFile)},
            )

    def keyframe(self) -> Input:
        node = Node(
            Address("keyframe", SHOT, "portrait"), "keyframe", 1, {"prompt": PROMPT},
            notes={"model": "mini-picture"},
        )  # fmt: skip

        def make(workspace):
            scene(SOURCE).save(workspace / "k.png")
            return {"image": Draft(workspace / "k.png", "image", "image/png", *SOURCE)}

        self.keep(node, make)
        return NodeOutput(node.key, "image")

    def photo(self, name: str = "mug.jpg") -> Input:
        scene(SOURCE).save(self.root / name)
        return InputFile(hashlib.sha256((self.root / name).read_bytes()).hexdigest(), name)

    def clip(self, image: Input, frames: int = 9) -> Input:
        node = Node(
            Address("animate", SHOT, "portrait"), "animate", 1, {"motion": "static"},
            {"image": image}, notes={"model": "mini-clip"},
        )  # fmt: skip

        def make(workspace):
            path = clip(workspace / "c.mp4", SOURCE, frames=frames)
            return {"clip": Draft(path, "clip", "video/mp4", *SOURCE, frames, 8, frames / 8)}

        self.keep(node, make)
        return NodeOutput(node.key, "clip")

    def signed(self, kind="clip", *, own=False, settings=None, image=None, **row) -> Signed:
        """Make a shot of this kind up to its sign node, and keep it all."""
        row = {"kind": kind, "format": "mp4" if kind == "clip" else "jpeg"} | row
        target = delivery(*row.pop("size", SOURCE), **row)
        image = image or (self.photo() if own else self.keyframe())
        pictures = {"image": Photo(*SOURCE, own=own)}
        origin: dict[str, Input] = {"image": image}
        if kind == "clip":
            origin["clip"] = self.clip(image)
            pictures["clip"] = Photo(*SOURCE, fps=8, frames=9)
        port = "clip" if kind == "clip" else "image"
        exported = self.node(
            export.STAGE, target, {port: origin[port]}, {port: pictures[port]}, settings
        )
        record = self.keep(exported, lambda workspace: self.run(export.STAGE, exported, workspace))
        outputs = {port: NodeOutput(exported.key, port) for port in record.outputs}
        gives = export.decide(self.cell(target, {port: pictures[port]}, settings)).gives
        node = self.node(sign.STAGE, target, outputs | origin, {**gives, **pictures}, settings)
        signed = self.keep(node, lambda workspace: self.run(sign.STAGE, node, workspace))
        return Signed(self, node, record, signed)

    def node(self, stage, target, inputs, pictures, settings) -> Node:
        decision = stage.decide(self.cell(target, pictures, settings))
        return Node(
            Address(stage.id, SHOT, target.aspect, "douyin"), stage.id, stage.version,
            decision.params, {**inputs, **decision.files}, notes=decision.notes,
        )  # fmt: skip

    def run(self, stage, node: Node, workspace: Path) -> Made:
        (made,) = stage.run([node], self.desk.studio, workspace)
        return made


@dataclass
class Signed:
    """One delivery: its sign node, what was exported and what became of it."""

    house: House
    node: Node
    exported: Record
    record: Record

    def path(self, port="delivery", *, record=None) -> Path:
        """Return the file under its own suffix."""
        asset = (record or self.record).outputs[port]
        return self.house.desk.studio.store.asset_path(asset)

    def before(self, port="delivery") -> Path:
        return self.path(port, record=self.exported)


def exiftool(path: Path) -> dict[str, str]:
    """Return what Debian's exiftool reads, as `Group:Tag`."""
    import json

    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt-get install libimage-exiftool-perl")
    words = ["exiftool", "-json", "-G1", "-a", str(path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=50).stdout
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in json.loads(said)[0].items()
    }


def mediainfo(path: Path) -> dict[str, str]:
    """Return what Debian's mediainfo says of the file as a whole."""
    if shutil.which("mediainfo") is None:
        pytest.skip("mediainfo is not installed: apt-get install mediainfo")
    said = subprocess.run(
        ["mediainfo", str(path)], capture_output=True, text=True, check=True
    ).stdout
    lines = (line.partition(" : ") for line in said.split("\n\n")[0].splitlines())
    return {name.strip(): value for name, found, value in lines if found}
