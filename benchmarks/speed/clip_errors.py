"""How far each speed-up of TurboDiffusion's clips is from float32, beside plain bfloat16.

On clips of 17 frames: float32 has no kernel, and takes a second for each layer of 81. All ways
choose blocks of keys by one rule, each from its own numbers; `turbo_kernels` holds them fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

Answers = dict[str, Tensor]
Ask = Callable[[Bench, Any], Answers]
"""Of a pipeline."""
FRAMES = 17
WORDS = 512


def figures(bench: Bench) -> Iterator[Figure]:
    """Yield the error of one forward and of the last latents by each way, then the autoencoder's.

    In units of the float32 answer's norm.
    """
    found, right = _all_ways(bench, _one_and_last)
    yield from beside(found, right)
    yield from _autoencoder(bench, right["last latents"])


def experts(bench: Bench) -> Iterator[Figure]:
    """Yield the error of one of two experts, early and late, and of the latents after both.

    In units of the float32 answer's norm.
    """
    found, right = _all_ways(bench, _early_late_and_last)
    yield from beside(found, right, f"{bench.kind.name} errors")


def _all_ways(bench: Bench, ask: Ask) -> tuple[dict[str, Answers], Answers]:
    """Return what each way answers, and what float32 does."""
    found = {name: _answers(bench, fit, ask) for name, fit in WAYS.items()}
    return found, _answers(bench, PLAIN, ask, wide=True)


@torch.no_grad()
def _answers(bench: Bench, fit: Fit, ask: Ask, *, wide: bool = False) -> Answers:
    """Return what is answered to given inputs; `wide`: by the same weights, in float32."""
    weights = bench.weights()
    with weights.lease(bench.spec(fit)) as pipe:
        pipe.text_encoder = None  # whose room float32 needs
        torch.cuda.empty_cache()
        if wide:
            _widen(pipe)
        made = ask(bench, pipe)
    del pipe
    weights.release_all()
    return made


def _widen(pipe: Any) -> None:  # noqa: ANN401  (of diffusers)
    """Compute in float32. Two experts of 57 GB are more than a card has: the second comes later."""
    device, second = pipe.transformer.device, getattr(pipe, "transformer_2", None)

    def relieve(*_: object) -> None:
        waiting.remove()
        pipe.transformer.to("meta")
        torch.cuda.empty_cache()
        second.to(device).float()

    if second is not None:
        second.cpu()
        waiting = second.register_forward_pre_hook(relieve)
    pipe.transformer.float()


def _one_and_last(bench: Bench, pipe: Any) -> Answers:  # noqa: ANN401  (of diffusers)
    noise, words = _given(bench, pipe.transformer)
    said = _forward(pipe.transformer, noise, words, 932.0)
    return {"one forward": said, "last latents": _last(bench, pipe, words)}


def _early_late_and_last(bench: Bench, pipe: Any) -> Answers:  # noqa: ANN401  (of diffusers)
    noise, words = _given(bench, pipe.transformer)
    times = 932.0, 300.0
    said = {f"one forward at {t}": _forward(pipe.transformer, noise, words, t) for t in times}
    return said | {"last latents": _last(bench, pipe, words)}


def _last(bench: Bench, pipe: Any, words: Tensor) -> Tensor:  # noqa: ANN401  (of diffusers)
    """Return the latents of a clip after its last step."""
    width, height, _ = bench.size
    shape = 1, pipe.vae.config.z_dim, *_packed(bench)
    made: Tensor = pipe(
        **bench.picture(), prompt_embeds=words, width=width, height=height,
        num_frames=_frames(bench), latents=pipe.scheduler.start(shape, 7),
        num_inference_steps=STEPS, guidance_scale=1.0, output_type="latent",
    ).frames  # fmt: skip
    return made.float()


def _forward(network: Any, noise: Tensor, words: Tensor, told: float) -> Tensor:  # noqa: ANN401
    when = torch.tensor([told], device=noise.device)
    said: Tensor = network(noise, when, words, return_dict=False)[0].float()
    return said


def _given(bench: Bench, network: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401  (of diffusers)
    """Return noise in each of the network's channels, a keyframe's too, and a prompt's words."""
    chance, like = torch.Generator().manual_seed(5), network.patch_embedding.weight
    noise = torch.randn(1, network.config.in_channels, *_packed(bench), generator=chance).to(like)
    words = torch.randn(1, WORDS, network.config.text_dim, generator=chance)
    words[..., ::97] *= 10  # a language model's hidden states have a few large channels
    words[:, 100:] = 0  # and nothing behind a prompt
    return noise, words.to(like)


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


def _packed(bench: Bench) -> tuple[int, int, int]:
    """Return how long, high and wide the latents are."""
    width, height, _ = bench.size
    return (_frames(bench) - 1) // 4 + 1, height // 8, width // 8


def _frames(bench: Bench) -> int:
    return min(FRAMES, bench.size[2])
