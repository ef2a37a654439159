"""The sign stage: what machines read in a finished file, written last; pixels and sound stay.

First metadata (XMP, and `AIGC` where China looks for it), then a C2PA manifest over all of it, with
the keyframe and the clip as what it was made from; then it is read back. Signatures hold a nonce,
so these files are not the same bytes twice; their content keys are.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from PIL import Image

from catalogs.node import Node, NodeOutput
from catalogs.record import Record
from configs.base import Declaration, Json
from configs.errors import BadPlan, Rejected
from configs.labels import Waiver
from tasks import embed, fingerprint, xmp
from tasks.lineage import Lineage
from tasks.probe import probe
from tasks.provenance import SOURCES, Notary
from tasks.stage import Cell, Decision, Draft, Made, Stage, Studio

FIELDS = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator",
          "PropagateID", "ReservedCode2")  # fmt: skip
"""Of `AIGC` (GB 45438-2025, appendix E); the last three are the platform's to fill."""


class SignedFile(Declaration):
    """What decides what is written into one finished file; a sign node's params."""

    source: str
    """IPTC's word for how it came to be; empty where no model had a hand in it."""
    producer: str
    """Name or code of the company."""
    creator: str
    brand: str
    rights: str
    prompt: bool
    edit_list: bool
    max_bytes: int | None
    unlabelled: Waiver | None
    """Who decided that no words on the picture say that a model made it."""


def decide(cell: Cell) -> Decision | None:
    """Return what decides the metadata and the signature; None where nothing was exported.

    Raises:
        BadPlan: where neither the clip nor the picture is wired in, or the brand's name cannot
            stand in a file.
    """
    delivery, brand = cell.delivery, cell.campaign.brand
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    if "delivery" not in cell.pictures:
        return None
    if not brand.name.isprintable():
        raise BadPlan(f"brand.name: {brand.name!r} has characters that metadata cannot hold")
    producer = brand.producer
    file = SignedFile(
        source=_source(cell),
        producer=(producer.code or producer.name) if producer else brand.name,
        creator=producer.name if producer else brand.name,
        brand=brand.name,
        rights=brand.rights,
        prompt=cell.settings.sign.prompt,
        edit_list=delivery.edit_list,
        max_bytes=delivery.max_bytes,
        unlabelled=cell.settings.label.off,
    )
    gives = {port: cell.pictures[port] for port in ("delivery", "cover") if port in cell.pictures}
    signing = {"certificate": cell.files["certificate"]} if "certificate" in cell.files else {}
    notes: dict[str, Json] = {"key": brand.signing.key} if brand.signing else {}
    return Decision(file.model_dump(mode="json"), files=signing, notes=notes, gives=gives)


def _source(cell: Cell) -> str:
    """Return IPTC's word for what models did."""
    picture, clip = cell.pictures.get("image"), cell.pictures.get("clip")
    if picture is None and clip is None:
        raise BadPlan(f"{cell.shot}: sign takes image, clip or both: what the file was made from")
    if picture is not None and picture.own:
        return "compositeWithTrainedAlgorithmicMedia" if clip else ""
    return "trainedAlgorithmicMedia"


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Write, sign and read back each node's files.

    Raises:
        StageFailed: where a file cannot be signed, or is larger than the platform takes.
        BadFile: where the certificate is no longer fit.
        Interrupted: where the run was cancelled.
    """
    lineages: dict[tuple[str, ...], Lineage] = {}
    for node in nodes:
        studio.heed("sign")
        started = time.perf_counter()
        lineage = None
        if "certificate" in node.inputs:
            made_from = tuple("".join(node.inputs[port].identity()) for port in _origins(node))
            if made_from not in lineages:
                lineages[made_from] = Lineage(node, studio, _notary(node, studio), workspace)
            lineage = lineages[made_from]
        drafts, facts = _finish(node, studio, workspace, lineage)
        yield Made(node, drafts, time.perf_counter() - started, facts)


def _origins(node: Node) -> list[str]:
    return [port for port in ("image", "clip", "certificate") if port in node.inputs]


def _notary(node: Node, studio: Studio) -> Notary:
    from tasks.certificate import read_signer  # brings cryptography, 0.1 s: few plans sign

    key = studio.home.inside(str(node.notes["key"]))
    certificate = studio.path(node, "certificate")
    signer = read_signer(certificate, key, dt.datetime.now(dt.UTC))
    return Notary(signer, ("keyreel", version("keyreel")))


def _finish(
    node: Node, studio: Studio, workspace: Path, lineage: Lineage | None
) -> tuple[dict[str, Draft], dict[str, Json]]:
    """Return the finished files by port, and what they look like."""
    file = SignedFile.model_validate(node.params)
    said = properties(node, studio, file)
    drafts: dict[str, Draft] = {}
    looks: dict[str, Json] = {}
    for port in ("delivery", "cover"):
        if port not in node.inputs:
            continue
        source = studio.path(node, port)
        path = workspace / f"{node.key}-{port}{source.suffix}"
        _write(source, path, said, file)
        if lineage:
            path = lineage.sign(path, f"{node.address.delivery or port}{source.suffix}")
        if port == "delivery" and file.max_bytes and path.stat().st_size > file.max_bytes:
            raise Rejected(
                f"{node.address}: has {path.stat().st_size} bytes with its metadata, above "
                f"{file.max_bytes}: raise export.crf, or lower export.quality"
            )
        drafts[port], look = _draft(source, path, port)
        looks[port] = list(look)
    return drafts, {"fingerprints": looks}


def properties(node: Node, studio: Studio, file: SignedFile) -> dict[str, str]:
    """Return what the XMP packet says of the node's files."""
    made = list(ancestors(node, studio))
    prompts = " | ".join(_prompt(one) for one in made) if file.prompt else ""
    return {
        "dc:creator": file.creator,
        "dc:rights": file.rights,
        "photoshop:Credit": file.brand,
        "xmp:CreatorTool": f"keyreel {version('keyreel')}",
        "Iptc4xmpExt:DigImageGUID": produce_id(node),
        "Iptc4xmpExt:DigitalSourceType": file.source and SOURCES + file.source,
        "Iptc4xmpExt:AISystemUsed": ", ".join(str(one.notes["model"]) for one in made),
        "Iptc4xmpExt:AISystemVersionUsed": version("keyreel") if made else "",
        "Iptc4xmpExt:AIPromptInformation": prompts,
        "Iptc4xmpExt:AIPromptWriterName": file.brand if prompts else "",
        "TC260:AIGC": aigc(file.producer, produce_id(node)) if file.source else "",
    }


def produce_id(node: Node) -> str:
    """Return the content's number: the key of its export, which the invisible mark holds too."""
    source = node.inputs["delivery"]
    return source.key if isinstance(source, NodeOutput) else source.sha256


def aigc(producer: str, produce_id: str) -> str:
    """Return China's implicit label: `1` says that the content was generated.

    The reserved code is for a signature of one's own; C2PA's stands in the file instead.
    """
    said = dict.fromkeys(FIELDS, "") | {
        "Label": "1",
        "ContentProducer": producer,
        "ProduceID": produce_id,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def ancestors(node: Node, studio: Studio) -> Iterator[Record]:
    """Yield the records of the picture and the clip that models made for this node."""
    for port in ("image", "clip"):
        source = node.inputs.get(port)
        if isinstance(source, NodeOutput):
            record = studio.store.recall(source.key)
            if "model" in record.notes:
                yield record


def _prompt(record: Record) -> str:
    params = record.recipe["params"]
    return str(params.get("prompt", "")) if isinstance(params, dict) else ""


def _write(source: Path, target: Path, said: Mapping[str, str], file: SignedFile) -> None:
    packet = xmp.packet(said)
    if source.suffix != ".mp4":
        embed.write_still(source, target, packet)
        return
    keys = {"AIGC": said["TC260:AIGC"]} if said["TC260:AIGC"] else {}
    embed.write_clip(source, target, packet, keys, edit_list=file.edit_list)


def _draft(source: Path, path: Path, port: str) -> tuple[Draft, tuple[int, ...]]:
    """Return a finished file as a draft, and what it looks like.

    Raises:
        Rejected: where it is not in all but its metadata what it was made from.
    """
    if source.suffix != ".mp4":
        kind: Literal["cover", "image"] = "cover" if port == "cover" else "image"
        with Image.open(path) as image:
            size, mime = image.size, Image.MIME[str(image.format)]
        return Draft(path, kind, mime, *size), fingerprint.of_still(path)
    before, after = (replace(probe(each), bytes=0) for each in (source, path))
    if before != after:
        raise Rejected(f"{path.name}: metadata changed the clip: {after}, not {before}")
    return after.draft(path), fingerprint.of_clip(path, sparse=True)


STAGE = Stage(
    id="sign",
    version=1,
    takes={"delivery": "file", "cover": "image", "image": "image", "clip": "clip"},
    gives={"delivery": "file", "cover": "image"},
    lane="cpu",
    decide=decide,
    run=run,
    optional=frozenset({"delivery", "cover", "image", "clip"}),
)
