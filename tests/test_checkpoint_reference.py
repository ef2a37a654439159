"""Publishers' own modules beside ours, filled from one file: they compute the same in float32.

Runs where checkouts are named: KEYREEL_WAN of Wan-Video/Wan2.2 (best of 42bf4cf), KEYREEL_Z_IMAGE
of Tongyi-MAI/Z-Image (best of c7ec135). Wan's needs einops. Only their attention kernels, which
want CUDA, are replaced: by torch's own.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.manifest import entries, manifest
from tests.test_checkpoint_load import UMT5, WAN, WAN_22_VAE, WAN_VAE, Z_IMAGE, load, wan, z_image

CLOSE = 1e-5
"""Largest difference, of the reference's standard deviation."""


VAE = {"dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [],
       "temperal_downsample": [False, True, True]}  # fmt: skip


def attend(q, k, v, **_):
    heads_first = [each.transpose(1, 2) for each in (q, k, v)]
    return scaled_dot_product_attention(*heads_first).transpose(1, 2).contiguous()


def package(name, folder, monkeypatch, **stubs):
    """Make `name` a package over `folder` without running its __init__; some modules are stubs."""
    whole = types.ModuleType(name)
    whole.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, name, whole)
    for stub, members in stubs.items():
        module = types.ModuleType(f"{name}.{stub}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, f"{name}.{stub}", module)
    return lambda part: importlib.import_module(f"{name}.{part}")


@pytest.fixture
def wans(monkeypatch):
    """Import a module of Wan's."""
    folder = Path(os.environ.get("KEYREEL_WAN", "")) / "wan" / "modules"
    if not os.environ.get("KEYREEL_WAN") or not folder.is_dir():
        pytest.skip("KEYREEL_WAN names no checkout of Wan-Video/Wan2.2")
    pytest.importorskip("einops")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)  # a default argument
    tokenizers = {"HuggingfaceTokenizer": None}
    return package(
        "wan_reference", folder, monkeypatch,
        attention={"flash_attention": attend}, tokenizers=tokenizers,
    )  # fmt: skip


def filled(module):
    """Return `module` with random weights, and its state dict as files hold it."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return module.eval(), {key: w.contiguous() for key, w in module.state_dict().items()}


def apart(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.std()).item()


@pytest.mark.filterwarnings("ignore")  # of the reference, not ours
@torch.no_grad()
def test_wans_transformer(wans, tmp_path):
    """Text to video, two blocks."""
    theirs, weights = filled(
        wans("model").WanModel(
            model_type="t2v", text_len=6, in_dim=16, dim=36, ffn_dim=52, freq_dim=8, text_dim=20,
            out_dim=12, num_heads=3, num_layers=2,
        )
    )  # fmt: skip
    ours = load(weights, tmp_path / "wan.safetensors", "WanTransformer3DModel", WAN)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 16, 2, 4, 4, generator=generator)
    words = torch.randn(1, 6, 20, generator=generator)
    expected = theirs([latents[0]], torch.tensor([500]), [words[0]], seq_len=8)[0]
    assert apart(wan(ours)[0], expected) < CLOSE


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
@pytest.mark.parametrize(
    ("part", "sizes", "config"),
    [("vae2_1", {"dim": 8, "z_dim": 16}, WAN_VAE),
     ("vae2_2", {"dim": 8, "dec_dim": 12, "z_dim": 48}, WAN_22_VAE)],
)  # fmt: skip
def test_wans_autoencoders(wans, part, sizes, config, tmp_path):
    """Five frames there, and two latent frames back."""
    theirs, weights = filled(wans(part).WanVAE_(**VAE, **sizes))
    ours = load(weights, tmp_path / "vae.pth", "AutoencoderKLWan", config)
    clip = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    plain = [torch.zeros(sizes["z_dim"]), torch.ones(sizes["z_dim"])]
    latents = theirs.encode(clip, plain)
    assert apart(ours.encode(clip).latent_dist.mean, latents) < CLOSE
    assert apart(ours.decode(latents).sample, theirs.decode(latents, plain).clamp(-1, 1)) < CLOSE


def wan_of(size):
    heads = size["dim"] // 128
    return {"model_type": "t2v", "in_dim": size["channels_in"], "out_dim": size["channels_out"],
            "dim": size["dim"], "ffn_dim": size["ffn"], "num_layers": size["layers"],
            "num_heads": heads}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "part", "kind", "options"),
    [
        ("wan2.1_t2v_1.3b", "model", "WanModel", wan_of),
        ("wan2.1_t2v_14b", "model", "WanModel", wan_of),
        ("wan2.2_i2v_a14b", "model", "WanModel", wan_of),
        ("wan2.2_ti2v_5b", "model", "WanModel", wan_of),
        ("wan_2.1_vae", "vae2_1", "WanVAE_", lambda _: {"dim": 96, "z_dim": 16, **VAE}),
        ("wan2.2_vae", "vae2_2", "WanVAE_",
         lambda _: {"dim": 160, "dec_dim": 256, "z_dim": 48, **VAE}),
        ("wan_umt5_xxl", "t5", "T5Encoder", lambda size: {
            "vocab": size["vocab"], "dim": size["dim"], "dim_attn": size["attn"],
            "dim_ffn": size["ffn"], "num_heads": size["heads"], "num_layers": size["layers"],
            "num_buckets": size["buckets"], "shared_pos": False}),
    ],
)  # fmt: skip
def test_the_manifests_are_wans_own_modules(wans, name, part, kind, options):
    """Every key and shape at full size, on the meta device."""
    with torch.device("meta"):
        module = getattr(wans(part), kind)(**options(manifest(name)["sizes"]))
    theirs = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert {key: shape for key, (_, shape) in entries(name).items()} == theirs


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_wans_text_encoder(wans, tmp_path):
    """UMT5, two blocks."""
    theirs, weights = filled(
        wans("t5").T5Encoder(
            vocab=333, dim=40, dim_attn=32, dim_ffn=56, num_heads=4, num_layers=2, num_buckets=8,
            shared_pos=False,
        )
    )  # fmt: skip
    config = {**UMT5, "relative_attention_num_buckets": 8}
    ours = load(weights, tmp_path / "t5.pth", "UMT5EncoderModel", config)
    ids = torch.arange(12)[None]
    assert apart(ours(ids).last_hidden_state, theirs(ids)) < CLOSE


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_z_images_transformer(monkeypatch, tmp_path):
    """From ComfyUI's names, written here from the vendor's."""
    folder = Path(os.environ.get("KEYREEL_Z_IMAGE", "")) / "src"
    if not os.environ.get("KEYREEL_Z_IMAGE") or not folder.is_dir():
        pytest.skip("KEYREEL_Z_IMAGE names no checkout of Tongyi-MAI/Z-Image")
    monkeypatch.syspath_prepend(str(folder))
    package("utils", folder / "none", monkeypatch, attention={"dispatch_attention": attend})
    modules = package("zimage", folder / "zimage", monkeypatch)
    theirs, weights = filled(
        modules("transformer").ZImageTransformer2DModel(
            all_patch_size=(2,), all_f_patch_size=(1,), in_channels=16, norm_eps=1e-5,
            qk_norm=True, rope_theta=256.0, t_scale=1000.0, **Z_IMAGE,
        )
    )  # fmt: skip
    names = (("all_x_embedder.2-1", "x_embedder"), ("all_final_layer.2-1", "final_layer"),
             ("to_out.0", "out"), ("norm_q", "q_norm"), ("norm_k", "k_norm"))  # fmt: skip
    comfy = {}
    for key, value in weights.items():
        if ".to_q." in key:
            parts = [weights[key.replace("to_q", f"to_{part}")] for part in "qkv"]
            comfy[key.replace("to_q", "qkv")] = torch.cat(parts)
        elif ".to_k." not in key and ".to_v." not in key:
            for name, other in names:
                key = key.replace(name, other)
            comfy[key] = value
    ours = load(comfy, tmp_path / "z.safetensors", "ZImageTransformer2DModel", Z_IMAGE)
    generator = torch.Generator().manual_seed(1)
    latents = [torch.randn(16, 1, 8, 8, generator=generator)]
    words = [torch.randn(5, 64, generator=generator)]
    expected = theirs(latents, torch.tensor([0.3]), words)[0][0]
    assert apart(z_image(ours), expected) < CLOSE
