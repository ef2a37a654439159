"""Adapter files as trainers write them, and what each must add to the weights, worked out here.

Layouts, from publishers' code and users' files: diffusers' `save_lora_weights`; ai-toolkit
(keys quoted in ComfyUI issue 11158); kohya's and musubi-tuner's `lora_unet_`; DiffSynth-Studio's
`.default`; Anime-Z's dots (diffusers issue 13203); LightX2V as ComfyUI reads it (comfy/lora.py).
"""

from __future__ import annotations

import copy
from functools import cache

import torch
from diffusers import WanTransformer3DModel, ZImageTransformer2DModel
from safetensors.torch import save_file

from gpu.lora import LoraFile

PEFT = (".lora_A.weight", ".lora_B.weight")
KOHYA = (".lora_down.weight", ".lora_up.weight")
DEFAULT = (".lora_A.default.weight", ".lora_B.default.weight")
DOTS = (".lora.down.weight", ".lora.up.weight")

Z_IMAGE = {
    "layers.1.attention.to_q": "layers.1.attention.to_q",
    "noise_refiner.0.attention.to_out.0": "noise_refiner.0.attention.to_out.0",
    "context_refiner.0.feed_forward.w1": "context_refiner.0.feed_forward.w1",
    "all_final_layer.2-1.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
}
Z_COMFY = {
    "layers.1.attention.qkv": tuple(f"layers.1.attention.to_{part}" for part in "qkv"),
    "noise_refiner.0.attention.out": "noise_refiner.0.attention.to_out.0",
    "context_refiner.0.feed_forward.w1": "context_refiner.0.feed_forward.w1",
    "final_layer.linear": "all_final_layer.2-1.linear",
}
Z_DOTS = {
    "layers.1.attention.to.q": "layers.1.attention.to_q",
    "noise.refiner.0.attention.to_out.0": "noise_refiner.0.attention.to_out.0",
    "context.refiner.0.feed.forward.w1": "context_refiner.0.feed_forward.w1",
}
WAN = {
    "blocks.0.self_attn.q": "blocks.0.attn1.to_q",
    "blocks.0.cross_attn.o": "blocks.0.attn2.to_out.0",
    "blocks.0.ffn.2": "blocks.0.ffn.net.2",
    "time_projection.1": "condition_embedder.time_proj",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
}
WAN_DIFFUSERS = {ours: ours for ours in WAN.values()}
DIFFS = {
    "patch_embedding.diff": "patch_embedding.weight",
    "patch_embedding.diff_b": "patch_embedding.bias",
    "blocks.0.self_attn.q.diff_b": "blocks.0.attn1.to_q.bias",
    "blocks.0.self_attn.norm_k.diff": "blocks.0.attn1.norm_k.weight",
    "blocks.0.norm3.diff": "blocks.0.norm2.weight",
    "blocks.0.norm3.diff_b": "blocks.0.norm2.bias",
    "blocks.0.diff_m": "blocks.0.scale_shift_table",
    "head.head.diff": "proj_out.weight",
    "head.diff_m": "scale_shift_table",
}
"""LightX2V's, beside its pairs."""


def flat(layers):
    return {name.replace(".", "_"): ours for name, ours in layers.items()}


STYLES = {
    "Z-Image diffusers": ("transformer.", Z_IMAGE, PEFT, None),
    "Z-Image ai-toolkit": ("diffusion_model.", Z_IMAGE, PEFT, None),
    "Z-Image kohya": ("lora_unet_", flat(Z_IMAGE), KOHYA, 2.0),
    "Z-Image kohya fused": ("lora_unet_", flat(Z_COMFY), KOHYA, 8.0),
    "Z-Image ComfyUI fused": ("diffusion_model.", Z_COMFY, KOHYA, None),
    "Z-Image DiffSynth": ("", Z_IMAGE, DEFAULT, None),
    "Z-Image Anime-Z": ("", Z_DOTS, DOTS, 2.0),
    "Wan diffusers": ("transformer.", WAN_DIFFUSERS, PEFT, None),
    "Wan ai-toolkit": ("diffusion_model.", WAN, PEFT, None),
    "Wan musubi": ("lora_unet_", flat(WAN), KOHYA, 2.0),
    "Wan LightX2V": ("diffusion_model.", WAN, KOHYA, 8.0),
    "Wan DiffSynth": ("", WAN, DEFAULT, None),
}
"""Prefix, layers as the file names them and as the network does, ends of the keys, and alpha."""


def write(path, style, network, *, seed=0, rank=4, diffs=None, metadata=None, parts=()):
    """Write the adapter of a style; returns what it adds to each parameter at weight 1.

    `parts` are the beginnings of the layers that it is to have, if not all. Matrices are formed
    here as alpha / rank times B·A, which the reader never does.
    """
    prefix, layers, (down_end, up_end), alpha = STYLES[style]
    random = torch.Generator().manual_seed(seed)
    tensors, added = {}, {}
    for theirs, ours in layers.items():
        if parts and not theirs.startswith(tuple(parts)):
            continue
        targets = [f"{name}.weight" for name in ((ours,) if isinstance(ours, str) else ours)]
        shape = network.get_parameter(targets[0]).shape
        down = torch.randn(rank, shape[1], generator=random) * 0.3
        up = torch.randn(shape[0] * len(targets), rank, generator=random) * 0.3
        tensors |= {prefix + theirs + down_end: down, prefix + theirs + up_end: up}
        if alpha:
            tensors[f"{prefix}{theirs}.alpha"] = torch.tensor(alpha)
        whole = (up @ down) * ((alpha or rank) / rank)
        added |= dict(zip(targets, whole.split(shape[0]), strict=True))
    for theirs, ours in (diffs or {}).items():
        shape = network.get_parameter(ours).shape
        tensors[prefix + theirs] = torch.randn(shape, generator=random) * 0.3
        added[ours] = added.get(ours, 0) + tensors[prefix + theirs]
    save_file(tensors, path, metadata)
    return added


@cache
def network(family):
    """Return a random network, a few thousand numbers with every kind of block; copy it to change.

    Args:
        family: "Z-Image" or "Wan".
    """
    torch.manual_seed(0)
    if family == "Z-Image":
        made = ZImageTransformer2DModel(
            in_channels=4, dim=48, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
            cap_feat_dim=16, axes_dims=[8, 8, 8], axes_lens=[64, 16, 16],
        )  # fmt: skip
    else:
        made = WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
            text_dim=32, freq_dim=16, ffn_dim=32, num_layers=1, rope_max_seq_len=64,
        )  # fmt: skip
    for tensor in made.parameters():  # pad tokens are left empty, modulations small
        torch.nn.init.normal_(tensor, std=0.2)
    return made.eval().requires_grad_(False)


def see(network):
    """Return what a network makes of one fixed input."""
    random = torch.Generator().manual_seed(5)
    if isinstance(network, ZImageTransformer2DModel):
        picture = torch.randn(4, 1, 8, 8, generator=random)
        words = torch.randn(7, 16, generator=random)
        return network([picture], torch.tensor([0.3]), [words], return_dict=False)[0][0]
    clip = torch.randn(1, 4, 2, 4, 4, generator=random)
    words = torch.randn(1, 7, 32, generator=random)
    return network(clip, torch.tensor([300]), words, return_dict=False)[0]


def merged(network, *changes):
    """Return what the network makes of it with the changes added into its matrices."""
    with_them = copy.deepcopy(network)
    for weight, added in changes:
        for name, matrix in added.items():
            with_them.get_parameter(name).data += weight * matrix
    return see(with_them)


def on(path, weight=1.0, expert="both", sha256=""):
    return LoraFile(path, sha256 or str(path), weight, expert)
