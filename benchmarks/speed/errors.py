"""How far each speed-up of Z-Image is from float32, beside plain bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.figures import Figure, at_most
from benchmarks.speed.bench import FAST, FP8, PLAIN, Bench
from benchmarks.speed.realistic import words_of
from gpu.fit import Fit

WAYS = {
    "plain bfloat16": PLAIN,
    "compiled bfloat16": FAST,
    "fp8": Fit(quantisation="fp8"),
    "compiled fp8": FP8,
}
EAGER = {
    "compiled bfloat16": "plain bfloat16", "compiled fp8": "fp8", "ours": "plain bfloat16",
}  # fmt: skip
"""What a way makes faster: rounding in another order may cost it WORSE times as much error."""
WORSE = 1.1
WORDS = 64
"""Tokens of the made-up words."""
PARTS = ("words", "one forward", "last latents", "pixels")


def figures(bench: Bench) -> Iterator[Figure]:
    """Yield the error of each part by each way, in units of the float32 answer's norm."""
    found = {name: answers(bench, fit) for name, fit in WAYS.items()}
    yield from beside(found, answers(bench, PLAIN, wide=True))


def beside(
    found: Mapping[str, Mapping[str, Tensor]], right: Mapping[str, Tensor], piece: str = "errors"
) -> Iterator[Figure]:
    """Yield how far each part of each way's answers is from the right ones, and from plain ones."""
    plain = found["plain bfloat16"]
    for name, ours in found.items():
        for part in right:
            metric, error = f"{piece}: {part}, {name}", off(ours[part], right[part])
            note = f"against plain bfloat16 {off(ours[part], plain[part]):.2e}"
            if as_it_stands := EAGER.get(name):
                bar = round(WORSE * off(found[as_it_stands][part], right[part]), 5)
                yield at_most(metric, error, "", bar, note)
            else:
                yield Figure(metric, error, "", note=note)


def off(ours: Tensor, right: Tensor) -> float:
    """Error of all values together, in units of the right answer's."""
    return float((ours - right).norm() / right.norm())


@torch.no_grad()
def answers(bench: Bench, fit: Fit, *, wide: bool = False) -> dict[str, Tensor]:
    """Return what each part says to given inputs; `wide`: the same weights, in float32."""
    weights = bench.weights()
    with weights.lease(bench.spec(fit)) as pipe:
        if wide:
            for part in (pipe.transformer, pipe.text_encoder, pipe.vae):
                part.float()
        made = dict(zip(PARTS, _answers(pipe, bench), strict=True))
    del pipe
    weights.release_all()
    return made


def _answers(pipe: Any, bench: Bench) -> Iterator[Tensor]:  # noqa: ANN401  (of diffusers)
    chance = torch.Generator().manual_seed(5)
    side = bench.side // 8
    like = pipe.vae.decoder.conv_in.weight
    noise = torch.randn(1, 16, side, side, generator=chance).to(like)
    words = torch.randn(WORDS, pipe.transformer.config.cap_feat_dim, generator=chance)
    words[:, ::97] *= 40  # a language model's hidden states have a few channels that large
    words = words.to(like)
    yield pipe.encode_prompt(words_of(0), do_classifier_free_guidance=False)[0][0].float()
    when = torch.tensor([0.3], device=like.device)
    yield pipe.transformer([noise[0, :, None]], when, [words], return_dict=False)[0][0].float()
    yield pipe(
        prompt_embeds=[words], width=bench.side, height=bench.side, guidance_scale=0.0,
        num_inference_steps=bench.steps, generator=chance, output_type="latent",
    ).images.float()  # fmt: skip
    yield pipe.vae.decode(noise, return_dict=False)[0].float()
