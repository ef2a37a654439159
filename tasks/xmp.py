"""The XMP packet of a finished file: what it says of who and what made it, written and read.

Fields: IPTC Photo Metadata 2025.1 (`Iptc4xmpExt`), Dublin Core, and China's `TC260:AIGC`
(TC260-PG-20258A). Knows nothing of files: `tasks/embed.py` puts the packet into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as tree

from configs.errors import BadFile

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": RDF,
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
}
LISTS = {"dc:creator": "Seq", "dc:rights": "Alt"}
"""Properties whose value stands in a list, though we give one."""

LARGEST = 60_000
"""Bytes: a JPEG segment holds 65,533 with its own header."""


def packet(properties: Mapping[str, str]) -> bytes:
    """Return the packet that says `properties`, given as `prefix:Name`; empty ones are left out.

    Raises:
        BadFile: where it would not fit into a JPEG.
    """
    for prefix, space in SPACES.items():
        tree.register_namespace(prefix, space)
    root = tree.Element(_qualified("x:xmpmeta"))
    about = {_qualified("rdf:about"): ""}
    described = tree.SubElement(
        tree.SubElement(root, _qualified("rdf:RDF")), _qualified("rdf:Description"), about
    )
    for name, value in properties.items():
        if value:
            _property(described, name, value)
    body: bytes = tree.tostring(root, encoding="utf-8")
    made = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>%s<?xpacket end="r"?>'
    whole: bytes = made % body
    if len(whole) > LARGEST:
        raise BadFile(
            f"the metadata has {len(whole)} bytes, above {LARGEST}: set sign.prompt: false"
        )
    return whole


def _property(parent: tree.Element, name: str, value: str) -> None:
    element = tree.SubElement(parent, _qualified(name))
    if name not in LISTS:
        element.text = value
        return
    group = tree.SubElement(element, _qualified(f"rdf:{LISTS[name]}"))
    item = tree.SubElement(group, _qualified("rdf:li"))
    item.text = value
    if LISTS[name] == "Alt":
        item.set("{http://www.w3.org/XML/1998/namespace}lang", "x-default")


def properties(found: bytes) -> dict[str, str]:
    """Return what a packet says, as `prefix:Name`; what is not of SPACES is left out.

    A stranger's packet is hostile: one with a document type, which can blow up, says nothing.
    """
    if b"<!" in found:
        return {}
    try:
        root = tree.fromstring(found)
    except tree.ParseError:
        return {}
    said: dict[str, str] = {}
    for described in root.iter(_qualified("rdf:Description")):
        said |= {_short(name): value for name, value in described.attrib.items()}
        said |= {_short(one.tag): "".join(one.itertext()).strip() for one in described}
    return {name: value for name, value in said.items() if ":" in name and name != "rdf:about"}


def _qualified(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{SPACES[prefix]}}}{local}"


def _short(qualified: str) -> str:
    space, _, local = qualified.removeprefix("{").partition("}")
    prefix = next((prefix for prefix, known in SPACES.items() if known == space), None)
    return f"{prefix}:{local}" if prefix else local
