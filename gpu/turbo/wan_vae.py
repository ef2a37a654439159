"""Wan's decoder as a function of latents and caches, so that one compiled graph serves a clip.

Its convolutions look two frames back. diffusers keeps those frames in a list on the module, whose
length, contents and shapes differ for the first, second and later latent frames, so that compiling
it compiles each position anew. Here they are tensors in and out, always two frames, zeros before
the clip begins, which is what padding with zeros means. Only the first latent frame differs: it
becomes one frame, where each later one becomes four, and the convolutions that double frames
neither see nor remember it.

FLOP = sum over convolutions of 2 · taps · in · out · voxels: 274 TFLOP for 480x832x81, 632 for
720x1280x81; 0.28 and 0.64 s at an H100's 989 TFLOP/s. Measured there in bfloat16 for the first:
diffusers 2.07 s; compiled as it stands 1.00 s, after 148 s of compiling; this 0.87 s after 37 s,
and 0.81 s with frames in pairs and the copies to main memory. Each new size compiles anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 5
"""Latent frames in a group on a graphics card."""

VOXELS = 12_480
"""Of latents in a group, two frames of 480x832: 5 GB of work. Five frames need 13 for 1.5 %."""

SHAPES = 64
"""Graphs that may be compiled: two for each size and length of clip."""

Module = Any
"""Of diffusers, which publishes no types."""


class _Past:
    """The frames that causal convolutions look back on, in the order in which they run."""

    def __init__(self, frames: list[Tensor] | None) -> None:
        self.first = frames is None
        self._before = iter(frames or ())
        self.after: list[Tensor] = []

    def convolve(self, conv: Module, x: Tensor) -> Tensor:
        """Return the convolution of `x` (B, C, T, H, W), two frames further."""
        before = self._zeros(x) if self.first else next(self._before)
        x = torch.cat([before, x], 2)
        self.after.append(_packed(x[:, :, -2:]))
        if x.shape[2] % 2 == 0 and hasattr(conv, "for_pairs"):
            bias = torch.cat([conv.bias, conv.bias])
            return _single(_convolve(_pairs(x), conv.for_pairs, bias))
        return _convolve(x, conv.weight, conv.bias)

    def skip(self, x: Tensor) -> None:
        """Remember nothing of `x`."""
        self.after.append(_packed(self._zeros(x)))

    @staticmethod
    def _zeros(x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :1]).expand(-1, -1, 2, -1, -1)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    high, wide = weight.shape[3:]
    return F.conv3d(x, weight, bias, padding=(0, high // 2, wide // 2))


def pair_frames(vae: Module) -> None:
    """Let convolutions of few channels see two frames side by side, as channels, where it's faster.

    For channels that don't divide by 64, cuDNN 9 has kernels of 2020 alone: 245 TFLOP/s on an H100
    for 96 channels, which are a third of all work, and 600 for 192. A quarter of the products are
    then with zero. Compiled, the other order costs nothing: what made the input writes it so. The
    weights are kept, since a compiler lays its inputs out as the weights that it is given.
    """
    for part in vae.decoder.modules():
        taps = getattr(part, "kernel_size", ())
        if taps == (3, 3, 3) and part.in_channels % 64 and not hasattr(part, "for_pairs"):
            part.register_buffer("for_pairs", _for_pairs(part.weight), persistent=False)


def _pairs(x: Tensor) -> Tensor:
    """(B, C, 2T, H, W) as (B, 2C, T, H, W)."""
    return torch.unflatten(x, 2, (-1, 2)).permute(0, 3, 1, 2, 4, 5).flatten(1, 2)


def _single(x: Tensor) -> Tensor:
    """(B, 2C, T, H, W) as (B, C, 2T, H, W)."""
    return torch.unflatten(x, 1, (2, -1)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


def _for_pairs(weight: Tensor) -> Tensor:
    """Return weights (2N, 2C, 2, h, w) over pairs that do what (N, C, 3, h, w) do over frames.

    Frame `a` of a pair sees frame `b` of that pair (`of` 1) and of the one before (`of` 0), as far
    as it lies up to two frames back: through tap 2·of + b - a of three.
    """
    taps, none = weight.unbind(2), torch.zeros_like(weight[:, :, 0])

    def tap(a: int, b: int, of: int) -> Tensor:
        number = 2 * of + b - a
        return taps[number] if 0 <= number < len(taps) else none

    rows = [
        torch.cat([torch.stack([tap(a, b, of) for of in (0, 1)], 2) for b in (0, 1)], 1)
        for a in (0, 1)
    ]
    return torch.cat(rows)


def _packed(x: Tensor) -> Tensor:
    """A copy, so that two frames don't hold a group's memory; alike in all groups."""
    form = torch.channels_last_3d if x.is_cuda else torch.contiguous_format
    return x.clone(memory_format=form)


def _resnet(block: Module, x: Tensor, past: _Past) -> Tensor:
    h = past.convolve(block.conv1, block.nonlinearity(block.norm1(x)))
    h = past.convolve(block.conv2, block.nonlinearity(block.norm2(h)))
    return h + block.conv_shortcut(x)  # type: ignore[no-any-return]


def _upsample(layer: Module, x: Tensor, past: _Past) -> Tensor:
    """Double height and width; of all but the first frame also the frames."""
    if layer.mode == "upsample3d" and past.first:
        past.skip(x)
    elif layer.mode == "upsample3d":
        pairs = torch.unflatten(past.convolve(layer.time_conv, x), 1, (2, -1))
        x = pairs.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
    frames = layer.resample(x.transpose(1, 2).flatten(0, 1))
    return torch.unflatten(frames, 0, (len(x), -1)).transpose(1, 2)


def _raise(block: Module, x: Tensor, past: _Past) -> Tensor:
    """One level: Wan 2.1's, or Wan 2.2's with its shortcut past all of it."""
    h = x
    for resnet in block.resnets:
        h = _resnet(resnet, h, past)
    upsampler = block.upsampler if hasattr(block, "upsampler") else (block.upsamplers or [None])[0]
    if upsampler is not None:
        h = _upsample(upsampler, h, past)
    if (shortcut := getattr(block, "avg_shortcut", None)) is not None:
        h = h + shortcut(x, first_chunk=past.first)
    return h


def group(vae: Module, z: Tensor, frames: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
    """Return the pixels of one group of latents, and what the next group needs.

    Args:
        vae: an `AutoencoderKLWan`.
        z: (B, z, T, H/8, W/8): the first latent frame alone, or later ones.
        frames: what the group before gave; none for the first.

    Returns:
        Pixels of [0, 1] as (B, T, H, W, 3), channels last as files have them; two frames for each
        convolution.
    """
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    net, past = vae.decoder, _Past(frames)
    h = past.convolve(net.conv_in, vae.post_quant_conv(z))
    h = _resnet(net.mid_block.resnets[0], h, past)
    for attention, resnet in zip(net.mid_block.attentions, net.mid_block.resnets[1:], strict=True):
        h = _resnet(resnet, attention(h), past)
    for block in net.up_blocks:
        h = _raise(block, h, past)
    h = past.convolve(net.conv_out, net.nonlinearity(net.norm_out(h)))
    h = unpatchify(h, vae.config.patch_size or 1)
    return h.clamp(-1, 1).permute(0, 2, 3, 4, 1) / 2 + 0.5, past.after


@cache
def _compiled() -> Any:  # noqa: ANN401
    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    return torch.compile(group, dynamic=False)


def decode(vae: Module, latents: Tensor, *, compiled: bool = False) -> Iterator[Tensor]:
    """Yield the clip of `latents` group by group, equal to what `vae.decode` gives up to rounding.

    Groups after the first are of one size; the last is filled with zeros, which no earlier frame
    sees, and cut.

    Args:
        vae: an `AutoencoderKLWan`.
        latents: (B, z, T, H/8, W/8), no longer normalised.
        compiled: by torch.compile: minutes for a new size, then faster.

    Yields:
        Pixels of [0, 1] as (B, T, H, W, 3): one frame, then a whole number of latent frames' each.
    """
    run = _compiled() if compiled else group
    if latents.is_cuda:
        if compiled:
            pair_frames(vae)
        lay_out(vae)
        latents = latents.contiguous(memory_format=torch.channels_last_3d)
    rest, size = latents.shape[2] - 1, 1
    if latents.is_cuda and rest:
        most = max(1, min(MOST, VOXELS // (latents.shape[3] * latents.shape[4])))
        size = -(-rest // -(-rest // most))
    pixels, frames = run(vae, latents[:, :, :1], None)
    yield pixels
    for start in range(1, rest + 1, size):
        some = latents[:, :, start : start + size]
        missing = size - some.shape[2]
        pixels, frames = run(vae, F.pad(some, (0, 0, 0, 0, 0, missing)), frames)
        yield pixels[:, : pixels.shape[1] // size * (size - missing)]


def lay_out(vae: Module) -> None:
    """Lay the convolutions' weights out as a graphics card reads them; twice does no harm."""
    forms = {5: torch.channels_last_3d, 4: torch.channels_last}
    for weight in (*vae.parameters(), *vae.buffers()):
        if weight.ndim in forms:  # Module.to takes one format for all
            weight.data = weight.data.contiguous(memory_format=forms[weight.ndim])
