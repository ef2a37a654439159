"""How far each speed-up of TurboDiffusion's clips is from float32, beside plain bfloat16.

On clips of 17 frames: float32 has no kernel, and takes a second for each layer of 81. All ways
choose blocks of keys by one rule, each from its own numbers; `turbo_kernels` holds them fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.figures import Figure
from benchmarks.speed.bench import PLAIN
from benchmarks.speed.clip_bench import STEPS, Bench
from benchmarks.speed.errors import WAYS, beside
from gpu import decode
from gpu.fit import Fit
from gpu.turbo import wan_still, wan_vae

FRAMES = 17
WORDS = 512


def figures(bench: Bench) -> Iterator[Figure]:
    """Yield the error of one forward and of the last latents by each way, then the autoencoder's.

    In units of the float32 answer's norm.
    """
    found = {name: _answers(bench, fit) for name, fit in WAYS.items()}
    right = _answers(bench, PLAIN, wide=True)
    yield from beside(found, right)
    yield from _autoencoder(bench, right["last latents"])


@torch.no_grad()
def _answers(bench: Bench, fit: Fit, *, wide: bool = False) -> dict[str, Tensor]:
    """Return what the network says to given inputs; `wide`: the same weights, in float32."""
    weights = bench.weights()
    with weights.lease(bench.spec(fit)) as pipe:
        if wide:
            pipe.transformer.float()
        made = _said(bench, pipe)
    del pipe
    weights.release_all()
    return made


def _said(bench: Bench, pipe: Any) -> dict[str, Tensor]:  # noqa: ANN401  (of diffusers)
    network, shape, chance = pipe.transformer, _shape(bench), torch.Generator().manual_seed(5)
    like = network.patch_embedding.weight
    noise = torch.randn(shape, generator=chance).to(like)
    words = torch.randn(1, WORDS, network.config.text_dim, generator=chance)
    words[..., ::97] *= 10  # a language model's hidden states have a few large channels
    words[:, 100:] = 0  # and nothing behind a prompt
    told = torch.tensor([932.0], device=like.device)
    said = network(noise, told, words.to(like), return_dict=False)[0].float()
    width, height, _ = bench.size
    last = pipe(
        prompt_embeds=words.to(like), width=width, height=height, num_frames=_frames(bench),
        latents=pipe.scheduler.start(shape, 7), num_inference_steps=STEPS, guidance_scale=1.0,
        output_type="latent",
    ).frames  # fmt: skip
    return {"one forward": said, "last latents": last.float()}


@torch.no_grad()
def _autoencoder(bench: Bench, latents: Tensor) -> Iterator[Figure]:
    """The decoder as it runs in a clip, and the keyframe's encoder, beside the library's own."""
    with bench.weights().lease(bench.spec(PLAIN)) as pipe:
        vae = pipe.vae
    compiled = bench.device == "cuda"
    narrow, ways = vae.dtype, {}
    still = torch.zeros(1, 3, _frames(bench), *reversed(bench.size[:2]), device=latents.device)
    shown = torch.from_numpy(bench.shown()[0].copy()).to(latents.device)
    still[:, :, 0] = shown.permute(2, 0, 1) / 127.5 - 1
    for name, dtype in (("float32", torch.float32), ("plain bfloat16", narrow), ("ours", narrow)):
        vae.to(dtype)
        z, x = decode.restored(vae, latents), still.to(dtype)
        if name == "ours":
            pixels = torch.cat([*wan_vae.decode(vae, z, compiled=compiled)], 1)
            ways[name] = pixels.float(), wan_still.encode(vae, x).float()
        else:
            pixels = vae.decode(z, return_dict=False)[0].permute(0, 2, 3, 4, 1) / 2 + 0.5
            ways[name] = pixels.float(), vae._encode(x).float()
    parts = ("pixels", "keyframe's latents")
    told = {name: dict(zip(parts, made, strict=True)) for name, made in ways.items()}
    yield from beside(told, told.pop("float32"))


def _frames(bench: Bench) -> int:
    return min(FRAMES, bench.size[2])


def _shape(bench: Bench) -> tuple[int, ...]:
    width, height, _ = bench.size
    return (1, 16, (_frames(bench) - 1) // 4 + 1, height // 8, width // 8)
