"""The video autoencoder: AutoencoderKLWan, 8 times smaller in space and 4 in time, 16 channels."""

import copy
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.mini.camera import SIZES
from gpu.mini.train import wan_parallel
from gpu.mini.train.augment import worn
from gpu.mini.train.data import ASPECTS, FRAMES, draw, rendered, to_unit
from gpu.mini.train.run import Clock, Part, cosine, gradient_l1
from gpu.mini.train.sheets import decibels, psnr, sheet
from gpu.mini.untyped import Untyped

CHANNELS = 16
Phase = tuple[float, int, int, int]
PHASES: tuple[Phase, ...] = ((0.42, 1, 160, 96), (1.0, FRAMES, 128, 9))
"""Until this share of the time: frames, side of the crop, batch. First single pictures (many
scenes a step: ten times the progress of clips), then whole clips only: trained on fewer frames
than it decodes, an earlier model drifted to orange past them."""


def new_vae() -> Untyped:
    """Untrained, but ready: it starts near a linear picture autoencoder that holds each frame."""
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan(
        base_dim=24, z_dim=CHANNELS, dim_mult=[1, 2, 3], num_res_blocks=1, attn_scales=[],
        temperal_downsample=[True, True], latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS, in_channels=12, out_channels=12, patch_size=2,
        scale_factor_temporal=4, scale_factor_spatial=8,
    )  # fmt: skip
    _start_linear(vae)
    return vae


ANCHORS = 4
"""Channels that hold a constant at the start. Wan's norm keeps a pixel's direction and drops its
length: without something constant beside it, a flat area's brightness and hue are lost, and
training took 1,000 steps to find that out by itself (17 dB until then)."""


@torch.no_grad()
def _start_linear(vae: Untyped) -> None:
    """Quiet residual branches, anchors through every plain convolution, time held and repeated."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import (
        WanAttentionBlock,
        WanCausalConv3d,
        WanResample,
        WanResidualBlock,
    )  # fmt: skip

    for module in vae.modules():
        if isinstance(module, WanCausalConv3d) and module.kernel_size[0] == 3:
            module.weight[:, :, :2] *= 0.05  # only the newest temporal tap is live
            module.weight[:, :, 2] *= 1.7
    for module in vae.modules():
        if isinstance(module, WanResidualBlock):
            module.conv2.weight.mul_(0.2)
            if isinstance(module.conv_shortcut, WanCausalConv3d):
                _anchor(module.conv_shortcut, 1.0)
        elif isinstance(module, WanAttentionBlock):
            module.proj.weight.mul_(0.1)
        elif isinstance(module, WanResample):
            _anchor(module.resample[1], 0.25 if "down" in module.mode else 1.0)
            _hold(module.time_conv)
    for conv in (vae.encoder.conv_in, vae.decoder.conv_in):
        conv.weight[-ANCHORS:] = 0
        conv.bias[-ANCHORS:] = 1


def _anchor(conv: Untyped, share: float) -> None:
    """Passes the last channels on unchanged: one tap, or the mean of the four that are read."""
    conv.weight.mul_(1.7)  # PyTorch's own initial weights lose 1.7 of the scale a layer
    conv.weight[-ANCHORS:] = 0
    conv.bias[-ANCHORS:] = 0
    middle = conv.weight.shape[-1] // 2
    for i in range(1, ANCHORS + 1):
        if share < 1:  # stride 2 after padding right and below
            conv.weight[-i, -i, ..., :2, :2] = share
        else:
            conv.weight[-i, -i, ..., middle, middle] = share


def _hold(conv: Untyped) -> None:
    """A time convolution that repeats its newest frame."""
    weight = conv.weight
    weight.mul_(0.05)
    conv.bias.zero_()
    same = torch.eye(weight.shape[1])
    for k in range(weight.shape[0] // weight.shape[1]):
        weight[k * weight.shape[1] : (k + 1) * weight.shape[1], :, 2, 0, 0] += same


def loss_of(part: Part, vae: Untyped, x: Tensor) -> tuple[Tensor, Tensor]:
    """L1, squares, edges, change in time, pooled colour and hue, KL; the keyframe weighs more."""
    with part.cast():
        mu, logvar = wan_parallel.encode(vae, x).float().chunk(2, 1)
    logvar = logvar.clamp(-20, 10)
    z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
    level = torch.rand(len(z), 1, 1, 1, 1, device=z.device) * 0.05
    z = z + torch.randn_like(z) * level * mu.detach().std()
    with part.cast():
        diff = wan_parallel.decode(vae, z).float() - x
    first = diff[:, :, :1]
    hue = diff - diff.mean(1, keepdim=True)
    loss = diff.abs().mean() + 0.5 * gradient_l1(diff) + 0.1 * first.abs().mean()
    loss = loss + 0.07 * gradient_l1(first) + 2 * diff.square().mean()
    if x.shape[2] > 1:
        loss = loss + 0.2 * (diff[:, :, 1:] - diff[:, :, :-1]).abs().mean()
    loss = loss + F.avg_pool3d(diff, (1, 8, 8)).abs().mean() + hue.abs().mean()
    return loss + 3e-5 * kl, diff.square().mean()


def _pools(part: Part, clips: int, pictures: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rendered clips [N, 3, T, H, W] and pictures [N, 3, 1, H, W] of every aspect."""
    drawn = [draw("clip", aspect, clips, seed=21) for aspect in ASPECTS]
    still = [draw("picture", aspect, pictures, seed=22) for aspect in ASPECTS]
    moving = {d.aspect: rendered(d.vectors, SIZES[384][d.aspect]) for d in drawn}
    fixed = {d.aspect: rendered(d.vectors, SIZES[384][d.aspect]) for d in still}
    part.log("rendered", clips, "clips and", pictures, "pictures an aspect")
    return moving, fixed


def train_vae(
    part: Part, clips: int = 250, pictures: int = 5000, phases: tuple[Phase, ...] = PHASES,
    start: Path | None = None,
) -> None:  # fmt: skip
    """Trains for the part's time; saves fp32 weights to ``out/video_vae``.

    ``start`` holds an earlier ``video_vae`` to go on from; None is an untrained one.
    """
    moving, fixed = _pools(part, clips, pictures)
    vae = new_vae().to(part.device)
    if start:
        from diffusers import AutoencoderKLWan

        vae = AutoencoderKLWan.from_pretrained(start / "video_vae").float().to(part.device)
    part.log("parameters", sum(p.numel() for p in vae.parameters()))
    if part.device == "cuda":
        wan_parallel.channels_last(vae)
    top = 2e-3 if not start else 1.5e-3
    opt = torch.optim.AdamW(vae.parameters(), top, betas=(0.9, 0.98), weight_decay=1e-4)
    clock = Clock(part.seconds - part.elapsed() - (8 if part.device == "cuda" else 2))
    while (done := clock.tick()) < 1:
        for group in opt.param_groups:
            group["lr"] = top * cosine(done, clock.steps)
        _, frames, crop, batch = next(p for p in phases if done < p[0])
        pool = fixed if frames == 1 else moving
        loss, mse = loss_of(part, vae, _crops(pool[random.choice(ASPECTS)], crop, batch))
        opt.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        if clock.steps % 100 == 1:
            part.log(
                f"video vae step {clock.steps} frames {frames} loss {loss.item():.4f}"
                f" psnr {decibels(mse):.2f} {clock.rate():.1f}/s"
            )
    save_vae(part, vae, moving)


def _crops(data: Tensor, crop: int, batch: int) -> Tensor:
    """Random crops as floats, some worn, half mirrored."""
    y, x = (random.randrange((n - crop) // 2 + 1) * 2 for n in data.shape[3:])
    pick = torch.randint(0, len(data), (batch,), device=data.device)
    real = worn(to_unit(data[pick, :, :, y : y + crop, x : x + crop]), 0.2)
    if random.random() < 0.5:
        real = real.flip(4)
    return real.contiguous(memory_format=torch.channels_last_3d)


@torch.no_grad()
def save_vae(part: Part, vae: Untyped, pool: dict[str, Tensor]) -> None:
    """Sets the latents' mean and deviation, saves, and reports PSNR frame by frame."""
    torch.backends.cudnn.benchmark = False  # it takes half a minute on whole clips
    seen, rows, columns = [], [], [0, 8, 16, 24, FRAMES - 1]
    for aspect, data in pool.items():
        x = to_unit(data[:6])
        with part.cast():
            z = wan_parallel.encode(vae, x).float().chunk(2, 1)[0]
            y = wan_parallel.decode(vae, z).float().clamp(-1, 1)
        seen.append(z.transpose(0, 1).flatten(1))
        line = " ".join(f"{psnr(x[:, :, t], y[:, :, t]):.1f}" for t in columns)
        part.log(f"video vae {aspect}: psnr {psnr(x, y):.2f}, by frame {line}")
        if aspect == "square":
            for i in range(3):
                rows += [x[i, :, columns].transpose(0, 1), y[i, :, columns].transpose(0, 1)]
    z = torch.cat(seen, 1)
    vae.register_to_config(latents_mean=z.mean(1).tolist(), latents_std=z.std(1).tolist())
    contiguous = copy.deepcopy(vae).to(memory_format=torch.contiguous_format)
    contiguous.save_pretrained(part.out / "video_vae")
    sheet(torch.cat(rows), len(columns), part.out / "video_vae.jpg")
