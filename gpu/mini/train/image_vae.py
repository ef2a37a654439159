"""The image autoencoder: diffusers' AutoencoderKL, eight times smaller, 12 channels."""

import copy
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.mini.camera import SIZES
from gpu.mini.train.augment import worn
from gpu.mini.train.data import ASPECTS, draw, rendered, to_unit
from gpu.mini.train.run import Clock, Part, compiled, cosine, gradient_l1
from gpu.mini.train.sheets import decibels, psnr, sheet
from gpu.mini.untyped import Untyped

CHANNELS = 12
CROP = 192
BATCH = 64


def new_vae() -> Untyped:
    """Untrained: 3.8 M parameters, no attention (CPU speed), no quant convolutions."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(32, 64, 128, 128),
        layers_per_block=1, latent_channels=CHANNELS, norm_num_groups=16, sample_size=384,
        scaling_factor=1.0, shift_factor=0.0, mid_block_add_attention=False,
        use_quant_conv=False, use_post_quant_conv=False, force_upcast=False,
    )  # fmt: skip


def _loss(part: Part, enc: Untyped, dec: Untyped, x: Tensor) -> tuple[Tensor, Tensor]:
    """L1, edges, a pooled L1 against colour casts, and a little KL; also the squared error."""
    with part.cast():
        mu, logvar = enc(x).float().chunk(2, 1)
    logvar = logvar.clamp(-20, 10)
    z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
    level = torch.rand(len(z), 1, 1, 1, device=z.device) * 0.1  # the transformer's own errors
    z = z + torch.randn_like(z) * level * mu.detach().std()
    with part.cast():
        y = dec(z.to(torch.bfloat16) if part.device == "cuda" else z)
    diff = y.float() - x
    loss = diff.abs().mean() + 0.7 * gradient_l1(diff) + 0.5 * F.avg_pool2d(diff, 4).abs().mean()
    return loss + 1e-4 * kl, diff.square().mean()


def train_vae(part: Part, count: int = 9000, crop: int = CROP, batch: int = BATCH) -> None:
    """Trains for the part's time and saves fp32 weights to ``out/image_vae``."""
    pool = {}
    # All scenes are drawn before the first rendering: worker processes fork without a GPU context.
    for drawn in [draw("picture", aspect, count, seed=11) for aspect in ASPECTS]:
        pool[drawn.aspect] = rendered(drawn.vectors, SIZES[384][drawn.aspect])[:, :, 0]
    part.log("rendered", count, "pictures an aspect")
    vae = new_vae().to(part.device)
    if part.device == "cuda":
        vae = vae.to(memory_format=torch.channels_last)
    part.log("parameters", sum(p.numel() for p in vae.parameters()))
    enc, dec = compiled(vae.encoder, part.device), compiled(vae.decoder, part.device)
    opt = torch.optim.AdamW(vae.parameters(), 1.2e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    clock = Clock(part.seconds - part.elapsed() - (25 if part.device == "cuda" else 2))
    while (done := clock.tick()) < 1:
        for group in opt.param_groups:
            group["lr"] = 1.2e-3 * cosine(done, clock.steps)
        data = pool[random.choice(ASPECTS)]
        y, x = (random.randrange((n - crop) // 2 + 1) * 2 for n in data.shape[2:])
        pick = torch.randint(0, len(data), (batch,), device=data.device)
        real = worn(to_unit(data[pick, :, y : y + crop, x : x + crop]))
        if part.device == "cuda":
            real = real.contiguous(memory_format=torch.channels_last)
        loss, mse = _loss(part, enc, dec, real)
        opt.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        if clock.steps % 200 == 1:
            told = f"loss {loss.item():.4f} psnr {decibels(mse):.2f}"
            part.log(f"image vae step {clock.steps} {told}")
        if clock.steps % 2000 == 0:
            save_vae(part, vae, pool)
    save_vae(part, vae, pool)


@torch.no_grad()
def save_vae(part: Part, vae: Untyped, pool: dict[str, Tensor]) -> None:
    """Sets scale and shift from the latents, saves, and reports held-in PSNR by aspect."""
    vae.eval()
    seen, rows = [], []
    for aspect, data in pool.items():
        x = to_unit(data[:24])
        with part.cast():
            z = vae.encoder(x).float().chunk(2, 1)[0]
            y = vae.decoder(z).float()
        seen.append(z.flatten())
        part.log(f"image vae {aspect}: psnr {psnr(x, y.clamp(-1, 1)):.2f}")
        if aspect == "square":
            rows = [x[:8], y[:8]]
    z = torch.cat(seen)
    vae.register_to_config(scaling_factor=1 / z.std().item(), shift_factor=z.mean().item())
    part.log(f"latents shift {z.mean().item():.4f} std {z.std().item():.4f}")
    contiguous = copy.deepcopy(vae).to(memory_format=torch.contiguous_format)
    contiguous.save_pretrained(part.out / "image_vae")
    sheet(torch.cat(rows), 8, part.out / "image_vae.jpg")
    vae.train()
