"""The Wan autoencoder's whole clip at once, over the library's own weights.

diffusers runs it chunk by chunk (1 frame, then 4) with a feature cache, which is too slow to
train through. The causal convolutions see the same frames either way; only the resamplers treat
the first chunk apart, which `_resample` spells out. `tests/test_mini_fast.py` holds both equal.
"""

import torch
from torch import Tensor

from gpu.mini.untyped import Untyped


def _act(x: Tensor, gamma: Tensor) -> Tensor:
    """WanRMS_norm and SiLU: unit length over channels, times sqrt(C) gamma."""
    y = torch.nn.functional.normalize(x.float(), dim=1).to(x.dtype)
    return torch.nn.functional.silu(y * x.shape[1] ** 0.5 * gamma)


def _resnet(block: Untyped, x: Tensor) -> Tensor:
    h = block.conv1(_act(x, block.norm1.gamma))
    return block.conv2(_act(h, block.norm2.gamma)) + block.conv_shortcut(x)  # type: ignore[no-any-return]


def _middle(block: Untyped, x: Tensor) -> Tensor:
    x = _resnet(block.resnets[0], x)
    for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
        x = _resnet(resnet, attention(x))
    return x


def _resample(layer: Untyped, x: Tensor) -> Tensor:
    """One WanResample on [B, C, T, H, W]."""
    if layer.mode == "upsample3d" and x.shape[2] > 1:
        # The first frame stays one; the rest double, and their convolution starts from zeros.
        first, rest = x[:, :, :1], layer.time_conv(x[:, :, 1:])
        b, _, t, h, w = rest.shape
        pairs = rest.reshape(b, 2, -1, t, h, w)
        rest = torch.stack((pairs[:, 0], pairs[:, 1]), 3).reshape(b, -1, 2 * t, h, w)
        x = torch.cat([first, rest], 2)
    b, c, t, h, w = x.shape
    y: Tensor = layer.resample(x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w))
    y = y.view(b, t, *y.shape[1:]).permute(0, 2, 1, 3, 4)
    if layer.mode == "downsample3d" and t > 1:
        # The first frame passes; each pair after it is convolved with the frame before it.
        y = torch.cat([y[:, :, :1], layer.time_conv(y)], 2)
    return y


def channels_last(vae: Untyped) -> None:
    """Lays the convolutions' weights out as a GPU reads them; clips are to be laid out alike."""
    for weight in vae.parameters():  # Module.to refuses this format for 4-d weights
        if weight.dim() == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)


def encode(vae: Untyped, x: Tensor) -> Tensor:
    """Clips [B, 3, 4k+1, H, W] to posterior parameters [B, 2z, k+1, H/8, W/8]."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanResample, patchify

    net, h = vae.encoder, patchify(x, vae.config.patch_size)
    h = net.conv_in(h)
    for layer in net.down_blocks:
        h = _resample(layer, h) if isinstance(layer, WanResample) else _resnet(layer, h)
    h = _middle(net.mid_block, h)
    return vae.quant_conv(net.conv_out(_act(h, net.norm_out.gamma)))  # type: ignore[no-any-return]


def decode(vae: Untyped, z: Tensor) -> Tensor:
    """Latents [B, z, k+1, H/8, W/8] to clips [B, 3, 4k+1, H, W], not clamped."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    net = vae.decoder
    h = _middle(net.mid_block, net.conv_in(vae.post_quant_conv(z)))
    for block in net.up_blocks:
        for resnet in block.resnets:
            h = _resnet(resnet, h)
        if block.upsamplers is not None:
            h = _resample(block.upsamplers[0], h)
    h = net.conv_out(_act(h, net.norm_out.gamma))
    return unpatchify(h, vae.config.patch_size)  # type: ignore[no-any-return]
