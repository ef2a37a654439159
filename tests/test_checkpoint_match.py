"""Published files against our modules at full size, from their headers alone."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch

from configs.errors import BadFile
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.checkpoint.match import match
from gpu.checkpoint.names_wan import TURBO
from gpu.checkpoint.network import Network, blank, network, shapes
from gpu.checkpoint.tensors import Entry, TensorFile
from gpu.turbo.sla import Blocks, add_sla
from tests.manifest import NAMES, entries, manifest

WAN = {
    "1.3b": "wan2.1-t2v-1.3b", "wan2.1_t2v_14b": "wan2.1-t2v-14b", "i2v_a14b": "wan2.2-i2v-a14b",
    "ti2v_5b": "wan2.2-ti2v-5b", "wan_2.1_vae": "wan2.1-t2v-1.3b", "wan2.2_vae": "wan2.2-ti2v-5b",
    "umt5": "wan2.1-t2v-1.3b", "wan2.1_i2v": "wan2.1-i2v-14b-480p",
    "clip_vision": "wan2.1-i2v-14b-480p",
}  # fmt: skip
ROOM = {"WanTransformer3DModel": "transformer", "ZImageTransformer2DModel": "transformer",
        "AutoencoderKL": "vae", "AutoencoderKLWan": "vae",
        "Qwen3Model": "text_encoder", "UMT5EncoderModel": "text_encoder",
        "CLIPVisionModel": "image_encoder"}  # fmt: skip


UNREAD = ("scale", "spiece_model", "visual_projection.weight")


class Header(TensorFile):
    """A file of which only the header is there."""

    def __init__(self, path, entries, *, pickled=False):
        self.path, self.entries, self.pickled = path, entries, pickled


def header(name, tmp_path):
    told = {key: Entry(shape, dtype) for key, (dtype, shape) in entries(name).items()}
    return Header(tmp_path / f"{name}.safetensors", told)


@cache
def module(name):
    """Return the module that a file makes, at full size, on the meta device."""
    kind = manifest(name)["class"]
    architecture = next((folder for part, folder in WAN.items() if part in name), "z-image-turbo")
    config = json.loads(
        (ARCHITECTURES / architecture / ROOM[kind] / "config.json").read_text("utf-8")
    )
    made = blank("transformers" if ROOM[kind].endswith("encoder") else "diffusers", kind, config)
    if name.startswith("turbo"):
        add_sla(made, Blocks())
    return made


def fitted(file, name):
    """Return the network of `file`."""
    made = module(name)
    return Network(made, file, match(file, manifest(name)["class"], shapes(made)))


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_published_file_has_its_place(name, tmp_path):
    """Each parameter is found once, each number of the file used; the shapes are the module's."""
    file = header(name, tmp_path)
    assert len(file.entries) == manifest(name)["count"]
    made = fitted(file, name)
    weights = [e for key, e in file.entries.items() if not key.endswith(UNREAD)]
    assert sum(piece.numbers for piece in made.pieces) == sum(entry.numbers for entry in weights)
    assert len({piece.target for piece in made.pieces}) == len(made.pieces)


@pytest.mark.parametrize("name", [name for name in NAMES if "14b" not in name])  # as the small
@pytest.mark.parametrize("edit", ["rename", "reshape", "drop", "add", "format"])
def test_one_wrong_key_is_named(name, edit, tmp_path):
    """The error names the file, the key, and what was expected."""
    file = header(name, tmp_path)
    key = [key for key in file.entries if key.endswith("weight") and not key.endswith(UNREAD)][-1]
    entry = file.entries[key]
    says = [str(file.path)]
    if edit == "rename":
        file.entries[f"{key}s"] = file.entries.pop(key)
        says += [f"key '{key}s' is none", f"key {key!r} is missing"]
    elif edit == "reshape":
        file.entries[key] = Entry((entry.shape[0] + 1, *entry.shape[1:]), entry.dtype)
        says += [f"key {key!r} has shape {list(file.entries[key].shape)}, expected "]
    elif edit == "drop":
        del file.entries[key]
        says += [f"key {key!r} is missing, of shape "]
    elif edit == "add":
        file.entries["blocks.0.surplus"] = entry
        says += ["key 'blocks.0.surplus' is none that "]
    else:
        file.entries[key] = Entry(entry.shape, "I64")
        says += [f"key {key!r} is stored as I64, expected "]
    with pytest.raises(BadFile) as error:
        fitted(file, name)
    assert all(words in str(error.value) for words in says), str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_another_model_is_refused(tmp_path):
    """The message says which key was looked for, and what the file begins with."""
    file = header("qwen_3_4b", tmp_path)
    with pytest.raises(BadFile, match=r"is no ZImageTransformer2DModel: it has no key like .*qkv"):
        match(file, "ZImageTransformer2DModel", {})


def test_a_pickle_is_read_only_where_there_is_nothing_else(tmp_path):
    """TurboDiffusion publishes .pth files; Z-Image does not."""
    told = header("z_image", tmp_path)
    with pytest.raises(BadFile, match="is a pickle; this model is published as safetensors"):
        match(Header(told.path, told.entries, pickled=True), "ZImageTransformer2DModel", {})
    assert "TurboDiffusion publishes .pth files only" in TURBO.pickles


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model."])
def test_a_prefix_on_all_names_is_known(prefix, tmp_path):
    """Some files that ComfyUI reads have one; errors then name the key with it."""
    told = header("z_image", tmp_path).entries
    file = Header(tmp_path / "z.safetensors", {prefix + key: told[key] for key in told})
    assert len(fitted(file, "z_image").pieces) == 453 + 2 * 34
    del file.entries[f"{prefix}layers.7.attention.qkv.weight"]
    with pytest.raises(BadFile, match=rf"key '{prefix}layers\.7\.attention\.qkv\.weight' is miss"):
        fitted(file, "z_image")


def test_the_head_of_a_language_model_lies_beside_its_names(tmp_path):
    """Qwen as its publisher's own class saves it: `model.` on all but the layer that writes."""
    file = header("qwen_3_4b", tmp_path)
    before = len(fitted(file, "qwen_3_4b").pieces)
    file.entries["lm_head.weight"] = file.entries["model.embed_tokens.weight"]
    assert len(fitted(file, "qwen_3_4b").pieces) == before
    file.entries["norm.weight"] = file.entries.pop("model.norm.weight")
    with pytest.raises(BadFile, match=r"key 'norm\.weight' is none that Qwen3Model has"):
        fitted(file, "qwen_3_4b")


def scaled(name, tmp_path, *, scale, dtype="F8_E4M3"):
    """Return the header of ComfyUI's fp8 repackaging: linear weights of blocks in 8 bits."""
    file = header(name, tmp_path)
    for key, entry in list(file.entries.items()):
        if "blocks." in key and key.endswith(".weight") and len(entry.shape) == 2:
            file.entries[key] = Entry(entry.shape, dtype)
            file.entries[key.removesuffix(".weight") + scale] = Entry((), "F32")
    return file


@pytest.mark.parametrize("scale", [".scale_weight", ".weight_scale"])
def test_scaled_fp8_files_are_known(scale, tmp_path):
    """Both of ComfyUI's spellings; the marker and the activations' scales are known, and unused."""
    file = scaled("wan2.2_ti2v_5b", tmp_path, scale=scale)
    file.entries["scaled_fp8"] = Entry((2,), "F8_E4M3")
    file.entries["blocks.0.ffn.0.scale_input"] = Entry((), "F32")
    file.entries["blocks.0.ffn.0.comfy_quant"] = Entry((27,), "U8")
    made = fitted(file, "wan2.2_ti2v_5b")
    assert sum(bool(piece.scale) for piece in made.pieces) == 30 * 10
    assert made.bytes(2, keep_packed=True) < 0.52 * made.bytes(2, keep_packed=False)


@pytest.mark.parametrize(
    ("key", "entry", "says"),
    [
        ("blocks.0.ffn.0.scale_weight", Entry((14336,), "F32"), r"expected one F32 number"),
        ("blocks.0.ffn.0.scale_weight", Entry((), "U8"), r"is U8 \[\], expected one F32"),
        ("blocks.0.ffn.9.scale_weight", Entry((), "F32"), r"'blocks.0.ffn.9.scale_weight' is none"),
        (
            "blocks.0.norm3.scale_weight",
            Entry((), "F32"),
            r"norm3.scale_weight' scales '.*', which",
        ),
        ("blocks.0.ffn.0.weight", Entry((14336, 3072), "I8"), r"stored as I8, expected BF16"),
        ("blocks.0.ffn.0.weight", Entry((14336, 1536), "U8"), r"stored as U8, expected BF16"),
    ],
)
def test_what_is_not_fp8_with_one_scale_is_named(key, entry, says, tmp_path):
    """ComfyUI's block-scaled, int8 and 4-bit formats are refused by key, not computed wrongly."""
    file = scaled("wan2.2_ti2v_5b", tmp_path, scale=".scale_weight")
    file.entries[key] = entry
    with pytest.raises(BadFile, match=says):
        fitted(file, "wan2.2_ti2v_5b")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"blocks.0.ffn.0.weight_scale": Entry((), "F32")}, "both scale 'blocks.0.ffn.0.weight'"),
        ({"blocks.0.ffn.0.int8_weight": Entry((14336, 3072), "I8")}, "are the same tensor"),
        ({"diffusion_model.head.modulation": Entry((1, 2, 3072), "F16")}, "'diffusion_model.head"),
    ],
)
def test_nothing_is_told_twice(more, says, tmp_path):
    """Two keys for one tensor, or two scales: neither is taken without a word."""
    file = scaled("wan2.2_ti2v_5b", tmp_path, scale=".scale_weight")
    file.entries |= more
    with pytest.raises(BadFile, match=says):
        fitted(file, "wan2.2_ti2v_5b")


def test_int8_is_for_the_layers_of_blocks(tmp_path):
    """Embedders cast to their weight's format; fused rows share tiles that cannot be cut."""
    name, stem = "turbo_wan2.1_t2v_1.3b_quant", "text_embedding.0"
    file = header(name, tmp_path)
    del file.entries[f"{stem}.weight"]
    file.entries |= {f"{stem}.int8_weight": Entry((1536, 4096), "I8"),
                     f"{stem}.scale": Entry((12, 32), "F32")}  # fmt: skip
    room = ARCHITECTURES / "wan2.1-t2v-1.3b" / "transformer" / "config.json"
    config = json.loads(room.read_text("utf-8"))
    with pytest.raises(BadFile, match=r"key 'text_embedding\.0\.int8_weight' is int8, expected"):
        network(file, "diffusers", "WanTransformer3DModel", config, Blocks())
    fused, stem = header("z_image", tmp_path), "layers.0.attention.qkv"
    del fused.entries[f"{stem}.weight"]
    fused.entries |= {f"{stem}.int8_weight": Entry((11520, 3840), "I8"),
                      f"{stem}.scale": Entry((90, 30), "F32")}  # fmt: skip
    with pytest.raises(BadFile, match="is int8 in tiles, expected floats: its rows are 3 layers"):
        fitted(fused, "z_image")


def test_an_int8_weight_needs_the_scales_of_its_tiles(tmp_path):
    """One scale for each 128x128 tile, and all of them."""
    name = "turbo_wan2.1_t2v_1.3b_quant"
    file = header(name, tmp_path)
    file.entries["blocks.3.ffn.0.scale"] = Entry((70, 11), "F32")
    with pytest.raises(
        BadFile, match=r"key 'blocks.3.ffn.0.scale' is F32 \[70, 11\], expected F32"
    ):
        fitted(file, name)
    del file.entries["blocks.3.ffn.0.scale"]
    with pytest.raises(BadFile, match=r"key 'blocks.3.ffn.0.scale' is missing, the scale of"):
        fitted(file, name)


def test_nothing_is_allocated_to_check_a_header(tmp_path):
    """A 28 GB file is checked on the meta device."""
    made = fitted(header("wan2.2_i2v_a14b", tmp_path), "wan2.2_i2v_a14b")
    assert made.bytes(2, keep_packed=False) > 28e9
    assert all(tensor.device == torch.device("meta") for tensor in made.module.parameters())
