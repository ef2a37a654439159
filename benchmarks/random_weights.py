"""Pipelines of full size with random weights: for time and memory, with nothing downloaded."""

from __future__ import annotations

import importlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from gpu import fit as fits
from gpu.checkpoint.match import LAYOUTS
from gpu.checkpoint.network import blank, may_stay_packed
from gpu.checkpoint.packed import Fp8Linear
from gpu.folder import quiet, read_json
from gpu.turbo.int8 import TILE, Int8Linear
from gpu.turbo.rcm import RCMScheduler
from gpu.turbo.sla import Blocks, add_sla
from gpu.weights import WeightsSpec

BLOCK = 1 << 24
SPREAD, LEVEL = 0.02, 0.02 / 32
"""Of random weights, and of one level of those in int8."""

TINY: dict[str, dict[str, Any]] = {
    "ZImageTransformer2DModel": {
        "dim": 256, "n_heads": 2, "n_kv_heads": 2, "n_layers": 1, "n_refiner_layers": 1,
        "cap_feat_dim": 64,
    },
    "Qwen3Model": {
        "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32,
    },
    "WanTransformer3DModel": {
        "num_layers": 1, "num_attention_heads": 2, "ffn_dim": 128, "text_dim": 128,
    },
    "UMT5EncoderModel": {"d_model": 128, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 2},
    "AutoencoderKL": {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1},
    "AutoencoderKLWan": {"base_dim": 8, "decoder_base_dim": 8, "num_res_blocks": 1},
}  # fmt: skip
"""What `tiny` makes smaller, by class; layouts, channels and code stay."""


def make(spec: WeightsSpec, *, tiny: bool) -> Any:  # noqa: ANN401  (a pipeline of diffusers)
    """Return the pipeline of an architecture with random weights, fitted as real ones are.

    Args:
        spec: its folder is one of ARCHITECTURES; its `files` say whether weights stay packed, in
            fp8 or as TurboDiffusion's int8, and whether it attends and samples as theirs do.
        tiny: make it smaller as TINY says.
    """
    import diffusers

    place = spec.device if spec.fit.offload == "none" else "cpu"
    index = read_json(spec.folder / "model_index.json")
    with quiet():
        parts = {
            name: _part(spec, name, value, place, tiny)
            for name, value in index.items()
            if not name.startswith("_")
        }
        pipe = getattr(diffusers, spec.pipeline)(**parts)
    pipe.set_progress_bar_config(disable=True)
    fits.apply(pipe, spec.fit, spec.device)
    return pipe


def _part(spec: WeightsSpec, name: str, value: Any, place: str, tiny: bool) -> Any:  # noqa: ANN401
    turbo = spec.files.turbo if spec.files else None
    match value:
        case [str(library), str(kind)] if kind in LAYOUTS:
            config = read_json(spec.folder / name / "config.json")
            config |= TINY.get(kind, {}) if tiny else {}
            module = blank(library, kind, config)
            if turbo and name in fits.TRANSFORMERS:
                add_sla(module, Blocks(turbo.sla_share))
            return fill(module, getattr(torch, spec.dtype), place, _packed(spec, name))
        case _ if turbo and name == "scheduler":
            return RCMScheduler(sigma_max=turbo.sigma_max, ode=turbo.sampler == "rcm-ode")
        case _ if name == "tokenizer":
            return _tokenizer(spec.pipeline)
        case [str(library), str(kind)]:
            made = getattr(importlib.import_module(library), kind)
            return made.from_pretrained(spec.folder / name)
        case [None, None]:
            return None
    return value


def _packed(spec: WeightsSpec, name: str) -> torch.dtype | None:
    if not (spec.files and spec.files.keep_packed):
        return None
    if not spec.files.turbo:
        return torch.float8_e4m3fn
    return torch.int8 if name in fits.TRANSFORMERS else None


def _tokenizer(pipeline: str) -> Any:  # noqa: ANN401  (of transformers)
    """Return a shipped one: the text's words do not matter here, and all are padded to 512."""
    from transformers import AutoTokenizer

    folder = "image" if pipeline == "ZImagePipeline" else "video"
    return AutoTokenizer.from_pretrained(
        Path(str(files("gpu"))) / "mini" / "weights" / folder / "tokenizer"
    )


def fill(
    module: Any,  # noqa: ANN401  (of diffusers or transformers)
    dtype: torch.dtype,
    place: str,
    packed: torch.dtype | None = None,
) -> Any:  # noqa: ANN401
    """Give a module of the meta device weights: one random block over and over, in no time.

    Args:
        module: of diffusers or transformers.
        dtype: to compute in.
        place: the device.
        packed: what those weights stay in that a file of fp8 or int8 leaves so.
    """
    chance = torch.Generator("cpu").manual_seed(0)
    block = torch.randn(BLOCK, generator=chance) * SPREAD  # a card would round levels otherwise
    levels = (block / LEVEL).round().clamp(-128, 127).to(torch.int8)
    kinds = (dtype, torch.float32, torch.float8_e4m3fn)
    blocks = {one.dtype: one.to(place) for one in (levels, *(block.to(kind) for kind in kinds))}
    stay = {"proj_l", *(getattr(module, "_keep_in_fp32_modules", None) or ())}
    if type(module).__module__.startswith("transformers"):
        stay = set()  # transformers' list is for float16 alone
    for name, empty in list(module.named_parameters()):
        where, _, leaf = name.rpartition(".")
        layer = module.get_submodule(where)
        wide = bool(stay & set(name.split(".")))
        narrow = packed and leaf == "weight" and not wide and may_stay_packed(where, layer)
        kind = packed if packed and narrow else torch.float32 if wide else dtype
        full = _random(empty.shape, blocks[kind])
        if full.ndim == 1 and leaf in ("weight", "gamma"):
            full.fill_(1)
        if narrow:
            module.set_submodule(where, _narrow(layer, full))
        else:
            setattr(layer, leaf, torch.nn.Parameter(full, requires_grad=False))
    if hasattr(module, "tie_weights"):
        module.tie_weights()
    return module.to(place).eval()


def _narrow(layer: torch.nn.Linear, weight: torch.Tensor) -> torch.nn.Module:
    if weight.dtype == torch.int8:
        tiles = (-(-len(weight) // TILE), weight.shape[1] // TILE)
        return Int8Linear(weight, torch.full(tiles, LEVEL, device=weight.device), layer.bias)
    return Fp8Linear(layer, weight, torch.ones((), device=weight.device))


def _random(shape: torch.Size, block: torch.Tensor) -> torch.Tensor:
    full = torch.empty(shape, dtype=block.dtype, device=block.device)
    for piece in full.view(-1).split(len(block)):
        piece.copy_(block[: len(piece)])
    return full
