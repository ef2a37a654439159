"""Clip models from ComfyUI's files: two experts, or one transformer with its own autoencoder."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gpu.checkpoint.assemble import ARCHITECTURES, Files, check, load
from gpu.folder import quiet
from tests.conftest import with_tokenizer
from tests.manifest import tensors
from tests.test_checkpoint_load import UMT5, WAN, WAN_22_VAE, WAN_VAE, converted, reference

pytestmark = pytest.mark.slow

TEXT = {**UMT5, "relative_attention_num_buckets": 32, "vocab_size": 1600}
TRANSFORMER = {**WAN, "text_dim": 40}


def comfy(root, weights):
    """Write ComfyUI's files; returns where each network lies."""
    networks = []
    for part, tensors_of in weights.items():
        save_file(tensors_of, path := root / f"{part}.safetensors")
        networks.append((part, path))
    return tuple(networks)


def small(name, root, **networks):
    """Return a copy of an architecture with small networks."""
    made = shutil.copytree(ARCHITECTURES / name, root / name)
    for part, config in networks.items():
        path = made / part / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **config}), "utf-8")
    return made


def draw(pipe, **options):
    clip = pipe(
        image=Image.new("RGB", (64, 64), "#804020"), prompt="pan left", negative_prompt="",
        height=64, width=64, num_frames=5, num_inference_steps=4, output_type="np",
        generator=torch.Generator().manual_seed(3), **options,
    )  # fmt: skip
    return clip.frames[0]


def twin(pipe, networks):
    """Return the pipeline with its networks filled by diffusers' converters instead."""
    from transformers import UMT5Config, UMT5EncoderModel

    text = {k: w.float() for k, w in networks["text_encoder"].items() if k != "spiece_model"}
    encoder = UMT5EncoderModel(UMT5Config(**TEXT)).eval()
    encoder.load_state_dict({"encoder.embed_tokens.weight": text["shared.weight"], **text})
    theirs = {
        part: reference(
            "WanTransformer3DModel",
            dict(pipe.components[part].config),
            converted("convert_wan_transformer_to_diffusers", networks[part]),
        )
        for part in networks
        if part.startswith("transformer")
    }
    told = {name: pipe.config[name] for name in ("boundary_ratio", "expand_timesteps")}
    return type(pipe)(**{**pipe.components, **theirs, "text_encoder": encoder, **told})


@pytest.fixture
def own(tmp_path):
    """The model's folder, with the tokenizer."""
    return with_tokenizer(tmp_path / "own", "video")


def test_wan_21_looks_at_the_picture_through_clip(own, tmp_path):
    """Its image encoder is ComfyUI's clip_vision_h, its features differ by picture."""
    clip = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 28}  # fmt: skip
    sides = {"text": 40, "channels_out": 16, "image": 32}
    networks = {
        "transformer": tensors("wan2.1_i2v_14b", **sides),
        "text_encoder": tensors("umt5_xxl", vocab=1600),
        "image_encoder": tensors("clip_vision_h"),
        "vae": tensors("wan_2.1_vae"),
    }
    heads = {**TRANSFORMER, "in_channels": 36, "out_channels": 16}
    configs = small(
        "wan2.1-i2v-14b-480p", tmp_path, text_encoder=TEXT, vae=WAN_VAE, image_encoder=clip,
        transformer={**heads, "image_dim": 32, "added_kv_proj_dim": 36},
    )  # fmt: skip
    path = configs / "image_processor" / "preprocessor_config.json"
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **size}), "utf-8")
    files = Files(configs, comfy(tmp_path, networks))
    pipe = load(own, files, "WanImageToVideoPipeline", dtype="float32", device="cpu")
    seen = pipe.encode_image(Image.new("RGB", (64, 64), "#804020"), "cpu")
    other = pipe.encode_image(Image.new("RGB", (64, 64), "#204080"), "cpu")
    assert seen.shape == (1, 5, 32)
    assert not torch.equal(seen, other)
    key = "encoder.layers.1.mlp.fc1.weight"
    theirs = networks["image_encoder"][f"vision_model.{key}"].float()
    assert torch.equal(pipe.image_encoder.get_parameter(key), theirs)
    assert draw(pipe).std() > 0.001


@pytest.mark.parametrize("name", ["wan2.2-i2v-a14b", "wan2.2-ti2v-5b"])
def test_a_clip_is_what_diffusers_own_converters_make(name, own, tmp_path):
    """Both experts have their part; boundary and time per token come with the configs."""
    two = name.endswith("a14b")
    sides = {"channels_in": 36, "channels_out": 16} if two else {"channels_out": 48}
    width = {"in_channels": 36 if two else 48, "out_channels": 16 if two else 48}
    manifest = name.replace("-", "_")
    networks = {
        "transformer": tensors(manifest, text=40, **sides),
        "text_encoder": tensors("umt5_xxl", vocab=1600),
        "vae": tensors("wan_2.1_vae" if two else "wan2.2_vae"),
    }
    if two:
        networks["transformer_2"] = tensors(manifest, 1, text=40, **sides)
    configs = small(
        name, tmp_path, text_encoder=TEXT, vae=WAN_VAE if two else WAN_22_VAE,
        **{part: {**TRANSFORMER, **width} for part in networks if part.startswith("trans")},
    )  # fmt: skip
    files = Files(configs, comfy(tmp_path, networks))
    assert check(own, files, 4) > 0
    pipe = load(own, files, "WanImageToVideoPipeline", dtype="float32", device="cpu")
    assert pipe.config.boundary_ratio == (0.9 if two else None)
    assert pipe.config.expand_timesteps is not two
    with quiet():
        other = twin(pipe, networks)
    other.set_progress_bar_config(disable=True)
    ours, theirs = draw(pipe, guidance_scale=2.0), draw(other, guidance_scale=2.0)
    assert np.abs(ours - theirs).max() < 1e-3
    assert theirs.std() > 0.001


def test_text_to_video_needs_no_picture(own, tmp_path):
    """Wan 2.1's text-to-video models, through the pipeline that takes none."""
    networks = {
        "transformer": tensors("wan2.1_t2v_1.3b", text=40, channels_out=16),
        "text_encoder": tensors("umt5_xxl", vocab=1600),
        "vae": tensors("wan_2.1_vae"),
    }
    configs = small(
        "wan2.1-t2v-1.3b", tmp_path, text_encoder=TEXT, vae=WAN_VAE,
        transformer={**TRANSFORMER, "out_channels": 16},
    )  # fmt: skip
    files = Files(configs, comfy(tmp_path, networks))
    pipe = load(own, files, "WanPipeline", dtype="bfloat16", device="cpu")
    clip = pipe(
        prompt="a red mug", negative_prompt="", height=64, width=64, num_frames=5,
        num_inference_steps=2, output_type="np", generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    assert clip.frames.shape == (1, 5, 64, 64, 3)
    assert np.isfinite(clip.frames).all()
