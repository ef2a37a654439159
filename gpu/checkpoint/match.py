"""Every tensor of a file accounted for, and every parameter of a module found, from headers alone.

Raises before a weight is read: a name too many, too few or misspelt, a wrong shape or number
format is one error that names the file, the key, and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from configs.errors import BadFile
from gpu.checkpoint import names_wan as wan
from gpu.checkpoint import names_zimage as zimage
from gpu.checkpoint.naming import AS_IS, Layout
from gpu.checkpoint.tensors import Entry, TensorFile
from gpu.turbo.int8 import TILE

FLOATS = {"F64", "F32", "F16", "BF16"}
FP8 = {"F8_E4M3", "F8_E5M2"}
GGUF = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
        "IQ4_NL", "IQ4_XS"}  # fmt: skip
"""The packed formats that diffusers unpacks."""

SCALES = (".scale_weight", ".weight_scale")
"""What ComfyUI calls the factor of an fp8 weight: until late 2025, and since."""
UNUSED = (".scale_input", ".input_scale", ".comfy_quant")
"""Beside an fp8 weight: factors for fp8 activations, which are not used here, and its format."""
MARKER = "scaled_fp8"
SHOWN = 3


def _hub(*marks: str) -> Layout:
    """Return the layout of the module's own names, as the Hub's folders have them."""
    return Layout("diffusers'", marks, AS_IS)


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "ZImageTransformer2DModel": (zimage.TRANSFORMER, _hub("layers.#.attention.to_q.weight")),
    "AutoencoderKL": (zimage.VAE, _hub("*.resnets.#.conv1.weight")),
    "Qwen3Model": (zimage.QWEN, zimage.LLAMA_QWEN),
    "WanTransformer3DModel": (wan.TURBO, wan.TRANSFORMER, _hub("blocks.#.attn1.to_q.weight")),
    "AutoencoderKLWan": (wan.VAE_22, wan.VAE, _hub("*.mid_block.resnets.#.conv1.weight")),
    "CLIPVisionModel": (wan.CLIP_VISION,),
    "UMT5EncoderModel": (wan.UMT5, wan.WAN_UMT5, wan.LLAMA_UMT5),
}
"""By the class that reads them; the first layout with a mark in the file is taken."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One parameter of a module, and where its numbers lie in the file."""

    target: str
    shape: tuple[int, ...]
    source: str
    entry: Entry
    part: int = 0
    parts: int = 1
    """The rows of the source are this many parameters; this is number `part` of them."""
    scale: str = ""
    """The key of the factor, or factors, of packed numbers."""

    @property
    def numbers(self) -> int:
        """How many numbers the parameter has."""
        return math.prod(self.shape)

    @property
    def tiled(self) -> bool:
        """Whether it is int8 in tiles of 128x128, each with a scale."""
        return self.source.endswith(".int8_weight")

    @property
    def packed(self) -> bool:
        """Whether the file holds it in 8 bits or fewer."""
        return self.entry.dtype not in FLOATS


def recognise(file: TensorFile, class_name: str) -> tuple[Layout, str]:
    """Return the layout of `file` as one of `class_name`, and what its names begin with.

    Raises:
        BadFile: where it is of another model, or a pickle that is not needed.
    """
    names = list(file.entries)
    for layout in LAYOUTS[class_name]:
        prefix = layout.prefix_in(names)
        if prefix is not None:
            if file.pickled and not layout.pickles:
                raise BadFile(
                    f"{file.path}: is a pickle; this model is published as safetensors: "
                    "use that file"
                )
            return layout, prefix
    looked_for = " or ".join(repr(layout.marks[0]) for layout in LAYOUTS[class_name])
    begins = f"begins with {names[0]!r}" if names else "is empty"
    raise BadFile(f"{file.path}: is no {class_name}: it has no key like {looked_for}; it {begins}")


def match(
    file: TensorFile, class_name: str, expected: Mapping[str, tuple[int, ...]]
) -> list[Piece]:
    """Return where each parameter of a module lies in `file`.

    Args:
        file: whose header is read already.
        class_name: of the module, of diffusers or transformers.
        expected: the module's parameters and their shapes.

    Raises:
        BadFile: where a key is unknown, missing, or of another shape or number format.
    """
    layout, prefix = recognise(file, class_name)
    weights, problems = _weights(file.entries, prefix)
    found: dict[str, Piece] = {}
    for name, source, scale in weights:
        named = layout.rule_of(name)
        stray = named and named[1] and not source.startswith(prefix)
        if named is None or stray or not set(named[1]) <= expected.keys():
            problems.append(f"key {source!r} is none that {class_name} has")
            continue
        rule, targets = named
        for part, target in enumerate(targets):
            piece = Piece(
                target, expected[target], source, file.entries[source], part, len(targets), scale
            )
            problems += _misfits(piece, file.entries.get(scale), rule.reshape)
            if found.setdefault(target, piece) is not piece:
                problems.append(f"keys {source!r} and {found[target].source!r} are the same tensor")
    for target in expected.keys() - found.keys():
        problems.append(
            f"key {prefix + layout.source_of(target)!r} is missing, of shape "
            f"{list(expected[target])} in {target}"
        )
    if problems:
        raise BadFile(_said(file, class_name, layout, problems))
    return list(found.values())


def _said(file: TensorFile, class_name: str, layout: Layout, problems: list[str]) -> str:
    more = len(problems) - SHOWN
    shown = "; ".join(sorted(problems)[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return (
        f"{file.path}: does not fit {class_name} in {layout.name} names: {shown}. Download it "
        "again, or name the file of this very model"
    )


def _weights(
    entries: Mapping[str, Entry], prefix: str
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return name, key and key of the scale, "" for none, of each key that holds parameters.

    Also returns what is wrong with the others, which say how the weights are stored.
    """
    weights = []
    beside = {key: owner for key in entries for owner in _owners(key, entries)}
    problems = list(_beside_wrong(beside, entries))
    for key in filter(lambda key: key not in beside, entries):
        name, scale = key.removeprefix(prefix), ""
        if key.endswith(".int8_weight"):
            name = name.removesuffix(".int8_weight") + ".weight"
            scale = key.removesuffix(".int8_weight") + ".scale"
        elif entries[key].dtype in FP8:
            stem = key.removesuffix(".weight")
            scale = next((stem + end for end in SCALES if stem + end in entries), "")
        weights.append((name, key, scale))
    return weights, problems


def _beside_wrong(beside: Mapping[str, str], entries: Mapping[str, Entry]) -> Iterator[str]:
    """Yield what is wrong with the keys that say something of others."""
    for key, owner in beside.items():
        if owner and entries[owner].dtype not in FP8 | {"I8"}:
            yield f"key {key!r} scales {owner!r}, which is {entries[owner].dtype}"
        other = owner.removesuffix(".weight") + SCALES[0]
        if key.endswith(SCALES[1]) and other in entries:
            yield f"keys {key!r} and {other!r} both scale {owner!r}"


def _owners(key: str, entries: Mapping[str, Entry]) -> Iterator[str]:
    """Yield the weight that `key` says something of; "" for the whole file's marker."""
    if key.split(".")[-1] == MARKER:
        yield ""
    for end in (*SCALES, *UNUSED):
        if key.endswith(end) and (owner := key.removesuffix(end) + ".weight") in entries:
            yield owner
    if key.endswith(".scale") and (owner := key.removesuffix("scale") + "int8_weight") in entries:
        yield owner


def _misfits(piece: Piece, scale: Entry | None, reshape: bool) -> Iterator[str]:
    """Yield what is wrong with the shape, number format and scale of a piece."""
    entry, key = piece.entry, piece.source
    rows, *rest = piece.shape if piece.shape else (1,)
    expected = (rows * piece.parts, *rest)
    same = Entry(expected, "").numbers == entry.numbers if reshape else expected == entry.shape
    if not same:
        yield f"key {key!r} has shape {list(entry.shape)}, expected {list(expected)}"
    if entry.dtype != "I8" if piece.tiled else entry.dtype not in FLOATS | FP8 | GGUF:
        allowed = "I8" if piece.tiled else "BF16, F16, F32, F8_E4M3 or a GGUF format"
        yield (
            f"key {key!r} is stored as {entry.dtype}, expected {allowed}: "
            "use the model's bf16 or fp8 file"
        )
    if piece.tiled and piece.parts > 1:
        yield f"key {key!r} is int8 in tiles, expected floats: its rows are {piece.parts} layers"
    if not piece.scale:
        return
    if scale is None:
        yield f"key {piece.scale!r} is missing, the scale of {key!r}"
        return
    tiles = tuple(-(-side // TILE) for side in entry.shape)
    if scale.dtype not in FLOATS or (scale.shape != tiles if piece.tiled else scale.numbers != 1):
        one = f"F32 {list(tiles)}" if piece.tiled else "one F32 number"
        yield f"key {piece.scale!r} is {scale}, expected {one}"
