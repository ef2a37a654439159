"""Wan's encoder for a picture and then nothing: frames that must come out alike are computed once.

Image-to-video models are told their first frame as a clip of that frame and zeros. Convolutions
look two frames back, so of T frames of which the first D differ and the rest are alike, at most
D + 2 differ behind a convolution; halving the frames halves D. What is behind them is repeated.
For 81 frames of 720x1280 that leaves 105 of 365 TFLOP, with nothing rounded otherwise.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.turbo.wan_vae import Module, lay_out


class _Clip:
    """Frames (B, C, D, H, W) that differ; the last stands for all up to `length`."""

    def __init__(self, frames: Tensor, length: int) -> None:
        self.frames, self.length = frames, length

    def extend(self, more: int) -> Tensor:
        """Return the frames and `more` that are alike, but none past the clip's end."""
        more = min(more, self.length - self.frames.shape[2])
        last = self.frames[:, :, -1:].expand(-1, -1, more, -1, -1)
        return torch.cat([self.frames, last], 2)


def _convolve(conv: Module, x: Tensor) -> Tensor:
    high, wide = conv.weight.shape[3:]
    x = F.pad(x, (0, 0, 0, 0, 2, 0))
    return F.conv3d(x, conv.weight, conv.bias, padding=(0, high // 2, wide // 2))


def _resnet(block: Module, clip: _Clip) -> _Clip:
    x = clip.extend(4)
    h = _convolve(block.conv1, block.nonlinearity(block.norm1(x)))
    h = _convolve(block.conv2, block.nonlinearity(block.norm2(h)))
    return _Clip(h + block.conv_shortcut(x), clip.length)


def _halve(layer: Module, clip: _Clip) -> _Clip:
    """Halve height and width, and the frames after the first where the layer does."""
    x, length = clip.frames, clip.length
    h = torch.unflatten(layer.resample(x.transpose(1, 2).flatten(0, 1)), 0, (len(x), -1))
    clip = _Clip(h.transpose(1, 2), length)
    if layer.mode != "downsample3d" or length == 1:
        return clip
    conv, h = layer.time_conv, clip.extend(3)
    pairs = F.conv3d(h, conv.weight, conv.bias, stride=conv.stride)
    return _Clip(torch.cat([h[:, :, :1], pairs], 2), 1 + (length - 1) // 2)


def encode(vae: Module, x: Tensor) -> Tensor:
    """Return mean and log-variance of a clip, as `vae._encode` does.

    Args:
        vae: an `AutoencoderKLWan` of Wan 2.1's kind.
        x: (B, 3, 4k + 1, H, W), of which all frames after the first are alike.
    """
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanResample, patchify

    net, length = vae.encoder, x.shape[2]
    if x.is_cuda:
        lay_out(vae)
    x = patchify(x[:, :, :2], vae.config.patch_size or 1)
    if x.is_cuda:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    clip = _Clip(_convolve(net.conv_in, _Clip(x, length).extend(2)), length)
    for layer in net.down_blocks:
        clip = (_halve if isinstance(layer, WanResample) else _resnet)(layer, clip)
    clip = _resnet(net.mid_block.resnets[0], clip)
    for attention, resnet in zip(net.mid_block.attentions, net.mid_block.resnets[1:], strict=True):
        clip = _resnet(resnet, _Clip(attention(clip.frames), clip.length))
    h = _convolve(net.conv_out, net.nonlinearity(net.norm_out(clip.extend(2))))
    whole: Tensor = vae.quant_conv(_Clip(h, clip.length).extend(clip.length))
    return whole


def encode_stills(vae: Module) -> None:
    """Let an autoencoder encode pictures so; other clips, and tiles, are encoded as ever."""
    if not vae.config.is_residual:
        vae._encode = partial(_encode, vae)


def _encode(vae: Module, x: Tensor) -> Tensor:
    if vae.use_tiling or x.shape[2] == 1 or bool(x[:, :, 1:].any()):
        whole: Tensor = type(vae)._encode(vae, x)
        return whole
    return encode(vae, x)
