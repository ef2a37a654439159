"""Adapter files against the networks they are for: every key has a place, or the error names it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from configs.errors import BadFile
from gpu.checkpoint.adapter import open_adapter
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.checkpoint.network import blank
from gpu.lora import _shapes
from tests.lora_data import STYLES, network, write
from tests.manifest import entries, manifest


def opened(path, made):
    return open_adapter(path, type(made).__name__, _shapes(made))


PUBLISHED = {
    "z_image": "z-image-turbo",
    "wan2.1_t2v_1.3b": "wan2.1-t2v-1.3b",
    "wan2.1_i2v_14b": "wan2.1-i2v-14b-480p",
    "wan2.2_i2v_a14b": "wan2.2-i2v-a14b",
    "wan2.2_ti2v_5b": "wan2.2-ti2v-5b",
}


@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_parameter_at_full_size_is_reached_by_its_publishers_name(name, dotted, tmp_path):
    """From the published files' own keys: pairs for matrices, diffs for all else, none left."""
    config = json.loads(
        (ARCHITECTURES / PUBLISHED[name] / "transformer" / "config.json").read_text("utf-8")
    )
    made = blank("diffusers", manifest(name)["class"], config)
    tensors = {}
    for key, (_, shape) in entries(name).items():
        stem, _, leaf = key.rpartition(".")
        if leaf == "weight" and len(shape) > 1:
            stem = f"diffusion_model.{stem}" if dotted else f"lora_unet_{stem.replace('.', '_')}"
            tensors[f"{stem}.lora_down.weight"] = torch.zeros(1, *shape[1:]).half()
            ones = [1] * (len(shape) - 2)
            tensors[f"{stem}.lora_up.weight"] = torch.zeros(shape[0], 1, *ones).half()
        else:
            end = {"weight": ".diff", "bias": ".diff_b", "modulation": ".diff_m"}.get(leaf)
            written = f"{stem}{end}" if end else f"{key}.diff"
            tensors[f"diffusion_model.{written}"] = torch.zeros(shape).half()
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    changes = opened(path, made).changes
    assert sorted(change.target for change in changes) == sorted(
        parameter for parameter, _ in made.named_parameters()
    )


def wider(key, tensor):
    return {key: torch.zeros(4, 5120)} if key.endswith("self_attn.q.lora_A.weight") else {}


WRONG = {
    "another model's": (
        lambda key, _: {"double_blocks.0.img_attn.proj.lora_A.weight": torch.zeros(4, 4)},
        r"key 'double_blocks.* seems made for FLUX",
    ),
    "a wider one's": (
        wider,
        r"self_attn.q.lora_A.weight' has shape \[4, 5120\], expected \[4, 24\]; .* Wan 14B$",
    ),
    "for image-to-video": (
        lambda key, _: {
            f"diffusion_model.blocks.0.cross_attn.k_img.lora_{part}.weight": torch.zeros(4, 4)
            for part in "AB"
        },
        r"k_img\.lora_A\.weight' is of no layer that Wan.* Wan image-to-video$",
    ),
    "for the text encoder": (
        lambda key, _: {"lora_te1_layers_0_q.lora_down.weight": torch.zeros(4, 4)},
        r"lora_te1.*changes the text encoder too",
    ),
    "a DoRA": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.dora_scale": torch.zeros(24, 1)},
        r"dora_scale'.*it is a DoRA: export it as a LoRA",
    ),
    "a LoKr": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.lokr_w1": torch.zeros(4, 4)},
        r"lokr_w1'.*it is a LoKr",
    ),
    "half a pair": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.lora_A.weight": torch.zeros(4, 24)},
        r"ffn\.0\.lora_A\.weight' has no partner",
    ),
    "an alpha alone": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.alpha": torch.tensor(1.0)},
        r"ffn\.0\.alpha' has no partner",
    ),
    "an alpha of two": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.alpha": torch.ones(2)},
        r"self_attn\.q\.alpha' is not one number",
    ),
    "an endless alpha": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.alpha": torch.tensor(torch.inf)},
        r"has the alpha inf",
    ),
    "another bias": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.diff_b": torch.zeros(7)},
        r"ffn\.0\.diff_b' has shape \[7\], expected \[32\]",
    ),
    "the same layer twice": (
        lambda key, _: {
            f"transformer.blocks.0.attn1.to_q.lora_{part}.weight": torch.zeros(4, 24).reshape(shape)
            for part, shape in (("A", (4, 24)), ("B", (24, 4)))
        },
        r"changes blocks\.0\.attn1\.to_q\.weight unlike .* does",
    ),
    "whole numbers": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.diff_b": torch.zeros(32).char()},
        r"is stored as I8, expected BF16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_error(wrong, tmp_path):
    """File, key, what was expected, and which model it seems made for."""
    made, path = network("Wan"), tmp_path / "a.safetensors"
    write(path, "Wan ai-toolkit", made)
    change, message = WRONG[wrong]
    tensors = load_file(path)
    for key, tensor in list(tensors.items()):
        tensors |= change(key, tensor)
    save_file(tensors, path)
    with pytest.raises(BadFile, match=message) as error:
        opened(path, made)
    assert str(error.value).startswith(f"{path}: does not fit WanTransformer3DModel: key '")


@pytest.mark.parametrize("style", STYLES)
def test_one_misspelt_key_is_named(style, tmp_path):
    """Whatever the style, a single key too many is enough."""
    made, path = network(style.split()[0]), tmp_path / "a.safetensors"
    write(path, style, made)
    tensors = load_file(path)
    key = next(key for key in tensors if "layers" in key or "blocks" in key)
    tensors[key.replace("layers", "lairs").replace("blocks", "blacks")] = tensors.pop(key)
    save_file(tensors, path)
    with pytest.raises(BadFile, match=r"key '.*(lairs|blacks)"):
        opened(path, made)


@pytest.mark.parametrize("words", ["[]", "{", '{"transformer.alpha_pattern": {"to_q": 2}}'])
def test_metadata_that_is_not_understood_is_an_error(words, tmp_path):
    """A scale that is not read would be a wrong picture."""
    made, path = network("Z-Image"), tmp_path / "a.safetensors"
    write(path, "Z-Image diffusers", made, metadata={"lora_adapter_metadata": words})
    with pytest.raises(BadFile, match=r"metadata|alpha_pattern"):
        opened(path, made)


def test_a_file_that_is_empty_or_cut_short_is_an_error(tmp_path):
    """No module matched is never silence."""
    made, path = network("Wan"), tmp_path / "a.safetensors"
    save_file({}, path)
    with pytest.raises(BadFile, match="changes nothing in WanTransformer3DModel"):
        opened(path, made)
    write(path, "Wan musubi", made)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadFile, match=r"a\.safetensors: has \d+ of \d+ bytes"):
        opened(path, made)


@pytest.mark.parametrize(("family", "other"), [("Wan", "Z-Image"), ("Z-Image", "Wan")])
def test_the_other_family_s_adapter_names_its_own(family, other, tmp_path):
    """A Wan adapter on Z-Image, and the other way round."""
    path = tmp_path / "a.safetensors"
    write(path, f"{other} ai-toolkit", network(other))
    with pytest.raises(BadFile, match=rf"seems made for {other}"):
        opened(path, network(family))
